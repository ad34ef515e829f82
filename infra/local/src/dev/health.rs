//! `GET /health`: whether the table answers.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use shared::app::App;
use shared::http::ApiError;
use shared::ids::UserId;
use uuid::Uuid;

/// Reads an item that nobody has.
pub async fn handle(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    match app.store.user(UserId(Uuid::nil())).await {
        Ok(_) => Ok(Json(json!({ "status": "ok" }))),
        Err(error) => Err(ApiError::Unavailable(error.to_string())),
    }
}
