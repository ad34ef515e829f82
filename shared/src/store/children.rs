//! What lies under a customer's key beside the customer: invoices, trials, entities.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::item::{Entity, from_item};
use super::key::Key;
use super::transaction::{Conflict, Refused};
use super::{Store, StoreError};
use crate::clock::Time;
use crate::domain::billing::Invoice;
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

/// Something of a customer's that use is counted for: a seat, a workspace, a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerEntity {
    /// Whose it is.
    pub customer_id: CustomerId,
    /// The caller's id for it.
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The feature it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_id: Option<String>,
    /// When it was first named.
    pub created_at: Time,
}

impl Entity for CustomerEntity {
    const KIND: &'static str = "entity";

    fn key(&self) -> Key {
        Key { pk: Key::customer(self.customer_id).pk, sk: format!("{}{}", ChildKind::Entity.prefix(), self.id) }
    }
}

impl Store {
    /// Stores `entity`, unless its customer has one of that id; `false` if the customer is gone.
    pub async fn add_entity(&self, entity: &CustomerEntity) -> Result<bool, StoreError> {
        let mut transaction = self.transaction();
        transaction.create(entity, Conflict::Exists);
        transaction.require_present(&Key::customer(entity.customer_id), Conflict::OwnerGone);
        match transaction.commit(self).await {
            Ok(()) | Err(Refused::Conflict(Conflict::Exists)) => Ok(true),
            Err(Refused::Conflict(_)) => Ok(false),
            Err(Refused::Store(error)) => Err(error),
        }
    }

    /// What Stripe has billed the customer `id`.
    pub async fn invoices(&self, id: CustomerId) -> Result<Vec<Invoice>, StoreError> {
        let items = self.partition(&Key::customer(id).pk, Some(ChildKind::Invoice.prefix())).await?;
        items.into_iter().map(from_item).collect()
    }

    /// The children of a kind, in order of their sort keys, as they are stored.
    pub async fn children(&self, id: CustomerId, kind: ChildKind) -> Result<Vec<Map<String, Value>>, StoreError> {
        let inconsistent = |_| StoreError::Inconsistent { kind: "child", key: Key::customer(id).to_string() };
        let items = self.partition(&Key::customer(id).pk, Some(kind.prefix())).await?;
        items.into_iter().map(|item| serde_dynamo::from_item(item).map_err(inconsistent)).collect()
    }
}
