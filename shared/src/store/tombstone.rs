//! That a record of a legacy system was deleted here: else the next import of the same files would
//! bring the person back.
//!
//! Who deletes one leaves the tombstone in the same transaction, for good. An undo leaves none: what
//! a run had made was in no file.

use serde::{Deserialize, Serialize};

use super::item::Entity;
use super::key::Key;
use crate::clock::Time;

/// A record that is not to be imported again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tombstone {
    pk: String,
    sk: String,
    /// When it was deleted.
    pub(super) deleted_at: Time,
}

impl Tombstone {
    /// The tombstone of the record that was at `key` until `now`.
    pub(super) fn new(key: &Key, now: Time) -> Self {
        let Key { pk, sk } = Key::tombstone(key);
        Self { pk, sk, deleted_at: now }
    }
}

impl Entity for Tombstone {
    const KIND: &'static str = "tombstone";

    fn key(&self) -> Key {
        Key { pk: self.pk.clone(), sk: self.sk.clone() }
    }
}
