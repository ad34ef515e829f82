//! What surrounds every route: CORS, a request id, one log line, and refusals for what no route
//! takes.

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::client::{RequestId, with_request_id};
use super::problem::ApiError;
use crate::app::App;

/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_MAX_AGE: &str = "3600";

/// `routes` with everything that surrounds them.
pub fn surround(routes: Router<App>, app: App) -> Router {
    routes
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(from_fn_with_state(app.clone(), cors))
        .layer(from_fn_with_state(app.clone(), trace))
        .with_state(app)
}

async fn trace(State(app): State<App>, request: Request, next: Next) -> Response {
    let given = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let id = given.unwrap_or_else(|| Uuid::new_v4().to_string());
    let started = app.clock.now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    with_request_id(id.clone(), async move {
        let response = next.run(request).await;
        let status = response.status().as_u16();
        let duration_ms = app.clock.now().unix_ms() - started.unix_ms();
        let route = route.as_deref().unwrap_or("-");
        tracing::info!(request_id = id, %method, route, status, duration_ms, "request");
        response
    })
    .await
}

async fn cors(State(app): State<App>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let allowed = origin.filter(|origin| app.settings.cors_origins.iter().any(|known| origin == known));
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    if app.settings.cors_origins.is_empty() {
        return response;
    }
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = allowed else { return response };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"));
        let allowed = HeaderValue::from_static("authorization, content-type, idempotency-key");
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_MAX_AGE));
    } else {
        let exposed = HeaderValue::from_static("Idempotency-Replayed, Retry-After");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}
