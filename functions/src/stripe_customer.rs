//! Carries out the intent to make a Stripe customer: by the request that wrote it, and by the
//! backfill where that did not finish.
//!
//! What is about to be done is stored before it is done, on the version that was read: whoever
//! comes second, or after a crash, knows which key may have been used.

use std::time::Duration;

use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::Customer;
use shared::domain::intent::{IntentState, Step, StripeIntent, waits_for_stripe};
use shared::http::ApiError;
use shared::ids::CustomerId;
use shared::store::key::Key;
use shared::store::members::MemberLists;
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused, Transaction};
use shared::stripe::client::StripeClient;
use shared::telemetry::{Metric, count};
use tokio::time::timeout;

/// How long one run may take: less than a request has, and than the intent's lease.
const BUDGET: Duration = Duration::from_secs(6);

/// Calls of one run.
const MAX_STEPS: usize = 4;

/// Adds the intent to make the Stripe customer that a product of a new `customer` waits for; the
/// backfill pursues it.
pub(crate) fn intend(app: &App, transaction: &mut Transaction, customer: &Customer, now: Time) {
    if app.stripe.is_some() && customer.stripe_id.is_none() && waits_for_stripe(customer) {
        let domain = &app.settings.placeholder_email_domain;
        transaction.save_intent(0, &StripeIntent::new(customer, domain, now));
    }
}

/// Brings the intent of the customer `id` as far as it goes in a few seconds. Answers the Stripe
/// customer if it is there now; everything else is left to the backfill.
pub(crate) async fn pursue(app: &App, id: CustomerId) -> Option<String> {
    let client = app.stripe.as_ref()?;
    match timeout(BUDGET, run(app, client, id)).await {
        Ok(Ok(stripe_id)) => stripe_id,
        Ok(Err(error)) => {
            tracing::warn!(customer_id = %id, ?error, "a Stripe customer is left to the backfill");
            None
        }
        Err(_) => {
            tracing::warn!(customer_id = %id, "Stripe took too long; its customer is left to the backfill");
            None
        }
    }
}

async fn run(app: &App, client: &StripeClient, id: CustomerId) -> Result<Option<String>, ApiError> {
    let (intent, customer) = tokio::join!(app.store.stripe_intent(id), app.store.customer(id));
    let (Some(intent), customer) = (intent?, customer?) else { return Ok(None) };
    let settled = customer.as_ref().is_none_or(|customer| customer.stripe_id.is_some());
    let had = customer.and_then(|customer| customer.stripe_id);
    let Some((begun, step)) = intent.clone().begin(settled, app.clock.now()) else { return Ok(had) };
    let mut work = Work { app, client, settled, read: intent.version };
    let made = work.pursue(begun, step).await?;
    Ok(made.or(had))
}

struct Work<'a> {
    app: &'a App,
    client: &'a StripeClient,
    /// Whether the customer is gone or has a Stripe customer.
    settled: bool,
    /// The version of the intent as it is stored.
    read: u64,
}

impl Work<'_> {
    async fn pursue(&mut self, mut intent: StripeIntent, mut step: Step) -> Result<Option<String>, ApiError> {
        for _ in 0..MAX_STEPS {
            if step == Step::Close && intent.state == IntentState::Pending {
                intent = intent.closed(IntentState::Void, None);
            }
            if !self.save(&intent).await? || step == Step::Close {
                return Ok(None);
            }
            let now = self.app.clock.now();
            let outcome = match step {
                Step::Close => Ok(None),
                Step::Create => self.client.create_customer(&intent).await.map(Some),
                Step::LookUp => self.client.find_customer(&intent).await,
            };
            match outcome {
                Ok(Some(stripe_id)) => return self.finish(intent, stripe_id, now).await,
                Ok(None) => (intent, step) = intent.not_found(self.settled, now),
                Err(error) => {
                    tracing::warn!(customer_id = %intent.customer_id, %error, ?step, "a Stripe customer was not made");
                    let (failed, next) = intent.failed(step, &error, now);
                    intent = failed;
                    let Some(next) = next else { return self.give_way(&intent, now).await };
                    step = next;
                }
            }
        }
        Ok(None)
    }

    /// Stores an intent that waits, or that Stripe has refused for good.
    async fn give_way(&mut self, intent: &StripeIntent, now: Time) -> Result<Option<String>, ApiError> {
        if intent.state == IntentState::Refused {
            count(Metric::StripeRefused, 1, now.unix_ms());
            tracing::error!(customer_id = %intent.customer_id, "Stripe refuses to make this customer");
        }
        self.save(intent).await?;
        Ok(None)
    }

    /// Stores the intent; `false` if somebody else has it now.
    async fn save(&mut self, intent: &StripeIntent) -> Result<bool, ApiError> {
        let mut transaction = self.app.store.transaction();
        transaction.save_intent(self.read, intent);
        match transaction.commit(&self.app.store).await {
            Ok(()) => {
                self.read += 1;
                Ok(true)
            }
            Err(Refused::Conflict(_)) => Ok(false),
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    /// Gives the customer what was made for it, in one transaction with the end of the intent.
    async fn finish(&self, intent: StripeIntent, stripe_id: String, now: Time) -> Result<Option<String>, ApiError> {
        let mut races = Backoff::new();
        let mut pointed_elsewhere = false;
        loop {
            let customer = self.app.store.customer(intent.customer_id).await?;
            let mut transaction = self.app.store.transaction();
            let state = match &customer {
                Some(customer) if !pointed_elsewhere => give(&mut transaction, customer, &stripe_id, now),
                _ => IntentState::Orphaned,
            };
            transaction.save_intent(self.read, &intent.clone().closed(state, Some(stripe_id.clone())));
            match transaction.commit(&self.app.store).await {
                Ok(()) => return Ok(self.finished(&intent, state, stripe_id, now)),
                Err(Refused::Conflict(Conflict::IntentTaken)) => return Ok(None),
                Err(Refused::Conflict(Conflict::StripeCustomerTaken)) => pointed_elsewhere = true,
                Err(Refused::Conflict(_)) if races.wait().await => {}
                Err(refused) => return Err(refused.into()),
            }
        }
    }

    fn finished(&self, intent: &StripeIntent, state: IntentState, stripe_id: String, now: Time) -> Option<String> {
        if state == IntentState::Orphaned {
            count(Metric::StripeOrphans, 1, now.unix_ms());
            tracing::error!(customer_id = %intent.customer_id, stripe_id, "a Stripe customer belongs to nobody");
            return None;
        }
        (!self.settled).then_some(stripe_id)
    }
}

/// Writes `stripe_id` to `customer` if it has none. A second one becomes an alias, so that what
/// Stripe says about it finds the customer, and is an orphan all the same.
fn give(transaction: &mut Transaction, customer: &Customer, stripe_id: &str, now: Time) -> IntentState {
    match customer.stripe_id.as_deref() {
        None => {
            let after = Customer { stripe_id: Some(stripe_id.to_owned()), updated_at: now, ..customer.clone() };
            transaction.save_customer(Some(customer), &after, &MemberLists::default());
            IntentState::Done
        }
        Some(own) if own == stripe_id => IntentState::Done,
        Some(_) => {
            let alias = Guard::new(Key::stripe_customer(stripe_id), customer.internal_id.0);
            transaction.create(&alias, Conflict::StripeCustomerTaken);
            IntentState::Orphaned
        }
    }
}
