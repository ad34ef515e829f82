//! Whether a customer may use a feature, or has a product.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::app::App;
use shared::domain::balance::{FeatureBalance, Usage, balance};
use shared::domain::customer::Customer;
use shared::domain::product::{FeatureId, ProductId};
use shared::http::caller::AdminClaim;
use shared::http::fields::{Fields, FromFields, PlainId, Whole};
use shared::http::problem::Problem;
use shared::http::product::MAX_COUNT;
use shared::http::{ApiError, JsonBody};
use shared::store::key::Key;
use utoipa::ToSchema;

use crate::metering::{CustomerData, Subject};

/// Who wants what: one of `feature_id` and `product_id`.
#[derive(ToSchema)]
pub struct CheckRequest {
    /// The caller's id, the internal id, the reference or the customer number.
    #[schema(value_type = String)]
    customer_id: PlainId,
    feature_id: Option<FeatureId>,
    product_id: Option<ProductId>,
    /// How much of the feature (1).
    #[schema(value_type = Option<u64>)]
    required_balance: Option<Whole<0, MAX_COUNT>>,
    /// What a customer begins with whose id is not known yet.
    customer_data: Option<CustomerData>,
    /// Checked in form only.
    #[expect(dead_code, reason = "nothing is counted by entity yet")]
    #[schema(value_type = Option<String>)]
    entity_id: Option<PlainId>,
}

impl FromFields for CheckRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (customer_id, required_balance) = (fields.required("customer_id"), fields.optional("required_balance"));
        let feature_id: Option<Option<FeatureId>> = fields.optional("feature_id");
        let product_id: Option<Option<ProductId>> = fields.optional("product_id");
        match (&feature_id, &product_id) {
            (Some(None), Some(None)) => fields.refuse::<()>("feature_id", "is required, or a `product_id`"),
            (Some(Some(_)), Some(Some(_))) => fields.refuse("product_id", "cannot stand beside a `feature_id`"),
            _ => None,
        };
        let (customer_data, entity_id) = (fields.optional_object("customer_data"), fields.optional("entity_id"));
        Some(Self {
            customer_id: customer_id?,
            feature_id: feature_id?,
            product_id: product_id?,
            required_balance: required_balance?,
            customer_data: customer_data?,
            entity_id: entity_id?,
        })
    }
}

/// Why it is or is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckCode {
    /// There is enough of the feature.
    Allowed,
    /// There is not enough of it.
    InsufficientBalance,
    /// None of the customer's products has it.
    NotInPlan,
    /// The customer has the product.
    ProductActive,
    /// They do not, or not any more.
    ProductNotActive,
}

/// The verdict.
#[derive(Serialize, ToSchema)]
pub struct CheckResponse {
    /// The verdict itself.
    allowed: bool,
    /// Why.
    code: CheckCode,
    /// As it was asked.
    customer_id: String,
    /// As it was asked; null for a product.
    feature_id: Option<FeatureId>,
    /// As it was asked.
    required_balance: u64,
    /// What there is of the feature; null for a product.
    balance: Option<FeatureBalance>,
}

/// Checks.
#[utoipa::path(
    post, path = "/v1/check", tag = "products", operation_id = "check", security(("bearer" = [])),
    request_body = CheckRequest,
    responses(
        (status = 200, description = "The verdict.", body = CheckResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    claim: AdminClaim,
    body: Result<JsonBody<CheckRequest>, ApiError>,
) -> Result<Json<CheckResponse>, ApiError> {
    let now = app.clock.now();
    let mut request = claim.admit(&app, body).await?.request;
    let subject = Subject::new(&app, &request.customer_id, request.customer_data.take(), now);
    let subject = claim.admit(&app, subject).await?;
    let feature_key = request.feature_id.as_ref().map(Key::feature);
    let product_key = request.product_id.as_ref().map(Key::product);
    let more = [&feature_key, &product_key].into_iter().flatten().cloned();
    let (confirmed, batch) = tokio::join!(claim.confirm(&app), subject.read(more));
    confirmed?;
    let batch = batch?;
    if feature_key.is_some_and(|key| !batch.has(&key)) {
        return Err(ApiError::FeatureNotFound);
    }
    if product_key.is_some_and(|key| !batch.has(&key)) {
        return Err(ApiError::ProductNotFound);
    }
    let id = subject.resolve(&batch).await?;
    let usage_key = request.feature_id.as_ref().map(|feature| Key::balance(id, feature));
    let batch = app.store.batch_get(std::iter::once(Key::customer(id)).chain(usage_key.clone())).await?;
    let customer: Customer = batch.get(&Key::customer(id))?.ok_or(ApiError::CustomerNotFound)?;
    let usage: Option<Usage> = usage_key.map(|key| batch.get(&key)).transpose()?.flatten();
    let wanted = request.required_balance.map_or(1, |wanted| wanted.0);
    let (code, balance) = if let Some(feature) = &request.feature_id {
        match balance(&customer.products, usage.as_ref(), feature, now) {
            Some(balance) if balance.allows(wanted) => (CheckCode::Allowed, Some(balance)),
            Some(balance) => (CheckCode::InsufficientBalance, Some(balance)),
            None => (CheckCode::NotInPlan, Some(FeatureBalance::none(feature.clone()))),
        }
    } else {
        let mut held = customer.products.iter().filter(|held| Some(&held.id) == request.product_id.as_ref());
        let active = held.any(|held| held.status_at(now).is_live());
        (if active { CheckCode::ProductActive } else { CheckCode::ProductNotActive }, None)
    };
    Ok(Json(CheckResponse {
        allowed: matches!(code, CheckCode::Allowed | CheckCode::ProductActive),
        code,
        customer_id: request.customer_id.0,
        feature_id: request.feature_id,
        required_balance: wanted,
        balance,
    }))
}
