//! Events of subscriptions, invoices and charges, in both of Stripe's layouts: since 2025 a period
//! belongs to an item of a subscription, and a charge no longer names its invoice: the payment
//! intent that both name, or an event of the two, tells which it is.

use serde_json::Value;

use super::event::{CustomerName, Event, bounded, text};
use crate::clock::Time;
use crate::domain::billing::{Bill, BillOrder, Change, PaidBy, Refund};
use crate::domain::product::{Currency, ProductId, ProductStatus};
use crate::domain::subscription::{EventOrder, Stage, Subscription, SubscriptionChange, status_of};
use crate::ids::check_stripe_id;

/// The last second that can be written and read again, 9999-12-30T22:00:00Z: a later one would be
/// another once it was stored.
const MAX_SECONDS: i64 = 253_402_207_200;

/// The longest address of an invoice that is kept.
const MAX_URL_BYTES: usize = 2_048;

/// More of one product than this is no quantity.
const MAX_QUANTITY: u64 = 1_000_000;

/// The most payments of one invoice that are kept.
const MAX_PAYMENTS: usize = 20;

/// Where an invoice, a charge, or what says that one paid the other, names its payments.
const PAYMENTS: [&str; 8] = [
    "/payment_intent",
    "/payment_intent/id",
    "/charge",
    "/charge/id",
    "/payment/payment_intent",
    "/payment/payment_intent/id",
    "/payment/charge",
    "/payment/charge/id",
];

/// Where an object names its invoice.
const INVOICE: [&str; 2] = ["/invoice", "/invoice/id"];

/// Where the product of a subscription is named, in the order in which it counts.
const PRODUCT: [&str; 4] = [
    "/metadata/product_id",
    "/items/data/0/price/metadata/product_id",
    "/items/data/0/price/product",
    "/items/data/0/price/product/id",
];

/// An event of a customer's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEvent {
    /// Whose account, at Stripe.
    pub stripe_customer: Option<String>,
    /// Whom it names as ours, in the order in which names count.
    pub names: Vec<CustomerName>,
    /// When Stripe made it.
    pub created: Time,
    /// What it changes.
    pub change: Change,
}

impl Event {
    /// The change of an account that it tells of, if it is one of the events that matter. Of what
    /// names a Stripe customer that none can be, nothing is believed.
    #[must_use]
    pub fn account(&self) -> Option<AccountEvent> {
        if self.payer().is_some_and(|id| check_stripe_id(id).is_err()) {
            return None;
        }
        let change = match self.kind.as_deref()? {
            "customer.subscription.created" => self.subscription(Stage::Created),
            "customer.subscription.updated" => self.subscription(Stage::Updated),
            "customer.subscription.deleted" => self.subscription(Stage::Deleted),
            "invoice.paid" => self.bill(true),
            "invoice.payment_failed" => self.bill(false),
            "charge.refunded" => self.refund(),
            "invoice_payment.paid" => self.paid_by(),
            _ => None,
        }?;
        let stripe_customer = self.stripe_customer();
        Some(AccountEvent { stripe_customer, names: self.names(), created: self.created(), change })
    }

    fn created(&self) -> Time {
        seconds(self.created).unwrap_or(Time::from_unix_seconds(0))
    }

    fn subscription(&self, stage: Stage) -> Option<Change> {
        let object = &self.object;
        let status = match stage {
            Stage::Deleted => ProductStatus::Canceled,
            Stage::Created | Stage::Updated => status_of(text(object, "/status")?)?,
        };
        let product = PRODUCT.iter().find_map(|path| ProductId::parse(text(object, path)?).ok());
        let quantity = object.pointer("/items/data/0/quantity").and_then(Value::as_u64).unwrap_or(1);
        let periods = ["/current_period_end", "/items/data/0/current_period_end"];
        let subscription = Subscription {
            id: text(object, "/id").map(bounded)?,
            status,
            current_period_end: periods.iter().find_map(|path| time(object, path)),
            trial_end: time(object, "/trial_end"),
            order: EventOrder { at: self.created(), stage, event_id: self.id.clone() },
        };
        let quantity = quantity.clamp(1, MAX_QUANTITY);
        Some(Change::Subscription(SubscriptionChange { product_id: product?, quantity, subscription }))
    }

    fn bill(&self, paid: bool) -> Option<Change> {
        let object = &self.object;
        let url = text(object, "/hosted_invoice_url").filter(|url| url.len() <= MAX_URL_BYTES);
        Some(Change::Bill(Bill {
            invoice_id: text(object, "/id").map(bounded)?,
            status: text(object, "/status").map_or_else(|| "open".into(), bounded),
            currency: currency(object),
            total: object.pointer("/total").and_then(Value::as_i64),
            hosted_invoice_url: url.map(str::to_owned),
            payments: payments(object),
            created_at: time(object, "/created").unwrap_or(self.created()),
            order: BillOrder { paid, at: self.created(), event_id: self.id.clone() },
        }))
    }

    fn refund(&self) -> Option<Change> {
        let object = &self.object;
        let charge = text(object, "/id").map(bounded);
        Some(Change::Refund(Refund {
            invoice_id: invoice(object),
            payments: payments(object).into_iter().chain(charge).collect(),
            currency: currency(object),
            charged: object.pointer("/amount").and_then(Value::as_i64),
            amount_refunded: object.pointer("/amount_refunded").and_then(Value::as_u64)?,
            charged_at: time(object, "/created").unwrap_or(self.created()),
        }))
    }

    fn paid_by(&self) -> Option<Change> {
        let payments = payments(&self.object);
        Some(Change::Paid(PaidBy { invoice_id: invoice(&self.object)?, payments }))
    }

    /// The Stripe customer that it is about, if it can be one.
    pub(super) fn stripe_customer(&self) -> Option<String> {
        self.payer().filter(|id| check_stripe_id(id).is_ok()).map(str::to_owned)
    }

    /// What it names as its Stripe customer, as an id or as the whole object.
    fn payer(&self) -> Option<&str> {
        ["/customer", "/customer/id"].iter().find_map(|path| text(&self.object, path))
    }
}

fn invoice(object: &Value) -> Option<String> {
    INVOICE.iter().find_map(|path| text(object, path)).map(bounded)
}

/// The payments that `object` names, itself or in its list of them.
fn payments(object: &Value) -> Vec<String> {
    let listed = object.pointer("/payments/data").and_then(Value::as_array).into_iter().flatten();
    let named = std::iter::once(object).chain(listed);
    let named = named.flat_map(|it| PAYMENTS.iter().filter_map(move |path| text(it, path)));
    named.map(bounded).take(MAX_PAYMENTS).collect()
}

fn currency(object: &Value) -> Option<Currency> {
    Currency::parse(text(object, "/currency")?).ok()
}

fn time(object: &Value, path: &str) -> Option<Time> {
    seconds(object.pointer(path)?.as_i64()?)
}

fn seconds(seconds: i64) -> Option<Time> {
    (0..=MAX_SECONDS).contains(&seconds).then(|| Time::from_unix_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn account(kind: &str, object: &Value) -> Option<AccountEvent> {
        let event = json!({ "id": "evt_1", "type": kind, "created": 1_795_176_000, "data": { "object": object } });
        Event::parse(event.to_string().as_bytes()).account()
    }

    fn subscription(object: &Value) -> Option<SubscriptionChange> {
        match account("customer.subscription.updated", object)?.change {
            Change::Subscription(change) => Some(change),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_layouts_of_a_subscription_are_read() {
        let old = json!({
            "id": "sub_1", "status": "active", "customer": "cus_1", "current_period_end": 1_800_000_000,
            "items": { "data": [{ "quantity": 3, "price": { "product": "pro" } }] },
        });
        let new = json!({
            "id": "sub_1", "status": "active", "customer": { "id": "cus_1" },
            "items": { "data": [{
                "quantity": 3, "current_period_end": 1_800_000_000, "price": { "product": { "id": "pro" } },
            }] },
        });
        assert_eq!(subscription(&old), subscription(&new));
        let read = subscription(&old).unwrap();
        assert_eq!((read.product_id.as_str(), read.quantity), ("pro", 3));
        assert_eq!(read.subscription.current_period_end, Some(Time::from_unix_seconds(1_800_000_000)));
        let event = account("customer.subscription.deleted", &new).unwrap();
        assert_eq!(event.stripe_customer.as_deref(), Some("cus_1"));
    }

    #[test]
    fn our_own_name_of_the_product_comes_first() {
        let mut object = json!({
            "id": "sub_1", "status": "active", "metadata": { "product_id": "ours" },
            "items": { "data": [{ "price": { "product": "prod_1", "metadata": { "product_id": "prices" } } }] },
        });
        assert_eq!(subscription(&object).unwrap().product_id.as_str(), "ours");
        object["metadata"] = json!({});
        assert_eq!(subscription(&object).unwrap().product_id.as_str(), "prices");
        object["items"]["data"][0]["price"]["metadata"] = Value::Null;
        assert_eq!(subscription(&object).unwrap().product_id.as_str(), "prod_1");
    }

    #[test]
    fn odd_fields_make_no_event_unreadable() {
        let odd = json!({
            "id": "sub_1", "status": "active", "metadata": { "product_id": "pro" }, "items": 7, "customer": 7,
            "current_period_end": i64::MAX, "trial_end": "tomorrow",
        });
        assert_eq!(subscription(&odd).unwrap().subscription.current_period_end, None);
        let later = json!({
            "id": "sub_1", "status": "active", "metadata": { "product_id": "pro" }, "trial_end": MAX_SECONDS + 1,
        });
        assert_eq!(subscription(&later).unwrap().subscription.trial_end, None);
        assert_eq!(account("customer.subscription.updated", &json!({ "id": "sub_1", "status": "new" })), None);
        assert_eq!(account("invoice.paid", &json!({})), None);
        assert_eq!(account("invoice.created", &json!({ "id": "in_1" })), None);
        assert_eq!(account("charge.refunded", &json!({ "id": "ch_1" })), None);
        assert_eq!(account("invoice_payment.paid", &json!({ "id": "inpay_1" })), None);
    }

    #[test]
    fn an_invoice_and_a_charge_name_their_payments_in_both_layouts() {
        let of = |kind: &str, object: &Value| match account(kind, object).unwrap().change {
            Change::Bill(bill) => (Some(bill.invoice_id), bill.payments),
            Change::Refund(refund) => (refund.invoice_id, refund.payments),
            Change::Paid(paid) => (Some(paid.invoice_id), paid.payments),
            other @ Change::Subscription(_) => panic!("{other:?}"),
        };
        let expect = |invoice: Option<&str>, payments: &[&str]| {
            (invoice.map(str::to_owned), payments.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
        };
        let old = json!({ "id": "in_1", "payment_intent": "pi_1", "charge": { "id": "ch_1" } });
        assert_eq!(of("invoice.paid", &old), expect(Some("in_1"), &["pi_1", "ch_1"]));
        let payment = json!({ "payment": { "type": "payment_intent", "payment_intent": "pi_1" } });
        let new = json!({ "id": "in_1", "payments": { "data": [payment, 7] } });
        assert_eq!(of("invoice.paid", &new), expect(Some("in_1"), &["pi_1"]));
        let charge = json!({ "id": "ch_1", "payment_intent": "pi_1", "amount_refunded": 5 });
        assert_eq!(of("charge.refunded", &charge), expect(None, &["pi_1", "ch_1"]));
        let paid = json!({ "id": "inpay_1", "invoice": "in_1", "payment": { "payment_intent": { "id": "pi_1" } } });
        assert_eq!(of("invoice_payment.paid", &paid), expect(Some("in_1"), &["pi_1"]));
    }
}
