//! The table: one `DynamoDB` table, read strongly consistently wherever identity is decided.
//!
//! A fact, its uniqueness guards and the message it causes commit in one [`Transaction`]. What
//! writes a customer or a user writes its guards with it ([`records`]), so that no caller can
//! forget one.

pub mod api_key;
pub mod attempts;
pub mod balances;
pub mod census;
pub mod children;
pub mod connect;
pub mod counter;
pub mod intent;
pub mod item;
pub mod key;
pub mod ledger;
pub mod list;
pub mod marker;
pub mod members;
pub mod parked;
pub mod phone;
pub mod pointer;
pub mod products;
pub mod purge;
pub mod rate;
pub mod recheck;
pub mod records;
pub mod recovery;
pub mod retry;
mod single;
pub mod table;
mod tombstone;
pub mod transaction;
pub mod trial;
pub mod work;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use thiserror::Error;

use item::{Entity, Item, from_item};
use key::Key;
use retry::Backoff;

use crate::sdk::describe;
pub use transaction::{Conflict, Refused, Transaction};

/// `BatchGetItem` takes no more keys at once.
const MAX_BATCH_KEYS: usize = 100;

/// The store failed. The caller learns no more than that.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It did not answer, or asked to slow down, for as long as the request could wait.
    #[error("the table is unavailable: {0}")]
    Unavailable(String),
    /// It refused the request: a permission, a limit, a bug.
    #[error("the table refused the request: {0}")]
    Request(String),
    /// It is not there.
    #[error("the table refused the request: {0}; create it with `admin create-table`")]
    NoTable(String),
    /// An item is not what it should be.
    #[error("an item of kind `{kind}` at `{key}` is inconsistent")]
    Inconsistent {
        /// The kind.
        kind: &'static str,
        /// Its key without anything personal.
        key: String,
    },
}

impl StoreError {
    fn of<E, R>(error: SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
        SdkError<E, R>: std::error::Error,
    {
        let text = describe(&error);
        match error.as_service_error() {
            Some(refusal) if refusal.code() == Some("ResourceNotFoundException") => Self::NoTable(text),
            Some(refusal) if !Self::is_passing_code(refusal) => Self::Request(text),
            _ => Self::Unavailable(text),
        }
    }

    /// Whether the same request may succeed a little later.
    fn is_passing_code<E: ProvideErrorMetadata>(error: &E) -> bool {
        matches!(
            error.code(),
            Some(
                "InternalServerError"
                    | "InternalFailure"
                    | "ServiceUnavailable"
                    | "ThrottlingException"
                    | "ProvisionedThroughputExceededException"
                    | "RequestLimitExceeded"
                    | "TransactionInProgressException"
                    | "TransactionConflictException"
            )
        )
    }
}

/// The table and how to reach it.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
}

impl Store {
    /// The table `table` through `client`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// The client, for the few who need what the store does not offer.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// An empty transaction.
    #[must_use]
    pub fn transaction(&self) -> Transaction {
        Transaction::new(&self.table)
    }

    /// The item of `key`, strongly consistent.
    pub async fn get<E: Entity>(&self, key: &Key) -> Result<Option<E>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key.attributes()));
        let answer = request.consistent_read(true).send().await.map_err(StoreError::of)?;
        answer.item.map(from_item).transpose()
    }

    /// The items of a partition, or those whose sort key begins with `prefix`, strongly consistent.
    pub(crate) async fn partition(&self, pk: &str, prefix: Option<&str>) -> Result<Vec<Item>, StoreError> {
        let condition = if prefix.is_some() { "pk = :pk AND begins_with(sk, :prefix)" } else { "pk = :pk" };
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression(condition)
                .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
                .set_exclusive_start_key(start);
            let request = match prefix {
                Some(prefix) => request.expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned())),
                None => request,
            };
            let answer = request.send().await.map_err(StoreError::of)?;
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// The items of `keys` that exist, strongly consistent each, in one round trip for up to 100.
    pub async fn batch_get(&self, keys: impl IntoIterator<Item = Key>) -> Result<Batch, StoreError> {
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        let mut batch = Batch::default();
        for chunk in keys.chunks(MAX_BATCH_KEYS) {
            self.batch_get_chunk(chunk, &mut batch).await?;
        }
        Ok(batch)
    }

    async fn batch_get_chunk(&self, keys: &[Key], batch: &mut Batch) -> Result<(), StoreError> {
        let mut pending: Vec<Item> = keys.iter().map(Key::attributes).collect();
        let mut backoff = Backoff::new();
        while !pending.is_empty() {
            let wanted = KeysAndAttributes::builder().set_keys(Some(pending)).consistent_read(true).build();
            let wanted = wanted.map_err(|error| StoreError::Request(error.to_string()))?;
            let request = self.client.batch_get_item().request_items(&self.table, wanted);
            let answer = request.send().await.map_err(StoreError::of)?;
            batch.add(answer.responses.unwrap_or_default().into_values().flatten());
            pending = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys).collect();
            if !pending.is_empty() && !backoff.wait().await {
                return Err(StoreError::Unavailable("keys stayed unprocessed".into()));
            }
        }
        Ok(())
    }
}

/// What a batch read found.
#[derive(Debug, Default)]
pub struct Batch {
    items: HashMap<Key, Item>,
}

impl Batch {
    fn add(&mut self, items: impl Iterator<Item = Item>) {
        for item in items {
            if let Some(key) = Key::of(&item) {
                self.items.insert(key, item);
            }
        }
    }

    /// Whether there is an item of `key`.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.items.contains_key(key)
    }

    /// The item of `key`, if it was found.
    pub fn get<E: Entity>(&self, key: &Key) -> Result<Option<E>, StoreError> {
        self.items.get(key).cloned().map(from_item).transpose()
    }
}
