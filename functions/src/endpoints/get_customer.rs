//! A customer, by any identifier.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::app::App;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::problem::Problem;
use shared::ids::CustomerId;
use shared::store::StoreError;
use shared::store::children::ChildKind;
use utoipa::ToSchema;

use crate::view::CustomerView;

const INVOICE: [&str; 7] =
    ["stripe_id", "status", "currency", "total", "amount_refunded", "hosted_invoice_url", "created_at"];
const TRIAL: [&str; 3] = ["product_id", "customer_id", "fingerprint"];
const ENTITY: [&str; 4] = ["id", "name", "feature_id", "created_at"];

/// A customer with what was asked for beside it.
#[derive(Serialize, ToSchema)]
pub struct GetCustomerResponse {
    #[serde(flatten)]
    customer: CustomerView,
    /// With `?expand=invoices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    invoices: Option<Vec<Value>>,
    /// With `?expand=trials_used`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    trials_used: Option<Vec<Value>>,
    /// With `?expand=entities`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    entities: Option<Vec<Value>>,
}

/// Answers a customer.
#[utoipa::path(
    get, path = "/v1/customers/{id}", tag = "customers", operation_id = "getCustomer", security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The caller's id, the internal id, the reference or the customer number."),
        ("expand" = Option<String>, Query, description = "Any of `invoices`, `trials_used`, `entities`, comma-separated."),
    ),
    responses(
        (status = 200, description = "The customer.", body = GetCustomerResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    _caller: Admin,
    path: Result<Path<String>, PathRejection>,
    query: Query<BTreeMap<String, String>>,
) -> Result<Json<GetCustomerResponse>, ApiError> {
    let identifier = super::identifier(path, &app)?;
    let expand = Expand::parse(query.get("expand").map(String::as_str).unwrap_or_default())?;
    let customer = app.store.find_customer(&identifier).await?.ok_or(ApiError::CustomerNotFound)?;
    let id = customer.internal_id;
    let (usage, invoices, trials_used, entities) = tokio::join!(
        app.store.usage(id),
        children(&app, id, expand.invoices, ChildKind::Invoice, &INVOICE),
        children(&app, id, expand.trials_used, ChildKind::Trial, &TRIAL),
        children(&app, id, expand.entities, ChildKind::Entity, &ENTITY),
    );
    let (invoices, trials_used, entities) = (invoices?, trials_used?, entities?);
    let customer = CustomerView::new(customer, &usage?, app.clock.now());
    Ok(Json(GetCustomerResponse { customer, invoices, trials_used, entities }))
}

/// What was asked for beside the customer.
#[derive(Default)]
struct Expand {
    invoices: bool,
    trials_used: bool,
    entities: bool,
}

impl Expand {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let mut expand = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "invoices" => expand.invoices = true,
                "trials_used" => expand.trials_used = true,
                "entities" => expand.entities = true,
                _ => return Err(ApiError::field("expand", "takes `invoices`, `trials_used` and `entities`")),
            }
        }
        Ok(expand)
    }
}

async fn children(
    app: &App,
    id: CustomerId,
    asked: bool,
    kind: ChildKind,
    fields: &[&str],
) -> Result<Option<Vec<Value>>, StoreError> {
    if !asked {
        return Ok(None);
    }
    let found = app.store.children(id, kind).await?;
    Ok(Some(found.into_iter().map(|child| pick(child, fields)).collect()))
}

/// `fields` of a stored child and nothing else; one without a value is null.
fn pick(mut child: Map<String, Value>, fields: &[&str]) -> Value {
    let field = |name: &&str| ((*name).to_owned(), child.remove(*name).unwrap_or(Value::Null));
    Value::Object(fields.iter().map(field).collect())
}
