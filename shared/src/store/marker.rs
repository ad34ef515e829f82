//! Markers: that something was handled, written in the transaction of its effect.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::item::Entity;
use super::key::Key;
use crate::clock::Time;
use crate::ids::{CustomerId, UserId};

/// How long a webhook event is remembered, in seconds. Stripe repeats one for three days.
const EVENT_KEEP_SECONDS: i64 = 90 * 86_400;

/// How long an idempotency key is remembered, in seconds.
const IDEMPOTENCY_KEEP_SECONDS: i64 = 86_400;

/// A webhook event that was handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMarker {
    /// The event's id, or the hash of an event without one.
    pub event_id: String,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What came of it, for an operator.
    pub outcome: String,
    /// When it was handled.
    pub handled_at: Time,
    /// When it may be forgotten, in Unix seconds.
    pub expires_at: i64,
}

impl EventMarker {
    /// The marker of an event handled at `now`.
    #[must_use]
    pub fn new(event_id: String, event_type: Option<String>, outcome: &str, now: Time) -> Self {
        let expires_at = now.unix_seconds() + EVENT_KEEP_SECONDS;
        Self { event_id, event_type, outcome: outcome.to_owned(), handled_at: now, expires_at }
    }
}

impl Entity for EventMarker {
    const KIND: &'static str = "stripe_event";

    fn key(&self) -> Key {
        Key::stripe_event(&self.event_id)
    }
}

/// A checkout session whose payment was counted. It is kept for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutMarker {
    /// The session.
    pub session_id: String,
    /// Who paid.
    pub customer_id: CustomerId,
    /// When it was counted.
    pub paid_at: Time,
}

impl Entity for CheckoutMarker {
    const KIND: &'static str = "checkout";

    fn key(&self) -> Key {
        Key::checkout(&self.session_id)
    }
}

/// That a customer or user was sent a notice of a kind on a day: one a day is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeMarker {
    /// The kind of notice.
    pub notice: String,
    /// Who was told: a customer's id, or a user's.
    pub subject: Uuid,
    /// Days since 1970-01-01.
    pub day: i64,
    /// When it may be forgotten, in Unix seconds.
    pub expires_at: i64,
}

impl NoticeMarker {
    /// The marker of a notice at `now`.
    #[must_use]
    pub fn new(notice: &str, subject: Uuid, now: Time) -> Self {
        let day = now.unix_seconds().div_euclid(86_400);
        Self { notice: notice.to_owned(), subject, day, expires_at: (day + 2) * 86_400 }
    }
}

impl Entity for NoticeMarker {
    const KIND: &'static str = "notice";

    fn key(&self) -> Key {
        Key::notice(&self.notice, self.subject, self.day)
    }
}

/// The answer to a request that carried an idempotency key: its status and the ids to rebuild it
/// from, never a body or a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyMarker {
    /// Keyed hash of route, caller and key.
    pub hash: String,
    /// Keyed hash of the body.
    pub fingerprint: String,
    /// The status that was answered.
    pub status: u16,
    /// The customer that the answer is about.
    pub customer_id: CustomerId,
    /// The checkout that the answer named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout_url: Option<String>,
    /// The delivery boy that the answer named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_boy_id: Option<UserId>,
    /// What the answer warned of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// When it may be forgotten, in Unix seconds.
    pub expires_at: i64,
}

impl IdempotencyMarker {
    /// When a marker made at `now` may be forgotten, in Unix seconds.
    #[must_use]
    pub const fn expiry(now: Time) -> i64 {
        now.unix_seconds() + IDEMPOTENCY_KEEP_SECONDS
    }
}

impl Entity for IdempotencyMarker {
    const KIND: &'static str = "idempotency";

    fn key(&self) -> Key {
        Key::idempotency(&self.hash)
    }
}
