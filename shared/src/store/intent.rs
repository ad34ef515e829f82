//! Intents to make a Stripe customer or a subscription, in the work queue until they are done.

use super::item::{Entity, Indexes};
use super::key::Key;
use super::transaction::{Conflict, Transaction};
use super::{Store, StoreError, work};
use crate::domain::intent::{IntentState, StripeIntent};
use crate::domain::product::ProductId;
use crate::ids::CustomerId;

impl Entity for StripeIntent {
    const KIND: &'static str = "stripe_intent";

    fn key(&self) -> Key {
        key(self.customer_id, self.product_id.as_ref())
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
    /// The intent to make the Stripe customer of the customer `id`, or their subscription to
    /// `product`.
    pub async fn stripe_intent(
        &self,
        id: CustomerId,
        product: Option<&ProductId>,
    ) -> Result<Option<StripeIntent>, StoreError> {
        self.get(&key(id, product)).await
    }
}

fn key(id: CustomerId, product: Option<&ProductId>) -> Key {
    match product {
        None => Key::stripe_intent(id),
        Some(product) => Key::subscription_intent(id, product),
    }
}
