//! Requests over the loopback address.

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::LocalError;

/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 1_024 * 1_024;

/// A client of one server.
pub(super) struct Http {
    client: Client<HttpConnector, Body>,
    base_url: String,
}

/// What is asked.
#[derive(Default)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) body: Option<Value>,
    pub(super) token: Option<String>,
    pub(super) signature: Option<String>,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Ask {
    pub(super) fn get(path: &'static str) -> Self {
        Self { method: "GET", path, ..Self::default() }
    }

    pub(super) fn post(path: &'static str, body: Value) -> Self {
        Self { method: "POST", path, body: Some(body), ..Self::default() }
    }

    pub(super) fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    pub(super) fn signed(self, signature: String) -> Self {
        Self { signature: Some(signature), ..self }
    }
}

impl Answer {
    /// The text at `pointer` (RFC 6901), empty if there is none.
    pub(super) fn text(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl Http {
    pub(super) fn new(base_url: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector), base_url: base_url.to_owned() }
    }

    pub(super) async fn send(&self, ask: &Ask) -> Result<Answer, LocalError> {
        let mut request = Request::builder().method(ask.method).uri(format!("{}{}", self.base_url, ask.path));
        if let Some(token) = &ask.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(signature) = &ask.signature {
            request = request.header("stripe-signature", signature);
        }
        let body = match &ask.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| LocalError::Unanswered(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| LocalError::Unanswered(error.to_string()))?;
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), MAX_ANSWER_BYTES).await;
        let body = body.map_err(|error| LocalError::Unanswered(error.to_string()))?;
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }
}
