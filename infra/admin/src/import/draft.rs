//! A row that was read, and what becomes of it.

use shared::app::App;
use shared::clock::Time;
use shared::config::Settings;
use shared::domain::customer::Customer;
use shared::domain::legacy::{Legacy, Source};
use shared::domain::user::User;
use shared::store::key::Key;
use shared::store::members::MemberLists;
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Batch, Refused, StoreError, Transaction};
use uuid::Uuid;

use super::customer::{self, CustomerDraft};
use super::finding::{Place, Refusal, Remark, What};
use super::row::Row;
use super::user::{self, UserDraft};

/// A row that was read.
#[derive(Debug)]
pub(super) struct Draft {
    /// Where it stands.
    pub(super) place: Place,
    /// How many bytes it was read from.
    pub(super) bytes: u64,
    record: Record,
}

#[derive(Debug)]
enum Record {
    User(Box<UserDraft>),
    Customer(Box<CustomerDraft>),
}

/// What was decided about a row, and what is to be said of it.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) fate: Fate,
    pub(super) remarks: Vec<Remark>,
}

impl Decided {
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { fate: Fate::Refused(refusal), remarks: Vec::new() }
    }

    /// It was imported before, and somebody deleted it.
    pub(super) fn deleted() -> Self {
        Self { fate: Fate::There, remarks: vec![Remark { field: "_id", what: What::DeletedSince }] }
    }
}

/// What becomes of a row.
#[derive(Debug)]
pub(super) enum Fate {
    /// It becomes this user.
    User(Box<User>),
    /// It becomes this customer, who joins the list of an address.
    Customer(Box<Customer>, MemberLists),
    /// It was imported before.
    There,
    /// It cannot be imported.
    Refused(Refusal),
}

/// A record that has the id of a row.
#[derive(Debug)]
pub(super) struct Seen {
    /// When it was made.
    pub(super) created_at: Time,
    /// When the row says it was.
    pub(super) said: Option<Time>,
}

impl Seen {
    /// Whether it is certainly not the row itself, imported before. Times are kept to the second.
    pub(super) fn is_another(&self) -> bool {
        self.said.is_some_and(|said| said.unix_seconds() != self.created_at.unix_seconds())
    }
}

impl Draft {
    /// Reads `line`, which stands at `place`.
    pub(super) fn read(place: Place, line: &str, settings: &Settings, now: Time) -> Result<Self, Refusal> {
        let row = Row::parse(place.source, line)?;
        let record = match place.source {
            Source::Users => Record::User(Box::new(UserDraft::read(row, settings, now)?)),
            source => Record::Customer(Box::new(CustomerDraft::read(row, source, settings, now)?)),
        };
        Ok(Self { place, bytes: line.len() as u64, record })
    }

    /// What no other row that is written at the same time may have.
    pub(super) fn claims(&self) -> Vec<Key> {
        match &self.record {
            Record::User(draft) => draft.claims(),
            Record::Customer(draft) => draft.claims(),
        }
    }

    /// What has to be read before deciding.
    pub(super) fn keys(&self) -> Vec<Key> {
        match &self.record {
            Record::User(draft) => draft.keys(),
            Record::Customer(draft) => draft.keys(),
        }
    }

    /// When the row says it was made.
    pub(super) fn said(&self) -> Option<Time> {
        match &self.record {
            Record::User(draft) => draft.said(),
            Record::Customer(draft) => draft.said(),
        }
    }

    /// What becomes of it, on what was read.
    pub(super) fn decide(&self, seen: &Batch) -> Result<Decided, StoreError> {
        match &self.record {
            Record::User(draft) => draft.decide(seen),
            Record::Customer(draft) => draft.decide(seen),
        }
    }

    /// Makes it so, on what was `seen`; whoever was faster makes it decide anew.
    pub(super) async fn settle(&self, app: &App, seen: &Batch) -> Result<Decided, StoreError> {
        let mut decided = self.decide(seen)?;
        let mut races = Backoff::new();
        loop {
            let mut transaction = app.store.transaction();
            if !decided.fate.write(&mut transaction) {
                return Ok(decided);
            }
            match transaction.commit(&app.store).await {
                Ok(()) => return Ok(decided),
                Err(Refused::Store(error)) => return Err(error),
                Err(Refused::Conflict(_)) => {}
            }
            if !races.wait().await {
                return Ok(Decided::refused(Refusal::Busy));
            }
            decided = self.decide(&app.store.batch_get(self.keys()).await?)?;
        }
    }
}

impl Fate {
    /// Adds its writes to `transaction`; `false` if it has none.
    fn write(&self, transaction: &mut Transaction) -> bool {
        match self {
            Self::User(user) => user::write(transaction, user),
            Self::Customer(customer, lists) => customer::write(transaction, customer, lists),
            Self::There | Self::Refused(_) => return false,
        }
        true
    }

    /// Whose it is, if it is written.
    pub(super) fn owner(&self) -> Option<Uuid> {
        match self {
            Self::User(user) => Some(user.user_id.0),
            Self::Customer(customer, _) => Some(customer.internal_id.0),
            Self::There | Self::Refused(_) => None,
        }
    }

    /// What it has that no other may have, once it is written.
    pub(super) fn held(&self) -> Vec<Key> {
        let mut held = Vec::new();
        match self {
            Self::User(user) => {
                held.extend([Key::user(user.user_id), Key::login(&user.email)]);
                held.extend(user.customer_number.as_ref().map(Key::number));
            }
            Self::Customer(customer, _) => {
                held.push(Key::customer(customer.internal_id));
                held.extend(customer.contact.email.as_ref().map(Key::email_members));
                held.extend(customer.customer_reference.as_ref().map(Key::crn));
            }
            Self::There | Self::Refused(_) => {}
        }
        held
    }
}

/// Whether somebody other than `owner` holds the guard at `key`.
pub(super) fn is_held_by_another(seen: &Batch, key: &Key, owner: Uuid) -> Result<bool, StoreError> {
    Ok(seen.get::<Guard>(key)?.is_some_and(|guard| guard.owner != owner))
}

/// Keeps what could not be taken over as it was found.
pub(super) fn leave(legacy: &mut Option<Legacy>, field: &str, text: &str) {
    if let Some(legacy) = legacy {
        legacy.unread.insert(field.to_owned(), text.to_owned());
    }
}
