//! Products: what the catalogue offers, and what a customer holds of it.
//!
//! A customer holds a copy: the items of a [`HeldProduct`] are those of the product on the day it
//! was attached, and a later change of the catalogue does not reach them.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Time;
pub use crate::domain::product_id::{Currency, FeatureId, Group, ProductId};
use crate::domain::subscription::Subscription;
use crate::text::Name;

/// The most items of a product.
pub const MAX_ITEMS: usize = 50;

/// What a create answers when a paid default was left out because nothing calls Stripe.
pub const STRIPE_NOT_CONFIGURED: &str = "stripe_not_configured";

/// How often something comes round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Every day.
    Day,
    /// Every seven days.
    Week,
    /// Every month of the calendar.
    Month,
    /// Every year of the calendar.
    Year,
}

impl Interval {
    /// Reads an interval as it is written on the wire.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            "year" => Ok(Self::Year),
            _ => Err("must be `day`, `week`, `month` or `year`".into()),
        }
    }
}

/// What a product costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Price {
    /// In minor units of the currency.
    pub amount: u64,
    /// The currency.
    pub currency: Currency,
    /// How often it is due; once when absent.
    pub interval: Option<Interval>,
    /// The price at Stripe.
    pub stripe_price_id: Option<String>,
}

/// A time for which a product costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FreeTrial {
    /// How long it lasts.
    pub days: u32,
    /// Whether it begins only with a means of payment.
    pub card_required: bool,
}

/// What a product lets its holder use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProductItem)]
pub struct Item {
    /// The feature.
    pub feature_id: FeatureId,
    /// How much of it, for each unit of the product and in each interval.
    pub included_usage: u64,
    /// When that much is there again; never when absent.
    pub interval: Option<Interval>,
    /// Whether there is no end to it.
    pub unlimited: bool,
    /// Whether more than what is included may be used.
    pub overage_allowed: bool,
}

/// A product of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// What people call it.
    pub name: Name,
    /// Of the products of a group a customer holds one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Whether new customers get it.
    pub is_default: bool,
    /// Whether they get it although it costs something.
    pub force_paid_default: bool,
    /// What it costs; nothing when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// How it may be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_trial: Option<FreeTrial>,
    /// What it lets its holder use; no feature twice.
    pub items: Vec<Item>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every write; a write made from an older picture fails.
    pub version: u64,
}

/// On what terms somebody gets a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// For nothing, for so many days.
    Trial {
        /// The days.
        days: u32,
    },
    /// Once Stripe says that it is paid for.
    Paid,
    /// For good.
    Free,
}

impl Product {
    /// The terms on which a customer gets it by default. A trial that needs a card, or that was
    /// used before, is none.
    #[must_use]
    pub fn terms(&self, trial_used: bool) -> Terms {
        match self.trial_days().filter(|_| !trial_used) {
            Some(days) => Terms::Trial { days },
            None if self.price.as_ref().is_some_and(|price| price.amount > 0) => Terms::Paid,
            None => Terms::Free,
        }
    }

    /// The days for which it can be tried without a card.
    #[must_use]
    pub fn trial_days(&self) -> Option<u32> {
        self.free_trial.filter(|trial| !trial.card_required).map(|trial| trial.days)
    }

    /// The product as a customer holds it from `now` on.
    #[must_use]
    pub fn attach(&self, quantity: u64, terms: Terms, now: Time) -> HeldProduct {
        // At rest a time is whole seconds; periods are counted from what is at rest.
        let started_at = Time::from_unix_seconds(now.unix_seconds());
        let (status, trial_ends_at) = match terms {
            Terms::Trial { days } => (ProductStatus::Trialing, Some(started_at.plus_seconds(i64::from(days) * 86_400))),
            Terms::Paid => (ProductStatus::Scheduled, None),
            Terms::Free => (ProductStatus::Active, None),
        };
        HeldProduct {
            id: self.id.clone(),
            name: self.name.clone(),
            group: self.group.clone(),
            status,
            quantity,
            is_default: self.is_default,
            started_at,
            trial_ends_at,
            current_period_end: None,
            subscription_id: None,
            subscriptions: Vec::new(),
            unlisted: false,
            items: self.items.clone(),
        }
    }
}

/// Where a product that a customer holds stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// In use.
    Active,
    /// In use, for nothing, for a while.
    Trialing,
    /// Waits for Stripe.
    Scheduled,
    /// In use, though a payment is late.
    PastDue,
    /// Ended by somebody.
    Canceled,
    /// Ended by itself.
    Expired,
}

impl ProductStatus {
    /// Whether what the product includes can be used.
    #[must_use]
    pub fn is_live(self) -> bool {
        match self {
            Self::Active | Self::Trialing | Self::PastDue => true,
            Self::Scheduled | Self::Canceled | Self::Expired => false,
        }
    }
}

/// A product as a customer holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldProduct {
    /// The product.
    pub id: ProductId,
    /// What people called it.
    pub name: Name,
    /// Its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Where it stands, as last written; [`HeldProduct::status_at`] says where it stands now.
    pub status: ProductStatus,
    /// How many of it: what it includes is multiplied by this.
    pub quantity: u64,
    /// Whether it is one that new customers get.
    pub is_default: bool,
    /// When it was attached; its periods are counted from here.
    pub started_at: Time,
    /// When its trial ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_ends_at: Option<Time>,
    /// Until when it is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_period_end: Option<Time>,
    /// The subscription at Stripe that it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// The last word on every subscription to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<Subscription>,
    /// Whether the catalogue did not have it when Stripe first spoke of it; then it includes nothing
    /// and has its id for a name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlisted: bool,
    /// What it includes, as it was attached.
    pub items: Vec<Item>,
}

impl HeldProduct {
    /// `id`, of which the catalogue knows nothing, as a customer holds it from `now` on.
    #[must_use]
    pub fn unlisted(id: &ProductId, quantity: u64, now: Time) -> Option<Self> {
        Some(Self {
            id: id.clone(),
            name: Name::parse(id.as_str()).ok()?,
            group: None,
            status: ProductStatus::Scheduled,
            quantity,
            is_default: false,
            started_at: Time::from_unix_seconds(now.unix_seconds()),
            trial_ends_at: None,
            current_period_end: None,
            subscription_id: None,
            subscriptions: Vec::new(),
            unlisted: true,
            items: Vec::new(),
        })
    }

    /// The same with what the catalogue says of it by now.
    #[must_use]
    pub fn listed(self, product: &Product) -> Self {
        Self {
            name: product.name.clone(),
            group: product.group.clone(),
            is_default: product.is_default,
            items: product.items.clone(),
            unlisted: false,
            ..self
        }
    }

    /// Where it stands at `now`: a trial that is over has expired, whether or not anybody has
    /// written that down.
    #[must_use]
    pub fn status_at(&self, now: Time) -> ProductStatus {
        let over = self.trial_ends_at.is_some_and(|end| end <= now);
        if self.status == ProductStatus::Trialing && over { ProductStatus::Expired } else { self.status }
    }

    /// Whether it waits for a subscription at Stripe of which nothing is known yet.
    #[must_use]
    pub fn awaits_subscription(&self) -> bool {
        self.status == ProductStatus::Scheduled && self.subscription_id.is_none()
    }

    /// What it includes of `feature`, if anything.
    #[must_use]
    pub fn item(&self, feature: &FeatureId) -> Option<&Item> {
        self.items.iter().find(|item| item.feature_id == *feature)
    }
}

/// Adds `product` to what a customer holds. It takes the place of the same product and of a
/// default of the same group.
pub fn hold(held: &mut Vec<HeldProduct>, product: HeldProduct) {
    held.retain(|other| other.id != product.id && !(other.is_default && other.group == product.group));
    held.push(product);
}

/// The defaults that a new customer gets, one per group, and what the caller should know.
///
/// Within a group a trial without card comes before a paid product, that before a free one, and
/// of equals the one with the lower id; so there is one answer, whatever order the catalogue
/// comes in. Products without a group are one group of their own. A paid product counts only
/// with `force_paid_default`; without Stripe it is passed over with a warning, and the next of
/// its group is taken.
#[must_use]
pub fn choose_defaults<'a>(
    catalogue: &'a [Product],
    trials_used: &BTreeSet<ProductId>,
    stripe_configured: bool,
) -> (Vec<&'a Product>, Vec<&'static str>) {
    let terms = |product: &Product| product.terms(trials_used.contains(&product.id));
    let mut candidates: Vec<_> = catalogue.iter().filter(|product| product.is_default).collect();
    candidates.sort_by(|a, b| by_preference(a, terms(a), b, terms(b)));
    let (mut chosen, mut warnings): (Vec<&Product>, Vec<_>) = (Vec::new(), Vec::new());
    for product in candidates {
        if chosen.last().is_some_and(|last| last.group == product.group) {
            continue;
        }
        match terms(product) {
            Terms::Trial { .. } | Terms::Free => chosen.push(product),
            Terms::Paid if !product.force_paid_default => {}
            Terms::Paid if stripe_configured => chosen.push(product),
            Terms::Paid => warnings.push(STRIPE_NOT_CONFIGURED),
        }
    }
    warnings.dedup();
    (chosen, warnings)
}

fn by_preference(a: &Product, a_terms: Terms, b: &Product, b_terms: Terms) -> Ordering {
    let rank = |terms| match terms {
        Terms::Trial { .. } => 0,
        Terms::Paid => 1,
        Terms::Free => 2,
    };
    (&a.group, rank(a_terms), &a.id).cmp(&(&b.group, rank(b_terms), &b.id))
}

#[cfg(test)]
pub(crate) mod tests;
