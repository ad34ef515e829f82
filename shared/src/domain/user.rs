//! A login account.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Time;
use crate::contact::{EmailAddress, Phone};
use crate::domain::legacy::Legacy;
use crate::domain::matching::Review;
use crate::ids::{CustomerId, CustomerNumber, UserId};
use crate::text::Name;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the business: everything.
    Admin,
    /// Brings goods to customers; signs in, and nothing else here.
    DeliveryBoy,
    /// Is a customer: sees their own record.
    Customer,
}

impl Role {
    /// Reads a role as it is written on the wire.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "admin" => Ok(Self::Admin),
            "delivery_boy" | "delivery" => Ok(Self::DeliveryBoy),
            "customer" => Ok(Self::Customer),
            _ => Err("must be `admin`, `delivery_boy` or `customer`".into()),
        }
    }
}

/// A login account. Its password, however it came to be, belongs to one `credential_epoch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub user_id: UserId,
    /// What it signs in with: an address of its own, or a placeholder.
    pub email: EmailAddress,
    /// Who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// What it may do.
    pub role: Role,
    /// Whether it may sign in at all.
    pub enabled: bool,
    /// The hash of its password, as a PHC string; none until one is delivered or set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Present while the password is a temporary one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporary: Option<TemporaryPassword>,
    /// Raised whenever sessions must end; a session of another version is revoked.
    pub token_version: u64,
    /// Raised by every invitation, hand-over and change of password; a delivery or a link made
    /// for another epoch is void.
    pub credential_epoch: u64,
    /// The linked customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_v2_id: Option<CustomerId>,
    /// Its customer number, if it is a customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_number: Option<CustomerNumber>,
    /// Set while the backfill has yet to look at it, or could not decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// Where it was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy: Option<Legacy>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every write; a write made from an older picture fails.
    pub version: u64,
    /// The version for which this one stands: it is the restored copy, or only waits to be looked at again.
    /// Gone with the next write of any other kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<u64>,
}

/// A password that was delivered and must be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemporaryPassword {
    /// When it stops working; `None` for one that an operator gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// The key it was derived with, so that a redelivery derives the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

impl TemporaryPassword {
    /// Whether it has stopped working by `now`.
    #[must_use]
    pub fn has_expired(&self, now: Time) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl User {
    /// A new account without a password.
    #[must_use]
    pub fn new(user_id: UserId, email: EmailAddress, role: Role, now: Time) -> Self {
        Self {
            user_id,
            email,
            name: None,
            phone: None,
            role,
            enabled: true,
            password_hash: None,
            temporary: None,
            token_version: 1,
            credential_epoch: 1,
            customer_v2_id: None,
            customer_number: None,
            review: None,
            legacy: None,
            created_at: now,
            updated_at: now,
            version: 0,
            restored: None,
        }
    }

    /// Whether the user must choose a password before doing anything else.
    #[must_use]
    pub fn must_change_password(&self) -> bool {
        self.temporary.is_some()
    }

    /// Whether its owner has chosen a password.
    #[must_use]
    pub fn is_activated(&self) -> bool {
        self.password_hash.is_some() && self.temporary.is_none()
    }

    /// The hash that a password is compared with at `now`: none for a user who is disabled, was
    /// never activated, or whose temporary password has expired.
    #[must_use]
    pub fn usable_hash(&self, now: Time) -> Option<&str> {
        let expired = self.temporary.as_ref().is_some_and(|temporary| temporary.has_expired(now));
        self.password_hash.as_deref().filter(|_| self.enabled && !expired)
    }

    /// Whether a session signed for version `ver` is still good.
    #[must_use]
    pub fn honours(&self, ver: u64) -> bool {
        self.enabled && self.token_version == ver
    }

    /// Whether it is a customer's login that no customer holds yet.
    #[must_use]
    pub fn is_free_for_customer(&self) -> bool {
        self.role == Role::Customer && self.customer_v2_id.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    /// A customer's account with a password of their own, linked with nobody.
    fn user() -> User {
        let email = EmailAddress::parse("a@x.io").unwrap();
        let user = User::new(UserId(NOW.new_id()), email, Role::Customer, NOW);
        User { password_hash: Some("hash".into()), ..user }
    }

    #[test]
    fn every_role_is_read_as_it_is_written_and_one_by_its_old_name() {
        for role in [Role::Admin, Role::DeliveryBoy, Role::Customer] {
            let written = serde_json::to_value(role).unwrap();
            assert_eq!(Role::parse(written.as_str().unwrap()), Ok(role));
        }
        assert_eq!(Role::parse("delivery"), Ok(Role::DeliveryBoy));
        assert!(Role::parse("root").is_err());
    }

    #[test]
    fn only_a_password_of_their_own_activates_an_account() {
        let temporary = Some(TemporaryPassword { expires_at: None, kid: None });
        let (blank, lent) = (User { password_hash: None, ..user() }, User { temporary, ..user() });
        assert!(user().is_activated() && !blank.is_activated() && !lent.is_activated());
        assert!(lent.must_change_password() && !user().must_change_password());
    }

    #[test]
    fn a_password_works_while_its_owner_may_sign_in_and_it_has_not_expired() {
        assert_eq!(user().usable_hash(NOW), Some("hash"));
        let shut_out = User { enabled: false, ..user() };
        assert_eq!(shut_out.usable_hash(NOW), None);
        let temporary = Some(TemporaryPassword { expires_at: Some(NOW), kid: None });
        let over = User { temporary, ..user() };
        assert_eq!(over.usable_hash(NOW), None);
    }

    #[test]
    fn a_session_is_of_one_version_of_an_account_that_may_sign_in() {
        let user = user();
        assert!(user.honours(user.token_version) && !user.honours(user.token_version + 1));
        let shut_out = User { enabled: false, ..user };
        assert!(!shut_out.honours(shut_out.token_version));
    }

    #[test]
    fn only_a_customers_login_that_is_nobodys_is_free() {
        let staff = User { role: Role::DeliveryBoy, ..user() };
        let taken = User { customer_v2_id: Some(CustomerId(NOW.new_id())), ..user() };
        assert!(user().is_free_for_customer());
        assert!(!staff.is_free_for_customer() && !taken.is_free_for_customer());
    }
}
