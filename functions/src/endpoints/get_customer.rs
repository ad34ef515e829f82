//! A customer, by any identifier.

use axum::Json;
use axum::extract::{Path, State};
use shared::app::App;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::problem::Problem;
use shared::ids::Identifier;

use crate::view::CustomerView;

/// Answers a customer.
#[utoipa::path(
    get, path = "/v1/customers/{id}", tag = "customers", operation_id = "getCustomer", security(("bearer" = [])),
    params(("id" = String, Path, description = "The caller's id, the internal id, the reference or the customer number.")),
    responses(
        (status = 200, description = "The customer.", body = CustomerView),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    _caller: Admin,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Json<CustomerView>, ApiError> {
    let Path(text) = path.map_err(|_| ApiError::CustomerNotFound)?;
    let identifier = Identifier::parse(&text, &app.settings).ok_or(ApiError::CustomerNotFound)?;
    let customer = app.store.find_customer(&identifier).await?.ok_or(ApiError::CustomerNotFound)?;
    let usage = app.store.usage(customer.internal_id).await?;
    Ok(Json(CustomerView::new(customer, &usage, app.clock.now())))
}
