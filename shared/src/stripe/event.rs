//! Webhook events, read tolerantly: a missing or odd field never makes an event unreadable.

use serde_json::Value;

use crate::domain::activation::{Outcome, Session};
use crate::domain::product::ProductId;
use crate::ids::CustomerId;
use crate::token::sha256_hex;

/// Longer ids than Stripe's make no key of ours; such an id is hashed.
const MAX_ID_BYTES: usize = 255;

/// Where an event names a customer by our id: itself, or the subscription that it is about.
const IDS: [&str; 4] = [
    "/client_reference_id",
    "/metadata/client_id",
    "/parent/subscription_details/metadata/client_id",
    "/subscription_details/metadata/client_id",
];

/// Where an event names a customer by reference.
const REFERENCES: [&str; 3] = [
    "/metadata/customer_reference",
    "/parent/subscription_details/metadata/customer_reference",
    "/subscription_details/metadata/customer_reference",
];

/// What an event is of that can always be read. A charge need not be: one without an invoice is
/// nothing to us.
const READABLE: [&str; 9] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.paid",
    "invoice.payment_failed",
];

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id; of junk without one, the hash of its bytes.
    pub id: String,
    /// Its type.
    pub kind: Option<String>,
    /// When Stripe made it, in Unix seconds; 0 if it does not say.
    pub(super) created: i64,
    /// What it is about.
    pub(super) object: Value,
}

/// An event of a checkout session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutEvent {
    /// What happened.
    pub outcome: Outcome,
    /// To which session.
    pub session: Session,
    /// Whom it names, in the order in which names count.
    pub names: Vec<CustomerName>,
}

/// How a checkout names its customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerName {
    /// By our own id.
    Id(CustomerId),
    /// By the reference, in any form.
    Reference(String),
}

impl Event {
    /// Reads the body of a webhook whose signature has been checked.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let mut event: Value = serde_json::from_slice(body).unwrap_or_default();
        let id = text(&event, "/id").map_or_else(|| format!("junk_{}", sha256_hex(body)), bounded);
        let kind = text(&event, "/type").map(|kind| kind.chars().take(MAX_ID_BYTES).collect());
        let created = event.pointer("/created").and_then(Value::as_i64).unwrap_or_default();
        let object = event.pointer_mut("/data/object").map(Value::take).unwrap_or_default();
        Self { id, kind, created, object }
    }

    /// The checkout session it is about, if it is one of the events that matter.
    #[must_use]
    pub fn checkout(&self) -> Option<CheckoutEvent> {
        let paid = matches!(text(&self.object, "/payment_status"), Some("paid" | "no_payment_required"));
        let outcome = match self.kind.as_deref()? {
            "checkout.session.completed" if paid => Outcome::Paid,
            "checkout.session.completed" => Outcome::Unpaid,
            "checkout.session.async_payment_succeeded" => Outcome::Paid,
            "checkout.session.async_payment_failed" | "checkout.session.expired" => Outcome::Failed,
            _ => return None,
        };
        let session = Session {
            id: text(&self.object, "/id").map(bounded)?,
            stripe_customer: self.stripe_customer(),
            product_id: text(&self.object, "/metadata/product_id").and_then(|id| ProductId::parse(id).ok()),
        };
        Some(CheckoutEvent { outcome, session, names: self.names() })
    }

    /// Whether it is no event, or one that should mean something to us and does not: somebody has to
    /// look at it.
    #[must_use]
    pub fn is_poison(&self) -> bool {
        self.kind
            .as_deref()
            .is_none_or(|kind| READABLE.contains(&kind) && self.checkout().is_none() && self.account().is_none())
    }

    pub(super) fn names(&self) -> Vec<CustomerName> {
        let ids = IDS.iter().filter_map(|path| text(&self.object, path));
        let ids = ids.filter_map(|id| id.parse().ok()).map(CustomerName::Id);
        let references = REFERENCES.iter().filter_map(|path| text(&self.object, path));
        let references = references.filter(|text| text.len() <= MAX_ID_BYTES);
        ids.chain(references.map(|text| CustomerName::Reference(text.to_owned()))).collect()
    }
}

pub(super) fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str().filter(|text| !text.is_empty())
}

pub(super) fn bounded(id: &str) -> String {
    if id.len() <= MAX_ID_BYTES { id.to_owned() } else { sha256_hex(id) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checkout(kind: &str, object: &Value) -> Option<CheckoutEvent> {
        let event = json!({ "id": "evt_1", "type": kind, "data": { "object": object } });
        Event::parse(event.to_string().as_bytes()).checkout()
    }

    #[test]
    fn a_completed_session_is_paid_only_if_it_says_so() {
        let outcome = |status| {
            checkout("checkout.session.completed", &json!({ "id": "cs_1", "payment_status": status })).unwrap().outcome
        };
        assert_eq!(outcome("paid"), Outcome::Paid);
        assert_eq!(outcome("no_payment_required"), Outcome::Paid);
        assert_eq!(outcome("unpaid"), Outcome::Unpaid);
        assert_eq!(outcome("something new"), Outcome::Unpaid);
    }

    #[test]
    fn names_count_in_order_and_odd_ones_are_skipped() {
        let id = "0190a1c2-0000-7000-8000-000000000001";
        let event = checkout(
            "checkout.session.expired",
            &json!({ "id": "cs_1", "client_reference_id": 7, "customer": { "id": "cus_1" },
                    "metadata": { "client_id": id, "customer_reference": "PLE-CVP-2026-000001" } }),
        );
        let event = event.unwrap();
        assert_eq!(event.names.len(), 2);
        assert_eq!(event.names[0], CustomerName::Id(id.parse().unwrap()));
        assert_eq!(event.session.stripe_customer.as_deref(), Some("cus_1"));
    }

    #[test]
    fn a_session_names_the_product_it_was_made_for_or_none() {
        let named = |metadata: Value| {
            let session = json!({ "id": "cs_1", "payment_status": "paid", "metadata": metadata });
            checkout("checkout.session.completed", &session).unwrap().session.product_id
        };
        assert_eq!(named(json!({ "product_id": "pro" })).unwrap().as_str(), "pro");
        for odd in [json!("no id"), json!(""), json!("p".repeat(129)), json!(7), json!(["pro"]), json!({}), Value::Null]
        {
            assert_eq!(named(json!({ "product_id": odd })), None);
        }
        for odd in [json!("pro"), json!(["pro"]), json!(7), json!(true), Value::Null] {
            assert_eq!(named(odd), None);
        }
    }

    #[test]
    fn what_should_mean_something_and_does_not_is_poison() {
        let event = |kind: &str, object: Value| {
            let event = json!({ "id": "evt_1", "type": kind, "data": { "object": object } });
            Event::parse(event.to_string().as_bytes())
        };
        assert!(event("customer.subscription.updated", json!({ "id": "sub_1", "status": "new" })).is_poison());
        assert!(event("invoice.paid", json!([])).is_poison());
        assert!(!event("invoice.paid", json!({ "id": "in_1" })).is_poison());
        for bad in ["cüs_1".to_owned(), "cus 1".to_owned(), "c".repeat(256)] {
            let bill = event("invoice.paid", json!({ "id": "in_1", "customer": bad }));
            assert!(bill.is_poison() && bill.account().is_none(), "{bill:?}");
        }
        assert!(!event("charge.refunded", json!({ "id": "ch_1" })).is_poison());
        assert!(!event("customer.tax_id.created", Value::Null).is_poison());
    }

    #[test]
    fn junk_is_an_event_without_effect_and_with_an_id_of_its_own() {
        for body in [b"".as_slice(), b"not json", b"[]", b"{\"id\":{}}", b"\xff\xfe", b"null"] {
            let event = Event::parse(body);
            assert!(event.id.starts_with("junk_"), "{}", event.id);
            assert_eq!(event.checkout(), None);
            assert!(event.is_poison());
        }
        assert_ne!(Event::parse(b"a").id, Event::parse(b"b").id);
        assert_eq!(checkout("checkout.session.completed", &json!({ "payment_status": "paid" })), None);
    }
}
