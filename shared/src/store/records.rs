//! Customers, users and messages, each written together with everything that guards it.
//!
//! [`Transaction::save_customer`] and [`Transaction::save_user`] take the record as it was and as
//! it is to be, and derive from the difference which guards and memberships to write.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::item::{Entity, Indexes};
use super::key::Key;
use super::members::{EmailMembers, MemberLists};
use super::purge::Purge;
use super::tombstone::Tombstone;
use super::transaction::{Conflict, Transaction};
use super::{Store, StoreError};
use super::{list, recheck, work};
use crate::clock::Time;
use crate::contact::{EmailAddress, Phone};
use crate::domain::customer::Customer;
use crate::domain::linking::Pair;
use crate::domain::matching::Review;
use crate::domain::message::{Message, MessageState};
use crate::domain::onboarding::Linked;
use crate::domain::user::{Role, User};
use crate::ids::{CustomerId, Identifier, UserId};

/// A unique value and who owns it. A guard of a number or reference outlives its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    pk: String,
    sk: String,
    /// The owner's id.
    pub owner: Uuid,
}

impl Guard {
    /// The guard at `key`, owned by `owner`.
    #[must_use]
    pub fn new(key: Key, owner: Uuid) -> Self {
        Self { pk: key.pk, sk: key.sk, owner }
    }
}

impl Entity for Guard {
    const KIND: &'static str = "guard";

    fn key(&self) -> Key {
        Key { pk: self.pk.clone(), sk: self.sk.clone() }
    }
}

impl Entity for Customer {
    const KIND: &'static str = "customer";

    fn key(&self) -> Key {
        Key::customer(self.internal_id)
    }

    fn indexes(&self) -> Indexes {
        let position = format!("{}#{}", self.created_at, self.internal_id);
        let name = self.contact.name.as_ref().map(|name| list::name_entry(name, self.internal_id.0));
        Indexes {
            list: Some((list::partition(Self::KIND), position)),
            work: work::review_entry(self.review, self.created_at, self.updated_at, &self.key()),
            name: name.map(|name| (list::NAMES.into(), name)),
        }
    }
}

impl Entity for User {
    const KIND: &'static str = "user";

    fn key(&self) -> Key {
        Key::user(self.user_id)
    }

    fn indexes(&self) -> Indexes {
        let position = format!("{}#{}", self.created_at, self.user_id);
        let staff = self.name.as_ref().filter(|_| self.role != Role::Customer);
        let name = staff.map(|name| list::name_entry(name, self.user_id.0));
        Indexes {
            list: Some((list::partition(Self::KIND), position)),
            work: work::review_entry(self.review, self.created_at, self.updated_at, &self.key()),
            // A customer is found by the name of their customer record.
            name: name.map(|name| (list::STAFF_NAMES.into(), name)),
        }
    }
}

impl Entity for Message {
    const KIND: &'static str = "outbox";

    fn key(&self) -> Key {
        Key::message(self.message_id)
    }

    fn indexes(&self) -> Indexes {
        let pending = self.state == MessageState::Pending;
        Indexes { work: pending.then(|| work::entry(self.due_at, &self.key())), ..Indexes::default() }
    }
}

impl Transaction {
    /// Writes a customer, its guards and its memberships. `lists` holds the member lists of its
    /// old and new e-mail address as they were read, if the address changes. One that is new goes on
    /// from the version that it brings along.
    pub fn save_customer(&mut self, before: Option<&Customer>, after: &Customer, lists: &MemberLists) -> &mut Self {
        if let Some(before) = before {
            self.recheck(&recheck::of_customer(before), &recheck::of_customer(after), after.updated_at);
        }
        let version = before.map_or(after.version, |customer| customer.version) + 1;
        self.put_customer(before, &Customer { version, restored: None, ..after.clone() }, lists)
    }

    /// Writes a customer who is to be looked at again. As long as nothing else of them changes, nobody has
    /// touched them: what they stood for before they still stand for.
    pub fn wake_customer(&mut self, before: &Customer, after: &Customer) -> &mut Self {
        let woken = Customer { review: after.review, updated_at: after.updated_at, ..before.clone() };
        let restored = (*after == woken).then(|| before.restored.unwrap_or(before.version));
        let stored = Customer { version: before.version + 1, restored, ..after.clone() };
        self.put_customer(Some(before), &stored, &MemberLists::default())
    }

    /// Writes `image`, which the customer was before, over what it is `now`.
    pub fn restore_customer(&mut self, now: &Customer, image: &Customer, lists: &MemberLists) -> &mut Self {
        let restored = Some(image.restored.unwrap_or(image.version));
        self.put_customer(Some(now), &Customer { version: now.version + 1, restored, ..image.clone() }, lists)
    }

    fn put_customer(&mut self, before: Option<&Customer>, stored: &Customer, lists: &MemberLists) -> &mut Self {
        let id = stored.internal_id;
        self.replace(stored, before.map_or(0, |customer| customer.version), Conflict::Changed);
        self.move_guard(
            before.and_then(|c| c.id.as_ref()).map(Key::external_id),
            stored.id.as_ref().map(Key::external_id),
            id.0,
            Conflict::ExternalIdTaken,
        );
        self.move_stripe_customer(before, stored);
        let issued = before.and_then(|c| c.customer_reference.as_ref());
        self.add_guard(issued, stored.customer_reference.as_ref(), Key::crn, id.0, Conflict::CrnTaken);
        let phones = (before.and_then(|c| c.contact.phone.as_ref()), stored.contact.phone.as_ref());
        self.move_phone(phones, |phone| Key::customer_phone(phone, id), id.0);
        let emails = (before.and_then(|c| c.contact.email.as_ref()), stored.contact.email.as_ref());
        lists.move_member(self, id, emails.0, emails.1);
        self
    }

    /// Writes a user, its guards and its membership. One that is new goes on from the version that it
    /// brings along.
    pub fn save_user(&mut self, before: Option<&User>, after: &User) -> &mut Self {
        if let Some(before) = before {
            self.recheck(&recheck::of_user(before), &recheck::of_user(after), after.updated_at);
        }
        let version = before.map_or(after.version, |user| user.version) + 1;
        self.put_user(before, &User { version, restored: None, ..after.clone() })
    }

    /// The same of a user as of a customer.
    pub fn wake_user(&mut self, before: &User, after: &User) -> &mut Self {
        let woken = User { review: after.review, updated_at: after.updated_at, ..before.clone() };
        let restored = (*after == woken).then(|| before.restored.unwrap_or(before.version));
        self.put_user(Some(before), &User { version: before.version + 1, restored, ..after.clone() })
    }

    /// Writes `image`, which the user was before, over what it is `now`.
    pub fn restore_user(&mut self, now: &User, image: &User) -> &mut Self {
        let restored = Some(image.restored.unwrap_or(image.version));
        self.put_user(Some(now), &User { version: now.version + 1, restored, ..image.clone() })
    }

    fn put_user(&mut self, before: Option<&User>, stored: &User) -> &mut Self {
        let id = stored.user_id;
        self.replace(stored, before.map_or(0, |user| user.version), Conflict::Changed);
        self.move_guard(
            before.map(|user| Key::login(&user.email)),
            Some(Key::login(&stored.email)),
            id.0,
            Conflict::LoginTaken,
        );
        let issued = before.and_then(|user| user.customer_number.as_ref());
        self.add_guard(issued, stored.customer_number.as_ref(), Key::number, id.0, Conflict::NumberTaken);
        let phones = (before.and_then(|user| user.phone.as_ref()), stored.phone.as_ref());
        self.move_phone(phones, |phone| Key::user_phone(phone, id), id.0)
    }

    /// Writes a customer and its login, linked because somebody decided so, and the invitation if there
    /// is one. Whoever waits because of the two comes back.
    pub fn save_linked(&mut self, before: Option<&Customer>, linked: &Linked, lists: &MemberLists) -> &mut Self {
        self.recheck_linked(before, linked, &[Review::Staged, Review::Due, Review::Ambiguous]);
        self.put_linked(before, linked, lists)
    }

    /// The same of two of whom a run found out that they go together. Because of rows of its own work
    /// list nobody waits: they would have come to the same end.
    pub fn save_found(&mut self, before: Option<&Customer>, linked: &Linked, lists: &MemberLists) -> &mut Self {
        self.recheck_linked(before, linked, &[Review::Ambiguous]);
        self.put_linked(before, linked, lists)
    }

    fn put_linked(&mut self, before: Option<&Customer>, linked: &Linked, lists: &MemberLists) -> &mut Self {
        self.save_customer(before, &linked.customer, lists);
        self.save_user(linked.user_before.as_ref(), &linked.user);
        if let Some(invitation) = &linked.invitation {
            self.save_message(None, invitation);
        }
        self
    }

    /// Deletes a customer with what can be had again: its id, its Stripe customer, its memberships.
    /// Its reference stays issued, and what lies under its key is left to a purge. `lists` holds the
    /// member list of its e-mail address as it was read.
    pub fn delete_customer(&mut self, customer: &Customer, lists: &MemberLists, now: Time) -> &mut Self {
        self.recheck(&recheck::of_customer(customer), &[], now);
        self.recheck(&recheck::left_by_customer(customer), &[], now);
        if customer.legacy.is_some() {
            self.put_anyway(&Tombstone::new(&customer.key(), now), Conflict::Changed);
        }
        self.remove_customer(customer, lists, now)
    }

    /// The same, without looking at others again: for a customer whom a run made.
    pub(super) fn remove_customer(&mut self, customer: &Customer, lists: &MemberLists, now: Time) -> &mut Self {
        let id = customer.internal_id;
        self.delete_version(&customer.key(), customer.version, Conflict::Changed);
        self.move_guard(customer.id.as_ref().map(Key::external_id), None, id.0, Conflict::Changed);
        if let Some(stripe_id) = customer.stripe_id.as_deref() {
            self.leave_stripe_customer(id, stripe_id);
        }
        self.move_phone((customer.contact.phone.as_ref(), None), |phone| Key::customer_phone(phone, id), id.0);
        lists.move_member(self, id, customer.contact.email.as_ref(), None);
        // One of an earlier life, which nobody has come to yet, says the same.
        self.put_anyway(&Purge::new(id, now), Conflict::Changed)
    }

    /// Deletes a user with its login and its membership. Its number stays issued.
    pub fn delete_user(&mut self, user: &User, now: Time) -> &mut Self {
        self.recheck(&recheck::of_user(user), &[], now);
        self.recheck(&recheck::left_by_user(user), &[], now);
        if user.legacy.is_some() {
            self.put_anyway(&Tombstone::new(&user.key(), now), Conflict::Changed);
        }
        self.remove_user(user)
    }

    /// The same, without looking at others again: for a user whom a run made.
    pub(super) fn remove_user(&mut self, user: &User) -> &mut Self {
        let id = user.user_id;
        self.delete_version(&user.key(), user.version, Conflict::Changed);
        self.move_guard(Some(Key::login(&user.email)), None, id.0, Conflict::Changed);
        self.move_phone((user.phone.as_ref(), None), |phone| Key::user_phone(phone, id), id.0)
    }

    /// Writes a message.
    pub fn save_message(&mut self, before: Option<&Message>, after: &Message) -> &mut Self {
        let read = before.map_or(0, |message| message.version);
        let stored = Message { version: read + 1, ..after.clone() };
        self.replace(&stored, read, Conflict::Changed)
    }

    fn move_guard(&mut self, from: Option<Key>, to: Option<Key>, owner: Uuid, conflict: Conflict) {
        if from == to {
            return;
        }
        if let Some(key) = from {
            self.delete(&key, Conflict::Changed);
        }
        if let Some(key) = to {
            self.create(&Guard::new(key, owner), conflict);
        }
    }

    /// A further Stripe customer of theirs, whose pointer is there, may become their own.
    fn move_stripe_customer(&mut self, before: Option<&Customer>, stored: &Customer) {
        let (from, to) = (before.and_then(|c| c.stripe_id.as_deref()), stored.stripe_id.as_deref());
        if from == to {
            return;
        }
        let id = stored.internal_id;
        if let Some(from) = from {
            self.leave_stripe_customer(id, from);
        }
        if let Some(to) = to {
            self.issue(&Guard::new(Key::stripe_customer(to), id.0), Conflict::StripeCustomerTaken);
            self.queue_replay(to, stored.updated_at);
        }
    }

    /// It may become somebody else's: it is no longer a further one of theirs either, if it was.
    fn leave_stripe_customer(&mut self, id: CustomerId, stripe_id: &str) {
        self.delete(&Key::stripe_customer(stripe_id), Conflict::Changed);
        self.delete(&Key::stripe_alias(id, stripe_id), Conflict::Changed);
    }

    /// Numbers and references are given once and never taken back. Whoever lost one to an undo may
    /// have it again.
    fn add_guard<T>(&mut self, had: Option<&T>, has: Option<&T>, key: fn(&T) -> Key, owner: Uuid, conflict: Conflict) {
        if let (None, Some(issued)) = (had, has) {
            self.issue(&Guard::new(key(issued), owner), conflict);
        }
    }

    fn move_phone(
        &mut self,
        (from, to): (Option<&Phone>, Option<&Phone>),
        key: impl Fn(&Phone) -> Key,
        owner: Uuid,
    ) -> &mut Self {
        if from != to {
            if let Some(phone) = from {
                self.delete(&key(phone), Conflict::Changed);
            }
            if let Some(phone) = to {
                self.create(&Guard::new(key(phone), owner), Conflict::Changed);
            }
        }
        self
    }
}

impl Store {
    /// The user `id`.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.get(&Key::user(id)).await
    }

    /// The customer `id`.
    pub async fn customer(&self, id: CustomerId) -> Result<Option<Customer>, StoreError> {
        self.get(&Key::customer(id)).await
    }

    /// The account that signs in with `email`.
    pub async fn user_by_login(&self, email: &EmailAddress) -> Result<Option<User>, StoreError> {
        match self.get::<Guard>(&Key::login(email)).await? {
            Some(guard) => self.user(UserId(guard.owner)).await,
            None => Ok(None),
        }
    }

    /// The customer that `user` is linked with. Where only one of the two says so, nobody knows whose
    /// they are: nothing may follow such a pointer.
    pub async fn customer_of(&self, user: &User) -> Result<Option<Customer>, StoreError> {
        let Some(id) = user.customer_v2_id.filter(|_| user.role == Role::Customer) else { return Ok(None) };
        Ok(self.customer(id).await?.filter(|customer| Pair::of(customer, user).is_some()))
    }

    /// The user that `customer` is linked with, likewise.
    pub async fn login_of(&self, customer: &Customer) -> Result<Option<User>, StoreError> {
        let Some(id) = customer.user_id else { return Ok(None) };
        Ok(self.user(id).await?.filter(|user| Pair::of(customer, user).is_some()))
    }

    /// The customer that `identifier` names.
    pub async fn find_customer(&self, identifier: &Identifier) -> Result<Option<Customer>, StoreError> {
        let guard = match identifier {
            Identifier::Internal(id) => return self.customer(*id).await,
            Identifier::Crn(crn) => self.get::<Guard>(&Key::crn(crn)).await?,
            Identifier::External(id) => self.get::<Guard>(&Key::external_id(id)).await?,
            Identifier::Number(number) => {
                let Some(guard) = self.get::<Guard>(&Key::number(number)).await? else { return Ok(None) };
                let Some(user) = self.user(UserId(guard.owner)).await? else { return Ok(None) };
                return self.customer_of(&user).await;
            }
        };
        match guard {
            Some(guard) => self.customer(CustomerId(guard.owner)).await,
            None => Ok(None),
        }
    }

    /// The living customers in `list`, oldest first.
    pub async fn members(&self, list: &EmailMembers) -> Result<Vec<Customer>, StoreError> {
        let batch = self.batch_get(list.members.iter().map(|id| Key::customer(*id))).await?;
        let found = list.members.iter().map(|id| batch.get(&Key::customer(*id)));
        Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}
