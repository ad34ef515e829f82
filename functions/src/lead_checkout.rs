//! The Stripe Checkout session of a lead who is stored.
//!
//! In this order a crash leaves a lead without a checkout, and never a checkout without a lead: the
//! session names the lead by its id, which was stored first. A failure of Stripe is no failure of
//! the submission.

use std::time::Duration;

use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::Customer;
use shared::domain::product::Product;
use shared::http::ApiError;
use shared::store::key::Key;
use shared::store::marker::IdempotencyMarker;
use shared::store::members::MemberLists;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused};
use shared::stripe::checkout::CheckoutSession;
use shared::telemetry::{Metric, count};
use tokio::time::timeout;

/// How long Stripe may take: less than a request has.
const BUDGET: Duration = Duration::from_secs(6);

/// Where `lead` pays, if Stripe says so in time; the session is stored with the lead, and with the
/// answer to an idempotency key the marker that `marker` makes of its URL.
pub(crate) async fn session(
    app: &App,
    lead: &Customer,
    dead_session: Option<&str>,
    marker: impl Fn(&str) -> Option<IdempotencyMarker>,
    now: Time,
) -> Option<String> {
    let made = timeout(BUDGET, make(app, lead, dead_session)).await;
    let made = made.unwrap_or_else(|_| Err(ApiError::Unavailable("Stripe took too long".into())));
    let stored = match made {
        Ok(None) => return None,
        Ok(Some(session)) => store(app, lead, &session, marker(&session.url), now).await.map(|()| session.url),
        Err(error) => Err(error),
    };
    stored
        .inspect_err(|error| {
            tracing::error!(customer_id = %lead.internal_id, ?error, "a lead is without a checkout");
            count(Metric::CheckoutFailed, 1, now.unix_ms());
        })
        .ok()
}

async fn make(app: &App, lead: &Customer, dead_session: Option<&str>) -> Result<Option<CheckoutSession>, ApiError> {
    let product: Option<Product> = match &lead.product_id {
        Some(id) => app.store.get(&Key::product(id)).await?,
        None => None,
    };
    let session = app.checkout.session_for(lead, product.as_ref(), dead_session).await;
    session.map_err(|error| ApiError::Unavailable(error.to_string()))
}

/// Stores the session as the lead's latest, whatever else happened to the lead meanwhile.
async fn store(
    app: &App,
    lead: &Customer,
    session: &CheckoutSession,
    marker: Option<IdempotencyMarker>,
    now: Time,
) -> Result<(), ApiError> {
    let mut races = Backoff::new();
    loop {
        let mut transaction = app.store.transaction();
        if let Some(marker) = &marker {
            transaction.put_anyway(marker, Conflict::HandledBefore);
        }
        let before = app.store.customer(lead.internal_id).await?.filter(Customer::is_lead);
        if let Some(before) = before.filter(|lead| lead.checkout_session_id.as_deref() != Some(&session.id)) {
            let mut after = before.clone();
            (after.checkout_session_id, after.updated_at) = (Some(session.id.clone()), now);
            transaction.save_customer(Some(&before), &after, &MemberLists::default());
        }
        if transaction.is_empty() {
            return Ok(());
        }
        match transaction.commit(&app.store).await {
            Ok(()) => return Ok(()),
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}
