//! A small client of Stripe's API: form in, JSON out, one attempt per call.
//!
//! It never tries again by itself: whether a failed call may be repeated, and under which
//! idempotency key, is for whoever made it to say. It connects when first used, so that a function
//! that never calls Stripe pays nothing for it.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use form_urlencoded::Serializer;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use tokio::time::timeout;

use super::error::StripeError;
use crate::config::StripeConfig;
use crate::secret::Secret;

/// The version of the API that is spoken, whatever the account's default is.
const API_VERSION: &str = "2025-09-30.clover";

/// How long a call may take, the connection included.
const CALL: Duration = Duration::from_secs(5);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// How long an idle connection is kept; a frozen Lambda environment finds it closed anyway.
const IDLE: Duration = Duration::from_secs(30);

/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 4 * 1_024 * 1_024;

/// A form: names and values, in order.
pub type Form = Vec<(String, String)>;

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Stripe's API, cheap to clone.
#[derive(Clone)]
pub struct StripeClient(Arc<Inner>);

struct Inner {
    base: String,
    key: Secret,
    call: Duration,
    http: OnceLock<Http>,
}

impl fmt::Debug for StripeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeClient").field("base", &self.0.base).finish_non_exhaustive()
    }
}

impl StripeClient {
    /// A client that has not connected yet.
    #[must_use]
    pub fn new(config: &StripeConfig) -> Self {
        Self::with_timeout(config, CALL)
    }

    /// The same with another bound on each call.
    #[must_use]
    pub fn with_timeout(config: &StripeConfig, call: Duration) -> Self {
        let (base, key) = (config.api_base.clone(), config.api_key.clone());
        Self(Arc::new(Inner { base, key, call, http: OnceLock::new() }))
    }

    /// `POST path` with `form`. The same `idempotency_key` and form mean the same request.
    pub async fn post(
        &self,
        path: &str,
        form: &[(String, String)],
        idempotency_key: &str,
    ) -> Result<Value, StripeError> {
        let request = self.request(Method::POST, path)?;
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.header("idempotency-key", idempotency_key).body(encode(form).into());
        self.send(request).await
    }

    /// `GET path` with `query`.
    pub async fn get(&self, path: &str, query: &[(String, String)]) -> Result<Value, StripeError> {
        let request = self.request(Method::GET, &format!("{path}?{}", encode(query)))?;
        self.send(request.body(Full::default())).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Result<Value, StripeError> {
        let request = self.request(Method::DELETE, path)?;
        self.send(request.body(Full::default())).await
    }

    fn request(&self, method: Method, path: &str) -> Result<axum::http::request::Builder, StripeError> {
        let bearer = HeaderValue::try_from(format!("Bearer {}", self.0.key.expose()));
        let mut bearer = bearer.map_err(|_| unusable("the API key is no header"))?;
        bearer.set_sensitive(true);
        let request = Request::builder().method(method).uri(format!("{}{path}", self.0.base));
        Ok(request.header(AUTHORIZATION, bearer).header("stripe-version", API_VERSION))
    }

    async fn send(&self, request: axum::http::Result<Request<Full<Bytes>>>) -> Result<Value, StripeError> {
        let request = request.map_err(|_| unusable("the request makes no HTTP"))?;
        let http = self.http()?;
        let (status, body) =
            timeout(self.0.call, exchange(http, request)).await.unwrap_or(Err(StripeError::Timeout))?;
        judge(status, &body)
    }

    fn http(&self) -> Result<&Http, StripeError> {
        if let Some(http) = self.0.http.get() {
            return Ok(http);
        }
        let http = connectable().map_err(|error| {
            tracing::error!(%error, "no certificates to check Stripe's with");
            StripeError::Timeout
        })?;
        Ok(self.0.http.get_or_init(|| http))
    }
}

/// A client over the SDK's own TLS: rustls with aws-lc and the system's certificates.
fn connectable() -> std::io::Result<Http> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.enforce_http(false);
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?;
    let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    Ok(client.build(connector))
}

async fn exchange(http: &Http, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), StripeError> {
    let answer = http.request(request).await.map_err(|error| {
        tracing::warn!(%error, "Stripe could not be asked");
        StripeError::Timeout
    })?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|_| StripeError::Timeout)?.to_bytes();
    Ok((status, body))
}

/// What an answer amounts to. Its text may be personal and is neither kept nor logged.
fn judge(status: StatusCode, body: &[u8]) -> Result<Value, StripeError> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    if status.is_success() {
        return json.ok_or(StripeError::Timeout);
    }
    let json = json.unwrap_or_default();
    let said = ["/error/code", "/error/type"].iter().find_map(|path| json.pointer(path)?.as_str());
    match status.as_u16() {
        409 => Err(StripeError::Conflict),
        status @ 500.. => Err(StripeError::Server(status)),
        status => Err(StripeError::Refused { status, code: said.unwrap_or("unknown").to_owned() }),
    }
}

fn encode(pairs: &[(String, String)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn unusable(code: &str) -> StripeError {
    StripeError::Refused { status: 0, code: code.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_apart_by_what_may_be_done_next() {
        let judge = |status: u16, body: &str| judge(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!(judge(200, r#"{"id":"cus_1"}"#).unwrap()["id"], "cus_1");
        assert_eq!(judge(200, "<html>"), Err(StripeError::Timeout));
        assert_eq!(judge(409, "{}"), Err(StripeError::Conflict));
        assert_eq!(judge(503, ""), Err(StripeError::Server(503)));
        let refused = |status, code: &str| Err(StripeError::Refused { status, code: code.to_owned() });
        let coded = r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#;
        assert_eq!(judge(400, coded), refused(400, "resource_missing"));
        assert_eq!(judge(400, r#"{"error":{"type":"idempotency_error"}}"#), refused(400, "idempotency_error"));
        assert_eq!(judge(401, ""), refused(401, "unknown"));
    }

    #[test]
    fn a_form_is_encoded_with_its_brackets() {
        let form = [("metadata[id]".to_owned(), "a b&c".to_owned())];
        assert_eq!(encode(&form), "metadata%5Bid%5D=a+b%26c");
    }

    #[test]
    fn a_client_prints_no_key() {
        let config = StripeConfig { api_key: Secret::new("sk_1"), api_base: "http://x".into(), price_id: None };
        assert!(!format!("{:?}", StripeClient::new(&config)).contains("sk_1"));
    }
}
