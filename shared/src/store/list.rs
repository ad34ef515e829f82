//! Lists by kind, in order of creation. A list is an index: what was written this very moment may
//! not be in it yet, so nothing is decided on it.

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Entity, Item};
use super::key::Key;
use super::{Store, StoreError};

/// The partition of the list of a kind.
pub(super) fn partition(kind: &str) -> String {
    format!("LIST#{kind}")
}

impl Store {
    /// A page of the entities of a kind, oldest first, and where the next begins.
    pub async fn list<E: Entity>(&self, start: Option<Item>, limit: i32) -> Result<(Vec<E>, Option<Item>), StoreError> {
        let request = self
            .client()
            .query()
            .table_name(self.table())
            .index_name("gsi1")
            .key_condition_expression("gsi1pk = :list")
            .expression_attribute_values(":list", AttributeValue::S(partition(E::KIND)))
            .limit(limit)
            .set_exclusive_start_key(start);
        let answer = request.send().await.map_err(StoreError::of)?;
        let keys: Vec<Key> = answer.items().iter().filter_map(Key::of).collect();
        let batch = self.batch_get(keys.iter().cloned()).await?;
        let found = keys.iter().filter_map(|key| batch.get(key).transpose());
        Ok((found.collect::<Result<_, _>>()?, answer.last_evaluated_key))
    }
}
