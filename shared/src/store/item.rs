//! How values become items: key, kind and index attributes beside the value's own fields.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::StoreError;
use super::key::Key;
use crate::secret::random_bytes;

/// A raw item.
pub type Item = HashMap<String, AttributeValue>;

/// Attributes that put an item into a sparse index.
#[derive(Clone, Debug, Default)]
pub struct Indexes {
    /// List by kind, in order of creation.
    pub list: Option<(String, String)>,
    /// The work queue.
    pub work: Option<(String, String)>,
    /// Prefix of a name.
    pub name: Option<(String, String)>,
}

/// A value that is kept as one item.
pub trait Entity: Serialize + DeserializeOwned {
    /// What `kind` says of the item.
    const KIND: &'static str;

    /// Its key.
    fn key(&self) -> Key;

    /// The indexes it is in.
    fn indexes(&self) -> Indexes {
        Indexes::default()
    }
}

/// The item of `entity`, marked as written by the operation `op_id`.
pub(super) fn to_item<E: Entity>(entity: &E, op_id: Uuid) -> Result<Item, StoreError> {
    let key = entity.key();
    let encoded: Result<Item, _> = serde_dynamo::to_item(entity);
    let mut item = encoded.map_err(|_| StoreError::Inconsistent { kind: E::KIND, key: key.to_string() })?;
    item.extend(key.attributes());
    item.insert("kind".into(), AttributeValue::S(E::KIND.into()));
    item.insert("op_id".into(), AttributeValue::S(op_id.to_string()));
    let Indexes { list, work, name } = entity.indexes();
    for (index, attributes) in [("gsi1", list), ("gsi2", work), ("gsi3", name)] {
        if let Some((pk, sk)) = attributes {
            item.insert(format!("{index}pk"), AttributeValue::S(pk));
            item.insert(format!("{index}sk"), AttributeValue::S(sk));
        }
    }
    Ok(item)
}

/// A version to begin with, for what may go and come again under its key: whoever read the old one must
/// not take the new one for it, so a new one does not begin where the old one did.
#[must_use]
pub fn first_version() -> u64 {
    (u64::from_le_bytes(random_bytes()) >> 12) | 1
}

/// The version of such a thing that is written over the version `read`, 0 for what was not there.
pub(super) fn next_version(read: u64) -> u64 {
    if read == 0 { first_version() } else { read + 1 }
}

/// The value of `item`.
pub(super) fn from_item<E: Entity>(item: Item) -> Result<E, StoreError> {
    row_of(E::KIND, item)
}

/// What `item`, of which only a part may have been read, says of something of the kind `kind`.
pub(super) fn row_of<T: DeserializeOwned>(kind: &'static str, item: Item) -> Result<T, StoreError> {
    let pk = item.get("pk").and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    serde_dynamo::from_item(item).map_err(|error| {
        let key = Key { pk, sk: String::new() }.to_string();
        // The message of the decoder names the attribute and never its value.
        tracing::error!(kind, key, %error, "an item does not parse");
        StoreError::Inconsistent { kind, key }
    })
}

/// Whether `item` was written by the operation `op_id`.
pub(super) fn written_by(item: &Item, op_id: Uuid) -> bool {
    item.get("op_id").and_then(|value| value.as_s().ok()).is_some_and(|text| *text == op_id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_goes_up_by_one_and_what_is_new_begins_anywhere_but_at_none() {
        assert_eq!((next_version(1), next_version(7)), (2, 8));
        assert!((0..100).all(|_| next_version(0) != 0));
    }
}
