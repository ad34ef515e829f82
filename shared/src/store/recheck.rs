//! Rows that could not be matched come back when one of those they could be meant with changes.
//!
//! Whoever changes how a person is reached, or deletes one, leaves the address or number here, in
//! the same transaction; the backfill then puts whoever shares it, and waits, back into review.

use serde::{Deserialize, Serialize};

use super::item::{Entity, Indexes};
use super::key::Key;
use super::members::EmailMembers;
use super::members::MemberLists;
use super::phone::People;
use super::transaction::{Conflict, Refused, Transaction};
use super::{Store, StoreError, work};
use crate::clock::Time;
use crate::contact::{EmailAddress, Phone};
use crate::domain::customer::Customer;
use crate::domain::matching::Review;
use crate::domain::user::User;
use crate::secret::random_bytes;

/// Something that people share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shared {
    /// A phone number.
    Phone(Phone),
    /// An e-mail address.
    Email(EmailAddress),
}

/// That whoever waits and shares this is to be looked at again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recheck {
    /// What they share.
    pub shared: Shared,
    /// Since when.
    pub created_at: Time,
    /// A number that no other has: only the one that was read is ever deleted.
    pub version: u64,
}

impl Entity for Recheck {
    const KIND: &'static str = "recheck";

    fn key(&self) -> Key {
        Key::recheck(&self.shared)
    }

    fn indexes(&self) -> Indexes {
        Indexes { work: Some(work::entry(self.created_at, &self.key())), ..Indexes::default() }
    }
}

impl Transaction {
    /// Whoever waits and shares what is in one of the two and not in the other comes back.
    pub(super) fn recheck(&mut self, before: &[Option<Shared>], after: &[Option<Shared>], now: Time) -> &mut Self {
        let (before, after) = (before.iter().flatten(), after.iter().flatten());
        let mut changed: Vec<Shared> = Vec::new();
        let (old, new): (Vec<_>, Vec<_>) = (before.cloned().collect(), after.cloned().collect());
        changed.extend(old.iter().filter(|one| !new.contains(one)).cloned());
        changed.extend(new.iter().filter(|one| !old.contains(one)).cloned());
        changed.sort();
        changed.dedup();
        for shared in changed {
            if self.first_recheck(&shared) {
                let version = u64::from_le_bytes(random_bytes()) >> 12;
                self.put_anyway(&Recheck { shared, created_at: now, version }, Conflict::Changed);
            }
        }
        self
    }
}

/// How a customer is reached.
pub(super) fn of_customer(customer: &Customer) -> [Option<Shared>; 2] {
    [customer.contact.phone.clone().map(Shared::Phone), customer.contact.email.clone().map(Shared::Email)]
}

/// How a user is reached.
pub(super) fn of_user(user: &User) -> [Option<Shared>; 2] {
    [user.phone.clone().map(Shared::Phone), Some(Shared::Email(user.email.clone()))]
}

impl Store {
    /// Puts whoever waits and shares what `key` names back into review.
    pub async fn reconsider(&self, key: &Key, now: Time) -> Result<(), StoreError> {
        let Some(recheck) = self.get::<Recheck>(key).await? else { return Ok(()) };
        let people = match &recheck.shared {
            Shared::Phone(phone) => self.people_by_phone(phone).await?,
            Shared::Email(email) => self.people_by_email(email).await?,
        };
        for customer in people.customers.iter().filter(|one| one.review == Some(Review::Ambiguous)) {
            let after = Customer { review: Some(Review::Due), updated_at: now, ..customer.clone() };
            let mut transaction = self.transaction();
            transaction.save_customer(Some(customer), &after, &MemberLists::default());
            self.unless_changed(transaction).await?;
        }
        for user in people.users.iter().filter(|one| one.review == Some(Review::Ambiguous)) {
            let after = User { review: Some(Review::Due), updated_at: now, ..user.clone() };
            let mut transaction = self.transaction();
            transaction.save_user(Some(user), &after);
            self.unless_changed(transaction).await?;
        }
        let mut transaction = self.transaction();
        transaction.delete_version(key, recheck.version, Conflict::Changed);
        match transaction.commit(self).await {
            Ok(()) | Err(Refused::Conflict(_)) => Ok(()),
            Err(Refused::Store(error)) => Err(error),
        }
    }

    /// A row that somebody changes meanwhile is left to the next run: the recheck stays queued.
    async fn unless_changed(&self, transaction: Transaction) -> Result<(), StoreError> {
        match transaction.commit(self).await {
            Ok(()) => Ok(()),
            Err(Refused::Conflict(_)) => Err(StoreError::Unavailable("a row under recheck was changed".into())),
            Err(Refused::Store(error)) => Err(error),
        }
    }

    /// Everybody with the address `email`.
    pub async fn people_by_email(&self, email: &EmailAddress) -> Result<People, StoreError> {
        let users = self.user_by_login(email).await?.into_iter().collect();
        let customers = match self.get::<EmailMembers>(&Key::email_members(email)).await? {
            Some(list) => self.members(&list).await?,
            None => Vec::new(),
        };
        Ok(People { users, customers })
    }
}
