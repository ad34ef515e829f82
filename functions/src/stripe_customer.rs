//! Carries out the intent to make a Stripe customer, and the subscription of a product that waits
//! for one: by the request that wrote it, and by the backfill where that did not finish.
//!
//! What is about to be done is stored before it is done, on the version that was read: whoever
//! comes second, or after a crash, knows which key may have been used.

use std::time::Duration;

use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::Customer;
use shared::domain::intent::{IntentState, STALLED_AFTER, Step, StripeIntent, newly_waiting};
use shared::domain::product::{Product, ProductId};
use shared::domain::subscription::{Made, follow_made};
use shared::http::ApiError;
use shared::ids::CustomerId;
use shared::store::key::Key;
use shared::store::members::MemberLists;
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused, StoreError, Transaction};
use shared::stripe::client::StripeClient;
use shared::stripe::error::StripeError;
use shared::telemetry::{Metric, count};
use tokio::time::{Instant, timeout_at};

/// How long one run may take: less than a request has, and than an intent's lease.
const BUDGET: Duration = Duration::from_secs(6);

/// Calls for one intent in one run.
const MAX_STEPS: usize = 4;

/// Adds the intents that the products of `after` need which `before` did not hold and which wait
/// for Stripe: its Stripe customer, and their subscriptions. The backfill pursues them.
pub(crate) async fn intend(
    app: &App,
    transaction: &mut Transaction,
    before: Option<&Customer>,
    after: &Customer,
    catalogue: &[Product],
    now: Time,
) -> Result<(), StoreError> {
    intend_subscriptions(app, transaction, before, after, catalogue, now);
    let waits = newly_waiting(before, after).next().is_some();
    if !app.stripe_configured() || !waits || after.stripe_id.is_some() {
        return Ok(());
    }
    // One that somebody asked for earlier may be under way already.
    let known = match before {
        Some(_) => app.store.stripe_intent(after.internal_id, None).await?,
        None => None,
    };
    let fresh = StripeIntent::new(after, &app.settings.placeholder_email_domain, now);
    if let Some(intent) = StripeIntent::asked_for(known, fresh) {
        transaction.save_intent(intent.version, &intent);
    }
    Ok(())
}

/// Adds the intents to subscribe to the products of `after` that wait for it and that `before` did
/// not hold, at the prices of the `catalogue` as it is now.
pub(crate) fn intend_subscriptions(
    app: &App,
    transaction: &mut Transaction,
    before: Option<&Customer>,
    after: &Customer,
    catalogue: &[Product],
    now: Time,
) {
    if !app.stripe_configured() {
        return;
    }
    for held in newly_waiting(before, after) {
        let product = catalogue.iter().find(|product| product.id == held.id);
        if let Some(intent) = product.and_then(|product| StripeIntent::to_subscribe(after, held, product, now)) {
            transaction.save_intent(0, &intent);
        }
    }
}

/// Brings what `customer` is to have at Stripe as far as it goes in a few seconds. Answers the
/// Stripe customer if it is there now; everything else is left to the backfill.
pub(crate) async fn pursue(app: &App, customer: &Customer) -> Option<String> {
    let end = Instant::now() + BUDGET;
    let stripe_id = match &customer.stripe_id {
        Some(own) => own.clone(),
        None => bring(app, customer.internal_id, None, end).await?,
    };
    for held in customer.products.iter().filter(|held| held.awaits_subscription()) {
        bring(app, customer.internal_id, Some(&held.id), end).await;
    }
    Some(stripe_id)
}

/// Brings one intent of the customer `id` as far as it goes in a few seconds: a subscription after
/// whoever is to pay for it.
pub(crate) async fn resume(app: &App, id: CustomerId, product: Option<&ProductId>) {
    let end = Instant::now() + BUDGET;
    if product.is_some() {
        bring(app, id, None, end).await;
    }
    bring(app, id, product, end).await;
}

/// Brings an intent as far as it goes until `end`. Answers what the customer has now.
async fn bring(app: &App, id: CustomerId, product: Option<&ProductId>, end: Instant) -> Option<String> {
    let client = app.stripe.as_ref()?;
    match timeout_at(end, run(app, client, id, product)).await {
        Ok(Ok(made)) => made,
        Ok(Err(error)) => {
            tracing::warn!(customer_id = %id, ?product, ?error, "an intent is left to the backfill");
            None
        }
        Err(_) => {
            tracing::warn!(customer_id = %id, ?product, "Stripe took too long; an intent is left to the backfill");
            None
        }
    }
}

async fn run(
    app: &App,
    client: &StripeClient,
    id: CustomerId,
    product: Option<&ProductId>,
) -> Result<Option<String>, ApiError> {
    let (intent, customer) = tokio::join!(app.store.stripe_intent(id, product), app.store.customer(id));
    let (Some(intent), customer) = (intent?, customer?) else { return Ok(None) };
    let (settled, had) = standing(customer.as_ref(), product);
    let read = intent.version;
    let intent = intent.paid_by(customer.as_ref().and_then(|customer| customer.stripe_id.as_deref()));
    let Some((begun, step)) = intent.begin(settled, app.clock.now()) else { return Ok(had) };
    let known = known_customer(app, &begun).await?;
    let mut work = Work { app, client, settled, read, known };
    let made = work.pursue(begun, step).await?;
    Ok(made.or(had))
}

/// The Stripe customer that an intent made before it was taken up again, unless that is another
/// customer's by now.
async fn known_customer(app: &App, intent: &StripeIntent) -> Result<Option<String>, StoreError> {
    let Some(made) = intent.stripe_id.as_ref().filter(|_| intent.product_id.is_none()) else { return Ok(None) };
    let pointer: Option<Guard> = app.store.get(&Key::stripe_customer(made)).await?;
    let ours = pointer.is_none_or(|pointer| pointer.owner == intent.customer_id.0);
    Ok(ours.then(|| made.clone()))
}

/// Whether nothing is to be made any more, and what there is.
fn standing(customer: Option<&Customer>, product: Option<&ProductId>) -> (bool, Option<String>) {
    let Some(customer) = customer else { return (true, None) };
    let Some(product) = product else { return (customer.stripe_id.is_some(), customer.stripe_id.clone()) };
    match customer.products.iter().find(|held| held.id == *product) {
        Some(held) => (!held.awaits_subscription(), held.subscription_id.clone()),
        None => (true, None),
    }
}

struct Work<'a> {
    app: &'a App,
    client: &'a StripeClient,
    /// Whether the customer is gone, or has what is to be made, or wants it no longer.
    settled: bool,
    /// The version of the intent as it is stored.
    read: u64,
    /// A Stripe customer that was made before, and may be there yet.
    known: Option<String>,
}

impl Work<'_> {
    async fn pursue(&mut self, mut intent: StripeIntent, mut step: Step) -> Result<Option<String>, ApiError> {
        for _ in 0..MAX_STEPS {
            if step == Step::Close && intent.state == IntentState::Pending {
                intent = intent.closed(IntentState::Void, None);
            }
            if !self.save(&intent).await? || matches!(step, Step::Close | Step::Wait) {
                return Ok(None);
            }
            let now = self.app.clock.now();
            match self.take(step, &intent).await {
                Ok(Some(made)) => return self.finish(intent, made, now).await,
                Ok(None) => (intent, step) = intent.not_found(self.settled, now),
                Err(error) => {
                    let product = intent.product_id.as_ref();
                    tracing::warn!(customer_id = %intent.customer_id, ?product, %error, ?step, "a call to Stripe failed");
                    let (failed, next) = intent.failed(step, &error, now);
                    intent = failed;
                    let Some(next) = next else { return self.give_way(&intent, now).await };
                    step = next;
                }
            }
        }
        Ok(None)
    }

    async fn take(&self, step: Step, intent: &StripeIntent) -> Result<Option<String>, StripeError> {
        match (step, &intent.product_id) {
            (Step::Close | Step::Wait, _) => Ok(None),
            (Step::Create, None) => self.client.create_customer(intent).await.map(Some),
            (Step::Create, Some(_)) => self.client.create_subscription(intent).await.map(Some),
            (Step::LookUp, None) => match &self.known {
                Some(known) if self.client.has_customer(known).await? => Ok(Some(known.clone())),
                _ => self.client.find_customer(intent).await,
            },
            (Step::LookUp, Some(_)) => self.client.find_subscription(intent).await,
        }
    }

    /// Stores an intent that waits, or that Stripe has refused for good.
    async fn give_way(&mut self, intent: &StripeIntent, now: Time) -> Result<Option<String>, ApiError> {
        if intent.state == IntentState::Refused {
            count(Metric::StripeRefused, 1, now.unix_ms());
            let product = intent.product_id.as_ref();
            tracing::error!(customer_id = %intent.customer_id, ?product, "Stripe refuses to make this");
        } else {
            report_stalled(intent, now);
        }
        self.save(intent).await?;
        Ok(None)
    }

    /// Stores the intent; `false` if somebody else has it now.
    async fn save(&mut self, intent: &StripeIntent) -> Result<bool, ApiError> {
        let mut transaction = self.app.store.transaction();
        transaction.save_intent(self.read, intent);
        let saved = transaction.commit_unless_refused(&self.app.store).await?;
        self.read += u64::from(saved);
        Ok(saved)
    }

    /// Gives the customer what was made for it, in one transaction with the end of the intent. A
    /// subscription that nobody holds is canceled first: it would go on to be billed.
    async fn finish(&mut self, intent: StripeIntent, made: String, now: Time) -> Result<Option<String>, ApiError> {
        let mut races = Backoff::new();
        let mut pointed_elsewhere = false;
        loop {
            let customer = self.app.store.customer(intent.customer_id).await?;
            let mut transaction = self.app.store.transaction();
            let state = match (&customer, &intent.product_id) {
                (Some(customer), None) if !pointed_elsewhere => give(&mut transaction, customer, &made, now),
                (Some(customer), Some(product)) => subscribe(&mut transaction, customer, product, &made, now),
                (None, _) | (_, None) => IntentState::Orphaned,
            };
            if state == IntentState::Orphaned
                && intent.product_id.is_some()
                && let Err(error) = self.client.cancel_subscription(&made).await
            {
                tracing::error!(customer_id = %intent.customer_id, made, %error, "a subscription was not canceled");
                let waiting = intent.not_undone(now);
                report_stalled(&waiting, now);
                self.save(&waiting).await?;
                return Ok(None);
            }
            transaction.save_intent(self.read, &intent.clone().closed(state, Some(made.clone())));
            match transaction.commit(&self.app.store).await {
                Ok(()) => return Ok(finished(&intent, state, made, now)),
                Err(Refused::Conflict(Conflict::IntentTaken)) => return Ok(None),
                Err(Refused::Conflict(Conflict::StripeCustomerTaken)) => pointed_elsewhere = true,
                Err(Refused::Conflict(_)) if races.wait().await => {}
                Err(refused) => return Err(refused.into()),
            }
        }
    }
}

/// Tells an operator of an intent that waits again and again: by itself it would wait for ever, as
/// with a key of the account that was revoked.
fn report_stalled(intent: &StripeIntent, now: Time) {
    if intent.failures >= STALLED_AFTER {
        count(Metric::StripeStalled, 1, now.unix_ms());
        let (product, failures) = (intent.product_id.as_ref(), intent.failures);
        tracing::error!(customer_id = %intent.customer_id, ?product, failures, "Stripe fails again and again");
    }
}

/// What the customer has, now that `made` is there.
fn finished(intent: &StripeIntent, state: IntentState, made: String, now: Time) -> Option<String> {
    match (state, &intent.product_id) {
        (IntentState::Orphaned, Some(product)) => {
            let customer_id = intent.customer_id;
            tracing::warn!(%customer_id, %product, made, "a subscription that nobody holds was canceled");
            None
        }
        (IntentState::Orphaned, None) => {
            count(Metric::StripeOrphans, 1, now.unix_ms());
            tracing::error!(customer_id = %intent.customer_id, made, "a Stripe customer belongs to nobody");
            None
        }
        _ => Some(made),
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
            transaction.require_present(&Key::customer(customer.internal_id), Conflict::OwnerGone);
            transaction.add_stripe_customer(stripe_id, customer.internal_id, now);
            IntentState::Orphaned
        }
    }
}

/// Lets the product of `customer` that waits follow `subscription`.
fn subscribe(
    transaction: &mut Transaction,
    customer: &Customer,
    product: &ProductId,
    subscription: &str,
    now: Time,
) -> IntentState {
    let mut after = customer.clone();
    match follow_made(&mut after.products, product, subscription) {
        Made::Followed => {
            after.updated_at = now;
            transaction.save_customer(Some(customer), &after, &MemberLists::default());
            IntentState::Done
        }
        Made::Known => IntentState::Done,
        Made::Unwanted => IntentState::Orphaned,
    }
}
