//! Requests over the loopback address.

use harness::load::{Reply, Transport};
use local::demo::http::{self, Ask};
use serde_json::json;

/// A client of one server.
pub(crate) struct Http(http::Http);

impl Http {
    pub(crate) fn new(url: &str) -> Self {
        Self(http::Http::new(url))
    }

    /// The session of whoever signs in.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<String, String> {
        let ask = Ask::post("/auth/login", json!({ "email": email, "password": password }));
        let reply = self.send(ask).await?;
        let token = reply.json["token"].as_str().map(str::to_owned);
        token.ok_or_else(|| format!("nobody could sign in: {} {}", reply.status, reply.json))
    }
}

impl Transport for Http {
    async fn send(&self, ask: Ask) -> Result<Reply, String> {
        let answer = self.0.send(&ask).await.map_err(|error| error.to_string())?;
        Ok(Reply { status: answer.status.as_u16(), json: answer.body })
    }
}
