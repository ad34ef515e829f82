//! Intents to make a Stripe customer, in the work queue until they are done.

use super::item::{Entity, Indexes};
use super::key::Key;
use super::transaction::{Conflict, Transaction};
use super::{Store, StoreError, work};
use crate::domain::intent::{IntentState, StripeIntent};
use crate::ids::CustomerId;

impl Entity for StripeIntent {
    const KIND: &'static str = "stripe_intent";

    fn key(&self) -> Key {
        Key::stripe_intent(self.customer_id)
    }

    fn indexes(&self) -> Indexes {
        let pending = self.state == IntentState::Pending;
        Indexes { work: pending.then(|| work::entry(self.due_at, &self.key())), ..Indexes::default() }
    }
}

impl Transaction {
    /// Writes an intent over the version that was read, 0 for a new one.
    pub fn save_intent(&mut self, read: u64, intent: &StripeIntent) -> &mut Self {
        self.replace(&StripeIntent { version: read + 1, ..intent.clone() }, read, Conflict::IntentTaken)
    }
}

impl Store {
    /// The intent for the customer `id`.
    pub async fn stripe_intent(&self, id: CustomerId) -> Result<Option<StripeIntent>, StoreError> {
        self.get(&Key::stripe_intent(id)).await
    }
}
