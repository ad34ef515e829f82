//! Runs and their entries, each run a partition of its own.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::item::{Entity, Indexes, Item, from_item};
use super::key::{CHANGE, Key};
use super::transaction::{Conflict, Refused, Transaction};
use super::{Store, StoreError, list};
use crate::clock::Time;
use crate::domain::customer::Customer;
use crate::domain::ledger::{Entry, EntryState, Reservation, Run, RunKind, RunState, Side};
use crate::domain::user::User;
use crate::ids::{CustomerId, UserId};

impl Entity for Run {
    const KIND: &'static str = "run";

    fn key(&self) -> Key {
        Key::run(self.run_id)
    }

    fn indexes(&self) -> Indexes {
        let position = format!("{}#{}", self.started_at, self.run_id);
        Indexes { list: Some((list::partition(Self::KIND), position)), ..Indexes::default() }
    }
}

/// An entry at rest is JSON text: a record inside a record, and nothing in the table looks into it.
#[derive(Serialize, Deserialize)]
struct StoredEntry {
    run_id: Uuid,
    entry_id: Uuid,
    entry: String,
    state: EntryState,
    version: u64,
    expires_at: i64,
}

impl Entity for StoredEntry {
    const KIND: &'static str = "change";

    fn key(&self) -> Key {
        Key::change(self.run_id, self.entry_id)
    }
}

impl StoredEntry {
    fn open(self) -> Result<Entry, StoreError> {
        let broken = || StoreError::Inconsistent { kind: Self::KIND, key: self.entry_id.to_string() };
        let entry: Entry = serde_json::from_str(&self.entry).map_err(|_| broken())?;
        Ok(Entry { state: self.state, version: self.version, ..entry })
    }
}

impl Entity for Reservation {
    const KIND: &'static str = "reservation";

    fn key(&self) -> Key {
        Key::reservation(&owner_of(self))
    }
}

fn owner_of(reservation: &Reservation) -> Key {
    match reservation.side {
        Side::Customer => Key::customer(CustomerId(reservation.owner)),
        Side::User => Key::user(UserId(reservation.owner)),
    }
}

/// A page of the entries of a run, and where the next begins.
pub type Page = (Vec<Entry>, Option<Item>);

impl Transaction {
    /// Writes an entry over the version it was read in.
    pub fn save_entry(&mut self, entry: &Entry) -> &mut Self {
        let text = match serde_json::to_string(entry) {
            Ok(text) => text,
            Err(error) => return self.fail(StoreError::Request(error.to_string())),
        };
        let stored = StoredEntry {
            run_id: entry.run_id,
            entry_id: entry.entry_id,
            entry: text,
            state: entry.state,
            version: entry.version + 1,
            expires_at: entry.expires_at,
        };
        self.replace(&stored, entry.version, Conflict::Changed)
    }

    /// Keeps for a record what it was given.
    pub fn reserve(&mut self, reservation: &Reservation) -> &mut Self {
        self.put_anyway(reservation, Conflict::Changed)
    }
}

impl Store {
    /// Begins `run`, unless it has begun.
    pub async fn begin_run(&self, run: &Run) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.create(&Run { version: 1, ..run.clone() }, Conflict::Exists);
        transaction.commit_unless_refused(self).await?;
        Ok(())
    }

    /// The run `id`.
    pub async fn run(&self, id: Uuid) -> Result<Option<Run>, StoreError> {
        self.get(&Key::run(id)).await
    }

    /// Changes the run `id`, if there is one, however many others change it at once.
    pub async fn change_run(&self, id: Uuid, change: impl Fn(&mut Run)) -> Result<(), StoreError> {
        let mut backoff = super::retry::Backoff::new();
        loop {
            let Some(read) = self.run(id).await? else { return Ok(()) };
            let mut run = read.clone();
            change(&mut run);
            run.version = read.version + 1;
            let mut transaction = self.transaction();
            transaction.replace(&run, read.version, Conflict::Changed);
            match transaction.commit(self).await {
                Ok(()) => return Ok(()),
                Err(Refused::Conflict(_)) if backoff.wait().await => {}
                Err(Refused::Conflict(_)) => return Err(StoreError::Unavailable("the run was never free".into())),
                Err(Refused::Store(error)) => return Err(error),
            }
        }
    }

    /// The last `limit` runs that began before `start`, newest first, and where the next page begins. An
    /// index: a run that began this very moment may be missing.
    pub async fn runs(&self, start: Option<Item>, limit: i32) -> Result<(Vec<Run>, Option<Item>), StoreError> {
        self.list_newest(start, limit).await
    }

    /// The migration that was broken off, or that somebody else is at, if there is one.
    pub async fn unfinished_migration(&self) -> Result<Option<Run>, StoreError> {
        let mut start = None;
        loop {
            let (runs, next) = self.runs(start, 100).await?;
            let open = |run: &Run| run.run_kind == RunKind::Migration && run.state == RunState::Running;
            if let Some(run) = runs.into_iter().find(open) {
                return Ok(Some(run));
            }
            start = next;
            if start.is_none() {
                return Ok(None);
            }
        }
    }

    /// A page of the entries of a run, newest first.
    pub async fn entries(&self, run_id: Uuid, start: Option<Item>, limit: i32) -> Result<Page, StoreError> {
        let request = self
            .client()
            .query()
            .table_name(self.table())
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(Key::run(run_id).pk))
            .expression_attribute_values(":prefix", AttributeValue::S(CHANGE.into()))
            .scan_index_forward(false)
            .limit(limit)
            .set_exclusive_start_key(start);
        let answer = request.send().await.map_err(StoreError::of)?;
        let items = answer.items.unwrap_or_default().into_iter();
        let entries = items.map(|item| from_item::<StoredEntry>(item).and_then(StoredEntry::open));
        Ok((entries.collect::<Result<_, StoreError>>()?, answer.last_evaluated_key))
    }

    /// Whether somebody has undone `entry` since it was read.
    pub async fn is_undone(&self, entry: &Entry) -> Result<bool, StoreError> {
        let stored: Option<StoredEntry> = self.get(&Key::change(entry.run_id, entry.entry_id)).await?;
        Ok(stored.is_some_and(|stored| stored.state == EntryState::Undone))
    }

    /// What is reserved for the records at each of two keys.
    pub async fn reserved(&self, owners: [Option<Key>; 2]) -> Result<[Reservation; 2], StoreError> {
        let keys = owners.map(|owner| owner.as_ref().map(Key::reservation));
        if keys.iter().all(Option::is_none) {
            return Ok(Default::default());
        }
        let batch = self.batch_get(keys.iter().flatten().cloned()).await?;
        let of = |key: &Option<Key>| key.as_ref().map(|key| batch.get::<Reservation>(key)).transpose();
        let [first, second] = &keys;
        Ok([of(first)?.flatten().unwrap_or_default(), of(second)?.flatten().unwrap_or_default()])
    }

    /// Restores the records of an entry that nobody wrote to since.
    pub async fn undo(&self, entry: &Entry, now: Time, found: &Undoable) -> Result<(), Refused> {
        let reservations = entry.reservations();
        let mut owners = reservations.iter().map(owner_of);
        let earlier = self.reserved([owners.next(), owners.next()]).await?;
        let mut transaction = self.transaction();
        match (&entry.customer, &found.customer) {
            (Some(change), Some(customer)) => match &change.before {
                Some(image) => transaction.restore_customer(customer, image, &found.lists),
                None => transaction.remove_customer(customer, &found.lists, now),
            },
            _ => &mut transaction,
        };
        match (&entry.user, &found.user) {
            (Some(change), Some(user)) => match change.image(user) {
                Some(image) => transaction.restore_user(user, &image),
                None => transaction.remove_user(user),
            },
            _ => &mut transaction,
        };
        for (reservation, earlier) in reservations.into_iter().zip(earlier) {
            transaction.reserve(&reservation.or(earlier));
        }
        if let Some((message, version)) = found.unsent {
            transaction.delete_version(&Key::message(message), version, Conflict::Changed);
        }
        transaction.save_entry(&Entry { state: EntryState::Undone, ..entry.clone() });
        transaction.commit(self).await
    }
}

/// The records of an entry as they are now.
#[derive(Debug, Default)]
pub struct Undoable {
    /// The customer.
    pub customer: Option<Customer>,
    /// The user.
    pub user: Option<User>,
    /// The member list of the customer's e-mail address.
    pub lists: super::members::MemberLists,
    /// The invitation, if it has not been touched yet, and its version.
    pub unsent: Option<(Uuid, u64)>,
}
