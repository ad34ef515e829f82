//! What customers have used: a balance for each feature, made on first use, and a marker for each
//! use that carried a key.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::item::{Entity, from_item};
use super::key::{BALANCE, Key};
use super::transaction::{Conflict, Transaction};
use super::{Store, StoreError};
use crate::clock::Time;
use crate::domain::balance::{FeatureBalance, Usage};
use crate::domain::customer::Customer;
use crate::ids::CustomerId;

/// How long a use is remembered by its key, in seconds.
const KEEP_SECONDS: i64 = 86_400;

impl Entity for Usage {
    const KIND: &'static str = "balance";

    fn key(&self) -> Key {
        Key::balance(self.customer_id, &self.feature_id)
    }
}

/// A use that carried a key, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageMarker {
    pk: String,
    sk: String,
    /// What was asked: another question under the same key is a mistake.
    pub fingerprint: String,
    /// How much was taken.
    pub deducted: u64,
    /// What that left.
    pub balance: FeatureBalance,
    /// When it may be forgotten, in Unix seconds.
    pub expires_at: i64,
}

impl UsageMarker {
    /// The marker at `key` of a use at `now`.
    #[must_use]
    pub fn new(key: Key, fingerprint: String, deducted: u64, balance: FeatureBalance, now: Time) -> Self {
        let expires_at = now.unix_seconds() + KEEP_SECONDS;
        Self { pk: key.pk, sk: key.sk, fingerprint, deducted, balance, expires_at }
    }
}

impl Entity for UsageMarker {
    const KIND: &'static str = "usage";

    fn key(&self) -> Key {
        Key { pk: self.pk.clone(), sk: self.sk.clone() }
    }
}

impl Transaction {
    /// Writes what a living customer has used.
    pub fn save_usage(&mut self, after: &Usage) -> &mut Self {
        let read = after.version;
        let stored = Usage { version: read + 1, ..after.clone() };
        self.replace(&stored, read, Conflict::Changed);
        self.require_present(&Key::customer(after.customer_id), Conflict::OwnerGone)
    }
}

impl Store {
    /// What each of `customers` has used of what they hold, by customer.
    pub async fn usage_of(&self, customers: &[Customer]) -> Result<BTreeMap<CustomerId, Vec<Usage>>, StoreError> {
        let key = |customer: &Customer, item: &crate::domain::product::Item| {
            Key::balance(customer.internal_id, &item.feature_id)
        };
        let items =
            |customer: &Customer| customer.products.iter().flat_map(|held| held.items.clone()).collect::<Vec<_>>();
        let keys =
            customers.iter().flat_map(|customer| items(customer).into_iter().map(move |item| key(customer, &item)));
        let batch = self.batch_get(keys).await?;
        let mut usage: BTreeMap<CustomerId, Vec<Usage>> = BTreeMap::new();
        for customer in customers {
            let features: BTreeSet<_> = items(customer).into_iter().map(|item| item.feature_id).collect();
            for feature in features {
                let found: Option<Usage> = batch.get(&Key::balance(customer.internal_id, &feature))?;
                usage.entry(customer.internal_id).or_default().extend(found);
            }
        }
        Ok(usage)
    }

    /// Everything that the customer `id` has used.
    pub async fn usage(&self, id: CustomerId) -> Result<Vec<Usage>, StoreError> {
        let items = self.partition(&Key::customer(id).pk, Some(BALANCE)).await?;
        items.into_iter().map(from_item).collect()
    }
}
