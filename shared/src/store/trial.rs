//! Trials: each product once for a customer, and once for a fingerprint.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::item::Entity;
use super::key::Key;
use super::transaction::{Conflict, Transaction};
use super::{Store, StoreError};
use crate::clock::Time;
use crate::domain::customer::Customer;
use crate::domain::product::{HeldProduct, Product, ProductId, ProductStatus};
use crate::ids::CustomerId;

/// That a trial was used. It is kept twice: under the customer, and under the fingerprint, which
/// outlives them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialMarker {
    pk: String,
    sk: String,
    /// What was tried.
    pub product_id: ProductId,
    /// Who tried it.
    pub customer_id: CustomerId,
    /// The mark of the person behind them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// When the trial began.
    pub started_at: Time,
}

impl TrialMarker {
    fn new(key: Key, customer: &Customer, product: &HeldProduct) -> Self {
        Self {
            pk: key.pk,
            sk: key.sk,
            product_id: product.id.clone(),
            customer_id: customer.internal_id,
            fingerprint: customer.fingerprint.clone(),
            started_at: product.started_at,
        }
    }
}

impl Entity for TrialMarker {
    const KIND: &'static str = "trial";

    fn key(&self) -> Key {
        Key { pk: self.pk.clone(), sk: self.sk.clone() }
    }
}

impl Transaction {
    /// Writes that `after` uses the trials that `before` did not hold yet.
    pub fn use_trials(&mut self, before: Option<&Customer>, after: &Customer) -> &mut Self {
        let had = |id: &ProductId| before.is_some_and(|b| b.products.iter().any(|held| held.id == *id));
        let begun = after.products.iter().filter(|held| held.status == ProductStatus::Trialing && !had(&held.id));
        for product in begun {
            let own = Key::trial_of_customer(after.internal_id, &product.id);
            self.create(&TrialMarker::new(own, after, product), Conflict::TrialUsed);
            if let Some(fingerprint) = &after.fingerprint {
                let shared = Key::trial_of_fingerprint(fingerprint, &product.id);
                self.create(&TrialMarker::new(shared, after, product), Conflict::TrialUsed);
            }
        }
        self
    }
}

impl Store {
    /// Of `catalogue`, the products whose trial `customer` or anybody with `fingerprint` has used.
    pub async fn trials_used(
        &self,
        catalogue: &[Product],
        customer: CustomerId,
        fingerprint: Option<&str>,
    ) -> Result<BTreeSet<ProductId>, StoreError> {
        let keys = |product: &Product| {
            let shared = fingerprint.map(|fingerprint| Key::trial_of_fingerprint(fingerprint, &product.id));
            [Some(Key::trial_of_customer(customer, &product.id)), shared].into_iter().flatten()
        };
        let tried: Vec<_> = catalogue.iter().filter(|product| product.trial_days().is_some()).collect();
        let markers = self.batch_get(tried.iter().flat_map(|product| keys(product))).await?;
        let used = tried.into_iter().filter(|product| keys(product).any(|key| markers.has(&key)));
        Ok(used.map(|product| product.id.clone()).collect())
    }
}
