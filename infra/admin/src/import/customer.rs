//! Customers: how a row of `customers_v2` or of `clients` becomes one.

use shared::clock::Time;
use shared::config::Settings;
use shared::contact::EmailAddress;
use shared::domain::customer::{Contact, Customer, Origin, Status};
use shared::domain::legacy::Source;
use shared::domain::matching::Review;
use shared::ids::{Crn, CustomerId};
use shared::store::key::Key;
use shared::store::members::{EmailMembers, MAX_MEMBERS, MemberLists};
use shared::store::pointer::{From, Pointer};
use shared::store::{Batch, Conflict, StoreError, Transaction};
use shared::text::{Address, Area};

use super::draft::{Decided, Fate, Seen, is_held_by_another, leave};
use super::extended;
use super::finding::{Refusal, Remark, What};
use super::pointers;
use super::row::Row;

/// A customer, but for what depends on others.
#[derive(Debug)]
pub(super) struct CustomerDraft {
    customer: Customer,
    email: Option<EmailAddress>,
    crn: Option<Crn>,
    /// The id of the login that the row points at.
    user: Option<String>,
    /// The id of whoever delivers to it.
    delivery_boy: Option<String>,
    said: Option<Time>,
    remarks: Vec<Remark>,
}

impl CustomerDraft {
    /// Reads a row of `source`.
    pub(super) fn read(mut row: Row, source: Source, settings: &Settings, now: Time) -> Result<Self, Refusal> {
        let ids = row.ids()?;
        let said = row.created_at(&ids);
        let (status, origin) = standing(&mut row, source);
        let id = CustomerId(source.id_of(&ids.id));
        let mut customer = Customer::new(id, status, origin, said.unwrap_or(now));
        let names: &[&'static str] = if source == Source::Clients { &["full_name", "name"] } else { &["name"] };
        customer.contact = Contact {
            name: row.name(names),
            email: None,
            phone: row.phone(settings),
            address: row.parsed(&["address"], What::Unread, |text| Address::parse(text).ok()),
            area: row.parsed(&["area"], What::Unread, |text| Area::parse(text).ok()),
        };
        let email = row.email(What::Unread);
        let crn = row.crn(settings);
        let (user, delivery_boy) = match source {
            // Nobody has given a client a login.
            Source::Clients => (None, None),
            Source::Users | Source::CustomersV2 => (row.pointer("user_id"), row.pointer("delivery_boy_id")),
        };
        customer.review = Some(Review::Staged);
        customer.legacy = Some(row.legacy(&ids.id));
        customer.updated_at = now;
        Ok(Self { customer, email, crn, user, delivery_boy, said, remarks: row.remarks })
    }

    /// What only one row may have, and the address, whose list only one may join at a time.
    pub(super) fn claims(&self) -> Vec<Key> {
        let mut claims = vec![Key::customer(self.customer.internal_id)];
        claims.extend(self.email.as_ref().map(Key::email_members));
        claims.extend(self.crn.as_ref().map(Key::crn));
        claims
    }

    /// What has to be read before deciding.
    pub(super) fn keys(&self) -> Vec<Key> {
        let mut keys = self.claims();
        keys.push(Key::tombstone(&Key::customer(self.customer.internal_id)));
        keys.extend([&self.user, &self.delivery_boy].into_iter().flatten().map(|text| pointers::key_of_user(text)));
        keys
    }

    /// What becomes of it, on what was read.
    pub(super) fn decide(&self, seen: &Batch) -> Result<Decided, StoreError> {
        let (mut customer, id) = (self.customer.clone(), self.customer.internal_id);
        let stored: Option<Customer> = seen.get(&Key::customer(id))?;
        if stored.is_none() && seen.has(&Key::tombstone(&Key::customer(id))) {
            return Ok(Decided::deleted());
        }
        let stored = stored.map(|stored| Seen { created_at: stored.created_at, said: self.said });
        if stored.as_ref().is_some_and(Seen::is_another) {
            return Ok(Decided::refused(Refusal::IdTaken));
        }
        let mut remarks = self.remarks.clone();
        let mut list = None;
        if let Some(email) = &self.email {
            list = seen.get::<EmailMembers>(&Key::email_members(email))?;
            match older_members(list.as_ref(), id) {
                0 => customer.contact.email = Some(email.clone()),
                older if older < MAX_MEMBERS => {
                    customer.contact.email = Some(email.clone());
                    remarks.push(Remark { field: "email", what: What::Shared });
                }
                _ => {
                    leave(&mut customer.legacy, "email", email.as_str());
                    remarks.push(Remark { field: "email", what: What::Crowded });
                }
            }
        }
        if let Some(crn) = &self.crn {
            if is_held_by_another(seen, &Key::crn(crn), id.0)? {
                leave(&mut customer.legacy, "customer_reference", crn.as_str());
                remarks.push(Remark { field: "customer_reference", what: What::NumberTaken });
            } else {
                customer.customer_reference = Some(crn.clone());
            }
        }
        customer.user_id = self.user.as_deref().map(|text| pointers::user(text, seen)).transpose()?;
        customer.delivery_boy_id = self.delivery_boy.as_deref().map(|text| pointers::user(text, seen)).transpose()?;
        let fate =
            if stored.is_some() { Fate::There } else { Fate::Customer(Box::new(customer), MemberLists::of(list)) };
        Ok(Decided { fate, remarks })
    }

    /// When the row says it was made.
    pub(super) fn said(&self) -> Option<Time> {
        self.said
    }
}

/// Writes a new customer and what it points at.
pub(super) fn write(transaction: &mut Transaction, customer: &Customer, lists: &MemberLists) {
    transaction.save_customer(None, customer, lists);
    if let Some(user) = customer.user_id {
        let pointer = Pointer { target: user.0, from: From::Customer(customer.internal_id) };
        transaction.put_anyway(&pointer, Conflict::Changed);
    }
}

/// Where a customer stands and how it came to be. A client with a reference has paid; one without
/// is a lead. Of a status that is unknown, the one that lets nobody in is taken.
fn standing(row: &mut Row, source: Source) -> (Status, Origin) {
    if source == Source::Clients {
        return match row.find(&["customer_reference"]) {
            Some(_) => (Status::Active, Origin::Import),
            None => (Status::PendingPayment, Origin::Intake),
        };
    }
    let status = row.find(&["status"]).and_then(extended::text);
    let status = status.and_then(|status| Status::parse(&status.to_ascii_lowercase()).ok());
    if status.is_none() {
        let found = row.find(&["status"]).map(|value| extended::text(value).unwrap_or_else(|| value.to_string()));
        row.leave("status", found.unwrap_or_default(), What::Status);
    }
    (status.unwrap_or(Status::Inactive), Origin::Import)
}

/// How many had the address before `id`.
fn older_members(list: Option<&EmailMembers>, id: CustomerId) -> usize {
    let Some(list) = list else { return 0 };
    list.members.iter().position(|member| *member == id).unwrap_or(list.members.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn customer(source: Source, line: &str) -> (Customer, Vec<Remark>) {
        let row = Row::parse(source, line).unwrap();
        let draft = CustomerDraft::read(row, source, &Settings::default(), NOW).unwrap();
        let decided = draft.decide(&Batch::default()).unwrap();
        match decided.fate {
            Fate::Customer(customer, _) => (*customer, decided.remarks),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_in_order_is_taken_over_as_it_is() {
        let (customer, remarks) = customer(
            Source::CustomersV2,
            r#"{"_id":{"$oid":"65e1c24000000000000000aa"},"id":"cust-550e8400","name":"Ana","phone":"98765 43210",
                "address":"1 Main St","area":"North","status":"trial","email":"ANA@x.io","user_id":"u-1",
                "delivery_boy_id":"d-1","created_at":"2024-01-02T03:04:05"}"#,
        );
        assert!(remarks.is_empty(), "{remarks:?}");
        assert_eq!(customer.internal_id.0, Source::CustomersV2.id_of("cust-550e8400"));
        assert_eq!((customer.status, customer.origin), (Status::Trial, Origin::Import));
        assert_eq!(customer.contact.email.unwrap().as_str(), "ana@x.io");
        assert_eq!(customer.user_id.map(|id| id.0), Some(Source::Users.id_of("u-1")));
        assert_eq!(customer.delivery_boy_id.map(|id| id.0), Some(Source::Users.id_of("d-1")));
        assert_eq!(customer.legacy.unwrap().id, "cust-550e8400");
    }

    #[test]
    fn a_client_has_paid_if_it_has_a_reference() {
        let paid = r#"{"client_id":"c","customer_reference":"PLE-CVP-2024-000007","email":"a@x.io","full_name":"Ana"}"#;
        let (paid, _) = customer(Source::Clients, paid);
        assert_eq!((paid.status, paid.origin, paid.is_lead()), (Status::Active, Origin::Import, false));
        assert_eq!(paid.customer_reference.unwrap().as_str(), "PLE-CVP-2024-000007");
        let (lead, _) = customer(Source::Clients, r#"{"client_id":"c","email":"a@x.io","full_name":"Ana"}"#);
        assert!(lead.is_lead() && lead.contact.name.is_some());
    }

    #[test]
    fn what_cannot_be_read_is_left_and_an_unknown_status_lets_nobody_in() {
        let (customer, remarks) = customer(
            Source::CustomersV2,
            r#"{"id":"c","status":"vip","phone":"12","email":"x","customer_reference":"A-1","user_id":{"a":1}}"#,
        );
        assert_eq!((customer.status, customer.customer_reference), (Status::Inactive, None));
        let unread = customer.legacy.unwrap().unread;
        let fields: Vec<_> = unread.keys().map(String::as_str).collect();
        assert_eq!(fields, ["customer_reference", "email", "phone", "status", "user_id"]);
        assert_eq!(remarks.len(), fields.len());
    }
}
