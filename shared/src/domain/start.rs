//! What a customer holds from the first day: what was chosen for them, and the defaults.

use std::collections::BTreeSet;

use crate::clock::Time;
use crate::domain::product::{HeldProduct, Product, ProductId, Terms, choose_defaults, hold};

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
            for product in defaults {
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
