//! What Stripe says of a customer's account: subscriptions, invoices, refunds.
//!
//! As with subscriptions, the events decide what is last and not their arrival.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::domain::product::Currency;
use crate::domain::subscription::SubscriptionChange;
use crate::ids::CustomerId;

/// What an invoice that was paid says of itself.
pub(super) const PAID: &str = "paid";

/// What an event changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A subscription.
    Subscription(SubscriptionChange),
    /// An invoice.
    Bill(Bill),
    /// What was given back of an invoice, or of a payment.
    Refund(Refund),
    /// What paid an invoice.
    Paid(PaidBy),
}

/// What paid an invoice: payment intents and charges, by which a charge is found that names no
/// invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidBy {
    /// The invoice.
    pub invoice_id: String,
    /// What paid it.
    pub payments: Vec<String>,
}

/// Where an event stands among those of its invoice: nothing takes a payment back, and else the
/// later is the last word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BillOrder {
    /// Whether it says that the invoice is paid.
    pub paid: bool,
    /// When Stripe made it, to the second.
    pub at: Time,
    /// Its id, which settles what nothing else does.
    pub event_id: String,
}

/// An event of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// The invoice.
    pub invoice_id: String,
    /// Where it stands, in Stripe's words.
    pub status: String,
    /// The currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What it comes to, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// Where it can be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosted_invoice_url: Option<String>,
    /// What paid it, or tries to, if it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<String>,
    /// When Stripe made the invoice.
    pub created_at: Time,
    /// Where the event stands.
    pub order: BillOrder,
}

/// An event of a charge that was given back, all or in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The invoice that the charge paid, if it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<String>,
    /// The charge and its payment intent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<String>,
    /// The currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What was charged, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged: Option<i64>,
    /// What has been given back altogether, in minor units.
    pub amount_refunded: u64,
    /// When the charge was made.
    pub charged_at: Time,
}

/// What Stripe has billed a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// Who was billed.
    pub customer_id: CustomerId,
    /// Its id at Stripe.
    pub stripe_id: String,
    /// Where it stands, in Stripe's words.
    pub status: String,
    /// The currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What it comes to, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// The most that is known to have been given back, in minor units.
    pub amount_refunded: u64,
    /// Where it can be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosted_invoice_url: Option<String>,
    /// When Stripe made it.
    pub created_at: Time,
    /// Where the last event of it stands; of a refund alone none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event: Option<BillOrder>,
    /// Raised by every write; a write made from an older picture fails.
    pub version: u64,
}

impl Invoice {
    /// The invoice of `customer` that `news` makes of `known`, if anything changes.
    #[must_use]
    pub fn billed(known: Option<&Self>, customer: CustomerId, news: &Bill) -> Option<Self> {
        let seen = known.and_then(|invoice| invoice.last_event.as_ref());
        // A charge that was given back had been paid.
        let only_refund = known.is_some() && seen.is_none();
        if seen.is_some_and(|seen| *seen >= news.order) || (only_refund && !news.order.paid) {
            return None;
        }
        Some(Self {
            customer_id: customer,
            stripe_id: news.invoice_id.clone(),
            status: if news.order.paid { PAID.to_owned() } else { news.status.clone() },
            currency: news.currency.clone().or_else(|| known?.currency.clone()),
            total: news.total.or_else(|| known?.total),
            amount_refunded: known.map_or(0, |invoice| invoice.amount_refunded),
            hosted_invoice_url: news.hosted_invoice_url.clone().or_else(|| known?.hosted_invoice_url.clone()),
            created_at: news.created_at,
            last_event: Some(news.order.clone()),
            version: known.map_or(0, |invoice| invoice.version),
        })
    }

    /// The invoice `invoice_id` of `customer` that `news` makes of `known`, if anything changes.
    #[must_use]
    pub fn refunded(known: Option<&Self>, customer: CustomerId, invoice_id: &str, news: &Refund) -> Option<Self> {
        match known {
            Some(invoice) if invoice.amount_refunded >= news.amount_refunded => None,
            Some(invoice) => Some(Self { amount_refunded: news.amount_refunded, ..invoice.clone() }),
            None => Some(Self {
                customer_id: customer,
                stripe_id: invoice_id.to_owned(),
                status: PAID.to_owned(),
                currency: news.currency.clone(),
                total: news.charged,
                amount_refunded: news.amount_refunded,
                hosted_invoice_url: None,
                created_at: news.charged_at,
                last_event: None,
                version: 0,
            }),
        }
    }
}

/// A payment at Stripe, by its payment intent or its charge. It is where an invoice and a refund
/// that do not name each other meet, whichever comes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its id.
    pub payment_id: String,
    /// The invoice that it paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<String>,
    /// Who had paid, while a refund waits for its invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// The highest refund that waits for its invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
    /// Raised by every write; a write made from an older picture fails.
    pub version: u64,
    /// When it may be forgotten, in Unix seconds; every write puts it off.
    #[serde(default)]
    pub expires_at: i64,
}

impl Payment {
    fn known(known: Option<&Self>, payment_id: &str) -> Self {
        let payment_id = payment_id.to_owned();
        let blank =
            || Self { payment_id, invoice_id: None, customer_id: None, refund: None, version: 0, expires_at: 0 };
        known.cloned().unwrap_or_else(blank)
    }

    /// The payment, which paid `invoice_id`; `None` if it is known which invoice it paid.
    #[must_use]
    pub fn paid(known: Option<&Self>, payment_id: &str, invoice_id: &str) -> Option<Self> {
        let known = Self::known(known, payment_id);
        known.invoice_id.is_none().then(|| Self { invoice_id: Some(invoice_id.to_owned()), ..known })
    }

    /// The payment of `customer` with `refund`, which waits for its invoice; `None` if as much of
    /// it waits already.
    #[must_use]
    pub fn given_back(known: Option<&Self>, payment_id: &str, customer: CustomerId, refund: &Refund) -> Option<Self> {
        let known = Self::known(known, payment_id);
        let had = known.refund.as_ref().map(|refund| refund.amount_refunded);
        let more = had.is_none_or(|had| had < refund.amount_refunded);
        more.then(|| Self { customer_id: Some(customer), refund: Some(refund.clone()), ..known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn somebody() -> CustomerId {
        CustomerId(uuid::Uuid::nil())
    }

    fn bill(at: i64, paid: bool) -> Bill {
        Bill {
            invoice_id: "in_1".into(),
            status: if paid { "paid" } else { "open" }.into(),
            currency: Currency::parse("inr").ok(),
            total: Some(100),
            hosted_invoice_url: None,
            payments: Vec::new(),
            created_at: NOW,
            order: BillOrder { paid, at: NOW.plus_seconds(at), event_id: format!("evt_{at}") },
        }
    }

    fn refund(amount_refunded: u64) -> Refund {
        let (invoice_id, payments) = (None, vec!["ch_1".into()]);
        Refund { invoice_id, payments, currency: None, charged: Some(100), amount_refunded, charged_at: NOW }
    }

    #[test]
    fn a_paid_invoice_never_goes_back() {
        let paid = Invoice::billed(None, somebody(), &bill(0, true)).unwrap();
        assert_eq!(Invoice::billed(Some(&paid), somebody(), &bill(9, false)), None);
        assert_eq!(Invoice::billed(Some(&paid), somebody(), &bill(0, true)), None);
        let failed = Invoice::billed(None, somebody(), &bill(9, false)).unwrap();
        assert_eq!(failed.status, "open");
        assert_eq!(Invoice::billed(Some(&failed), somebody(), &bill(0, true)).unwrap().status, "paid");
        assert_eq!(Invoice::billed(Some(&failed), somebody(), &bill(8, false)), None);
    }

    #[test]
    fn the_highest_refund_stays_whenever_it_comes() {
        let early = Invoice::refunded(None, somebody(), "in_1", &refund(30)).unwrap();
        assert_eq!(Invoice::billed(Some(&early), somebody(), &bill(0, false)), None);
        let paid = Invoice::billed(Some(&early), somebody(), &bill(0, true)).unwrap();
        assert_eq!((paid.status.as_str(), paid.amount_refunded, paid.total), ("paid", 30, Some(100)));
        assert_eq!(Invoice::refunded(Some(&paid), somebody(), "in_1", &refund(20)), None);
        assert_eq!(Invoice::refunded(Some(&paid), somebody(), "in_1", &refund(50)).unwrap().amount_refunded, 50);
    }

    #[test]
    fn a_payment_and_its_refund_meet_whichever_comes_first() {
        let waiting = Payment::given_back(None, "ch_1", somebody(), &refund(30)).unwrap();
        assert_eq!(Payment::given_back(Some(&waiting), "ch_1", somebody(), &refund(20)), None);
        assert_eq!(Payment::given_back(Some(&waiting), "ch_1", somebody(), &refund(30)), None, "as much waits already");
        let more = Payment::given_back(Some(&waiting), "ch_1", somebody(), &refund(40)).unwrap();
        assert_eq!((more.customer_id, more.refund), (Some(somebody()), Some(refund(40))));
        let paid = Payment::paid(Some(&waiting), "ch_1", "in_1").unwrap();
        assert_eq!((paid.invoice_id.as_deref(), paid.refund.as_ref()), (Some("in_1"), Some(&refund(30))));
        assert_eq!(Payment::paid(Some(&paid), "ch_1", "in_2"), None);
    }
}
