//! `Idempotency-Key`: the same request sent twice is done once and answered twice.
//!
//! The marker commits in the transaction of the effect. Of two requests at once, one commits; the
//! other meets the marker and answers the same. A refusal leaves no marker and is judged anew.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response};

use super::problem::ApiError;
use crate::app::App;
use crate::clock::Time;
use crate::store::key::Key;
use crate::store::marker::IdempotencyMarker;

/// The most characters of a key.
const MAX_KEY_CHARS: usize = 255;

/// Tells that an answer was given before.
pub const REPLAYED: &str = "idempotency-replayed";

/// The header, if there is one.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(Option<String>);

impl FromRequestParts<App> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
        match text {
            Some(text) if text.len() <= MAX_KEY_CHARS => Ok(Self(Some(text.to_owned()))),
            _ => Err(ApiError::field("Idempotency-Key", format!("must be 1 to {MAX_KEY_CHARS} printable characters"))),
        }
    }
}

/// One use of a key: for this route, caller and body.
#[derive(Clone, Debug)]
pub struct Idempotency {
    hash: String,
    fingerprint: String,
}

impl IdempotencyKey {
    /// Whether there is one.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The use of the key by `caller` on `route` with `body`.
    #[must_use]
    pub fn used(self, app: &App, route: &str, caller: &str, body: &[u8]) -> Option<Idempotency> {
        let key = self.0?;
        let scope = [route.as_bytes(), caller.as_bytes()];
        let hash = app.keys.mac("idempotency-key", &[scope[0], scope[1], key.as_bytes()]);
        let fingerprint = app.keys.mac("idempotency-body", &[scope[0], scope[1], body]);
        Some(Idempotency { hash: hex::encode(hash), fingerprint: hex::encode(fingerprint) })
    }
}

impl Idempotency {
    /// Where its marker is.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::idempotency(&self.hash)
    }

    /// The keyed hash of the body.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The marker of an answer that commits at `now`.
    #[must_use]
    pub fn marker(&self, answer: Answer, now: Time) -> IdempotencyMarker {
        IdempotencyMarker {
            hash: self.hash.clone(),
            fingerprint: self.fingerprint.clone(),
            status: answer.status,
            customer_id: answer.customer_id,
            checkout_url: answer.checkout_url,
            delivery_boy_id: answer.delivery_boy_id,
            warnings: answer.warnings,
            expires_at: IdempotencyMarker::expiry(now),
        }
    }

    /// The earlier answer to the same request, given the marker that was `found`.
    pub fn replay(&self, found: Option<IdempotencyMarker>, now: Time) -> Result<Option<IdempotencyMarker>, ApiError> {
        match found.filter(|marker| marker.expires_at > now.unix_seconds()) {
            None => Ok(None),
            Some(marker) if marker.fingerprint == self.fingerprint => Ok(Some(marker)),
            Some(_) => Err(ApiError::IdempotencyMismatch),
        }
    }
}

/// The earlier answer to the same request, if it came under a key: its marker is read now, by itself.
///
/// Whoever is about to refuse because of what came in one batch asks for it once more. `BatchGetItem` is
/// no snapshot, as AWS documents: each item is strongly consistent, but a transaction may commit between
/// two of them. So the batch may hold what the same request wrote a moment ago beside the marker of before.
pub async fn earlier(key: Option<&Idempotency>, app: &App, now: Time) -> Result<Option<IdempotencyMarker>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    key.replay(app.store.get(&key.key()).await?, now)
}

/// What a marker keeps of an answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The customer it is about.
    pub customer_id: crate::ids::CustomerId,
    /// The checkout it named.
    pub checkout_url: Option<String>,
    /// The delivery boy it named.
    pub delivery_boy_id: Option<crate::ids::UserId>,
    /// What it warned of.
    pub warnings: Vec<String>,
}

impl Answer {
    /// An answer about a customer that names nothing else.
    #[must_use]
    pub fn about(status: u16, customer_id: crate::ids::CustomerId) -> Self {
        Self { status, customer_id, checkout_url: None, delivery_boy_id: None, warnings: Vec::new() }
    }
}

/// Marks `response` as one that was given before.
#[must_use]
pub fn replayed<B>(mut response: Response<B>) -> Response<B> {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
