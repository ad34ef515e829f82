//! What a deleted customer leaves under its key: removed in pieces, after the customer itself.
//!
//! Nothing is added meanwhile: the first write of a child requires the head, later ones the child.
//! An undo that is done over, or an import, may bring a customer back under the same key: then what
//! lies there is theirs, and nothing is removed any more.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::item::{Entity, Indexes};
use super::key::{ALIAS, HEAD, Key};
use super::transaction::{Conflict, Refused};
use super::{Store, StoreError, work};
use crate::clock::Time;
use crate::ids::CustomerId;

/// Items deleted at once, each with the pointer that it may name; a transaction takes a hundred, the
/// purge itself and the look at the customer included.
const PIECE: i32 = 49;

/// Pieces of one customer in one run; the next run continues.
const MAX_PIECES: usize = 100;

/// A purge that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// Who was deleted.
    pub customer_id: CustomerId,
    /// When.
    pub created_at: Time,
}

impl Purge {
    /// The purge of what the customer `customer_id` left.
    #[must_use]
    pub fn new(customer_id: CustomerId, now: Time) -> Self {
        Self { customer_id, created_at: now }
    }
}

impl Entity for Purge {
    const KIND: &'static str = "purge";

    fn key(&self) -> Key {
        Key::purge(self.customer_id)
    }

    fn indexes(&self) -> Indexes {
        Indexes { work: Some(work::entry(self.created_at, &self.key())), ..Indexes::default() }
    }
}

impl Store {
    /// Whether anything lies under the key of the customer `id` beside the customer itself.
    pub async fn has_history(&self, id: CustomerId) -> Result<bool, StoreError> {
        let items = self.partition(&Key::customer(id).pk, None).await?;
        Ok(items.iter().filter_map(Key::of).any(|key| key.sk != HEAD))
    }

    /// Removes what the deleted customer `id` left, and then the purge itself. It can be broken off
    /// and repeated.
    pub async fn purge(&self, id: CustomerId) -> Result<(), StoreError> {
        let customer = Key::customer(id);
        for _ in 0..MAX_PIECES {
            let request = self
                .client()
                .query()
                .table_name(self.table())
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(customer.pk.clone()))
                .projection_expression("pk, sk")
                .limit(PIECE);
            let answer = request.send().await.map_err(StoreError::of)?;
            let last = answer.last_evaluated_key.is_none();
            let mut transaction = self.transaction();
            transaction.require_absent(&customer, Conflict::Exists);
            for key in answer.items().iter().filter_map(Key::of).filter(|key| key.sk != HEAD) {
                transaction.delete(&key, Conflict::Changed);
                if let Some(alias) = key.sk.strip_prefix(ALIAS) {
                    transaction.delete(&Key::stripe_customer(alias), Conflict::Changed);
                }
            }
            if last {
                transaction.delete(&Key::purge(id), Conflict::Changed);
            }
            match transaction.commit(self).await {
                Ok(()) if last => break,
                Ok(()) => {}
                Err(Refused::Store(error)) => return Err(error),
                Err(Refused::Conflict(_)) => return self.forget_purge(id).await,
            }
        }
        Ok(())
    }

    /// Takes the purge of a customer who is there again from the queue.
    async fn forget_purge(&self, id: CustomerId) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.require_present(&Key::customer(id), Conflict::OwnerGone);
        transaction.delete(&Key::purge(id), Conflict::Changed);
        // Gone once more: then the purge stands.
        transaction.commit_unless_refused(self).await?;
        Ok(())
    }
}
