//! Exactly one Stripe customer per customer: an intent that survives whoever carries it out.
//!
//! Its parameters are frozen, so that a key never meets others. A key is used until Stripe has
//! failed under it, for Stripe keeps a failure as the key's answer; before the next key is used,
//! what the last may have made is looked for. Whoever works on it holds its lease.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::domain::customer::Customer;
use crate::domain::product::ProductStatus;
use crate::ids::CustomerId;
use crate::stripe::error::StripeError;

/// The name of our own id in the metadata of a Stripe customer.
pub const INTERNAL_ID: &str = "internal_id";

/// How long one run may hold the intent, in seconds: longer than it can take.
const LEASE_SECONDS: i64 = 60;

/// For how long a key is trusted, in seconds: Stripe forgets one after 24 hours.
const KEY_SECONDS: i64 = 23 * 3_600;

/// The waits between runs that fail, in seconds: the first, doubled each time up to the last.
const FIRST_WAIT_SECONDS: i64 = 60;
const MAX_WAIT_SECONDS: i64 = 6 * 3_600;

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    /// There is something to do yet.
    Pending,
    /// The customer has its Stripe customer.
    Done,
    /// A Stripe customer was made whose customer was deleted meanwhile, or had another.
    Orphaned,
    /// Stripe refused for good.
    Refused,
    /// Nothing was to be done any more.
    Void,
}

/// That a customer is to have a Stripe customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeIntent {
    /// Whose.
    pub customer_id: CustomerId,
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
    /// The Stripe customer.
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
    /// Nothing: the customer is gone or has a Stripe customer, and no key was used.
    Close,
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
        let parameters = parameters.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Self {
            customer_id: customer.internal_id,
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

    /// The idempotency key of the present attempt.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("cust:{}:{}", self.customer_id, self.attempt)
    }

    /// The e-mail address that Stripe is told.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == "email").map(|(_, email)| email.as_str())
    }

    /// Takes the lease; `None` if somebody else has it, or nothing is to be done yet. Its customer
    /// is `settled` when it is gone or has a Stripe customer. What is answered has to be stored
    /// before the step is taken.
    #[must_use]
    pub fn begin(mut self, settled: bool, now: Time) -> Option<(Self, Step)> {
        if self.state != IntentState::Pending || self.due_at > now {
            return None;
        }
        self.due_at = now.plus_seconds(LEASE_SECONDS);
        let step = self.step(settled, now);
        if step == Step::Create {
            self.key_used_at = self.key_used_at.or(Some(now));
        }
        Some((self, step))
    }

    fn step(&self, settled: bool, now: Time) -> Step {
        let expired = |used: Time| used.plus_seconds(KEY_SECONDS) <= now;
        match self.key_used_at {
            None if settled => Step::Close,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::customer::{Origin, Status};

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn intent() -> StripeIntent {
        let customer = Customer::new(CustomerId(NOW.new_id()), Status::Active, Origin::Api, NOW);
        StripeIntent::new(&customer, "earlybird.local", NOW)
    }

    fn begun() -> StripeIntent {
        intent().begin(false, NOW).expect("nobody has it").0
    }

    fn refused(status: u16, code: &str) -> StripeError {
        StripeError::Refused { status, code: code.to_owned() }
    }

    #[test]
    fn one_works_on_it_at_a_time() {
        let begun = begun();
        assert_eq!(begun.clone().begin(false, NOW), None);
        let (later, step) = begun.begin(false, NOW.plus_seconds(LEASE_SECONDS)).expect("the lease is over");
        assert_eq!((later.attempt, step), (1, Step::Create));
    }

    #[test]
    fn an_unknown_outcome_is_asked_for_under_the_same_key() {
        for error in [StripeError::Timeout, StripeError::Conflict, refused(429, "rate_limit"), refused(401, "unknown")]
        {
            let begun = begun();
            let key = begun.idempotency_key();
            let (waiting, next) = begun.failed(Step::Create, &error, NOW);
            assert_eq!(next, None);
            let (again, step) = waiting.begin(false, NOW.plus_seconds(FIRST_WAIT_SECONDS)).expect("the wait is over");
            assert_eq!((again.idempotency_key(), step), (key, Step::Create));
        }
    }

    #[test]
    fn after_a_failure_it_is_looked_for_and_then_tried_under_the_next_key() {
        for error in [StripeError::Server(500), refused(400, "idempotency_error")] {
            let (failed, next) = begun().failed(Step::Create, &error, NOW);
            assert_eq!(next, Some(Step::LookUp));
            let (dead, step) = failed.clone().begin(false, NOW.plus_seconds(LEASE_SECONDS)).expect("the lease is over");
            assert_eq!((dead.attempt, step), (1, Step::LookUp));
            let (next, step) = failed.not_found(false, NOW);
            assert_eq!((next.attempt, next.look_up, step), (2, false, Step::Create));
        }
    }

    #[test]
    fn a_key_that_stripe_may_have_forgotten_is_looked_up_first() {
        let (_, step) = begun().begin(false, NOW.plus_seconds(KEY_SECONDS)).expect("the lease is over");
        assert_eq!(step, Step::LookUp);
    }

    #[test]
    fn what_is_refused_for_good_is_closed_without_its_parameters() {
        let (closed, next) = begun().failed(Step::Create, &refused(400, "email_invalid"), NOW);
        assert_eq!((closed.state, next, closed.parameters.len()), (IntentState::Refused, None, 0));
        assert_eq!(closed.begin(false, NOW.plus_seconds(LEASE_SECONDS)), None);
    }

    #[test]
    fn for_a_customer_that_is_gone_nothing_is_made() {
        let (_, step) = intent().begin(true, NOW).expect("nobody has it");
        assert_eq!(step, Step::Close);
        let (used, step) = begun().begin(true, NOW.plus_seconds(LEASE_SECONDS)).expect("the lease is over");
        assert_eq!(step, Step::LookUp);
        assert_eq!(used.not_found(true, NOW).0.state, IntentState::Void);
    }
}
