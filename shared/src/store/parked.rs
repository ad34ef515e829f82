//! Events of Stripe customers whom nobody has yet, and the replay of them.
//!
//! An event is parked only while its Stripe customer has no pointer, and whoever writes a pointer
//! queues the replay in the same transaction: so nothing that is parked is ever forgotten.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::item::{Entity, Indexes, first_version, from_item};
use super::key::{Key, PARKED};
use super::records::Guard;
use super::transaction::{Conflict, Transaction};
use super::{Store, StoreError, work};
use crate::clock::Time;
use crate::domain::billing::{Change, Invoice, Payment};
use crate::ids::CustomerId;

/// How long an event is kept for a customer to come, in seconds.
const KEEP_SECONDS: i64 = 90 * 86_400;

/// How long a payment is kept for its invoice or its refund to come, in seconds: longer than a charge
/// can be given back.
const KEEP_PAYMENT_SECONDS: i64 = 400 * 86_400;

/// An event that waits for its customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedEvent {
    /// Whom it is about.
    pub stripe_customer: String,
    /// The event.
    pub event_id: String,
    /// When Stripe made it: they are applied in this order.
    pub created: Time,
    /// What it changes.
    #[serde(with = "as_json_text")]
    pub change: Change,
    /// When it may be forgotten, in Unix seconds.
    pub expires_at: i64,
}

/// A change at rest is JSON text: nothing in the table looks into it.
mod as_json_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Change;

    pub(super) fn serialize<S: Serializer>(change: &Change, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(change).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Change, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(serde::de::Error::custom)
    }
}

impl ParkedEvent {
    /// The event `event_id`, parked at `now`.
    #[must_use]
    pub fn new(stripe_customer: String, event_id: String, created: Time, change: Change, now: Time) -> Self {
        Self { stripe_customer, event_id, created, change, expires_at: now.unix_seconds() + KEEP_SECONDS }
    }
}

impl Entity for ParkedEvent {
    const KIND: &'static str = "parked_event";

    fn key(&self) -> Key {
        Key::parked_event(&self.stripe_customer, self.created, &self.event_id)
    }
}

/// That events wait for a Stripe customer, or have waited: a payment reads it among its guards, and so looks for no events
/// where there are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Parking {
    stripe_customer: String,
    expires_at: i64,
}

impl Entity for Parking {
    const KIND: &'static str = "parking";

    fn key(&self) -> Key {
        Key::parking(&self.stripe_customer)
    }
}

/// That what is parked for a Stripe customer is to be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Whose events.
    pub stripe_customer: String,
    /// Since when.
    pub created_at: Time,
    /// A number that no other replay has: only the one that was read is ever deleted.
    pub version: u64,
}

impl Replay {
    fn new(stripe_customer: &str, now: Time) -> Self {
        let version = first_version();
        Self { stripe_customer: stripe_customer.to_owned(), created_at: now, version }
    }
}

impl Entity for Replay {
    const KIND: &'static str = "replay";

    fn key(&self) -> Key {
        Key::replay(&self.stripe_customer)
    }

    fn indexes(&self) -> Indexes {
        Indexes { work: Some(work::entry(self.created_at, &self.key())), ..Indexes::default() }
    }
}

impl Entity for Invoice {
    const KIND: &'static str = "invoice";

    fn key(&self) -> Key {
        Key::invoice(self.customer_id, &self.stripe_id)
    }
}

impl Entity for Payment {
    const KIND: &'static str = "stripe_payment";

    fn key(&self) -> Key {
        Key::stripe_payment(&self.payment_id)
    }
}

impl Transaction {
    /// Makes `stripe_customer` one more Stripe customer of `owner`.
    pub fn add_stripe_customer(&mut self, stripe_customer: &str, owner: CustomerId, now: Time) -> &mut Self {
        let pointer = Guard::new(Key::stripe_customer(stripe_customer), owner.0);
        self.create(&pointer, Conflict::StripeCustomerTaken);
        // By this the pointer is found when its customer is gone.
        self.put_anyway(&Guard::new(Key::stripe_alias(owner, stripe_customer), owner.0), Conflict::Changed);
        self.queue_replay(stripe_customer, now)
    }

    /// Queues the replay of what is parked for `stripe_customer`, whose pointer this transaction
    /// writes.
    pub(super) fn queue_replay(&mut self, stripe_customer: &str, now: Time) -> &mut Self {
        self.put_anyway(&Replay::new(stripe_customer, now), Conflict::Changed)
    }

    /// Keeps `event` until its Stripe customer is somebody's, which it must not be yet.
    pub fn park(&mut self, event: &ParkedEvent) -> &mut Self {
        let (stripe_customer, expires_at) = (event.stripe_customer.clone(), event.expires_at);
        self.require_absent(&Key::stripe_customer(&stripe_customer), Conflict::StripeCustomerTaken);
        self.put_anyway(&Parking { stripe_customer, expires_at }, Conflict::Changed);
        self.create(event, Conflict::HandledBefore)
    }

    /// Writes an invoice of a customer, who must be there. Its version is the one that was read.
    pub fn save_invoice(&mut self, invoice: &Invoice) -> &mut Self {
        let stored = Invoice { version: invoice.version + 1, ..invoice.clone() };
        self.require_present(&Key::customer(invoice.customer_id), Conflict::OwnerGone);
        self.replace(&stored, invoice.version, Conflict::Changed)
    }

    /// Writes what is known of a payment at `now`. Its version is the one that was read.
    pub fn save_payment(&mut self, payment: &Payment, now: Time) -> &mut Self {
        let expires_at = now.unix_seconds() + KEEP_PAYMENT_SECONDS;
        let stored = Payment { version: payment.version + 1, expires_at, ..payment.clone() };
        self.replace(&stored, payment.version, Conflict::Changed)
    }
}

impl Store {
    /// The first `count` events parked for `stripe_customer`, in the order in which Stripe made
    /// them.
    pub async fn parked_events(&self, stripe_customer: &str, count: i32) -> Result<Vec<ParkedEvent>, StoreError> {
        let request = self
            .client()
            .query()
            .table_name(self.table())
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(Key::stripe_customer(stripe_customer).pk))
            .expression_attribute_values(":prefix", AttributeValue::S(PARKED.into()))
            .limit(count);
        let answer = request.send().await.map_err(StoreError::of)?;
        answer.items.unwrap_or_default().into_iter().map(from_item).collect()
    }
}
