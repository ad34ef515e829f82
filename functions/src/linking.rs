//! Linking a customer with a login, and taking the two apart, by a person's decision.
//!
//! It is what `PATCH /v1/customers/{id}` does with `user_id`, but that a pointer which nobody returns
//! gives way: also where the two point at each other already, and it is somebody else's. Whoever was
//! ambiguous because of the two is looked at again at once, and by the backfill where that fails.

use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::Customer;
use shared::domain::linking::Pair;
use shared::domain::update::{Patch, Request};
use shared::http::ApiError;
use shared::ids::UserId;
use shared::store::key::Key;
use shared::store::recheck::{Shared, around_pair};

pub use crate::update::NotUpdated;
use crate::update::{Update, Updated};

/// What became of a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// It was so before, and nobody else says otherwise.
    Already,
    /// It would be done, but for a dry run.
    Would,
    /// It is done; the customer as it is now.
    Done(Box<Customer>),
}

/// Links `customer` with the user `user`. With `dry` it only looks.
pub async fn link(app: &App, customer: Customer, user: UserId, dry: bool) -> Result<Settled, NotUpdated> {
    let pair = Pair { customer: customer.internal_id, user };
    let request = Request { user_id: Patch::Set(user), overrule: true, ..Request::default() };
    match settle(app, customer, request, dry).await? {
        Settled::Already => confirm(app, pair, dry).await,
        settled => Ok(settled),
    }
}

/// Takes `customer` and its login apart; both wait for the backfill then. With `dry` it only looks.
pub async fn unlink(app: &App, customer: Customer, dry: bool) -> Result<Settled, NotUpdated> {
    settle(app, customer, Request { user_id: Patch::Clear, ..Request::default() }, dry).await
}

async fn settle(app: &App, customer: Customer, request: Request, dry: bool) -> Result<Settled, NotUpdated> {
    let update = Update::new(app, request);
    if dry {
        return Ok(if update.preview(customer).await? { Settled::Would } else { Settled::Already });
    }
    let Updated { customer, changed, around } = update.run(customer).await?;
    if !changed {
        return Ok(Settled::Already);
    }
    look_again(app, &around, update.now).await;
    Ok(Settled::Done(Box::new(customer)))
}

/// That `pair`, who point at each other already, are right is a decision like any other, as long as
/// somebody else points at one of them.
async fn confirm(app: &App, pair: Pair, dry: bool) -> Result<Settled, NotUpdated> {
    if !app.store.is_claimed(pair).await? {
        return Ok(Settled::Already);
    }
    if dry {
        return Ok(Settled::Would);
    }
    let (around, now) = (around_pair(pair), app.clock.now());
    let mut transaction = app.store.transaction();
    transaction.look_again(&around, now);
    transaction.commit(&app.store).await.map_err(ApiError::from)?;
    look_again(app, &around, now).await;
    let customer = app.store.customer(pair.customer).await?.ok_or(ApiError::CustomerNotFound)?;
    Ok(Settled::Done(Box::new(customer)))
}

async fn look_again(app: &App, around: &[Shared], now: Time) {
    for shared in around {
        if let Err(error) = app.store.reconsider(&Key::recheck(shared), now).await {
            tracing::warn!(%error, "whoever waits because of the two is left to the backfill");
        }
    }
}
