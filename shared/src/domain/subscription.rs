//! What Stripe says of subscriptions, and where the products stand that are held by them.
//!
//! Events come in any order, and more than once. Each product remembers of each of its
//! subscriptions the last word; what is last is decided by the events and not by their arrival,
//! and where the product stands follows from the last words alone. So every order ends the same.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::domain::product::{HeldProduct, Product, ProductId, ProductStatus, Terms, hold};

/// The most subscriptions that one product remembers; beyond it the oldest that has ended goes.
const MAX_SUBSCRIPTIONS: usize = 20;

/// What happened to a subscription. Of one second, the later of these is the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was made.
    Created,
    /// It changed.
    Updated,
    /// It ended, for good.
    Deleted,
}

/// Where an event stands among those of its subscription.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventOrder {
    /// When Stripe made it, to the second.
    pub at: Time,
    /// What happened.
    pub stage: Stage,
    /// Its id, which settles what nothing else does.
    pub event_id: String,
}

/// The last word on a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The subscription.
    pub id: String,
    /// Where it puts its product.
    pub status: ProductStatus,
    /// Until when it is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_period_end: Option<Time>,
    /// When its trial ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_end: Option<Time>,
    /// Who said so.
    pub order: EventOrder,
}

impl Subscription {
    /// How late a word it is; nothing comes after the end.
    fn finality(&self) -> (bool, &EventOrder) {
        (self.order.stage == Stage::Deleted, &self.order)
    }

    /// How much it says about its product: one that runs more than one that does not.
    fn weight(&self) -> (bool, &EventOrder) {
        (self.status.is_live(), &self.order)
    }
}

/// An event of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionChange {
    /// The product that is subscribed to.
    pub product_id: ProductId,
    /// How many of it, if it is still to be attached.
    pub quantity: u64,
    /// What the event says.
    pub subscription: Subscription,
}

/// The status of a product whose subscription has the status `text` at Stripe.
#[must_use]
pub fn status_of(text: &str) -> Option<ProductStatus> {
    match text {
        "incomplete" => Some(ProductStatus::Scheduled),
        "incomplete_expired" => Some(ProductStatus::Expired),
        "active" => Some(ProductStatus::Active),
        "trialing" => Some(ProductStatus::Trialing),
        "past_due" | "unpaid" | "paused" => Some(ProductStatus::PastDue),
        "canceled" => Some(ProductStatus::Canceled),
        _ => None,
    }
}

/// Brings `change` to what a customer holds; `product` is what the catalogue has of it. Answers
/// whether anything changed.
///
/// Whoever is billed for something holds it: a product that the catalogue does not have is held
/// under its id and includes nothing, until an event of it finds it there.
pub fn apply(held: &mut Vec<HeldProduct>, change: &SubscriptionChange, product: Option<&Product>, now: Time) -> bool {
    let position = held.iter().position(|other| other.id == change.product_id);
    let known = match (position, product) {
        (Some(position), Some(product)) if held[position].unlisted => Some(held[position].clone().listed(product)),
        (Some(position), _) => Some(held[position].clone()),
        (None, Some(product)) => Some(product.attach(change.quantity, Terms::Paid, now)),
        (None, None) => HeldProduct::unlisted(&change.product_id, change.quantity, now),
    };
    let Some(mut holding) = known else { return false };
    let was_live = holding.status.is_live();
    if !learn(&mut holding.subscriptions, &change.subscription) {
        return false;
    }
    follow(&mut holding);
    match position {
        // From now on it is in use: it takes the place of the default of its group.
        _ if holding.status.is_live() && !was_live && !holding.unlisted => hold(held, holding),
        Some(position) => held[position] = holding,
        None => held.push(holding),
    }
    true
}

/// What becomes of a subscription that was made for a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The product follows it from now on; its events say where to.
    Followed,
    /// Stripe's events were faster.
    Known,
    /// The product is gone, or has another.
    Unwanted,
}

/// Notes that `subscription` was made for `product`, if that still waits for one.
pub fn follow_made(held: &mut [HeldProduct], product: &ProductId, subscription: &str) -> Made {
    let Some(holding) = held.iter_mut().find(|holding| holding.id == *product) else { return Made::Unwanted };
    let known = holding.subscriptions.iter().any(|other| other.id == subscription);
    if known || holding.subscription_id.as_deref() == Some(subscription) {
        return Made::Known;
    }
    if !holding.awaits_subscription() {
        return Made::Unwanted;
    }
    holding.subscription_id = Some(subscription.to_owned());
    Made::Followed
}

/// Remembers `news` unless a later word is known.
fn learn(known: &mut Vec<Subscription>, news: &Subscription) -> bool {
    match known.iter().position(|other| other.id == news.id) {
        Some(position) if known[position].finality() >= news.finality() => return false,
        Some(position) => known[position] = news.clone(),
        None => known.push(news.clone()),
    }
    if known.len() > MAX_SUBSCRIPTIONS {
        let least = (0..known.len()).min_by(|a, b| known[*a].weight().cmp(&known[*b].weight()));
        if let Some(least) = least {
            known.remove(least);
        }
    }
    true
}

/// Puts a product where its subscriptions say.
fn follow(holding: &mut HeldProduct) {
    let best = holding.subscriptions.iter().max_by(|a, b| a.weight().cmp(&b.weight())).cloned();
    let Some(best) = best else { return };
    if best.status == ProductStatus::Trialing {
        holding.trial_ends_at = best.trial_end;
    }
    holding.status = best.status;
    holding.current_period_end = best.current_period_end;
    holding.subscription_id = Some(best.id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::product::Group;
    use crate::domain::product::tests::plain;
    use crate::text::Name;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn product(id: &str, is_default: bool) -> Product {
        Product { group: Some(Group::parse("milk").unwrap()), is_default, ..plain(id, NOW) }
    }

    fn event(subscription: &str, at: i64, stage: Stage, status: ProductStatus) -> SubscriptionChange {
        let event_id = format!("evt_{subscription}_{at}_{stage:?}_{status:?}");
        let subscription = Subscription {
            id: subscription.into(),
            status,
            current_period_end: Some(NOW.plus_seconds(at + 1_000)),
            trial_end: None,
            order: EventOrder { at: NOW.plus_seconds(at), stage, event_id },
        };
        SubscriptionChange { product_id: ProductId::parse("pro").unwrap(), quantity: 2, subscription }
    }

    fn after(events: &[&SubscriptionChange]) -> HeldProduct {
        let mut held = Vec::new();
        for event in events {
            apply(&mut held, event, Some(&product("pro", false)), NOW);
        }
        assert_eq!(held.len(), 1);
        held.remove(0)
    }

    fn permutations<T: Copy>(items: &[T]) -> Vec<Vec<T>> {
        if items.is_empty() {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for (n, first) in items.iter().enumerate() {
            let rest: Vec<T> = items.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, item)| *item).collect();
            for mut order in permutations(&rest) {
                order.insert(0, *first);
                all.push(order);
            }
        }
        all
    }

    #[test]
    fn every_order_of_arrival_ends_canceled() {
        let events = [
            event("sub_1", 0, Stage::Created, ProductStatus::Scheduled),
            event("sub_1", 10, Stage::Updated, ProductStatus::Active),
            event("sub_1", 20, Stage::Deleted, ProductStatus::Canceled),
            event("sub_1", 5, Stage::Updated, ProductStatus::PastDue),
            // Later than the end, and still not after it.
            event("sub_1", 30, Stage::Updated, ProductStatus::Active),
        ];
        let orders = permutations(&events.iter().collect::<Vec<_>>());
        assert_eq!(orders.len(), 120);
        for order in orders {
            let product = after(&order);
            assert_eq!((product.status, product.quantity), (ProductStatus::Canceled, 2));
            assert_eq!(product.current_period_end, Some(NOW.plus_seconds(1_020)));
        }
    }

    #[test]
    fn of_one_second_deleted_beats_updated_beats_created() {
        let created = event("sub_1", 0, Stage::Created, ProductStatus::Scheduled);
        let updated = event("sub_1", 0, Stage::Updated, ProductStatus::Active);
        let other = event("sub_1", 0, Stage::Updated, ProductStatus::PastDue);
        let deleted = event("sub_1", 0, Stage::Deleted, ProductStatus::Canceled);
        for order in permutations(&[&created, &updated]) {
            assert_eq!(after(&order).status, ProductStatus::Active);
        }
        for order in permutations(&[&created, &updated, &deleted]) {
            assert_eq!(after(&order).status, ProductStatus::Canceled);
        }
        assert_eq!(after(&[&updated, &other]), after(&[&other, &updated]));
    }

    #[test]
    fn another_subscription_keeps_the_product_alive_and_the_ended_one_never_does() {
        let events = [
            event("sub_1", 0, Stage::Created, ProductStatus::Active),
            event("sub_1", 20, Stage::Deleted, ProductStatus::Canceled),
            event("sub_1", 30, Stage::Updated, ProductStatus::Active),
            event("sub_2", 10, Stage::Created, ProductStatus::Active),
        ];
        for order in permutations(&events.iter().collect::<Vec<_>>()) {
            let product = after(&order);
            assert_eq!((product.status, product.subscription_id.as_deref()), (ProductStatus::Active, Some("sub_2")));
        }
    }

    #[test]
    fn a_product_that_the_catalogue_does_not_have_is_held_under_its_id() {
        let mut held = vec![Product { group: None, ..product("free", true) }.attach(1, Terms::Free, NOW)];
        assert!(apply(&mut held, &event("sub_1", 0, Stage::Created, ProductStatus::Active), None, NOW));
        let pro = &held[1];
        assert_eq!((pro.name.as_str(), pro.status, pro.quantity), ("pro", ProductStatus::Active, 2));
        assert!(pro.unlisted && held.len() == 2, "nothing is taken away for what nobody knows");
        let listed = Product { name: Name::parse("Pro").unwrap(), ..product("pro", false) };
        assert!(apply(&mut held, &event("sub_1", 1, Stage::Updated, ProductStatus::PastDue), Some(&listed), NOW));
        assert_eq!((held[1].name.as_str(), held[1].status), ("Pro", ProductStatus::PastDue));
        assert!(!held[1].unlisted && held[1].group == listed.group);
    }

    #[test]
    fn a_repeated_event_changes_nothing() {
        let created = event("sub_1", 0, Stage::Created, ProductStatus::Active);
        let mut held = Vec::new();
        assert!(apply(&mut held, &created, Some(&product("pro", false)), NOW));
        assert!(!apply(&mut held, &created, Some(&product("pro", false)), NOW));
        // What is held is held whether or not the catalogue still has it.
        assert!(apply(&mut held, &event("sub_1", 1, Stage::Updated, ProductStatus::PastDue), None, NOW));
        assert_eq!(held[0].status, ProductStatus::PastDue);
        let renamed = Product { name: Name::parse("Pro").unwrap(), ..product("pro", false) };
        assert!(apply(&mut held, &event("sub_1", 2, Stage::Updated, ProductStatus::Active), Some(&renamed), NOW));
        assert_eq!(held[0].name.as_str(), "pro");
    }

    #[test]
    fn a_product_takes_the_place_of_the_default_of_its_group_once_it_is_in_use() {
        let mut held = vec![product("free", true).attach(1, Terms::Free, NOW)];
        let pro = product("pro", false);
        apply(&mut held, &event("sub_1", 0, Stage::Created, ProductStatus::Scheduled), Some(&pro), NOW);
        assert_eq!(held.len(), 2);
        apply(&mut held, &event("sub_1", 1, Stage::Updated, ProductStatus::Active), Some(&pro), NOW);
        assert_eq!(held.iter().map(|product| product.id.as_str()).collect::<Vec<_>>(), ["pro"]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_keeps_what_runs() {
        let mut known = Vec::new();
        learn(&mut known, &event("live", 0, Stage::Created, ProductStatus::Active).subscription);
        for n in 0..50 {
            let ended = event(&format!("sub_{n}"), n, Stage::Deleted, ProductStatus::Canceled);
            learn(&mut known, &ended.subscription);
        }
        assert_eq!(known.len(), MAX_SUBSCRIPTIONS);
        assert_eq!(known[0].id, "live");
    }

    #[test]
    fn the_statuses_of_stripe_have_ours() {
        for (theirs, ours) in [
            ("incomplete", Some(ProductStatus::Scheduled)),
            ("incomplete_expired", Some(ProductStatus::Expired)),
            ("unpaid", Some(ProductStatus::PastDue)),
            ("paused", Some(ProductStatus::PastDue)),
            ("active", Some(ProductStatus::Active)),
            ("canceled", Some(ProductStatus::Canceled)),
            ("trialing", Some(ProductStatus::Trialing)),
            ("something new", None),
        ] {
            assert_eq!(status_of(theirs), ours, "{theirs}");
        }
    }

    #[test]
    fn a_product_follows_what_was_made_for_it_if_it_still_waits() {
        let pro = product("pro", false);
        let free = product("free", true).attach(1, Terms::Free, NOW);
        let mut held = vec![free, pro.attach(1, Terms::Paid, NOW)];
        assert_eq!(follow_made(&mut held[..1], &pro.id, "sub_1"), Made::Unwanted, "it is gone");
        assert_eq!(follow_made(&mut held, &pro.id, "sub_1"), Made::Followed);
        assert_eq!(held[1].subscription_id.as_deref(), Some("sub_1"));
        assert_eq!(follow_made(&mut held, &pro.id, "sub_1"), Made::Known);
        for (subscription, at) in [("sub_1", 0), ("sub_2", 1)] {
            apply(&mut held, &event(subscription, at, Stage::Created, ProductStatus::Active), Some(&pro), NOW);
            assert_eq!(follow_made(&mut held, &pro.id, "sub_1"), Made::Known, "an event was faster");
            assert_eq!(follow_made(&mut held, &pro.id, "sub_3"), Made::Unwanted, "it has another");
        }
    }

    #[test]
    fn a_trial_ends_when_stripe_says_so() {
        let mut trial = event("sub_1", 0, Stage::Created, ProductStatus::Trialing);
        let end = NOW.plus_seconds(9);
        trial.subscription.trial_end = Some(end);
        assert_eq!(after(&[&trial]).status_at(end.plus_seconds(-1)), ProductStatus::Trialing);
        assert_eq!(after(&[&trial]).status_at(end), ProductStatus::Expired);
    }
}
