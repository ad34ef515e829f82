//! Rows that could not be matched come back when one of those they could be meant with changes.
//!
//! Whoever changes how a person is reached, or deletes one, leaves the address or number here, in
//! the same transaction; the backfill then puts whoever shares it, and waits, back into review. A
//! person who links two, or takes them apart, leaves the two themselves, too: whoever waits because
//! they point at one of them comes back. So does a person who says of two that point at each other
//! already that this is right.
//!
//! What must stay true: a pointer goes only where a person linked the one it points at with somebody
//! else. That two rows point at each other is no decision about a third, unless a person says so.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::item::{Entity, Indexes, first_version};
use super::key::Key;
use super::members::EmailMembers;
use super::phone::People;
use super::pointer::From;
use super::transaction::{Conflict, Transaction};
use super::{Store, StoreError, work};
use crate::clock::Time;
use crate::contact::{EmailAddress, Phone};
use crate::domain::customer::Customer;
use crate::domain::linking::{Pair, customer_again, user_again};
use crate::domain::matching::Review;
use crate::domain::onboarding::Linked;
use crate::domain::user::User;
use crate::ids::{CustomerId, UserId};

/// Something that people share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shared {
    /// A phone number.
    Phone(Phone),
    /// An e-mail address.
    Email(EmailAddress),
    /// A record, by its id: they are it, or were imported with a pointer at it.
    Record(Uuid),
    /// The same of a record that a person linked: who points at it, and is not its counterpart, does so
    /// no longer.
    Pair(Uuid),
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
        self.look_again(&changed, now)
    }

    /// Whoever waits and shares a contact with one of two who are linked now comes back, if one of them
    /// was under one of `reviews` before: there is one less to choose from.
    pub(super) fn recheck_linked(
        &mut self,
        before: Option<&Customer>,
        linked: &Linked,
        reviews: &[Review],
    ) -> &mut Self {
        let user = linked.user_before.as_ref();
        let under = [before.and_then(|customer| customer.review), user.and_then(|user| user.review)];
        if !under.iter().flatten().any(|review| reviews.contains(review)) {
            return self;
        }
        self.look_again(&contacts(before, user), linked.customer.updated_at)
    }

    /// Whoever waits and shares one of these comes back.
    pub fn look_again(&mut self, shared: &[Shared], now: Time) -> &mut Self {
        let mut shared = shared.to_vec();
        shared.sort();
        shared.dedup();
        for shared in shared {
            if self.first_recheck(&shared) {
                let version = first_version();
                self.put_anyway(&Recheck { shared, created_at: now, version }, Conflict::Changed);
            }
        }
        self
    }
}

/// What others may share with a customer and a user whom a person links, as the two were before.
#[must_use]
pub fn around_link(customer: &Customer, user: &User) -> Vec<Shared> {
    let pair = [customer.internal_id.0, user.user_id.0];
    let left = targets(customer, Some(user)).filter(|id| !pair.contains(id)).map(Shared::Record);
    contacts(Some(customer), Some(user)).into_iter().chain(pair.map(Shared::Pair)).chain(left).collect()
}

/// The same of two who point at each other already. They are nobody else's match as it is: only whoever
/// points at one of them waits because of the two.
#[must_use]
pub fn around_pair(pair: Pair) -> [Shared; 2] {
    [pair.customer.0, pair.user.0].map(Shared::Pair)
}

/// The same of two whom a person takes apart.
#[must_use]
pub fn around_unlink(customer: &Customer, user: Option<&User>) -> Vec<Shared> {
    let own = std::iter::once(customer.internal_id.0).chain(user.map(|user| user.user_id.0));
    let records = own.chain(targets(customer, user)).map(Shared::Record);
    contacts(Some(customer), user).into_iter().chain(records).collect()
}

/// What the two point at.
fn targets(customer: &Customer, user: Option<&User>) -> impl Iterator<Item = Uuid> {
    let of_user = user.and_then(|user| user.customer_v2_id).map(|id| id.0);
    customer.user_id.map(|id| id.0).into_iter().chain(of_user)
}

/// How the two are reached.
fn contacts(customer: Option<&Customer>, user: Option<&User>) -> Vec<Shared> {
    customer.map(of_customer).into_iter().chain(user.map(of_user)).flatten().flatten().collect()
}

/// How a customer is reached.
pub(super) fn of_customer(customer: &Customer) -> [Option<Shared>; 2] {
    [customer.contact.phone.clone().map(Shared::Phone), customer.contact.email.clone().map(Shared::Email)]
}

/// How a user is reached.
pub(super) fn of_user(user: &User) -> [Option<Shared>; 2] {
    [user.phone.clone().map(Shared::Phone), Some(Shared::Email(user.email.clone()))]
}

/// A customer that is deleted and the user it points to, if a legacy system may have pointed at them:
/// whoever did, and waits because of that, may be free of it now.
pub(super) fn left_by_customer(customer: &Customer) -> [Option<Shared>; 2] {
    let imported = customer.legacy.is_some();
    let records = [Some(customer.internal_id.0), customer.user_id.map(|id| id.0)];
    records.map(|id| id.filter(|_| imported).map(Shared::Record))
}

/// The same of a user.
pub(super) fn left_by_user(user: &User) -> [Option<Shared>; 2] {
    let imported = user.legacy.is_some();
    let records = [Some(user.user_id.0), user.customer_v2_id.map(|id| id.0)];
    records.map(|id| id.filter(|_| imported).map(Shared::Record))
}

impl Store {
    /// Puts whoever waits and shares what `key` names back into review.
    pub async fn reconsider(&self, key: &Key, now: Time) -> Result<(), StoreError> {
        let Some(recheck) = self.get::<Recheck>(key).await? else { return Ok(()) };
        let (people, pair) = match &recheck.shared {
            Shared::Phone(phone) => (self.people_by_phone(phone).await?, None),
            Shared::Email(email) => (self.people_by_email(email).await?, None),
            Shared::Record(id) => (self.people_around(*id).await?, None),
            Shared::Pair(id) => (self.people_around(*id).await?, self.pair_of(*id).await?),
        };
        for customer in &people.customers {
            let Some(after) = customer_again(customer, pair, now) else { continue };
            let mut transaction = self.transaction();
            transaction.wake_customer(customer, &after);
            self.unless_changed(transaction).await?;
        }
        for user in &people.users {
            let Some(after) = user_again(user, pair, now) else { continue };
            let mut transaction = self.transaction();
            transaction.wake_user(user, &after);
            self.unless_changed(transaction).await?;
        }
        let mut transaction = self.transaction();
        transaction.delete_version(key, recheck.version, Conflict::Changed);
        transaction.commit_unless_refused(self).await?;
        Ok(())
    }

    /// Whether somebody else was imported with a pointer at one of `pair`, and still has it.
    pub async fn is_claimed(&self, pair: Pair) -> Result<bool, StoreError> {
        for id in [pair.customer.0, pair.user.0] {
            let People { users, customers } = self.people_around(id).await?;
            let by_customer = customers.iter().any(|customer| pair.is_claimed_by_customer(customer));
            if by_customer || users.iter().any(|user| pair.is_claimed_by_user(user)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The record `id`, be it a user or a customer, and whoever was imported with a pointer at it.
    async fn people_around(&self, id: Uuid) -> Result<People, StoreError> {
        let (mut users, mut customers) = (vec![UserId(id)], vec![CustomerId(id)]);
        for from in self.pointers_at(id).await? {
            match from {
                From::User(user) => users.push(user),
                From::Customer(customer) => customers.push(customer),
            }
        }
        users.sort_unstable();
        users.dedup();
        customers.sort_unstable();
        customers.dedup();
        self.people(&users, &customers).await
    }

    /// The pair of which the record `id` is one half.
    async fn pair_of(&self, id: Uuid) -> Result<Option<Pair>, StoreError> {
        let batch = self.batch_get([Key::customer(CustomerId(id)), Key::user(UserId(id))]).await?;
        if let Some(customer) = batch.get::<Customer>(&Key::customer(CustomerId(id)))?
            && let Some(user_id) = customer.user_id
            && let Some(user) = self.user(user_id).await?
            && let Some(pair) = Pair::of(&customer, &user)
        {
            return Ok(Some(pair));
        }
        if let Some(user) = batch.get::<User>(&Key::user(UserId(id)))?
            && let Some(customer_id) = user.customer_v2_id
            && let Some(customer) = self.customer(customer_id).await?
        {
            return Ok(Pair::of(&customer, &user));
        }
        Ok(None)
    }

    /// A row that somebody changes meanwhile is left to the next run: the recheck stays queued.
    async fn unless_changed(&self, transaction: Transaction) -> Result<(), StoreError> {
        let committed = transaction.commit_unless_refused(self).await?;
        let changed = || StoreError::Unavailable("a row under recheck was changed".into());
        committed.then_some(()).ok_or_else(changed)
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
