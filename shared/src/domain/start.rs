//! What a customer holds from the first day: what was chosen for them, and the defaults.

use std::collections::BTreeSet;

use crate::clock::Time;
use crate::domain::product::{HeldProduct, Product, ProductId, Terms, choose_defaults, hold};

/// The most groups of which a new customer gets a default.
///
/// All that a start writes is one transaction, which holds 100 items. A default is at most two of
/// them, a trial under its customer and under their fingerprint; a paid one is an intent. So is the
/// product that somebody chose beside them: (25 + 1) · 2 = 52. The most that comes with them is
/// about 30, where a `PATCH` ends a lead, changes all of its contact and names its login: two heads,
/// their guards, memberships and those moved away from, the intent of the Stripe customer, the
/// invitation, and whoever is looked at again. What is left is for what may come; and 25 products of
/// 50 features with the longest names are 270 KB of the 400 that an item holds.
pub const MAX_DEFAULT_GROUPS: usize = 25;

/// Whether `product` may stand in the `catalogue`: as a default it belongs to a group that has one,
/// or there is room for another.
#[must_use]
pub fn has_room(catalogue: &[Product], product: &Product) -> bool {
    // Where it stands now in another group it makes room.
    let stays = |other: &&Product| other.id != product.id || other.group == product.group;
    let defaults = catalogue.iter().filter(|other| other.is_default).filter(stays);
    let groups: BTreeSet<_> = defaults.map(|other| &other.group).collect();
    !product.is_default || groups.contains(&product.group) || groups.len() < MAX_DEFAULT_GROUPS
}

/// A product that somebody chose.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The product.
    pub product_id: ProductId,
    /// How many of it.
    pub quantity: u64,
    /// Whether it has been paid for, so that there is nothing to try.
    pub paid: bool,
}

/// What a start depends on.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Every product there is.
    pub catalogue: &'a [Product],
    /// Whether defaults are given.
    pub defaults: bool,
    /// Trials that this person had before.
    pub trials_used: &'a BTreeSet<ProductId>,
    /// Whether anything calls Stripe.
    pub stripe_configured: bool,
}

impl Offer<'_> {
    /// Adds to what a customer holds the defaults, and `choice` in the place of the default of its
    /// group. Answers what the caller should know.
    pub fn start(&self, held: &mut Vec<HeldProduct>, choice: Option<&Choice>, now: Time) -> Vec<&'static str> {
        let chosen = choice.and_then(|choice| Some((self.product(&choice.product_id)?, choice)));
        // Stripe may have spoken first; what it said of a product stays.
        let subscribed: Vec<_> = held.iter().filter(|product| product.subscription_id.is_some()).cloned().collect();
        let chosen = chosen.filter(|(product, _)| subscribed.iter().all(|other| other.id != product.id));
        let live = subscribed.iter().filter(|product| product.status_at(now).is_live());
        let taken: Vec<_> =
            live.map(|product| &product.group).chain(chosen.map(|(product, _)| &product.group)).collect();
        let mut warnings = Vec::new();
        if self.defaults {
            let open = self.catalogue.iter().filter(|p| !taken.contains(&&p.group));
            let open: Vec<_> = open.filter(|p| subscribed.iter().all(|other| other.id != p.id)).cloned().collect();
            let (defaults, notes) = choose_defaults(&open, self.trials_used, self.stripe_configured);
            warnings = notes;
            // Several that were put at once may have been more.
            for product in defaults.into_iter().take(MAX_DEFAULT_GROUPS) {
                hold(held, product.attach(1, product.terms(self.used(product)), now));
            }
        }
        if let Some((product, choice)) = chosen {
            // Whoever chooses a product for a customer answers for its price.
            let terms = match product.terms(self.used(product)) {
                trial @ Terms::Trial { .. } if !choice.paid => trial,
                _ => Terms::Free,
            };
            hold(held, product.attach(choice.quantity, terms, now));
        }
        warnings
    }

    /// The product `id` of the catalogue.
    #[must_use]
    pub fn product(&self, id: &ProductId) -> Option<&Product> {
        self.catalogue.iter().find(|product| product.id == *id)
    }

    fn used(&self, product: &Product) -> bool {
        self.trials_used.contains(&product.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::product::tests::plain;
    use crate::domain::product::{FreeTrial, Group, ProductStatus};

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn default_of(group: usize, id: &str) -> Product {
        Product { group: Group::parse(&format!("group-{group}")).ok(), is_default: true, ..plain(id, NOW) }
    }

    fn catalogue(groups: usize) -> Vec<Product> {
        (0..groups).map(|group| default_of(group, &format!("p{group}"))).collect()
    }

    fn choice(id: &str, paid: bool) -> Choice {
        Choice { product_id: ProductId::parse(id).unwrap(), quantity: 2, paid }
    }

    #[test]
    fn a_default_of_one_group_more_than_there_may_be_has_no_room() {
        let full = catalogue(MAX_DEFAULT_GROUPS);
        let new = default_of(MAX_DEFAULT_GROUPS, "new");
        assert!(has_room(&full[1..], &new));
        assert!(!has_room(&full, &new));
        assert!(has_room(&full, &Product { is_default: false, ..new.clone() }));
        assert!(has_room(&full, &default_of(3, "new")), "the group has one already");
        assert!(has_room(&full, &default_of(MAX_DEFAULT_GROUPS, "p3")), "it leaves its group");
        let over = catalogue(MAX_DEFAULT_GROUPS + 9);
        assert!(has_room(&over, &default_of(3, "p3")), "what is a default already stays one");
    }

    #[test]
    fn nobody_starts_with_more_defaults_than_there_may_be() {
        let over = catalogue(60);
        let offer = Offer { catalogue: &over, defaults: true, trials_used: &BTreeSet::new(), stripe_configured: true };
        let mut held = Vec::new();
        assert!(offer.start(&mut held, None, NOW).is_empty());
        assert_eq!(held.len(), MAX_DEFAULT_GROUPS);
    }

    #[test]
    fn what_somebody_chose_is_tried_unless_it_was_paid_for_or_tried_before() {
        let free_trial = Some(FreeTrial { days: 14, card_required: false });
        let catalogue =
            [default_of(0, "default"), Product { is_default: false, free_trial, ..default_of(0, "chosen") }];
        let started = |paid: bool, trials_used: &BTreeSet<ProductId>| {
            let offer = Offer { catalogue: &catalogue, defaults: true, trials_used, stripe_configured: true };
            let mut held = Vec::new();
            assert!(offer.start(&mut held, Some(&choice("chosen", paid)), NOW).is_empty());
            let [only]: [HeldProduct; 1] = held.try_into().expect("the default of its group gives way");
            assert_eq!((only.id.as_str(), only.quantity), ("chosen", 2));
            only.status
        };
        let used = BTreeSet::from([catalogue[1].id.clone()]);
        assert_eq!(started(false, &BTreeSet::new()), ProductStatus::Trialing);
        assert_eq!(started(true, &BTreeSet::new()), ProductStatus::Active);
        assert_eq!(started(false, &used), ProductStatus::Active);
    }

    #[test]
    fn what_stripe_said_of_a_product_before_stays() {
        let two = catalogue(2);
        let offer = Offer { catalogue: &two, defaults: true, trials_used: &BTreeSet::new(), stripe_configured: true };
        let subscription_id = Some("sub_1".into());
        let subscribed = HeldProduct { subscription_id, ..two[0].attach(1, Terms::Paid, NOW) };
        let mut held = vec![subscribed.clone()];
        assert!(offer.start(&mut held, Some(&choice("p0", true)), NOW).is_empty());
        assert_eq!(held, [subscribed, two[1].attach(1, Terms::Free, NOW)]);
    }
}
