//! What each route may refuse a request with.
//!
//! The `OpenAPI` document lists it, and the tests hold every answer to bad input against it: a route
//! that refuses with something else fails them until it is named here.

use std::collections::BTreeSet;

use shared::http::ApiError;

use crate::routes::{Access, Route};

/// The status and the code of a refusal.
pub type Refusal = (u16, &'static str);

/// Everything that `route` may refuse a request with. Failures are apart.
#[must_use]
pub fn refusals(route: &Route) -> BTreeSet<Refusal> {
    let body = if takes_json(route) { of_a_body() } else { Vec::new() };
    // What stands for a parameter may be more than one, or none at all.
    let elsewhere = route.path.contains('{').then_some(ApiError::NotFound);
    let all = of_a_caller(route.access).into_iter().chain(body).chain(elsewhere).chain(own(route));
    all.map(|error| named(&error)).collect()
}

/// What any route answers when it fails.
#[must_use]
pub fn failures() -> BTreeSet<Refusal> {
    [ApiError::Internal(String::new()), ApiError::Unavailable(String::new())].iter().map(named).collect()
}

fn named(error: &ApiError) -> Refusal {
    let (status, code) = error.code();
    (status.as_u16(), code)
}

fn takes_json(route: &Route) -> bool {
    ["POST", "PUT", "PATCH"].contains(&route.method) && route.access != Access::Signed && route.path != "/auth/logout"
}

fn of_a_body() -> Vec<ApiError> {
    vec![ApiError::InvalidJson(String::new()), a_field(), ApiError::UnsupportedMediaType, ApiError::PayloadTooLarge]
}

fn of_a_caller(access: Access) -> Vec<ApiError> {
    match access {
        Access::Public => Vec::new(),
        Access::Signed => vec![ApiError::InvalidSignature, ApiError::PayloadTooLarge],
        Access::SignedIn { temporary: true } => vec![ApiError::Unauthorized, ApiError::Forbidden],
        Access::SignedIn { temporary: false } | Access::Admin => {
            vec![ApiError::Unauthorized, ApiError::Forbidden, ApiError::PasswordChangeRequired]
        }
    }
}

fn a_field() -> ApiError {
    ApiError::InvalidRequest(Vec::new())
}

/// What comes of what the route does.
fn own(route: &Route) -> Vec<ApiError> {
    match (route.method, route.path) {
        ("POST", "/api/intake/submit") => vec![
            ApiError::RateLimited(0),
            ApiError::CustomerNotFound,
            ApiError::ProductNotFound,
            ApiError::CustomerExists,
            ApiError::IdempotencyMismatch,
        ],
        ("POST", "/auth/register") => {
            vec![ApiError::RateLimited(0), ApiError::EmailTaken, ApiError::IdempotencyMismatch]
        }
        ("POST", "/auth/login" | "/auth/change-password") => vec![ApiError::InvalidCredentials],
        ("POST", "/auth/forgot-password") => vec![ApiError::RateLimited(0)],
        ("POST", "/auth/reset-password") => vec![ApiError::InvalidToken],
        ("POST", "/v1/customers" | "/phase0-v2/customers" | "/phase0-v2/customers-with-subscription") => vec![
            ApiError::CustomerNotFound,
            ApiError::UserNotFound,
            ApiError::ProductNotFound,
            ApiError::AlreadyLinked,
            ApiError::NotACustomer,
            ApiError::StripeIdTaken,
            ApiError::IdempotencyMismatch,
        ],
        ("GET", "/v1/customers" | "/v1/products" | "/admin/billing/customers") => {
            vec![a_field(), ApiError::InvalidCursor]
        }
        ("GET", "/v1/customers/{id}") => vec![a_field(), ApiError::CustomerNotFound],
        ("PATCH", "/v1/customers/{id}") => vec![
            ApiError::CustomerNotFound,
            ApiError::UserNotFound,
            ApiError::IdTaken,
            ApiError::AlreadyLinked,
            ApiError::NotACustomer,
            ApiError::StripeIdTaken,
        ],
        ("DELETE", "/v1/customers/{id}") => vec![a_field(), ApiError::CustomerNotFound, ApiError::HasSubscription],
        ("POST", "/v1/customers/{id}/credentials") => {
            vec![ApiError::CustomerNotFound, ApiError::UserNotFound, ApiError::AlreadyActive]
        }
        ("POST", "/v1/check") => vec![
            ApiError::CustomerNotFound,
            ApiError::ProductNotFound,
            ApiError::FeatureNotFound,
            ApiError::StripeIdTaken,
        ],
        ("POST", "/v1/track") => vec![
            ApiError::CustomerNotFound,
            ApiError::FeatureNotFound,
            ApiError::StripeIdTaken,
            ApiError::IdempotencyMismatch,
        ],
        ("POST", "/admin/delivery-assignments") => vec![
            ApiError::CustomerNotFound,
            ApiError::UserNotFound,
            ApiError::Ambiguous { field: "", candidates: Vec::new() },
            ApiError::NotADeliveryBoy,
            ApiError::IdempotencyMismatch,
        ],
        _ => Vec::new(),
    }
}
