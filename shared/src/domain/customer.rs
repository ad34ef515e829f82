//! A customer, from lead to the last.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::clock::Time;
use crate::contact::{EmailAddress, Phone};
use crate::domain::legacy::Legacy;
use crate::domain::matching::Review;
use crate::domain::product::{HeldProduct, ProductId};
use crate::ids::{Crn, CustomerId, CustomerNumber, ExternalId, UserId};
use crate::text::{Address, Area, Name};

/// Where a customer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Has not paid yet.
    PendingPayment,
    /// Tried to pay and failed.
    PaymentFailed,
    /// Is trying the product.
    Trial,
    /// Is a customer.
    Active,
    /// Is one no longer; their login is disabled.
    Inactive,
}

impl Status {
    /// Reads a status as it is written on the wire.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "pending_payment" => Ok(Self::PendingPayment),
            "payment_failed" => Ok(Self::PaymentFailed),
            "trial" => Ok(Self::Trial),
            "active" => Ok(Self::Active),
            "inactive" => Ok(Self::Inactive),
            _ => Err("must be `pending_payment`, `payment_failed`, `trial`, `active` or `inactive`".into()),
        }
    }
}

/// Whether a customer that came from `origin`, stands at `status` and has the login `user_id` is a lead.
#[must_use]
pub fn is_lead(origin: Origin, status: Status, user_id: Option<UserId>) -> bool {
    let unpaid = matches!(status, Status::PendingPayment | Status::PaymentFailed);
    origin == Origin::Intake && user_id.is_none() && unpaid
}

/// How a customer came to be. Only intake makes leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The public form.
    Intake,
    /// An administrator or their system.
    Api,
    /// Their own registration.
    Registration,
    /// A legacy system.
    Import,
}

/// What is known of a person, as a form or a caller gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Where e-mail reaches them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// Where they are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// Where they live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Their delivery area.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area: Option<Area>,
}

impl Contact {
    /// Fills a blank name, e-mail and phone from `other`; what is set stays. Answers whether
    /// anything changed.
    pub fn fill_blanks(&mut self, other: &Self) -> bool {
        let before = self.clone();
        self.name = self.name.take().or_else(|| other.name.clone());
        self.email = self.email.take().or_else(|| other.email.clone());
        self.phone = self.phone.take().or_else(|| other.phone.clone());
        *self != before
    }

    /// Takes over every value that `other` has.
    pub fn overwrite_with(&mut self, other: Self) {
        self.name = other.name.or(self.name.take());
        self.email = other.email.or(self.email.take());
        self.phone = other.phone.or(self.phone.take());
        self.address = other.address.or(self.address.take());
        self.area = other.area.or(self.area.take());
    }
}

/// Metadata at rest is JSON text: `DynamoDB` has neither JSON's numbers nor its empty keys.
mod as_json_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Metadata;

    pub(super) fn serialize<S: Serializer>(metadata: &Metadata, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(metadata).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metadata, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(serde::de::Error::custom)
    }
}

/// Free key–value data of the caller.
pub type Metadata = Map<String, Value>;

/// A customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// Its own id.
    pub internal_id: CustomerId,
    /// Its reference; absent only on an imported row that the backfill has yet to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_reference: Option<Crn>,
    /// The caller's own id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<ExternalId>,
    /// The login that is linked to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The linked login's customer number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_number: Option<CustomerNumber>,
    /// Where it stands.
    pub status: Status,
    /// How it came to be.
    pub origin: Origin,
    /// Who it is.
    #[serde(flatten)]
    pub contact: Contact,
    /// Its Stripe customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_id: Option<String>,
    /// The caller's mark of the person behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Free data of the caller.
    #[serde(default, skip_serializing_if = "Map::is_empty", with = "as_json_text")]
    pub metadata: Metadata,
    /// Who delivers to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_boy_id: Option<UserId>,
    /// The latest checkout session; only its failure counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout_session_id: Option<String>,
    /// The product it came for, until it has paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    /// The products it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<HeldProduct>,
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

impl Customer {
    /// A new customer without login.
    #[must_use]
    pub fn new(internal_id: CustomerId, status: Status, origin: Origin, now: Time) -> Self {
        Self {
            internal_id,
            customer_reference: None,
            id: None,
            user_id: None,
            customer_number: None,
            status,
            origin,
            contact: Contact::default(),
            stripe_id: None,
            fingerprint: None,
            metadata: Metadata::new(),
            delivery_boy_id: None,
            checkout_session_id: None,
            product_id: None,
            products: Vec::new(),
            review: None,
            legacy: None,
            created_at: now,
            updated_at: now,
            version: 0,
            restored: None,
        }
    }

    /// Whether it is a lead: it came by intake, has not paid, and so has neither login nor number.
    #[must_use]
    pub fn is_lead(&self) -> bool {
        is_lead(self.origin, self.status, self.user_id)
    }

    /// Its e-mail address, unless that is a placeholder.
    #[must_use]
    pub fn real_email(&self, placeholder_domain: &str) -> Option<&EmailAddress> {
        self.contact.email.as_ref().filter(|email| !email.is_placeholder(placeholder_domain))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_status_is_read_as_it_is_written() {
        for status in [Status::PendingPayment, Status::PaymentFailed, Status::Trial, Status::Active, Status::Inactive] {
            let written = serde_json::to_value(status).unwrap();
            assert_eq!(Status::parse(written.as_str().unwrap()), Ok(status));
        }
        assert!(Status::parse("Active").is_err());
    }

    #[test]
    fn blanks_are_filled_and_what_is_set_stays() {
        let email = EmailAddress::parse("b@x.io").ok();
        let other = Contact { name: Name::parse("Bea").ok(), email, ..Contact::default() };
        let mut contact = Contact { name: Name::parse("Ana").ok(), ..Contact::default() };
        assert!(contact.fill_blanks(&other));
        assert_eq!(contact, Contact { name: Name::parse("Ana").ok(), ..other.clone() });
        assert!(!contact.fill_blanks(&other), "nothing is blank any more");
    }

    #[test]
    fn metadata_is_text_at_rest_and_comes_back_as_it_was() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let mut customer = Customer::new(CustomerId(now.new_id()), Status::Active, Origin::Api, now);
        customer.metadata = json!({ "": 1.5, "a": { "b": null } }).as_object().unwrap().clone();
        let written = serde_json::to_value(&customer).unwrap();
        assert!(written["metadata"].is_string());
        assert_eq!(serde_json::from_value::<Customer>(written).unwrap(), customer);
    }
}
