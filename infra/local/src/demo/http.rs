//! Requests over the loopback address, for whoever talks to the local server from outside: the demo,
//! and the load test.

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::LocalError;

/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 4 * 1_024 * 1_024;

/// A client of one server.
pub struct Http {
    client: Client<HttpConnector, Body>,
    base_url: String,
}

/// What is asked.
#[derive(Default)]
pub struct Ask {
    /// The method, in capitals.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// The body, as JSON.
    pub body: Option<Value>,
    /// A session.
    pub token: Option<String>,
    /// The signature of a webhook.
    pub signature: Option<String>,
}

/// What was answered.
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body; null if it is no JSON.
    pub body: Value,
}

impl Ask {
    /// `GET path`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), ..Self::default() }
    }

    /// `POST path` with a JSON body.
    #[must_use]
    pub fn post(path: &str, body: Value) -> Self {
        Self { method: "POST", path: path.to_owned(), body: Some(body), ..Self::default() }
    }

    /// The same with a session or an API key.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The same, signed as Stripe does.
    #[must_use]
    pub fn signed(self, signature: String) -> Self {
        Self { signature: Some(signature), ..self }
    }
}

impl Answer {
    /// The text at `pointer` (RFC 6901), empty if there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl Http {
    /// A client of the server at `base_url`.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector), base_url: base_url.to_owned() }
    }

    /// Sends `ask`; the error is a request without an answer.
    pub async fn send(&self, ask: &Ask) -> Result<Answer, LocalError> {
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
