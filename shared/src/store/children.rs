//! What lies under a customer's key beside the customer: invoices, trials, entities.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

use super::key::Key;
use super::{Store, StoreError};
use crate::ids::CustomerId;

/// A kind of child, by the beginning of its sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// What Stripe has billed.
    Invoice,
    /// A trial that was used.
    Trial,
    /// Something that the customer's use is counted for.
    Entity,
}

impl ChildKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Invoice => "INVOICE#",
            Self::Trial => "TRIAL#",
            Self::Entity => "ENTITY#",
        }
    }
}

impl Store {
    /// The children of a kind, in order of their sort keys, as they are stored.
    pub async fn children(&self, id: CustomerId, kind: ChildKind) -> Result<Vec<Map<String, Value>>, StoreError> {
        let (mut children, mut start) = (Vec::new(), None);
        loop {
            let request = self
                .client()
                .query()
                .table_name(self.table())
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", AttributeValue::S(Key::customer(id).pk))
                .expression_attribute_values(":prefix", AttributeValue::S(kind.prefix().into()))
                .set_exclusive_start_key(start);
            let answer = request.send().await.map_err(StoreError::of)?;
            for item in answer.items.unwrap_or_default() {
                let child = serde_dynamo::from_item(item);
                let inconsistent = |_| StoreError::Inconsistent { kind: "child", key: Key::customer(id).to_string() };
                children.push(child.map_err(inconsistent)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(children);
            }
        }
    }
}
