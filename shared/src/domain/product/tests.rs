//! What the catalogue gives, and what a customer holds of it.

use super::*;

const NOW: Time = Time::from_unix_seconds(1_795_176_000);

/// A product called `id`, of no group, for nothing, that nobody gets by default.
pub(crate) fn plain(id: &str, now: Time) -> Product {
    Product {
        id: ProductId::parse(id).unwrap(),
        name: Name::parse(id).unwrap(),
        group: None,
        is_default: false,
        force_paid_default: false,
        price: None,
        free_trial: None,
        items: Vec::new(),
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

fn product(id: &str, group: Option<&str>, price: u64, trial: Option<FreeTrial>) -> Product {
    let currency = Currency::parse("INR").unwrap();
    Product {
        group: group.map(|group| Group::parse(group).unwrap()),
        is_default: true,
        force_paid_default: true,
        price: (price > 0).then_some(Price { amount: price, currency, interval: None, stripe_price_id: None }),
        free_trial: trial,
        ..plain(id, NOW)
    }
}

const TRIAL: Option<FreeTrial> = Some(FreeTrial { days: 14, card_required: false });
const CARD_TRIAL: Option<FreeTrial> = Some(FreeTrial { days: 14, card_required: true });

fn chosen(catalogue: &[Product], used: &[&str], stripe: bool) -> (Vec<String>, Vec<&'static str>) {
    let used = used.iter().map(|id| ProductId::parse(id).unwrap()).collect();
    let (chosen, warnings) = choose_defaults(catalogue, &used, stripe);
    (chosen.into_iter().map(|product| product.id.to_string()).collect(), warnings)
}

#[test]
fn a_trial_comes_before_a_paid_before_a_free_default_and_then_the_lower_id() {
    let mut catalogue = vec![
        product("a-free", None, 0, None),
        product("b-free", None, 0, None),
        product("c-paid", None, 5, CARD_TRIAL),
        product("d-trial", None, 5, TRIAL),
        product("e-trial", None, 0, TRIAL),
    ];
    for expected in ["d-trial", "e-trial", "c-paid", "a-free", "b-free"] {
        let mut backwards = catalogue.clone();
        backwards.reverse();
        assert_eq!(chosen(&catalogue, &[], true), (vec![expected.to_owned()], vec![]));
        assert_eq!(chosen(&backwards, &[], true), (vec![expected.to_owned()], vec![]));
        catalogue.retain(|product| product.id.as_str() != expected);
    }
}

#[test]
fn there_is_one_default_per_group_and_products_without_a_group_are_one() {
    let catalogue = [
        product("a", Some("milk"), 0, None),
        product("b", Some("milk"), 0, None),
        product("c", Some("bread"), 0, None),
        product("d", None, 0, None),
        product("e", None, 0, None),
    ];
    assert_eq!(chosen(&catalogue, &[], true).0, ["d", "c", "a"]);
    let other = Product { is_default: false, ..product("a", None, 0, None) };
    assert!(chosen(&[other], &[], true).0.is_empty());
}

#[test]
fn a_trial_that_was_used_is_none() {
    let catalogue = [product("a-trial", None, 0, TRIAL), product("b-trial", None, 0, TRIAL)];
    assert_eq!(chosen(&catalogue, &["a-trial"], true).0, ["b-trial"]);
    assert_eq!(chosen(&catalogue, &["a-trial", "b-trial"], true).0, ["a-trial"]);
    assert_eq!(catalogue[0].terms(true), Terms::Free);
}

#[test]
fn a_paid_default_needs_force_and_stripe() {
    let quiet = Product { force_paid_default: false, ..product("a", None, 5, None) };
    let catalogue = [quiet, product("b", None, 5, None), product("c", None, 0, None)];
    assert_eq!(chosen(&catalogue, &[], true), (vec!["b".into()], vec![]));
    assert_eq!(chosen(&catalogue, &[], false), (vec!["c".into()], vec![STRIPE_NOT_CONFIGURED]));
    assert_eq!(chosen(&catalogue[..1], &[], false), (vec![], vec![]));
}

#[test]
fn a_trial_that_is_over_has_expired() {
    let held = product("a", None, 0, TRIAL).attach(1, Terms::Trial { days: 14 }, NOW);
    let end = NOW.plus_seconds(14 * 86_400);
    assert_eq!((held.status, held.trial_ends_at), (ProductStatus::Trialing, Some(end)));
    assert_eq!(held.status_at(end.plus_seconds(-1)), ProductStatus::Trialing);
    assert_eq!(held.status_at(end), ProductStatus::Expired);
}

#[test]
fn a_chosen_product_takes_the_place_of_the_default_of_its_group() {
    let mut held = vec![product("free", Some("milk"), 0, None).attach(1, Terms::Free, NOW)];
    held.push(product("other", Some("bread"), 0, None).attach(1, Terms::Free, NOW));
    hold(&mut held, product("pro", Some("milk"), 5, None).attach(2, Terms::Free, NOW));
    let ids: Vec<_> = held.iter().map(|product| product.id.as_str()).collect();
    assert_eq!(ids, ["other", "pro"]);
}

#[test]
fn every_interval_is_read_as_it_is_written() {
    for interval in [Interval::Day, Interval::Week, Interval::Month, Interval::Year] {
        let written = serde_json::to_value(interval).unwrap();
        assert_eq!(Interval::parse(written.as_str().unwrap()), Ok(interval));
    }
    assert!(Interval::parse("Day").is_err());
}

#[test]
fn a_price_of_nothing_is_none() {
    let mut product = product("a", None, 5, None);
    assert_eq!(product.terms(false), Terms::Paid);
    product.price = product.price.map(|price| Price { amount: 0, ..price });
    assert_eq!(product.terms(false), Terms::Free);
}

#[test]
fn what_the_catalogue_did_not_have_is_held_as_it_lists_it_once_it_does() {
    let feature_id = FeatureId::parse("litres").unwrap();
    let item = Item { feature_id, included_usage: 10, interval: None, unlimited: false, overage_allowed: false };
    let listed = Product { items: vec![item], ..product("a", Some("milk"), 5, None) };
    let held = HeldProduct::unlisted(&listed.id, 2, NOW).unwrap();
    assert_eq!(held.listed(&listed), listed.attach(2, Terms::Paid, NOW));
}

#[test]
fn only_what_is_scheduled_and_follows_no_subscription_awaits_one() {
    let waiting = product("a", None, 5, None).attach(1, Terms::Paid, NOW);
    assert!(waiting.awaits_subscription());
    let following = HeldProduct { subscription_id: Some("sub_1".into()), ..waiting.clone() };
    let active = HeldProduct { status: ProductStatus::Active, ..waiting };
    assert!(!following.awaits_subscription() && !active.awaits_subscription());
}
