//! Events with a good signature that mean nothing or mean harm: taken, and shown to an operator.

use serde_json::{Value, json};
use shared::clock::Clock;

use crate::events::Request;
use crate::world::{World, signed};

const NOBODY: &str = "0190a1c2-0000-7000-8000-000000000001";

fn event(id: &str, kind: &str, object: &Value) -> Value {
    let created = Clock::System.now().unix_seconds();
    json!({ "id": id, "object": "event", "type": kind, "created": created, "data": { "object": object } })
}

/// A subscription of the Stripe customer `cus_a` that says it is the customer `owner`'s.
fn subscription_of_another(owner: &str) -> Value {
    json!({
        "id": "sub_1", "object": "subscription", "customer": "cus_a", "status": "canceled",
        "metadata": { "product_id": "pro", "client_id": owner },
        "items": { "data": [{ "current_period_end": 1_797_768_000, "quantity": 1 }] },
    })
}

/// How often the function of that output counted `metric`.
fn counted(lines: &[Value], metric: &str) -> u64 {
    lines.iter().filter_map(|line| line[metric].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_a_warning_in_the_log_and_counted() {
    let mut world = World::start().await;
    let key = world.api_key().await;
    let mut owner = String::new();
    for name in ["a", "b"] {
        let body = json!({ "email": format!("{name}@example.com"), "stripe_id": format!("cus_{name}") });
        let made = world.send("create-customer", &Request::post("/v1/customers", &body).bearer(&key)).await;
        assert_eq!(made.status(), 201, "{made:?}");
        owner = made.text("internal_id");
    }
    let unmatched = json!({ "id": "cs_1", "payment_status": "paid", "client_reference_id": NOBODY });
    let events = [
        json!("no event"),
        event("evt_shape", "customer.subscription.updated", &json!([7])),
        event("evt_theirs", "customer.subscription.updated", &subscription_of_another(&owner)),
        event("evt_nobody", "checkout.session.completed", &unmatched),
        event("evt_harmless", "customer.tax_id.created", &json!({ "customer": "cus_a" })),
    ];
    for event in &events {
        let answer = world.send("stripe-webhook", &signed(event, "stripe-signature")).await;
        assert_eq!((answer.status(), answer.json()), (200, json!({ "received": true })), "{event}");
    }

    let stopped = world.stop().await;
    let webhook = stopped.iter().find(|function| function.name == "stripe-webhook").expect("the webhook ran");
    let parsed = webhook.output.stdout.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>();
    let lines = parsed.expect("a log of JSON");
    let warned: Vec<&str> =
        lines.iter().filter(|line| line["level"] == "WARN").filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(warned.len(), 4, "{lines:?}");
    assert_eq!(warned[1..], ["evt_shape", "evt_theirs", "evt_nobody"], "{lines:?}");
    assert_eq!(counted(&lines, "PoisonEvents"), 3, "{lines:?}");
    assert_eq!(counted(&lines, "UnmatchedPayments"), 1, "{lines:?}");
}
