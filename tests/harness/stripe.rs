//! Events as Stripe sends them.

use axum::body::Body;
use serde_json::{Value, json};
use shared::clock::Time;
use shared::secret::Secret;
use shared::stripe::signature::sign;

use crate::actor::{Actor, Answer};
use crate::app::{START, WEBHOOK_SECRETS};

/// A checkout event: its type, its id, its session and the customer it names.
pub fn checkout(kind: &str, event: &str, session: &str, client_id: &str) -> Value {
    json!({
        "id": event, "object": "event", "type": format!("checkout.session.{kind}"), "created": START.unix_seconds(),
        "data": { "object": {
            "id": session, "object": "checkout.session", "payment_status": "paid", "customer": format!("cus_{session}"),
            "client_reference_id": client_id, "metadata": { "client_id": client_id },
        } },
    })
}

impl Actor {
    /// Sends `event`, signed at the time every test begins.
    pub async fn stripe(&self, event: &Value) -> Answer {
        self.stripe_at(event, START).await
    }

    /// Sends `event`, signed at `time`.
    pub async fn stripe_at(&self, event: &Value, time: Time) -> Answer {
        let body = event.to_string();
        let header = sign(body.as_bytes(), &Secret::new(WEBHOOK_SECRETS[0]), time);
        self.stripe_raw(body, &header).await
    }

    /// Sends `body` under the signature `header`.
    pub async fn stripe_raw(&self, body: impl Into<Body>, header: &str) -> Answer {
        let request = self.request("POST", "/api/webhooks/stripe").header("stripe-signature", header);
        self.send(request.header("content-type", "application/json"), body.into()).await
    }
}
