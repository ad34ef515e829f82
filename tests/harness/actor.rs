//! Actors: whoever calls, with what they show.

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use shared::http::client::ClientAddress;
use tower::ServiceExt;

use crate::policy::{serving, under};

/// Somebody who calls the service.
#[derive(Clone)]
pub struct Actor {
    router: Router,
    token: Option<String>,
    address: IpAddr,
}

/// What they were answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; null if it is none.
    pub json: Value,
}

impl Actor {
    /// Nobody in particular.
    pub fn nobody(router: Router) -> Self {
        Self { router, token: None, address: IpAddr::from([198, 51, 100, 1]) }
    }

    /// The same caller with a session or an API key.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same caller from elsewhere.
    #[must_use]
    pub fn from_address(&self, address: impl Into<IpAddr>) -> Self {
        Self { address: address.into(), ..self.clone() }
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path), Body::empty()).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, body, &[]).await
    }

    /// `POST path` with a JSON body and further headers.
    pub async fn post_with(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        let request = self.request("POST", path).header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request, Body::from(body.to_string())).await
    }

    /// `PATCH path` with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        let request = self.request("PATCH", path).header("content-type", "application/json");
        self.send(request, Body::from(body.to_string())).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path), Body::empty()).await
    }

    /// `PUT path` with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        let request = self.request("PUT", path).header("content-type", "application/json");
        self.send(request, Body::from(body.to_string())).await
    }

    /// A request of this caller, still without a body.
    pub fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path).extension(ClientAddress(self.address));
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Sends `request` through the router, under the policy of the function that answers it.
    pub async fn send(&self, request: axum::http::request::Builder, body: Body) -> Answer {
        let request = request.body(body).unwrap();
        let function = serving(request.method(), request.uri().path());
        let response = under(function, self.router.clone().oneshot(request)).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: head.status.as_u16(), headers: head.headers, text, json }
    }
}

impl Answer {
    /// This answer, which must have `status`.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "a story may only care that it worked")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Checks that this is a refusal with `status` and `code`, in the form that all refusals have.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.str("code")), (status, code), "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.str("type"), format!("/problems/{code}"));
        assert_eq!(self.json["status"], status);
        assert!(self.json["title"].is_string() && self.json["detail"].is_string(), "{}", self.text);
        assert_eq!(self.json.get("errors").is_some(), code == "invalid_request" && self.json["errors"].is_array());
    }

    /// The fields that a refusal names.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().into_iter().flatten();
        errors.filter_map(|error| error["field"].as_str()).collect()
    }

    /// A string of the body; empty if it is none.
    pub fn str(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
