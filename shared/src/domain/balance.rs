//! How much a customer may still use: one bucket for each product that includes the feature.
//!
//! What is kept is what was used, and of which period. A period that is over needs no reset: what
//! was used in it simply counts no longer. The k-th period begins k intervals after the product
//! was attached, counted from there and not from the period before, so that a month from the 31st
//! ends on the last day of February and the next one on the 31st of March.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Time;
use crate::domain::product::{FeatureId, HeldProduct, Interval, Item, ProductId};
use crate::ids::CustomerId;

/// What a customer has used of a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The customer.
    pub customer_id: CustomerId,
    /// The feature.
    pub feature_id: FeatureId,
    /// By product.
    pub buckets: Vec<Bucket>,
    /// Raised by every write; a write made from an older picture fails.
    pub version: u64,
}

/// What a customer has used of what one product includes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The product.
    pub product_id: ProductId,
    /// When the period began in which it was used.
    pub period_start: Time,
    /// How much.
    pub used: u64,
}

/// A feature as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeatureBalance {
    /// The feature.
    pub feature_id: FeatureId,
    /// How much there is in the present period.
    pub granted: u64,
    /// How much of it, or beyond it, was used.
    pub usage: u64,
    /// How much is left; below 0 by what was used beyond it where that is allowed.
    pub remaining: i64,
    /// Whether there is no end to it.
    pub unlimited: bool,
    /// Whether more than what is left may be used.
    pub overage_allowed: bool,
    /// When some of it is there again.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_reset_at: Option<Time>,
}

impl FeatureBalance {
    /// The balance of a feature that none of a customer's products has.
    #[must_use]
    pub fn none(feature_id: FeatureId) -> Self {
        Self {
            feature_id,
            granted: 0,
            usage: 0,
            remaining: 0,
            unlimited: false,
            overage_allowed: false,
            next_reset_at: None,
        }
    }

    /// Whether `wanted` of it may be used.
    #[must_use]
    pub fn allows(&self, wanted: u64) -> bool {
        self.unlimited || self.overage_allowed || u64::try_from(self.remaining).is_ok_and(|left| left >= wanted)
    }
}

/// What came of a use.
#[derive(Clone, Debug)]
pub struct Deduction {
    /// How much was taken: no more than there was.
    pub deducted: u64,
    /// What has been used now.
    pub usage: Usage,
    /// What that leaves.
    pub balance: FeatureBalance,
}

/// The balances of every feature that a customer's live products have.
#[must_use]
pub fn balances(products: &[HeldProduct], usage: &[Usage], now: Time) -> BTreeMap<FeatureId, FeatureBalance> {
    let live = products.iter().filter(|held| held.status_at(now).is_live());
    let features = live.flat_map(|held| &held.items).map(|item| item.feature_id.clone());
    let balance_of = |feature: FeatureId| {
        let used = usage.iter().find(|usage| usage.feature_id == feature);
        balance(products, used, &feature, now).map(|balance| (feature, balance))
    };
    features.filter_map(balance_of).collect()
}

/// The balance of `feature`; `None` when no live product has it.
#[must_use]
pub fn balance(
    products: &[HeldProduct],
    usage: Option<&Usage>,
    feature: &FeatureId,
    now: Time,
) -> Option<FeatureBalance> {
    let grants = grants(products, usage, feature, now);
    (!grants.is_empty()).then(|| sum(&grants, feature))
}

/// Takes up to `value` of `feature`: from what has no end, else from each product what is left,
/// the first attached first, and the rest from one that allows overage.
#[must_use]
pub fn deduct(
    products: &[HeldProduct],
    usage: Option<&Usage>,
    (customer_id, feature): (CustomerId, &FeatureId),
    value: u64,
    now: Time,
) -> Deduction {
    let mut grants = grants(products, usage, feature, now);
    let mut open = value;
    if let Some(endless) = grants.iter_mut().find(|grant| grant.item.unlimited) {
        endless.take(&mut open, value);
    }
    for grant in &mut grants {
        grant.take(&mut open, grant.left());
    }
    if let Some(generous) = grants.iter_mut().find(|grant| grant.item.overage_allowed) {
        generous.take(&mut open, value);
    }
    let usage = Usage {
        customer_id,
        feature_id: feature.clone(),
        buckets: grants.iter().map(Grant::bucket).chain(idle(products, usage, &grants)).collect(),
        version: usage.map_or(0, |usage| usage.version),
    };
    Deduction { deducted: value - open, usage, balance: sum(&grants, feature) }
}

/// What one product includes of a feature in the present period, and what was used of it.
struct Grant<'a> {
    product: &'a HeldProduct,
    item: &'a Item,
    start: Time,
    end: Option<Time>,
    used: u64,
}

impl Grant<'_> {
    fn granted(&self) -> u64 {
        self.item.included_usage.saturating_mul(self.product.quantity)
    }

    fn left(&self) -> u64 {
        self.granted().saturating_sub(self.used)
    }

    /// What is left as its user sees it: what has no end owes nothing, what allows overage does.
    fn remaining(&self) -> i128 {
        let remaining = i128::from(self.granted()) - i128::from(self.used);
        if self.item.overage_allowed && !self.item.unlimited { remaining } else { remaining.max(0) }
    }

    fn take(&mut self, open: &mut u64, most: u64) {
        let taken = most.min(*open).min(u64::MAX - self.used);
        self.used += taken;
        *open -= taken;
    }

    fn bucket(&self) -> Bucket {
        Bucket { product_id: self.product.id.clone(), period_start: self.start, used: self.used }
    }
}

fn grants<'a>(products: &'a [HeldProduct], usage: Option<&Usage>, feature: &FeatureId, now: Time) -> Vec<Grant<'a>> {
    let live = products.iter().filter(|held| held.status_at(now).is_live());
    let mut grants: Vec<_> = live
        .filter_map(|product| {
            let item = product.item(feature)?;
            let mut buckets = usage.into_iter().flat_map(|usage| &usage.buckets);
            let bucket = buckets.find(|b| b.product_id == product.id && b.period_start >= product.started_at);
            // Whoever's clock is behind stays in the period that another has begun.
            let now = bucket.map_or(now, |bucket| bucket.period_start.max(now));
            let (start, end) = period(product.started_at, item.interval, now);
            let used = bucket.filter(|bucket| bucket.period_start == start).map_or(0, |bucket| bucket.used);
            Some(Grant { product, item, start, end, used })
        })
        .collect();
    grants.sort_by(|a, b| (a.product.started_at, &a.product.id).cmp(&(b.product.started_at, &b.product.id)));
    grants
}

/// The buckets of products that are held and not live just now: they may come back.
fn idle(products: &[HeldProduct], usage: Option<&Usage>, grants: &[Grant<'_>]) -> Vec<Bucket> {
    let held = |bucket: &Bucket| products.iter().any(|product| product.id == bucket.product_id);
    let live = |bucket: &Bucket| grants.iter().any(|grant| grant.product.id == bucket.product_id);
    let buckets = usage.into_iter().flat_map(|usage| &usage.buckets);
    buckets.filter(|bucket| held(bucket) && !live(bucket)).cloned().collect()
}

fn total<'a>(grants: &[Grant<'a>], part: impl Fn(&Grant<'a>) -> u64) -> u64 {
    grants.iter().map(part).fold(0, u64::saturating_add)
}

fn sum(grants: &[Grant<'_>], feature: &FeatureId) -> FeatureBalance {
    FeatureBalance {
        feature_id: feature.clone(),
        granted: total(grants, Grant::granted),
        usage: total(grants, |grant| grant.used),
        remaining: saturate(grants.iter().map(Grant::remaining).sum()),
        unlimited: grants.iter().any(|grant| grant.item.unlimited),
        overage_allowed: grants.iter().any(|grant| grant.item.overage_allowed),
        next_reset_at: grants.iter().filter_map(|grant| grant.end).min(),
    }
}

fn saturate(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

/// The period around `now`: when it began, and when the next begins.
fn period(anchor: Time, interval: Option<Interval>, now: Time) -> (Time, Option<Time>) {
    let Some(interval) = interval else { return (anchor, None) };
    let begin = |k: i64| match interval {
        Interval::Day => anchor.plus_seconds(k.saturating_mul(DAY)),
        Interval::Week => anchor.plus_seconds(k.saturating_mul(7 * DAY)),
        Interval::Month => anchor.plus_months(k),
        Interval::Year => anchor.plus_months(k.saturating_mul(12)),
    };
    let seconds = now.unix_seconds() - anchor.unix_seconds();
    let months = now.month() - anchor.month();
    // Never too few; a month or a year may have begun in the calendar and not yet here.
    let most = match interval {
        Interval::Day => seconds / DAY,
        Interval::Week => seconds / (7 * DAY),
        Interval::Month => months,
        Interval::Year => months / 12,
    };
    let k = if begin(most) > now { most - 1 } else { most };
    let k = k.max(0);
    (begin(k), Some(begin(k + 1)))
}

const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::product::ProductStatus;
    use crate::text::Name;

    /// 2027-01-31T12:00:00Z.
    const NOW: Time = Time::from_unix_seconds(1_801_396_800);

    fn feature() -> FeatureId {
        FeatureId::parse("litres").unwrap()
    }

    fn held(id: &str, included_usage: u64, change: impl FnOnce(&mut Item)) -> HeldProduct {
        let mut item =
            Item { feature_id: feature(), included_usage, interval: None, unlimited: false, overage_allowed: false };
        change(&mut item);
        HeldProduct {
            id: ProductId::parse(id).unwrap(),
            name: Name::parse(id).unwrap(),
            group: None,
            status: ProductStatus::Active,
            quantity: 1,
            is_default: false,
            started_at: NOW,
            trial_ends_at: None,
            current_period_end: None,
            subscription_id: None,
            subscriptions: Vec::new(),
            unlisted: false,
            items: vec![item],
        }
    }

    fn take(products: &[HeldProduct], usage: Option<&Usage>, value: u64, now: Time) -> Deduction {
        deduct(products, usage, (CustomerId(NOW.new_id()), &feature()), value, now)
    }

    #[test]
    fn what_is_taken_is_never_more_than_what_is_left() {
        let products = [held("a", 100, |_| {})];
        let first = take(&products, None, 5, NOW);
        let second = take(&products, Some(&first.usage), 3, NOW);
        assert_eq!((second.deducted, second.balance.remaining, second.balance.usage), (3, 92, 8));
        let third = take(&products, Some(&second.usage), 1_000, NOW);
        assert_eq!((third.deducted, third.balance.remaining, third.balance.usage), (92, 0, 100));
    }

    #[test]
    fn a_quantity_multiplies_and_products_add_up() {
        let products = [HeldProduct { quantity: 3, ..held("a", 10, |_| {}) }, held("b", 5, |_| {})];
        let taken = take(&products, None, 32, NOW);
        assert_eq!((taken.deducted, taken.balance.granted, taken.balance.remaining), (32, 35, 3));
        let used: Vec<_> = taken.usage.buckets.iter().map(|bucket| bucket.used).collect();
        assert_eq!(used, [30, 2]);
        let again = take(&products, Some(&taken.usage), 1, NOW);
        assert_eq!((again.balance.usage, again.balance.remaining), (33, 2), "each counts on from its own");
    }

    #[test]
    fn overage_and_what_has_no_end_take_everything() {
        let generous = [held("a", 10, |item| item.overage_allowed = true)];
        let taken = take(&generous, None, 25, NOW);
        assert_eq!((taken.deducted, taken.balance.usage, taken.balance.remaining), (25, 25, -15));
        assert!(taken.balance.allows(1));
        let endless = [held("a", 10, |_| {}), held("b", 0, |item| item.unlimited = true)];
        let taken = take(&endless, None, 25, NOW);
        assert_eq!((taken.deducted, taken.balance.remaining), (25, 10));
        assert!(taken.balance.allows(1_000));
    }

    #[test]
    fn what_is_owed_is_subtracted_from_what_other_products_have_left() {
        let daily = held("a", 10, |item| item.interval = Some(Interval::Day));
        let products = [daily, held("b", 5, |item| item.overage_allowed = true)];
        let taken = take(&products, None, 20, NOW);
        assert_eq!((taken.balance.granted, taken.balance.usage, taken.balance.remaining), (15, 20, -5));
        // The day is over: what was used of the first counts no longer, what is owed for the second does.
        let next = balance(&products, Some(&taken.usage), &feature(), NOW.plus_seconds(DAY)).unwrap();
        assert_eq!((next.granted, next.usage, next.remaining), (15, 10, 5));
        let without = balance(&products[..1], Some(&taken.usage), &feature(), NOW).unwrap();
        assert_eq!((without.remaining, without.allows(1)), (0, false), "nothing is owed without overage");
    }

    #[test]
    fn what_has_no_end_owes_nothing_though_it_allows_overage() {
        let endless = |item: &mut Item| (item.unlimited, item.overage_allowed) = (true, true);
        let taken = take(&[held("a", 10, endless)], None, 25, NOW);
        assert_eq!((taken.deducted, taken.balance.usage, taken.balance.remaining), (25, 25, 0));
    }

    #[test]
    fn sums_beyond_what_an_answer_holds_are_its_ends() {
        let most = HeldProduct { quantity: u64::MAX, ..held("a", u64::MAX, |_| {}) };
        assert_eq!(balance(&[most], None, &feature(), NOW).unwrap().remaining, i64::MAX);
        assert_eq!((saturate(-(1 << 80)), saturate(-3)), (i64::MIN, -3));
    }

    #[test]
    fn a_period_ends_to_the_second_and_nothing_of_it_counts_after() {
        let products = [held("a", 10, |item| item.interval = Some(Interval::Day))];
        let taken = take(&products, None, 10, NOW);
        let end = NOW.plus_seconds(DAY);
        assert_eq!(taken.balance.next_reset_at, Some(end));
        let before = balance(&products, Some(&taken.usage), &feature(), end.plus_seconds(-1)).unwrap();
        let after = balance(&products, Some(&taken.usage), &feature(), end).unwrap();
        assert_eq!((before.remaining, after.remaining, after.usage), (0, 10, 0));
        assert_eq!(after.next_reset_at, Some(end.plus_seconds(DAY)));
    }

    #[test]
    fn a_clock_that_is_behind_does_not_bring_a_period_back() {
        let products = [held("a", 10, |item| item.interval = Some(Interval::Day))];
        let end = NOW.plus_seconds(DAY);
        let ahead = take(&products, None, 4, end);
        let behind = take(&products, Some(&ahead.usage), 3, end.plus_seconds(-1));
        assert_eq!((behind.balance.usage, behind.usage.buckets[0].period_start), (7, end));
    }

    #[test]
    fn months_are_counted_from_the_anchor_and_end_on_the_last_day() {
        let at = |seconds: i64| period(NOW, Some(Interval::Month), NOW.plus_seconds(seconds));
        let text = |(start, end): (Time, Option<Time>)| (start.to_string(), end.unwrap().to_string());
        let january = ("2027-01-31T12:00:00Z".to_owned(), "2027-02-28T12:00:00Z".to_owned());
        let february = ("2027-02-28T12:00:00Z".to_owned(), "2027-03-31T12:00:00Z".to_owned());
        assert_eq!(text(at(0)), january);
        assert_eq!(text(at(28 * DAY - 1)), january);
        assert_eq!(text(at(28 * DAY)), february);
        assert_eq!(text(at(59 * DAY - 1)), february);
        assert_eq!(text(at(59 * DAY)).0, "2027-03-31T12:00:00Z");
        let year = period(NOW, Some(Interval::Year), NOW.plus_seconds(365 * DAY - 1));
        assert_eq!(text(year).1, "2028-01-31T12:00:00Z");
    }

    #[test]
    fn only_live_products_count() {
        let products = [HeldProduct { status: ProductStatus::Scheduled, ..held("a", 10, |_| {}) }];
        assert!(balance(&products, None, &feature(), NOW).is_none());
        assert!(balances(&products, &[], NOW).is_empty());
        assert_eq!(take(&products, None, 5, NOW).deducted, 0);
    }

    #[test]
    fn every_feature_has_the_balance_of_its_own_usage() {
        let bread = |item: &mut Item| item.feature_id = FeatureId::parse("loaves").unwrap();
        let products = [held("a", 10, |_| {}), held("b", 3, bread)];
        let used = take(&products, None, 4, NOW).usage;
        let all = balances(&products, &[used], NOW);
        let left: Vec<_> = all.iter().map(|(feature, balance)| (feature.as_str(), balance.remaining)).collect();
        assert_eq!(left, [("litres", 6), ("loaves", 3)]);
    }

    #[test]
    fn what_was_used_of_a_product_that_rests_is_kept_and_of_one_that_is_gone_forgotten() {
        let all = [held("a", 10, |_| {}), held("b", 5, |_| {}), held("c", 5, |_| {})];
        let used = take(&all, None, 20, NOW).usage;
        let [a, b, _] = all;
        let rests = HeldProduct { status: ProductStatus::Scheduled, ..b };
        let kept = take(&[a, rests], Some(&used), 0, NOW).usage.buckets;
        let kept: Vec<_> = kept.iter().map(|bucket| (bucket.product_id.as_str(), bucket.used)).collect();
        assert_eq!(kept, [("a", 10), ("b", 5)]);
    }

    #[test]
    fn a_week_has_seven_days_and_a_year_twelve_months() {
        let around = |interval, seconds: i64| period(NOW, Some(interval), NOW.plus_seconds(seconds));
        let week = |n: i64| NOW.plus_seconds(n * 604_800);
        assert_eq!(around(Interval::Week, 604_799), (NOW, Some(week(1))));
        assert_eq!(around(Interval::Week, 604_800), (week(1), Some(week(2))));
        assert_eq!(around(Interval::Year, 365 * DAY), (NOW.plus_months(12), Some(NOW.plus_months(24))));
    }
}
