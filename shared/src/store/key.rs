//! Keys of the one table: every partition key is spelled here and nowhere else.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::pointer::From;
use super::recheck::Shared;
use crate::clock::Time;
use crate::contact::{EmailAddress, Phone};
use crate::domain::legacy::Source;
use crate::domain::product::{FeatureId, ProductId};
use crate::ids::{Crn, CustomerId, CustomerNumber, ExternalId, UserId};

/// The primary key of an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key; [`HEAD`] where a partition has one item, or for the chief of several.
    pub sk: String,
}

/// The sort key of an item that is alone or heads its partition.
pub const HEAD: &str = "#";

/// The partition of all products.
pub(super) const PRODUCTS: &str = "PRODUCTS";

/// What the sort key of a parked event begins with.
pub(super) const PARKED: &str = "EVENT#";

/// What the sort key of an entry of a run begins with.
pub(super) const CHANGE: &str = "CHANGE#";

/// What the sort key of a further Stripe customer begins with.
pub(super) const ALIAS: &str = "STRIPE_CUSTOMER#";

/// What the sort key of a balance begins with.
pub(super) const BALANCE: &str = "BALANCE#";

impl Key {
    fn head(pk: String) -> Self {
        Self { pk, sk: HEAD.into() }
    }

    /// A user.
    #[must_use]
    pub fn user(id: UserId) -> Self {
        Self::head(format!("USER#{id}"))
    }

    /// The guard of a login's e-mail address.
    #[must_use]
    pub fn login(email: &EmailAddress) -> Self {
        Self::head(format!("EMAIL#{}", email.as_str()))
    }

    /// A customer.
    #[must_use]
    pub fn customer(id: CustomerId) -> Self {
        Self::head(format!("CUSTOMER#{id}"))
    }

    /// The guard of a caller's own id.
    #[must_use]
    pub fn external_id(id: &ExternalId) -> Self {
        Self::head(format!("CUSTOMER_ID#{id}"))
    }

    /// The guard of a customer reference; it outlives its customer.
    #[must_use]
    pub fn crn(crn: &Crn) -> Self {
        Self::head(format!("CRN#{crn}"))
    }

    /// The guard of a customer number; it outlives its user.
    #[must_use]
    pub fn number(number: &CustomerNumber) -> Self {
        Self::head(format!("NUMBER#{number}"))
    }

    /// The customers of one e-mail address.
    #[must_use]
    pub fn email_members(email: &EmailAddress) -> Self {
        Self::head(format!("CUSTOMER_EMAIL#{}", email.as_str()))
    }

    /// The partition of everybody with one phone number.
    #[must_use]
    pub fn phone_partition(phone: &Phone) -> String {
        format!("PHONE#{}", phone.as_str())
    }

    /// A customer's membership of a phone number.
    #[must_use]
    pub fn customer_phone(phone: &Phone, id: CustomerId) -> Self {
        Self { pk: Self::phone_partition(phone), sk: format!("CUSTOMER#{id}") }
    }

    /// A user's membership of a phone number.
    #[must_use]
    pub fn user_phone(phone: &Phone, id: UserId) -> Self {
        Self { pk: Self::phone_partition(phone), sk: format!("USER#{id}") }
    }

    /// The counter of customer references of a year.
    #[must_use]
    pub fn crn_counter(year: i16) -> Self {
        Self::head(format!("COUNTER#crn#{year:04}"))
    }

    /// The counter of customer numbers.
    #[must_use]
    pub fn number_counter() -> Self {
        Self::head("COUNTER#customer_number".into())
    }

    /// The pointer from a Stripe customer to ours.
    #[must_use]
    pub fn stripe_customer(id: &str) -> Self {
        Self::head(format!("STRIPE_CUSTOMER#{id}"))
    }

    /// That a customer has a Stripe customer beside their own.
    #[must_use]
    pub fn stripe_alias(id: CustomerId, stripe_customer: &str) -> Self {
        Self { pk: Self::customer(id).pk, sk: format!("{ALIAS}{stripe_customer}") }
    }

    /// An event that waits for somebody to have its Stripe customer; in order of `created`.
    #[must_use]
    pub fn parked_event(stripe_customer: &str, created: Time, event_id: &str) -> Self {
        let sk = format!("{PARKED}{:012}#{event_id}", created.unix_seconds());
        Self { pk: Self::stripe_customer(stripe_customer).pk, sk }
    }

    /// That events wait for somebody to have a Stripe customer.
    #[must_use]
    pub fn parking(stripe_customer: &str) -> Self {
        Self { pk: Self::stripe_customer(stripe_customer).pk, sk: "PARKING".into() }
    }

    /// The replay of what is parked for a Stripe customer.
    #[must_use]
    pub fn replay(stripe_customer: &str) -> Self {
        Self::head(format!("REPLAY#{stripe_customer}"))
    }

    /// What Stripe has billed a customer.
    #[must_use]
    pub fn invoice(id: CustomerId, invoice: &str) -> Self {
        Self { pk: Self::customer(id).pk, sk: format!("INVOICE#{invoice}") }
    }

    /// A payment at Stripe, by payment intent or charge.
    #[must_use]
    pub fn stripe_payment(id: &str) -> Self {
        Self::head(format!("STRIPE_PAYMENT#{id}"))
    }

    /// The marker of a webhook event.
    #[must_use]
    pub fn stripe_event(id: &str) -> Self {
        Self::head(format!("STRIPE_EVENT#{id}"))
    }

    /// The marker of a paid checkout session.
    #[must_use]
    pub fn checkout(session_id: &str) -> Self {
        Self::head(format!("CHECKOUT#{session_id}"))
    }

    /// The intent to make a Stripe customer.
    #[must_use]
    pub fn stripe_intent(id: CustomerId) -> Self {
        Self::head(format!("STRIPE_INTENT#{id}"))
    }

    /// The intent to subscribe a customer to a product.
    #[must_use]
    pub fn subscription_intent(id: CustomerId, product: &ProductId) -> Self {
        Self::head(format!("SUBSCRIPTION_INTENT#{id}#{product}"))
    }

    /// A product; all share a partition, so that one strong query gives the defaults.
    #[must_use]
    pub fn product(id: &ProductId) -> Self {
        Self { pk: PRODUCTS.into(), sk: id.to_string() }
    }

    /// The marker that some product has had a feature.
    #[must_use]
    pub fn feature(id: &FeatureId) -> Self {
        Self::head(format!("FEATURE#{id}"))
    }

    /// A trial that a customer had.
    #[must_use]
    pub fn trial_of_customer(id: CustomerId, product: &ProductId) -> Self {
        Self { pk: Self::customer(id).pk, sk: format!("TRIAL#{product}") }
    }

    /// A trial that somebody with this fingerprint had.
    #[must_use]
    pub fn trial_of_fingerprint(fingerprint: &str, product: &ProductId) -> Self {
        Self::head(format!("TRIAL#{product}#{fingerprint}"))
    }

    /// What a customer has used of a feature.
    #[must_use]
    pub fn balance(id: CustomerId, feature: &FeatureId) -> Self {
        Self { pk: Self::customer(id).pk, sk: format!("{BALANCE}{feature}") }
    }

    /// The marker of a customer's use under a key, of which this is the hash.
    #[must_use]
    pub fn usage(id: CustomerId, hash: &str) -> Self {
        Self { pk: Self::customer(id).pk, sk: format!("USAGE#{hash}") }
    }

    /// The login attempts on an identifier, which is a keyed hash.
    #[must_use]
    pub fn attempts(identifier: &str) -> Self {
        Self::head(format!("LOGIN#{identifier}"))
    }

    /// The marker of an idempotency key, which is a keyed hash of route, caller and key.
    #[must_use]
    pub fn idempotency(hash: &str) -> Self {
        Self::head(format!("IDEMPOTENCY#{hash}"))
    }

    /// A rate counter of one route, client address (a keyed hash) and window.
    #[must_use]
    pub fn rate(route: &str, address: &str, window: i64) -> Self {
        Self::head(format!("RATE#{route}#{address}#{window}"))
    }

    /// A message in the outbox.
    #[must_use]
    pub fn message(id: Uuid) -> Self {
        Self::head(format!("OUTBOX#{id}"))
    }

    /// The marker that somebody was sent a notice of a kind on a day.
    #[must_use]
    pub fn notice(kind: &str, id: Uuid, day: i64) -> Self {
        Self::head(format!("NOTICE#{kind}#{id}#{day}"))
    }

    /// A reset link, by the SHA-256 of its token.
    #[must_use]
    pub fn reset_ticket(sha256: &str) -> Self {
        Self::head(format!("RESET#{sha256}"))
    }

    /// When a user was sent reset links.
    #[must_use]
    pub fn recovery_log(id: UserId) -> Self {
        Self::head(format!("RECOVERY#{id}"))
    }

    /// The purge of what a deleted customer left under its key.
    #[must_use]
    pub fn purge(id: CustomerId) -> Self {
        Self::head(format!("PURGE#{id}"))
    }

    /// That the record at `head`, of a legacy system, was deleted here.
    #[must_use]
    pub fn tombstone(head: &Self) -> Self {
        Self::head(format!("DELETED#{}", head.pk))
    }

    /// A run of the backfill or of a migration.
    #[must_use]
    pub fn run(id: Uuid) -> Self {
        Self::head(format!("RUN#{id}"))
    }

    /// One transaction of a run.
    #[must_use]
    pub fn change(run: Uuid, entry: Uuid) -> Self {
        Self { pk: Self::run(run).pk, sk: format!("{CHANGE}{entry}") }
    }

    /// What was issued to the record at `owner` by a run that was undone.
    #[must_use]
    pub fn reservation(owner: &Self) -> Self {
        Self::head(format!("RESERVED#{}", owner.pk))
    }

    /// That whoever waits and shares something is to be looked at again.
    #[must_use]
    pub fn recheck(shared: &Shared) -> Self {
        Self::head(match shared {
            Shared::Phone(phone) => format!("RECHECK#PHONE#{}", phone.as_str()),
            Shared::Email(email) => format!("RECHECK#EMAIL#{}", email.as_str()),
            Shared::Record(id) => format!("RECHECK#RECORD#{id}"),
            Shared::Pair(id) => format!("RECHECK#PAIR#{id}"),
        })
    }

    /// The partition of the pointers at a legacy row.
    #[must_use]
    pub fn pointer_partition(target: Uuid) -> String {
        format!("POINTER#{target}")
    }

    /// The pointer of `from` at a legacy row.
    #[must_use]
    pub fn pointer(target: Uuid, from: From) -> Self {
        let sk = match from {
            From::User(id) => format!("USER#{id}"),
            From::Customer(id) => format!("CUSTOMER#{id}"),
        };
        Self { pk: Self::pointer_partition(target), sk }
    }

    /// The second id of a legacy row.
    #[must_use]
    pub fn legacy_id(source: Source, id: &str) -> Self {
        Self::head(format!("LEGACY#{}#{id}", source.name()))
    }

    /// What the reports say of a table that is too large to be counted at once.
    #[must_use]
    pub fn report() -> Self {
        Self::head("REPORT#census".into())
    }

    /// An API key, by the SHA-256 of its text.
    #[must_use]
    pub fn api_key(sha256: &str) -> Self {
        Self::head(format!("APIKEY#{sha256}"))
    }

    /// The key of a raw item.
    #[must_use]
    pub fn of(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        Some(Self { pk: text("pk")?, sk: text("sk")? })
    }

    /// The key as `DynamoDB` attributes.
    #[must_use]
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".into(), AttributeValue::S(self.pk.clone())),
            ("sk".into(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

impl std::fmt::Display for Key {
    /// The kind, and whose it is where a UUID of ours says so. The rest may be an address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> = self.pk.split('#').collect();
        match parts.as_slice() {
            [_, id] | ["RECHECK", _, id] if is_uuid(id) => f.write_str(&self.pk),
            [kind, ..] => write!(f, "{kind}#…"),
            [] => f.write_str("…"),
        }
    }
}

/// The hyphenated form only: 32 hexadecimal digits in a row may be anything.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_log_says_whose_it_is_and_nothing_personal() {
        let id = Uuid::from_u128(7);
        let email = EmailAddress::parse("asha@example.com").unwrap();
        let phone = Phone::parse("+919876543210", crate::contact::Country::INDIA).unwrap();
        assert_eq!(Key::customer(CustomerId(id)).to_string(), format!("CUSTOMER#{id}"));
        assert_eq!(Key::message(id).to_string(), format!("OUTBOX#{id}"));
        assert_eq!(Key::recheck(&Shared::Record(id)).to_string(), format!("RECHECK#RECORD#{id}"));
        assert_eq!(Key::recheck(&Shared::Pair(id)).to_string(), format!("RECHECK#PAIR#{id}"));
        assert_eq!(Key::login(&email).to_string(), "EMAIL#…");
        assert_eq!(Key::customer_phone(&phone, CustomerId(id)).to_string(), "PHONE#…");
        assert_eq!(Key::recheck(&Shared::Email(email)).to_string(), "RECHECK#…");
        assert_eq!(Key::recheck(&Shared::Phone(phone)).to_string(), "RECHECK#…");
        // Whatever a caller chose, in whatever form.
        let product = ProductId::parse("daily").unwrap();
        let fingerprint = format!("asha@example.com#{id}");
        assert_eq!(Key::trial_of_fingerprint(&fingerprint, &product).to_string(), "TRIAL#…");
        assert_eq!(Key::reset_ticket(&id.simple().to_string()).to_string(), "RESET#…");
    }
}
