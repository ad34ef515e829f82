//! A customer, by any identifier.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use serde::Serialize;
use shared::app::App;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::problem::Problem;
use utoipa::ToSchema;

use crate::expand::{Expand, Expanded};
use crate::view::CustomerView;

/// A customer with what was asked for beside it.
#[derive(Serialize, ToSchema)]
pub struct GetCustomerResponse {
    #[serde(flatten)]
    customer: CustomerView,
    #[serde(flatten)]
    expanded: Expanded,
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
    let expand = Expand::parse(&query)?;
    let customer = app.store.find_customer(&identifier).await?.ok_or(ApiError::CustomerNotFound)?;
    let id = customer.internal_id;
    let (usage, expanded) = tokio::join!(app.store.usage(id), expand.read(&app, id));
    let (usage, expanded) = (usage?, expanded?);
    let customer = CustomerView::new(customer, &usage, app.clock.now());
    Ok(Json(GetCustomerResponse { customer, expanded }))
}
