//! How the parts of a product are read from a body.

use super::fields::{Fields, FromFields, Opaque, Whole};
use crate::domain::product::{FreeTrial, Item, Price};

/// The most of anything that is counted: money, usage.
pub const MAX_COUNT: u64 = 1_000_000_000_000;

/// The longest trial, in days.
const MAX_TRIAL_DAYS: u64 = 3_650;

impl FromFields for Price {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let amount = fields.required::<Whole<0, MAX_COUNT>>("amount");
        let (currency, interval) = (fields.required("currency"), fields.optional("interval"));
        let stripe_price_id = fields.optional::<Opaque>("stripe_price_id");
        Some(Self {
            amount: amount?.0,
            currency: currency?,
            interval: interval?,
            stripe_price_id: stripe_price_id?.map(|id| id.0),
        })
    }
}

impl FromFields for FreeTrial {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let days = fields.required::<Whole<1, MAX_TRIAL_DAYS>>("days");
        let card_required: Option<Option<bool>> = fields.optional("card_required");
        Some(Self { days: u32::try_from(days?.0).ok()?, card_required: card_required?.unwrap_or_default() })
    }
}

impl FromFields for Item {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (feature_id, interval) = (fields.required("feature_id"), fields.optional("interval"));
        let included_usage = fields.required::<Whole<0, MAX_COUNT>>("included_usage");
        let unlimited: Option<Option<bool>> = fields.optional("unlimited");
        let overage_allowed: Option<Option<bool>> = fields.optional("overage_allowed");
        Some(Self {
            feature_id: feature_id?,
            included_usage: included_usage?.0,
            interval: interval?,
            unlimited: unlimited?.unwrap_or_default(),
            overage_allowed: overage_allowed?.unwrap_or_default(),
        })
    }
}
