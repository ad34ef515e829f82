//! Requests over the loopback address.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use harness::load::{Ask, Reply, Transport};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 4 * 1_024 * 1_024;

/// A client of one server.
pub(crate) struct Http {
    client: Client<HttpConnector, Body>,
    url: String,
}

impl Http {
    pub(crate) fn new(url: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector), url: url.to_owned() }
    }

    /// The session of whoever signs in.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<String, String> {
        let body = Some(json!({ "email": email, "password": password }));
        let ask = Ask { method: "POST", path: "/auth/login".into(), token: None, signature: None, body };
        let reply = self.send(ask).await?;
        let token = reply.json["token"].as_str().map(str::to_owned);
        token.ok_or_else(|| format!("nobody could sign in: {} {}", reply.status, reply.json))
    }
}

impl Transport for Http {
    async fn send(&self, ask: Ask) -> Result<Reply, String> {
        let mut request = Request::builder().method(ask.method).uri(format!("{}{}", self.url, ask.path));
        if let Some(token) = &ask.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(signature) = &ask.signature {
            request = request.header("stripe-signature", signature);
        }
        let body = match &ask.body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        let body = to_bytes(Body::new(answer.into_body()), MAX_ANSWER_BYTES).await;
        let body = body.map_err(|error| error.to_string())?;
        Ok(Reply { status, json: serde_json::from_slice(&body).unwrap_or_default() })
    }
}
