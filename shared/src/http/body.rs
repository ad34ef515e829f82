//! Bodies: bounded, declared as JSON, parsed into a request type before a handler sees them.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde_json::Value;

use super::fields::{Fields, FromFields};
use super::problem::ApiError;
use crate::app::App;

/// The most bytes of a JSON body.
pub const MAX_JSON_BYTES: usize = 64 * 1_024;

/// The deepest nesting of a JSON body, well inside what the table takes.
const MAX_JSON_DEPTH: usize = 16;

/// A parsed JSON body, with its raw bytes for the idempotency fingerprint.
pub struct JsonBody<T> {
    /// The request.
    pub request: T,
    /// What was received.
    pub raw: Bytes,
}

impl<T: FromFields> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let raw = read(request, MAX_JSON_BYTES).await?;
        Ok(Self { request: parse(&raw, app)?, raw })
    }
}

/// A body that may be left out or empty, which means the same as an empty object.
pub struct OptionalJsonBody<T>(pub T);

impl<T: FromFields> FromRequest<App> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (declared, is_json) = (request.headers().contains_key(CONTENT_TYPE), is_json(request.headers()));
        if declared && !is_json {
            return Err(ApiError::UnsupportedMediaType);
        }
        let raw = read(request, MAX_JSON_BYTES).await?;
        match (raw.is_empty(), declared) {
            (true, _) => Ok(Self(Fields::parse(&Value::Object(serde_json::Map::new()), &app.settings)?)),
            (false, true) => Ok(Self(parse(&raw, app)?)),
            (false, false) => Err(ApiError::UnsupportedMediaType),
        }
    }
}

fn parse<T: FromFields>(raw: &[u8], app: &App) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(raw).map_err(|error| malformed(&error))?;
    if depth(&value) > MAX_JSON_DEPTH {
        return Err(ApiError::InvalidJson(format!("The body is nested more than {MAX_JSON_DEPTH} levels deep.")));
    }
    Fields::parse(&value, &app.settings)
}

/// Reads a body of at most `max` bytes.
pub async fn read(request: Request, max: usize) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(request.into_body(), max).await.map_err(|_| ApiError::PayloadTooLarge)
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence);
    declared
        .is_some_and(|kind| kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")))
}

/// Says where the JSON breaks, not what stands there.
fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::InvalidJson(format!("The body is not JSON: line {}, column {}.", error.line(), error.column()))
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
