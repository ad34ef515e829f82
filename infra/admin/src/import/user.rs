//! Users: how a row of `users` becomes a login.
//!
//! **Invariant:** a password is kept only as a hash that can be verified; a readable one is
//! neither stored nor reported.

use shared::clock::Time;
use shared::config::Settings;
use shared::contact::EmailAddress;
use shared::domain::legacy::Source;
use shared::domain::matching::Review;
use shared::domain::onboarding::user_placeholder;
use shared::domain::user::{Role, User};
use shared::ids::{CustomerNumber, UserId};
use shared::password::is_verifiable;
use shared::store::key::Key;
use shared::store::pointer::{From, Pointer};
use shared::store::{Batch, Conflict, StoreError, Transaction};

use super::draft::{Decided, Fate, Seen, is_held_by_another, leave};
use super::extended;
use super::finding::{Refusal, Remark, What};
use super::pointers;
use super::row::Row;

/// A user, but for what depends on others.
#[derive(Debug)]
pub(super) struct UserDraft {
    user: User,
    /// What they want to sign in with.
    email: Option<EmailAddress>,
    number: Option<CustomerNumber>,
    /// The id of the customer that the row points at.
    customer: Option<String>,
    said: Option<Time>,
    remarks: Vec<Remark>,
}

impl UserDraft {
    /// Reads a row.
    pub(super) fn read(mut row: Row, settings: &Settings, now: Time) -> Result<Self, Refusal> {
        let ids = row.ids()?;
        let role = row.find(&["role"]).and_then(extended::text);
        let role = role.and_then(|role| Role::parse(&role.to_ascii_lowercase()).ok()).ok_or(Refusal::NoRole)?;
        let said = row.created_at(&ids);
        let user_id = UserId(Source::Users.id_of(&ids.id));
        let email = login(&mut row);
        let placeholder = user_placeholder(user_id, &settings.placeholder_email_domain);
        let mut user = User::new(user_id, placeholder, role, said.unwrap_or(now));
        user.name = row.name(&["name"]);
        user.phone = row.phone(settings);
        user.enabled = enabled(&mut row);
        user.password_hash = password_hash(&mut row);
        let number = number(&mut row, role, settings);
        let customer = row.pointer("customer_v2_id");
        user.review = Some(Review::Staged);
        user.legacy = Some(row.legacy(&ids.id));
        user.updated_at = now;
        Ok(Self { user, email, number, customer, said, remarks: row.remarks })
    }

    /// What only one row may have.
    pub(super) fn claims(&self) -> Vec<Key> {
        let mut claims = vec![Key::user(self.user.user_id)];
        claims.extend(self.email.as_ref().map(Key::login));
        claims.extend(self.number.as_ref().map(Key::number));
        claims
    }

    /// What has to be read before deciding.
    pub(super) fn keys(&self) -> Vec<Key> {
        let mut keys = self.claims();
        keys.push(Key::tombstone(&Key::user(self.user.user_id)));
        keys.extend(self.customer.as_deref().map(pointers::keys_of_customer).into_iter().flatten());
        keys
    }

    /// What becomes of it, on what was read.
    pub(super) fn decide(&self, seen: &Batch) -> Result<Decided, StoreError> {
        let (mut user, id) = (self.user.clone(), self.user.user_id);
        let stored: Option<User> = seen.get(&Key::user(id))?;
        if stored.is_none() && seen.has(&Key::tombstone(&Key::user(id))) {
            return Ok(Decided::deleted());
        }
        let stored = stored.map(|stored| Seen { created_at: stored.created_at, said: self.said });
        if stored.as_ref().is_some_and(Seen::is_another) {
            return Ok(Decided::refused(Refusal::IdTaken));
        }
        let mut remarks = self.remarks.clone();
        if let Some(email) = &self.email {
            if is_held_by_another(seen, &Key::login(email), id.0)? {
                leave(&mut user.legacy, "email", email.as_str());
                remarks.push(Remark { field: "email", what: What::LoginTaken });
            } else {
                user.email = email.clone();
            }
        }
        if let Some(number) = &self.number {
            if is_held_by_another(seen, &Key::number(number), id.0)? {
                leave(&mut user.legacy, "customerId", number.as_str());
                remarks.push(Remark { field: "customerId", what: What::NumberTaken });
            } else {
                user.customer_number = Some(number.clone());
            }
        }
        user.customer_v2_id = self.customer.as_deref().map(|text| pointers::customer(text, seen)).transpose()?;
        let fate = if stored.is_some() { Fate::There } else { Fate::User(Box::new(user)) };
        Ok(Decided { fate, remarks })
    }

    /// When the row says it was made.
    pub(super) fn said(&self) -> Option<Time> {
        self.said
    }
}

/// Writes a new user and what it points at.
pub(super) fn write(transaction: &mut Transaction, user: &User) {
    transaction.save_user(None, user);
    if let Some(customer) = user.customer_v2_id {
        let pointer = Pointer { target: customer.0, from: From::User(user.user_id) };
        transaction.put_anyway(&pointer, Conflict::Changed);
    }
}

fn login(row: &mut Row) -> Option<EmailAddress> {
    if row.find(&["email"]).is_none() {
        row.report("email", What::NoLogin);
    }
    row.email(What::BadLogin)
}

/// Whoever is said to be neither in nor out is out.
fn enabled(row: &mut Row) -> bool {
    if row.find(&["is_active"]).is_none() {
        return true;
    }
    let parsed = row.find(&["is_active"]).and_then(extended::flag);
    if parsed.is_none() {
        row.report("is_active", What::Flag);
    }
    parsed.unwrap_or(false)
}

fn password_hash(row: &mut Row) -> Option<String> {
    let mut hash = None;
    for field in ["password_hash", "password"] {
        let Some(text) = row.find(&[field]).map(extended::text) else { continue };
        match text.filter(|text| is_verifiable(text)) {
            Some(text) => hash = hash.or(Some(text)),
            None => row.report(field, What::Password),
        }
    }
    hash
}

fn number(row: &mut Row, role: Role, settings: &Settings) -> Option<CustomerNumber> {
    let number = row.number(settings)?;
    if role == Role::Customer {
        return Some(number);
    }
    row.leave("customerId", number.as_str().to_owned(), What::NotCustomer);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn read(line: &str) -> Result<UserDraft, Refusal> {
        UserDraft::read(Row::parse(Source::Users, line).unwrap(), &Settings::default(), NOW)
    }

    fn user(line: &str) -> (User, Vec<Remark>) {
        let decided = read(line).unwrap().decide(&Batch::default()).unwrap();
        match decided.fate {
            Fate::User(user) => (*user, decided.remarks),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_in_order_is_taken_over_as_it_is() {
        let (user, remarks) = user(
            r#"{"_id":{"$oid":"65e1c24000000000000000aa"},"id":"0190a1c2-0000-7000-8000-000000000000",
                "email":"Ana@X.io","phone":{"$numberLong":"9876543210"},"name":"Ana","role":"customer",
                "password":"$2b$04$GbPe7W.VNQ6LePxuLmxUHeqbzk/1DWt4VHIYEOaTUCtX5hxiZhM2q","customerId":"PL7",
                "customer_v2_id":"0190a1c2-0000-7000-8000-000000000001","is_active":true,
                "createdAt":{"$date":"2024-01-02T03:04:05.678Z"}}"#,
        );
        assert!(remarks.is_empty(), "{remarks:?}");
        assert_eq!(user.user_id.to_string(), "0190a1c2-0000-7000-8000-000000000000");
        assert_eq!((user.email.as_str(), user.enabled, user.role), ("ana@x.io", true, Role::Customer));
        assert!(user.password_hash.is_some_and(|hash| hash.starts_with("$2b$04$")));
        assert_eq!(user.phone.unwrap().as_str(), "+919876543210");
        assert_eq!(user.customer_number.unwrap().as_str(), "PL7");
        assert_eq!(user.customer_v2_id.unwrap().to_string(), "0190a1c2-0000-7000-8000-000000000001");
        assert_eq!((user.review, user.created_at.to_string()), (Some(Review::Staged), "2024-01-02T03:04:05Z".into()));
    }

    #[test]
    fn a_readable_password_is_reported_and_nowhere_kept() {
        let (user, remarks) = user(r#"{"_id":"u","email":"a@x.io","role":"customer","password":"hunter2hunter2"}"#);
        assert_eq!(remarks, [Remark { field: "password", what: What::Password }]);
        assert!(!format!("{user:?}").contains("hunter2") && user.password_hash.is_none());
    }

    #[test]
    fn who_has_no_address_signs_in_with_a_placeholder() {
        let (nobody, remarks) = user(r#"{"_id":"u","role":"customer"}"#);
        assert_eq!(remarks, [Remark { field: "email", what: What::NoLogin }]);
        assert_eq!(nobody.email.as_str(), format!("user-{}@earlybird.local", nobody.user_id));
        let (bad, remarks) = user(r#"{"_id":"u","email":"none","role":"customer"}"#);
        assert_eq!(remarks, [Remark { field: "email", what: What::BadLogin }]);
        assert_eq!(bad.legacy.unwrap().unread["email"], "none");
        let (kept, remarks) = user(r#"{"_id":"u","email":"customer-1@earlybird.local","role":"customer"}"#);
        assert_eq!((kept.email.as_str(), remarks.len()), ("customer-1@earlybird.local", 0));
    }

    #[test]
    fn who_is_unclear_stays_out() {
        let (user, remarks) =
            user(r#"{"_id":"u","email":"a@x.io","role":"admin","is_active":"maybe","customerId":"PL3"}"#);
        assert!(!user.enabled && user.customer_number.is_none());
        assert_eq!(remarks.iter().map(|remark| remark.what).collect::<Vec<_>>(), [What::Flag, What::NotCustomer]);
        for line in [r#"{"_id":"u","email":"a@x.io"}"#, r#"{"_id":"u","email":"a@x.io","role":"root"}"#] {
            assert_eq!(read(line).err(), Some(Refusal::NoRole));
        }
    }
}
