//! A row that was found ambiguous is looked at once more, after that is stored.
//!
//! Whoever was in its way may have left in between: then the recheck that they left behind came to a
//! row that did not wait yet, and is gone. From now on every recheck finds it.

use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::Customer;
use shared::domain::matching::Review;
use shared::domain::user::User;
use shared::http::ApiError;
use shared::store::retry::Backoff;
use shared::store::{Refused, Transaction};

use super::plan::{Need, Row};

/// Puts `row` back into review if it need not wait.
pub(super) async fn look_again(app: &App, row: Row, now: Time) -> Result<(), ApiError> {
    let mut races = Backoff::new();
    loop {
        let need = row.plan(app, Review::Ambiguous, now).await?.need;
        if matches!(need, Need::Nothing | Need::AmbiguousCustomer(_) | Need::AmbiguousUser(_)) {
            return Ok(());
        }
        let mut transaction = app.store.transaction();
        if !make_due(app, row, &mut transaction, now).await? {
            return Ok(());
        }
        match transaction.commit(&app.store).await {
            Ok(()) => return Ok(()),
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Whether the row still waits; if so it is to be due.
async fn make_due(app: &App, row: Row, transaction: &mut Transaction, now: Time) -> Result<bool, ApiError> {
    let waits = |review: Option<Review>| review == Some(Review::Ambiguous);
    match row {
        Row::Customer(id) => {
            let before = app.store.customer(id).await?.filter(|customer| waits(customer.review));
            let Some(before) = before else { return Ok(false) };
            let after = Customer { review: Some(Review::Due), updated_at: now, ..before.clone() };
            transaction.wake_customer(&before, &after);
        }
        Row::User(id) => {
            let before = app.store.user(id).await?.filter(|user| waits(user.review));
            let Some(before) = before else { return Ok(false) };
            let after = User { review: Some(Review::Due), updated_at: now, ..before.clone() };
            transaction.wake_user(&before, &after);
        }
    }
    Ok(true)
}
