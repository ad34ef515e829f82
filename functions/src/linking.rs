//! Linking a customer with a login, and taking the two apart, by a person's decision.
//!
//! It is what `PATCH /v1/customers/{id}` does with `user_id`, but that a pointer which nobody returns
//! gives way. Whoever was ambiguous because of the two is looked at again at once, and by the
//! backfill where that fails.

use shared::app::App;
use shared::domain::customer::Customer;
use shared::domain::update::{Patch, Request};
use shared::ids::UserId;
use shared::store::key::Key;

pub use crate::update::NotUpdated;
use crate::update::{Update, Updated};

/// What became of a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// It was so before.
    Already,
    /// It would be done, but for a dry run.
    Would,
    /// It is done; the customer as it is now.
    Done(Box<Customer>),
}

/// Links `customer` with the user `user`. With `dry` it only looks.
pub async fn link(app: &App, customer: Customer, user: UserId, dry: bool) -> Result<Settled, NotUpdated> {
    settle(app, customer, Request { user_id: Patch::Set(user), overrule: true, ..Request::default() }, dry).await
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
    for shared in &around {
        if let Err(error) = app.store.reconsider(&Key::recheck(shared), update.now).await {
            tracing::warn!(%error, "whoever waits because of the two is left to the backfill");
        }
    }
    Ok(Settled::Done(Box::new(customer)))
}
