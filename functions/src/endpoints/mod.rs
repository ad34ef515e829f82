//! One file per endpoint: its request, its answer, `handle`.

pub mod assign_delivery;
pub mod billing_customers;
pub mod change_password;
pub mod check;
pub mod create_customer;
pub mod dashboard;
pub mod data_quality;
pub mod delete_customer;
pub mod forgot_password;
pub mod get_customer;
pub mod intake_submit;
pub mod issue_credentials;
pub mod link_audit;
pub mod list_customers;
pub mod list_products;
pub mod login;
pub mod logout;
pub mod me;
pub mod put_product;
pub mod register;
pub mod reset_password;
pub mod stripe_webhook;
pub mod track;
pub mod update_customer;
pub mod update_me;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::http::ApiError;
use shared::http::client::ClientAddress;
use shared::ids::Identifier;

/// Where a request came from, when the platform knows.
type Client = Option<Extension<ClientAddress>>;

/// An answer that must not be kept by anybody on the way.
fn no_store<T: Serialize>(status: StatusCode, body: T) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The keyed hash of the address a request came from.
fn address_hash(client: &Client, app: &App) -> String {
    client.as_ref().map_or_else(|| "unknown".into(), |Extension(address)| address.hash(&app.keys))
}

/// Counts a request of `route` against its limit per client address and window.
async fn limit_rate(app: &App, route: &str, client: &Client, limit: u64, now: Time) -> Result<(), ApiError> {
    if !app.settings.rate_limits {
        return Ok(());
    }
    let counted = app.store.count_request(route, &address_hash(client, app), limit, now).await?;
    counted.map_err(ApiError::RateLimited)
}

/// The identifier in a path; what no customer could be named by names nobody.
fn identifier(path: Result<Path<String>, PathRejection>, app: &App) -> Result<Identifier, ApiError> {
    let Path(text) = path.map_err(|_| ApiError::CustomerNotFound)?;
    Identifier::parse(&text, &app.settings).ok_or(ApiError::CustomerNotFound)
}
