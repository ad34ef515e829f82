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

/// An event of a subscription of `cus_1` to the product `pro`, made `seconds` after every test
/// begins.
pub fn subscription(kind: &str, event: &str, seconds: i64, status: &str) -> Value {
    let object = json!({
        "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status,
        "metadata": { "product_id": "pro" },
        "items": { "data": [{ "current_period_end": START.unix_seconds() + 2_592_000, "quantity": 1 }] },
    });
    account(&format!("customer.subscription.{kind}"), event, seconds, &object)
}

/// An event of the invoice `in_1` of `cus_1`.
pub fn invoice(kind: &str, event: &str, seconds: i64) -> Value {
    let status = if kind == "paid" { "paid" } else { "open" };
    let object = json!({
        "id": "in_1", "object": "invoice", "customer": "cus_1", "status": status, "currency": "inr", "total": 49_900,
        "hosted_invoice_url": "https://invoice.stripe.com/i/1", "created": START.unix_seconds(),
    });
    account(&format!("invoice.{kind}"), event, seconds, &object)
}

/// An event that `amount` of the charge of `in_1` has been given back altogether.
pub fn refund(event: &str, seconds: i64, amount: u64) -> Value {
    let object = json!({
        "id": "ch_1", "object": "charge", "customer": { "id": "cus_1" }, "invoice": "in_1", "amount": 49_900,
        "amount_refunded": amount, "currency": "inr", "created": START.unix_seconds(),
    });
    account("charge.refunded", event, seconds, &object)
}

fn account(kind: &str, event: &str, seconds: i64, object: &Value) -> Value {
    let created = START.unix_seconds() + seconds;
    json!({ "id": event, "object": "event", "type": kind, "created": created, "data": { "object": object } })
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
