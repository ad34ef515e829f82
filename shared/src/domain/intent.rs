//! Exactly one Stripe customer per customer, and one subscription per product that waits for one:
//! an intent that survives whoever carries it out.
//!
//! Its parameters are frozen, so that a key never meets others. A key is used until Stripe has
//! failed under it, for Stripe keeps a failure as the key's answer; before the next key is used,
//! what the last may have made is looked for. Whoever works on it holds its lease.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::domain::customer::Customer;
use crate::domain::product::{HeldProduct, Product, ProductId, ProductStatus};
use crate::ids::CustomerId;
use crate::stripe::error::StripeError;

/// The name of our own id in the metadata of a Stripe customer.
pub const INTERNAL_ID: &str = "internal_id";

/// The names of our own ids in the metadata of a subscription, as checkouts have them.
pub const CLIENT_ID: &str = "client_id";
/// The product, as above.
pub const PRODUCT_ID: &str = "product_id";

/// How long one run may hold the intent, in seconds: longer than it can take.
const LEASE_SECONDS: i64 = 60;

/// For how long a key is trusted, in seconds: Stripe forgets one after 24 hours.
const KEY_SECONDS: i64 = 23 * 3_600;

/// The waits between runs that fail, in seconds: the first, doubled each time up to the last.
const FIRST_WAIT_SECONDS: i64 = 60;
const MAX_WAIT_SECONDS: i64 = 6 * 3_600;

/// Runs that failed, one after the other, in an hour and more.
pub const STALLED_AFTER: u32 = 7;

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    /// There is something to do yet.
    Pending,
    /// The customer has its Stripe customer, or the product its subscription.
    Done,
    /// What was made belongs to nobody: the customer was deleted meanwhile, or had another. A
    /// subscription was canceled again.
    Orphaned,
    /// Stripe refused for good.
    Refused,
    /// Nothing was to be done any more.
    Void,
}

/// That something is to be made at Stripe for a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeIntent {
    /// Whose.
    pub customer_id: CustomerId,
    /// The product to subscribe to; without one, the Stripe customer is to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    /// What Stripe is told, as it was when the intent was made; empty once it is closed.
    pub parameters: Vec<(String, String)>,
    /// The attempt, which is part of the key.
    pub attempt: u32,
    /// When the present key was first used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_used_at: Option<Time>,
    /// Whether what the present key may have made is to be looked for first.
    pub look_up: bool,
    /// Runs that failed.
    pub failures: u32,
    /// What became of it.
    pub state: IntentState,
    /// What was made; while it is pending, what was made before it was asked for again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_id: Option<String>,
    /// When somebody may work on it: the end of the lease, or of the wait.
    pub due_at: Time,
    /// When it was made.
    pub created_at: Time,
    /// Raised by every write.
    pub version: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the customer is gone or has what is to be made, and no key was used.
    Close,
    /// Nothing yet: who is to pay for the subscription is not at Stripe.
    Wait,
    /// Look for what an earlier attempt made.
    LookUp,
    /// Make it, under [`StripeIntent::idempotency_key`].
    Create,
}

impl StripeIntent {
    /// The intent for `customer`, as it is about to be stored.
    #[must_use]
    pub fn new(customer: &Customer, placeholder_domain: &str, now: Time) -> Self {
        let email = customer.real_email(placeholder_domain).map(|email| email.as_str().to_owned());
        let contact = &customer.contact;
        let parameters = [
            ("name", contact.name.as_ref().map(|name| name.as_str().to_owned())),
            ("email", email),
            ("phone", contact.phone.as_ref().map(|phone| phone.as_str().to_owned())),
            ("metadata[internal_id]", Some(customer.internal_id.to_string())),
            ("metadata[customer_reference]", customer.customer_reference.as_ref().map(ToString::to_string)),
            ("metadata[id]", customer.id.as_ref().map(ToString::to_string)),
        ];
        Self::pending((customer.internal_id, None), parameters, now)
    }

    /// The intent to subscribe `customer` to what they hold of `product`, at the price it has at
    /// Stripe; `None` if it has none there that comes round.
    #[must_use]
    pub fn to_subscribe(customer: &Customer, held: &HeldProduct, product: &Product, now: Time) -> Option<Self> {
        let price = product.price.as_ref().filter(|price| price.interval.is_some())?;
        let parameters = [
            ("items[0][price]", Some(price.stripe_price_id.clone()?)),
            ("items[0][quantity]", Some(held.quantity.to_string())),
            // It is there before anybody has paid, and tells by its events when they have.
            ("payment_behavior", Some("default_incomplete".to_owned())),
            ("metadata[client_id]", Some(customer.internal_id.to_string())),
            ("metadata[customer_reference]", customer.customer_reference.as_ref().map(ToString::to_string)),
            ("metadata[product_id]", Some(held.id.to_string())),
        ];
        Some(Self::pending((customer.internal_id, Some(held.id.clone())), parameters, now))
    }

    fn pending<'a>(
        (customer_id, product_id): (CustomerId, Option<ProductId>),
        parameters: impl IntoIterator<Item = (&'a str, Option<String>)>,
        now: Time,
    ) -> Self {
        let parameters = parameters.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Self {
            customer_id,
            product_id,
            parameters: parameters.collect(),
            attempt: 1,
            key_used_at: None,
            look_up: false,
            failures: 0,
            state: IntentState::Pending,
            stripe_id: None,
            due_at: now,
            created_at: now,
            version: 0,
        }
    }

    /// What to store when `fresh` is asked for, where `known` is what there is: nothing while that is
    /// under way. A closed one is taken up again: whatever it made is looked for first, and only where
    /// that is gone something is made, under a key that was never used.
    #[must_use]
    pub fn asked_for(known: Option<Self>, fresh: Self) -> Option<Self> {
        let Some(known) = known else { return Some(fresh) };
        (known.state != IntentState::Pending).then_some(Self {
            attempt: known.attempt,
            key_used_at: Some(fresh.created_at),
            look_up: true,
            stripe_id: known.stripe_id,
            version: known.version,
            ..fresh
        })
    }

    /// The idempotency key of the present attempt.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        match &self.product_id {
            None => format!("cust:{}:{}", self.customer_id, self.attempt),
            Some(product) => format!("sub:{}:{product}:{}", self.customer_id, self.attempt),
        }
    }

    /// The e-mail address that Stripe is told.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.parameter("email")
    }

    /// The Stripe customer who is to pay for the subscription, once there is one.
    #[must_use]
    pub fn payer(&self) -> Option<&str> {
        self.parameter("customer")
    }

    fn parameter(&self, wanted: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// The intent with `stripe_customer` to pay for the subscription, unless somebody is already:
    /// from then on this is frozen, too.
    #[must_use]
    pub fn paid_by(mut self, stripe_customer: Option<&str>) -> Self {
        let open = self.product_id.is_some() && self.payer().is_none();
        if let Some(payer) = stripe_customer.filter(|_| open) {
            self.parameters.push(("customer".to_owned(), payer.to_owned()));
            // Until now it waited; that was no failure.
            self.failures = 0;
        }
        self
    }

    /// Takes the lease; `None` if somebody else has it, or nothing is to be done yet. It is
    /// `settled` when its customer is gone, or has what is to be made, or wants it no longer. What
    /// is answered has to be stored before the step is taken.
    #[must_use]
    pub fn begin(mut self, settled: bool, now: Time) -> Option<(Self, Step)> {
        if self.state != IntentState::Pending || self.due_at > now {
            return None;
        }
        let step = self.step(settled, now);
        if step == Step::Wait {
            return Some((self.postponed(now), step));
        }
        self.due_at = now.plus_seconds(LEASE_SECONDS);
        if step == Step::Create {
            self.key_used_at = self.key_used_at.or(Some(now));
        }
        Some((self, step))
    }

    fn step(&self, settled: bool, now: Time) -> Step {
        let expired = |used: Time| used.plus_seconds(KEY_SECONDS) <= now;
        match self.key_used_at {
            None if settled => Step::Close,
            None if self.product_id.is_some() && self.payer().is_none() => Step::Wait,
            Some(used) if settled || self.look_up || expired(used) => Step::LookUp,
            None | Some(_) => Step::Create,
        }
    }

    /// After a look-up that found nothing: the next attempt, with a key that has no answer yet.
    #[must_use]
    pub fn not_found(mut self, settled: bool, now: Time) -> (Self, Step) {
        if settled {
            return (self.closed(IntentState::Void, None), Step::Close);
        }
        self.attempt += 1;
        (self.look_up, self.key_used_at) = (false, Some(now));
        (self, Step::Create)
    }

    /// After a call that failed: what to do at once, if anything; else it waits.
    #[must_use]
    pub fn failed(mut self, step: Step, error: &StripeError, now: Time) -> (Self, Option<Step>) {
        match (step, error) {
            (Step::Create, StripeError::Server(_)) => {
                self.look_up = true;
                (self, Some(Step::LookUp))
            }
            // Somebody has used the key with other parameters: it is of no use, and may have made one.
            (Step::Create, StripeError::Refused { code, .. }) if code == "idempotency_error" => {
                self.look_up = true;
                (self, Some(Step::LookUp))
            }
            // What is wrong with frozen parameters stays wrong.
            (Step::Create, StripeError::Refused { status: 400, .. }) => (self.closed(IntentState::Refused, None), None),
            // Unknown or busy: the same key asks for the same thing. A key of the account that is
            // wrong, or too many calls: nothing was done, and later it may be.
            (
                _,
                StripeError::Conflict | StripeError::Timeout | StripeError::Server(_) | StripeError::Refused { .. },
            ) => (self.postponed(now), None),
        }
    }

    /// After something was made that nobody wants and that could not be undone: it is looked for
    /// once more.
    #[must_use]
    pub fn not_undone(mut self, now: Time) -> Self {
        self.look_up = true;
        self.postponed(now)
    }

    fn postponed(mut self, now: Time) -> Self {
        let doubled = FIRST_WAIT_SECONDS << self.failures.min(10);
        self.due_at = now.plus_seconds(doubled.min(MAX_WAIT_SECONDS));
        self.failures = self.failures.saturating_add(1);
        self
    }

    /// The intent with nothing left to do. It keeps no personal data.
    #[must_use]
    pub fn closed(mut self, state: IntentState, stripe_id: Option<String>) -> Self {
        (self.state, self.stripe_id) = (state, stripe_id);
        self.parameters.clear();
        self
    }
}

/// Whether `customer` waits for Stripe, and so needs a Stripe customer.
#[must_use]
pub fn waits_for_stripe(customer: &Customer) -> bool {
    customer.products.iter().any(|product| product.status == ProductStatus::Scheduled)
}

/// The products of `after` that wait for a subscription and that `before` did not hold.
pub fn newly_waiting<'a>(before: Option<&'a Customer>, after: &'a Customer) -> impl Iterator<Item = &'a HeldProduct> {
    let held = before.map(|customer| customer.products.as_slice()).unwrap_or_default();
    let waiting = after.products.iter().filter(|product| product.awaits_subscription());
    waiting.filter(move |product| held.iter().all(|other| other.id != product.id))
}

#[cfg(test)]
mod tests;
