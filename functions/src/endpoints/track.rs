//! Counts what a customer uses: exactly, however many do so at once and however often they ask.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::domain::balance::{Deduction, FeatureBalance, Usage, deduct};
use shared::domain::customer::Customer;
use shared::domain::product::FeatureId;
use shared::http::caller::AdminClaim;
use shared::http::fields::{Fields, FromFields, Opaque, PlainId, Whole};
use shared::http::idempotency::{IdempotencyKey, replayed};
use shared::http::problem::Problem;
use shared::http::product::MAX_COUNT;
use shared::http::{ApiError, JsonBody};
use shared::ids::CustomerId;
use shared::store::balances::UsageMarker;
use shared::store::key::Key;
use shared::store::retry::Backoff;
use shared::store::{Batch, Conflict, Refused};
use shared::token::sha256_hex;
use utoipa::ToSchema;

use crate::metering::{CustomerData, Subject};

/// Who used how much of what.
#[derive(ToSchema)]
pub struct TrackRequest {
    /// The caller's id, the internal id, the reference or the customer number.
    #[schema(value_type = String)]
    customer_id: PlainId,
    feature_id: FeatureId,
    /// How much (1).
    #[schema(value_type = Option<u64>)]
    value: Option<Whole<1, MAX_COUNT>>,
    /// A use with a key counts once in 24 hours.
    #[schema(value_type = Option<String>)]
    idempotency_key: Option<Opaque>,
    /// What a customer begins with whose id is not known yet.
    customer_data: Option<CustomerData>,
    /// Checked in form only.
    #[expect(dead_code, reason = "nothing is counted by entity yet")]
    #[schema(value_type = Option<String>)]
    entity_id: Option<PlainId>,
}

impl FromFields for TrackRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (customer_id, feature_id) = (fields.required("customer_id"), fields.required("feature_id"));
        let (value, idempotency_key) = (fields.optional("value"), fields.optional("idempotency_key"));
        let (customer_data, entity_id) = (fields.optional_object("customer_data"), fields.optional("entity_id"));
        Some(Self {
            customer_id: customer_id?,
            feature_id: feature_id?,
            value: value?,
            idempotency_key: idempotency_key?,
            customer_data: customer_data?,
            entity_id: entity_id?,
        })
    }
}

/// What was counted.
#[derive(Serialize, ToSchema)]
pub struct TrackResponse {
    /// As it was asked.
    customer_id: String,
    /// The feature.
    feature_id: FeatureId,
    /// As it was asked.
    value: u64,
    /// How much was there to take.
    deducted: u64,
    /// What that left.
    balance: FeatureBalance,
}

/// Counts.
#[utoipa::path(
    post, path = "/v1/track", tag = "products", operation_id = "track", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe, for 24 hours.")),
    request_body = TrackRequest,
    responses(
        (status = 200, description = "What was counted.", body = TrackResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    claim: AdminClaim,
    key: Result<IdempotencyKey, ApiError>,
    body: Result<JsonBody<TrackRequest>, ApiError>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let (key, body) = claim.admit(&app, key.and_then(|key| Ok((key, body?)))).await?;
    let mut request = body.request;
    let subject = Subject::new(&app, &request.customer_id, request.customer_data.take(), now);
    let subject = claim.admit(&app, subject).await?;
    let feature_key = Key::feature(&request.feature_id);
    let (caller, batch) = tokio::join!(claim.confirm(&app), subject.read([feature_key.clone()]));
    let (caller, batch) = (caller?, batch?);
    if !batch.has(&feature_key) {
        return Err(ApiError::FeatureNotFound);
    }
    let value = request.value.map_or(1, |value| value.0);
    let header = key.used(&app, "/v1/track", &caller.scope(), &body.raw);
    let header = header.map(|used| (used.key(), used.fingerprint().to_owned()));
    let mut marks: Vec<Mark> = header.into_iter().collect();
    let known = subject.known(&batch).await?;
    // A use that was counted makes nobody, whether it is asked the same or something else.
    let before = if known.is_none() { counted(&app, &marks).await? } else { None };
    let (deducted, balance, again) = if let Some(marker) = before {
        (marker.deducted, marker.balance, true)
    } else {
        let id = match known {
            Some(id) => id,
            None => subject.create().await?,
        };
        marks.extend(request.idempotency_key.as_ref().map(|key| {
            let question = format!("{}:{value}", request.feature_id);
            (Key::usage(id, &sha256_hex(&key.0)), question)
        }));
        Track { app, id, feature_id: &request.feature_id, value, marks }.run().await?
    };
    let feature_id = request.feature_id.clone();
    let answer = TrackResponse { customer_id: request.customer_id.0, feature_id, value, deducted, balance };
    let answer = Json(answer).into_response();
    Ok(if again { replayed(answer) } else { answer })
}

/// Where a use is remembered, and by which question.
type Mark = (Key, String);

/// The use that `marks` remember, if there was one that asked the same.
async fn counted(app: &App, marks: &[Mark]) -> Result<Option<UsageMarker>, ApiError> {
    if marks.is_empty() {
        return Ok(None);
    }
    let batch = app.store.batch_get(marks.iter().map(|(key, _)| key.clone())).await?;
    replay(marks, &batch, app.clock.now())
}

/// The same, given what was read.
fn replay(marks: &[Mark], batch: &Batch, now: Time) -> Result<Option<UsageMarker>, ApiError> {
    for (key, question) in marks {
        let found: Option<UsageMarker> = batch.get(key)?;
        match found.filter(|marker| marker.expires_at > now.unix_seconds()) {
            Some(marker) if marker.fingerprint == *question => return Ok(Some(marker)),
            Some(_) => return Err(ApiError::IdempotencyMismatch),
            None => {}
        }
    }
    Ok(None)
}

/// One use, and where it is remembered.
struct Track<'a> {
    app: App,
    id: CustomerId,
    feature_id: &'a FeatureId,
    value: u64,
    marks: Vec<Mark>,
}

impl Track<'_> {
    /// How much was taken, what that left, and whether that was answered before.
    async fn run(&self) -> Result<(u64, FeatureBalance, bool), ApiError> {
        let (head, balance) = (Key::customer(self.id), Key::balance(self.id, self.feature_id));
        let mut races = Backoff::new();
        loop {
            let keys = [head.clone(), balance.clone()].into_iter().chain(self.marks.iter().map(|(key, _)| key.clone()));
            let batch = self.app.store.batch_get(keys).await?;
            if let Some(marker) = replay(&self.marks, &batch, self.app.clock.now())? {
                return Ok((marker.deducted, marker.balance, true));
            }
            let customer: Customer = batch.get(&head)?.ok_or(ApiError::CustomerNotFound)?;
            let usage: Option<Usage> = batch.get(&balance)?;
            let now = self.app.clock.now();
            let taken = deduct(&customer.products, usage.as_ref(), (self.id, self.feature_id), self.value, now);
            match self.commit(&taken).await {
                Ok(()) => return Ok((taken.deducted, taken.balance, false)),
                Err(Refused::Conflict(Conflict::OwnerGone)) => return Err(ApiError::CustomerNotFound),
                Err(Refused::Conflict(_)) if races.wait().await => {}
                Err(refused) => return Err(refused.into()),
            }
        }
    }

    /// Writes the use and its markers together; a use of nothing leaves its markers alone.
    async fn commit(&self, taken: &Deduction) -> Result<(), Refused> {
        let now = self.app.clock.now();
        let mut transaction = self.app.store.transaction();
        if taken.deducted > 0 {
            transaction.save_usage(&taken.usage);
        } else if !self.marks.is_empty() {
            transaction.require_present(&Key::customer(self.id), Conflict::OwnerGone);
        }
        for (key, question) in &self.marks {
            let (deducted, balance) = (taken.deducted, taken.balance.clone());
            let marker = UsageMarker::new(key.clone(), question.clone(), deducted, balance, now);
            transaction.create_over_expired(&marker, now.unix_seconds(), Conflict::HandledBefore);
        }
        if transaction.is_empty() { Ok(()) } else { transaction.commit(&self.app.store).await }
    }
}
