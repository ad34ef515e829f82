//! `GET /dev/outbox`: what was delivered.

use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::{Extension, Json};

use crate::server::Dev;

/// What was delivered, newest first. Messages carry passwords, so nobody may keep the answer.
pub async fn handle(Extension(dev): Extension<Dev>) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(dev.mailbox.delivered()))
}
