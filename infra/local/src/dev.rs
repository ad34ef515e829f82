//! Routes that only the local server has: what happens on AWS or at Stripe, within reach.

pub mod backfill;
pub mod checkout;
pub mod docs;
pub mod health;
mod html;
pub mod outbox;
pub mod reset_password;

use axum::routing::{get, post};
use axum::{Extension, Router};
use shared::app::App;

use crate::server::Dev;

/// The routes.
pub fn routes(dev: Dev) -> Router<App> {
    Router::new()
        .route("/dev/outbox", get(outbox::handle))
        .route("/dev/backfill", post(backfill::handle))
        .route("/dev/checkout/{session_id}", get(checkout::show).post(checkout::pay))
        .route("/reset-password", get(reset_password::handle))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs", get(docs::index))
        .route("/docs/", get(docs::index))
        .route("/docs/{file}", get(docs::file))
        .route("/health", get(health::handle))
        .layer(Extension(dev))
}
