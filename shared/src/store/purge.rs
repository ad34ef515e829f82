//! What a deleted customer leaves under its key: removed in pieces, after the customer itself.
//!
//! Nothing is added meanwhile: the first write of a child requires the head, later ones the child.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::item::{Entity, Indexes};
use super::key::{ALIAS, HEAD, Key};
use super::transaction::{Conflict, Refused};
use super::{Store, StoreError, work};
use crate::clock::Time;
use crate::ids::CustomerId;

/// Items deleted at once, each with the pointer that it may name; a transaction takes a hundred, the
/// purge itself included.
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
            let keys: Vec<Key> = answer.items().iter().filter_map(Key::of).collect();
            // A customer whom an undone run had made is made again under its id: what lies there is theirs.
            let lives = keys.iter().any(|key| key.sk == HEAD);
            let last = lives || answer.last_evaluated_key.is_none();
            let mut transaction = self.transaction();
            for key in keys.iter().filter(|_| !lives) {
                transaction.delete(key, Conflict::Changed);
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
                Err(Refused::Conflict(_)) => {
                    return Err(StoreError::Request("a delete without condition failed".into()));
                }
            }
        }
        Ok(())
    }
}
