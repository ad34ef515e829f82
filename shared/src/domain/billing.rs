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
    /// What was given back of an invoice.
    Refund(Refund),
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
    /// When Stripe made the invoice.
    pub created_at: Time,
    /// Where the event stands.
    pub order: BillOrder,
}

/// An event of a charge that was given back, all or in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The invoice that the charge paid.
    pub invoice_id: String,
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

    /// The invoice of `customer` that `news` makes of `known`, if anything changes.
    #[must_use]
    pub fn refunded(known: Option<&Self>, customer: CustomerId, news: &Refund) -> Option<Self> {
        match known {
            Some(invoice) if invoice.amount_refunded >= news.amount_refunded => None,
            Some(invoice) => Some(Self { amount_refunded: news.amount_refunded, ..invoice.clone() }),
            None => Some(Self {
                customer_id: customer,
                stripe_id: news.invoice_id.clone(),
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
            created_at: NOW,
            order: BillOrder { paid, at: NOW.plus_seconds(at), event_id: format!("evt_{at}") },
        }
    }

    fn refund(amount_refunded: u64) -> Refund {
        let invoice_id = "in_1".into();
        Refund { invoice_id, currency: None, charged: Some(100), amount_refunded, charged_at: NOW }
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
        let early = Invoice::refunded(None, somebody(), &refund(30)).unwrap();
        assert_eq!(Invoice::billed(Some(&early), somebody(), &bill(0, false)), None);
        let paid = Invoice::billed(Some(&early), somebody(), &bill(0, true)).unwrap();
        assert_eq!((paid.status.as_str(), paid.amount_refunded, paid.total), ("paid", 30, Some(100)));
        assert_eq!(Invoice::refunded(Some(&paid), somebody(), &refund(20)), None);
        assert_eq!(Invoice::refunded(Some(&paid), somebody(), &refund(50)).unwrap().amount_refunded, 50);
    }
}
