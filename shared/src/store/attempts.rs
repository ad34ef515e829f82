//! Login attempts at rest: one item per identifier, whether or not anybody has it.

use serde::{Deserialize, Serialize};

use super::item::{Entity, next_version};
use super::key::Key;
use super::{Store, StoreError};
use crate::clock::Time;
use crate::domain::attempts::{Attempts, Verdict};

/// How often a charge is tried anew when parallel attempts get in between.
const MAX_CHARGES: usize = 8;

/// The stored state of an identifier.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptsItem {
    /// Keyed hash of the identifier.
    pub identifier: String,
    /// The state.
    #[serde(flatten)]
    pub attempts: Attempts,
    /// When it may be forgotten, in Unix seconds.
    pub expires_at: i64,
}

impl Entity for AttemptsItem {
    const KIND: &'static str = "login_attempts";

    fn key(&self) -> Key {
        Key::attempts(&self.identifier)
    }
}

impl Store {
    /// Charges an attempt from `address` on `identifier`, whose state was `read`, by
    /// compare-and-set. When parallel attempts win every time, the verdict is the dummy: a flood
    /// may cost its target a retry, never a guess too many.
    pub async fn charge_attempt(
        &self,
        identifier: &str,
        mut read: Option<AttemptsItem>,
        address: &str,
        now: Time,
    ) -> Result<(Verdict, AttemptsItem), StoreError> {
        for _ in 0..MAX_CHARGES {
            let stored_version = read.as_ref().map_or(0, |item| item.attempts.version);
            let (verdict, mut attempts) = state(read, now).charge(address, now);
            attempts.version = next_version(stored_version);
            let expires_at = attempts.expires_at(now);
            let item = AttemptsItem { identifier: identifier.to_owned(), attempts, expires_at };
            if self.replace_alone(&item, stored_version).await? {
                return Ok((verdict, item));
            }
            read = self.get(&Key::attempts(identifier)).await?;
        }
        let attempts = state(read, now);
        let item = AttemptsItem { identifier: identifier.to_owned(), expires_at: attempts.expires_at(now), attempts };
        Ok((Verdict::Dummy, item))
    }

    /// Notes that the attempt `charged` from `address` turned out right.
    pub async fn clear_attempts(&self, charged: AttemptsItem, address: &str, now: Time) -> Result<(), StoreError> {
        let mut read = charged;
        for _ in 0..MAX_CHARGES {
            let stored_version = read.attempts.version;
            let attempts = read.attempts.succeeded(address);
            let (identifier, expires_at) = (read.identifier, attempts.expires_at(now));
            let item = AttemptsItem { identifier, attempts, expires_at };
            let cleared = if item.attempts.is_blank() {
                self.delete_alone(&item.key(), stored_version).await?
            } else {
                self.replace_alone(&item, stored_version).await?
            };
            if cleared {
                return Ok(());
            }
            match self.get::<AttemptsItem>(&item.key()).await? {
                Some(newer) => read = newer,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Expiry is ours to judge: the table's own is late by design.
fn state(read: Option<AttemptsItem>, now: Time) -> Attempts {
    read.filter(|item| item.expires_at > now.unix_seconds()).map(|item| item.attempts).unwrap_or_default()
}
