//! What a customer pays: regularly by what they hold, and so far by their invoices.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Time;
use crate::domain::billing::{Invoice, PAID};
use crate::domain::product::{Currency, HeldProduct, Interval, Price, Product, ProductStatus};

/// The money of a customer, in minor units of one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Amounts {
    /// That of the latest invoice, else of the first product that costs something; what is in
    /// another is left out.
    pub currency: Option<Currency>,
    /// What is due in a month for the products that are active or past due, at the catalogue's prices.
    pub recurring: u64,
    /// The total of the paid invoices.
    pub paid: i64,
    /// What was given back.
    pub refunded: u64,
}

/// The amounts of somebody who holds `held` at `now` and was billed `invoices`. A price is what the
/// catalogue says: what a customer holds has none of its own.
#[must_use]
pub fn amounts(held: &[HeldProduct], catalogue: &[Product], invoices: &[Invoice], now: Time) -> Amounts {
    let due = |held: &&HeldProduct| matches!(held.status_at(now), ProductStatus::Active | ProductStatus::PastDue);
    let price = |held: &HeldProduct| catalogue.iter().find(|product| product.id == held.id)?.price.as_ref();
    let prices: Vec<(u64, &Price)> =
        held.iter().filter(due).filter_map(|held| Some((held.quantity, price(held)?))).collect();
    let latest = invoices.iter().filter(|invoice| invoice.currency.is_some()).max_by_key(|invoice| invoice.created_at);
    let billed = latest.and_then(|invoice| invoice.currency.as_ref());
    let Some(currency) = billed.or_else(|| prices.first().map(|(_, price)| &price.currency)) else {
        return Amounts::default();
    };
    let recurring = prices.iter().filter(|(_, price)| price.currency == *currency);
    // An invoice that is known by a refund alone may not say its currency: it is no other one.
    let counted = || invoices.iter().filter(|invoice| invoice.currency.as_ref().is_none_or(|own| own == currency));
    let paid = counted().filter(|invoice| invoice.status == PAID).filter_map(|invoice| invoice.total);
    Amounts {
        currency: Some(currency.clone()),
        recurring: recurring
            .map(|(quantity, price)| monthly(price).saturating_mul(*quantity))
            .fold(0, u64::saturating_add),
        paid: paid.fold(0, i64::saturating_add),
        refunded: counted().map(|invoice| invoice.amount_refunded).fold(0, u64::saturating_add),
    }
}

/// What a price comes to in an average month; nothing if it is due once.
fn monthly(price: &Price) -> u64 {
    let times = |in_a_year: u64| price.amount.saturating_mul(in_a_year).saturating_add(6) / 12;
    match price.interval {
        None => 0,
        Some(Interval::Day) => times(365),
        Some(Interval::Week) => times(52),
        Some(Interval::Month) => price.amount,
        Some(Interval::Year) => times(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::product::Terms;
    use crate::domain::product::tests::plain;
    use crate::ids::CustomerId;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn product(id: &str, amount: u64, currency: &str, interval: Option<Interval>) -> Product {
        let currency = Currency::parse(currency).unwrap();
        Product { price: Some(Price { amount, currency, interval, stripe_price_id: None }), ..plain(id, NOW) }
    }

    fn invoice(at: i64, currency: Option<&str>, status: &str, total: i64, amount_refunded: u64) -> Invoice {
        Invoice {
            customer_id: CustomerId(uuid::Uuid::nil()),
            stripe_id: format!("in_{at}"),
            status: status.into(),
            currency: currency.map(|currency| Currency::parse(currency).unwrap()),
            total: Some(total),
            amount_refunded,
            hosted_invoice_url: None,
            created_at: NOW.plus_seconds(at),
            last_event: None,
            version: 1,
        }
    }

    #[test]
    fn somebody_without_prices_and_invoices_pays_nothing() {
        assert_eq!(amounts(&[], &[], &[], NOW), Amounts::default());
    }

    #[test]
    fn what_is_due_is_counted_by_the_month() {
        let catalogue = [
            product("a", 100, "inr", Some(Interval::Month)),
            product("b", 1_200, "inr", Some(Interval::Year)),
            product("c", 12, "inr", Some(Interval::Week)),
            product("d", 12, "inr", Some(Interval::Day)),
            product("e", 5_000, "inr", None),
            product("f", 7_000, "eur", Some(Interval::Month)),
        ];
        let held: Vec<_> = catalogue.iter().map(|product| product.attach(2, Terms::Free, NOW)).collect();
        let found = amounts(&held, &catalogue, &[], NOW);
        assert_eq!((found.currency, found.recurring), (Currency::parse("inr").ok(), 2 * (100 + 100 + 52 + 365)));
        let waiting = [catalogue[0].attach(1, Terms::Paid, NOW), catalogue[1].attach(1, Terms::Trial { days: 1 }, NOW)];
        assert_eq!(amounts(&waiting, &catalogue, &[], NOW), Amounts::default());
    }

    #[test]
    fn paid_invoices_and_refunds_add_up_in_the_latest_currency() {
        let invoices = [
            invoice(1, Some("inr"), "paid", 500, 0),
            invoice(2, Some("inr"), "paid", 300, 100),
            invoice(3, Some("inr"), "open", 900, 0),
            invoice(0, Some("eur"), "paid", 40, 4),
            invoice(4, None, "paid", 7, 7),
        ];
        let found = amounts(&[], &[], &invoices, NOW);
        assert_eq!((found.paid, found.refunded, found.recurring), (807, 107, 0));
        assert_eq!(found.currency, Currency::parse("inr").ok());
    }
}
