//! The second ids of rows: noted before any row is written, so that every pointer can be followed
//! whichever row comes first.

use std::collections::BTreeMap;

use shared::store::key::Key;
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused, Store, StoreError};
use uuid::Uuid;

use super::finding::Place;
use super::row::Ids;

/// How many are looked up at once, and how many a transaction may write.
const BATCH: usize = 100;

/// Second ids that are yet to be noted.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    waiting: BTreeMap<Key, (Uuid, Place)>,
    taken: Vec<Place>,
}

impl Aliases {
    /// Notes the second id of the row at `place`, if it has one.
    pub(super) fn push(&mut self, place: Place, ids: &Ids) {
        let Some(other) = &ids.other else { return };
        let owner = place.source.id_of(&ids.id);
        let (first, _) = self.waiting.entry(Key::legacy_id(place.source, other)).or_insert((owner, place));
        if *first != owner {
            self.taken.push(place);
        }
    }

    /// Whether there are enough to be written.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= BATCH
    }

    /// Writes what is not there yet, unless it is a `dry_run`. Answers the rows whose second id
    /// leads to another row already.
    pub(super) async fn flush(&mut self, store: &Store, dry_run: bool) -> Result<Vec<Place>, StoreError> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut taken = std::mem::take(&mut self.taken);
        let mut races = Backoff::new();
        loop {
            let seen = store.batch_get(waiting.keys().cloned()).await?;
            let mut transaction = store.transaction();
            let mut others = Vec::new();
            for (key, (owner, place)) in &waiting {
                match seen.get::<Guard>(key)? {
                    Some(guard) if guard.owner == *owner => {}
                    Some(_) => others.push(*place),
                    None => {
                        transaction.create(&Guard::new(key.clone(), *owner), Conflict::Exists);
                    }
                }
            }
            if !dry_run && !transaction.is_empty() {
                match transaction.commit(store).await {
                    Ok(()) => {}
                    Err(Refused::Store(error)) => return Err(error),
                    // Another import notes the same: look again.
                    Err(Refused::Conflict(_)) => {
                        if !races.wait().await {
                            return Err(StoreError::Unavailable("another import writes the same ids".into()));
                        }
                        continue;
                    }
                }
            }
            taken.extend(others);
            taken.sort_unstable();
            return Ok(taken);
        }
    }
}
