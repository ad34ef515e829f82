//! API keys: what a caller's system signs in with. At rest there is only a hash.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::item::{Entity, Indexes};
use super::key::Key;
use super::list;
use super::retry::Backoff;
use super::transaction::Conflict;
use super::{Refused, Store, StoreError};
use crate::clock::Time;
use crate::secret::{Secret, random_bytes};
use crate::token::sha256_hex;

/// What every API key begins with.
pub const API_KEY_PREFIX: &str = "rk_";

/// An API key at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id, for listing and revoking.
    pub key_id: Uuid,
    /// SHA-256 of its text: it is random, so a plain hash gives nothing away.
    pub sha256: String,
    /// What it is for, in its owner's words.
    pub label: String,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Raised by every write; 0 on a key made before keys had one.
    #[serde(default)]
    pub version: u64,
}

impl Entity for ApiKey {
    const KIND: &'static str = "api_key";

    fn key(&self) -> Key {
        Key::api_key(&self.sha256)
    }

    fn indexes(&self) -> Indexes {
        let position = format!("{}#{}", self.created_at, self.key_id);
        Indexes { list: Some((list::partition(Self::KIND), position)), ..Indexes::default() }
    }
}

impl Store {
    /// Makes an API key. Its text is answered once and cannot be had again.
    pub async fn create_api_key(&self, label: &str, now: Time) -> Result<(ApiKey, Secret), StoreError> {
        let text = format!("{API_KEY_PREFIX}{}", hex::encode(random_bytes::<24>()));
        let key = ApiKey {
            key_id: now.new_id(),
            sha256: sha256_hex(&text),
            label: label.to_owned(),
            revoked_at: None,
            created_at: now,
            version: 1,
        };
        let mut transaction = self.transaction();
        transaction.create(&key, Conflict::Exists);
        match transaction.commit(self).await {
            Ok(()) => Ok((key, Secret::new(text))),
            Err(Refused::Store(error)) => Err(error),
            Err(Refused::Conflict(_)) => Err(StoreError::Request("a random key repeated".into())),
        }
    }

    /// The living API key with the text `text`.
    pub async fn api_key(&self, text: &str) -> Result<Option<ApiKey>, StoreError> {
        let key: Option<ApiKey> = self.get(&Key::api_key(&sha256_hex(text))).await?;
        Ok(key.filter(|key| key.revoked_at.is_none()))
    }

    /// Revokes `key`, which from then on opens nothing. One that is revoked or gone stays so.
    pub async fn revoke_api_key(&self, key: &ApiKey, now: Time) -> Result<(), StoreError> {
        let mut found = Some(key.clone());
        if key.version == 0 {
            self.give_version(key).await?;
            found = self.get(&key.key()).await?;
        }
        let mut races = Backoff::new();
        while let Some(before) = found.filter(|key| key.revoked_at.is_none()) {
            let read = before.version;
            let mut transaction = self.transaction();
            let after = ApiKey { revoked_at: Some(now), version: read + 1, ..before };
            transaction.replace(&after, read, Conflict::Changed);
            match transaction.commit(self).await {
                Ok(()) => return Ok(()),
                Err(Refused::Store(error)) => return Err(error),
                Err(Refused::Conflict(_)) if races.wait().await => found = self.get(&key.key()).await?,
                Err(Refused::Conflict(_)) => return Err(StoreError::Unavailable("the key lost every race".into())),
            }
        }
        Ok(())
    }

    /// Gives a key that was made before keys had a version its first: without one, it could not be
    /// replaced.
    async fn give_version(&self, key: &ApiKey) -> Result<(), StoreError> {
        let request = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key.key().attributes()))
            .update_expression("SET version = :first")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(version)")
            .expression_attribute_values(":first", AttributeValue::N("1".into()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }
}
