//! The catalogue: one partition, so that one strong query gives all of it.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::item::{Entity, Item, from_item};
use super::key::{Key, PRODUCTS};
use super::transaction::{Conflict, Transaction};
use super::{Store, StoreError};
use crate::domain::product::{FeatureId, Product, ProductId};

impl Entity for Product {
    const KIND: &'static str = "product";

    fn key(&self) -> Key {
        Key::product(&self.id)
    }
}

/// That some product has had this feature. It outlives the product's having it, because
/// customers may still hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// The feature.
    pub feature_id: FeatureId,
}

impl Entity for Feature {
    const KIND: &'static str = "feature";

    fn key(&self) -> Key {
        Key::feature(&self.feature_id)
    }
}

impl Transaction {
    /// Writes a product and the features that it is the first to have.
    pub fn save_product(&mut self, before: Option<&Product>, after: &Product) -> &mut Self {
        let read = before.map_or(0, |product| product.version);
        let stored = Product { version: read + 1, ..after.clone() };
        self.replace(&stored, read, Conflict::Changed);
        let had = |id: &FeatureId| before.is_some_and(|b| b.items.iter().any(|item| item.feature_id == *id));
        for item in after.items.iter().filter(|item| !had(&item.feature_id)) {
            self.put_anyway(&Feature { feature_id: item.feature_id.clone() }, Conflict::Changed);
        }
        self
    }
}

impl Store {
    /// The product `id`.
    pub async fn product(&self, id: &ProductId) -> Result<Option<Product>, StoreError> {
        self.get(&Key::product(id)).await
    }

    /// Every product, by id.
    pub async fn products(&self) -> Result<Vec<Product>, StoreError> {
        self.products_after(None, usize::MAX).await
    }

    /// The first `count` products whose ids come after `after`.
    pub async fn products_after(&self, after: Option<&ProductId>, count: usize) -> Result<Vec<Product>, StoreError> {
        let mut start: Option<Item> = after.map(|id| Key::product(id).attributes());
        let mut products = Vec::new();
        loop {
            let left = count.saturating_sub(products.len());
            let request = self
                .client()
                .query()
                .table_name(self.table())
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(PRODUCTS.into()))
                .set_limit(i32::try_from(left).ok())
                .set_exclusive_start_key(start);
            let answer = request.send().await.map_err(StoreError::of)?;
            for item in answer.items.unwrap_or_default() {
                products.push(from_item(item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() || products.len() >= count {
                return Ok(products);
            }
        }
    }
}
