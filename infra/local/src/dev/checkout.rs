//! `/dev/checkout/{session_id}`: a payment page that stands in for Stripe's. Its button sends what
//! Stripe would send, signed as Stripe signs, through the real webhook.

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use functions::routes::{STRIPE_WEBHOOK, router};
use serde_json::{Value, json};
use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::Customer;
use shared::domain::product::ProductId;
use shared::http::ApiError;
use shared::http::layers::surround;
use shared::ids::Crn;
use shared::stripe::checkout::stand_in_order;
use shared::stripe::signature::sign;
use shared::text::Name;
use tower::ServiceExt;

use super::html::{escape, page};
use crate::server::Dev;

/// The most bytes of the webhook's answer.
const MAX_ANSWER_BYTES: usize = 64 * 1_024;

type SessionId = Result<Path<String>, PathRejection>;

/// Shows what is to be paid for.
pub async fn show(State(app): State<App>, session_id: SessionId) -> Result<Response, ApiError> {
    let Paying { customer, .. } = find(&app, session_id).await?;
    // Without an action, a form is sent to where it was shown.
    let form = "<form method=\"post\"><button>Pay</button></form>\
        <p>No money moves: the button sends a signed <code>checkout.session.completed</code>.</p>";
    Ok(page("Stand-in checkout", &format!("{}{form}", details(&customer))))
}

/// Pays: the webhook hears of it as it would from Stripe.
pub async fn pay(
    State(app): State<App>,
    Extension(dev): Extension<Dev>,
    session_id: SessionId,
) -> Result<Response, ApiError> {
    let paying = find(&app, session_id).await?;
    let now = app.clock.now();
    let event = paying.completed(now).to_string();
    let request = Request::post("/api/webhooks/stripe")
        .header("stripe-signature", sign(event.as_bytes(), &dev.webhook_secret, now))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(event))
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let Ok(answer) = surround(router(&[&STRIPE_WEBHOOK]), app.clone()).oneshot(request).await;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let answer = to_bytes(answer.into_body(), MAX_ANSWER_BYTES).await;
    let answer = answer.map_err(|error| ApiError::Internal(error.to_string()))?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let title = if answer["duplicate"] == true { "Paid before" } else { "Paid" };
    let customer = app.store.customer(paying.customer.internal_id).await?.ok_or(ApiError::CustomerNotFound)?;
    let result = format!(
        "<p>The webhook answered <code>{}</code>.</p>{}\
         <p>The invitation is in <a href=\"/dev/outbox\">the outbox</a>.</p>",
        escape(&answer.to_string()),
        details(&customer)
    );
    Ok(page(title, &result))
}

/// A session, whose it is, and what it was made for.
struct Paying {
    session_id: String,
    customer: Customer,
    product_id: Option<ProductId>,
}

async fn find(app: &App, session_id: SessionId) -> Result<Paying, ApiError> {
    let Ok(Path(session_id)) = session_id else { return Err(ApiError::NotFound) };
    let (id, product_id) = stand_in_order(&session_id).ok_or(ApiError::CustomerNotFound)?;
    let customer = app.store.customer(id).await?.ok_or(ApiError::CustomerNotFound)?;
    Ok(Paying { session_id, customer, product_id })
}

fn details(customer: &Customer) -> String {
    let reference = customer.customer_reference.as_ref().map_or("-", Crn::as_str);
    let name = customer.contact.name.as_ref().map_or("-", Name::as_str);
    let status = serde_json::to_value(customer.status).unwrap_or_default();
    format!(
        "<dl><dt>Reference</dt><dd>{}</dd><dt>Name</dt><dd>{}</dd><dt>Status</dt><dd>{}</dd></dl>",
        escape(reference),
        escape(name),
        escape(status.as_str().unwrap_or("-"))
    )
}

impl Paying {
    /// The id of the event follows from the session, so that a second click is a repeat.
    fn completed(&self, now: Time) -> Value {
        let (session_id, id) = (&self.session_id, self.customer.internal_id);
        let mut metadata = json!({ "client_id": id, "customer_reference": self.customer.customer_reference });
        if let Some(product_id) = &self.product_id {
            metadata["product_id"] = json!(product_id);
        }
        json!({
            "id": format!("evt_dev_{session_id}"),
            "object": "event",
            "type": "checkout.session.completed",
            "livemode": false,
            "created": now.unix_seconds(),
            "data": { "object": {
                "id": session_id,
                "object": "checkout.session",
                "mode": "subscription",
                "status": "complete",
                "payment_status": "paid",
                "client_reference_id": id,
                "customer": format!("cus_dev_{}", id.0.simple()),
                "metadata": metadata,
            } },
        })
    }
}
