//! The log: JSON, one line per request, and nothing personal in it.

use functions::routes::ALL;
use serde_json::{Value, json};

use crate::events::Request;
use crate::mail::Mood;
use crate::world::{Stopped, World, payment, signed};

const NAME: &str = "Canaria Serinus";
const EMAIL: &str = "canary.serinus@example.com";
const PHONE: &str = "9812345670";

#[tokio::test(flavor = "multi_thread")]
async fn every_function_logs_one_line_per_request_and_nothing_personal() {
    let mut world = World::start().await;
    let key = world.api_key().await;
    let form = json!({ "name": NAME, "email": EMAIL, "phone": PHONE, "address": "7 Canary Row" });
    let lead = world.send("intake-submit", &Request::post("/api/intake/submit", &form)).await;
    let event = payment(&lead);
    world.send("stripe-webhook", &signed(&event, "stripe-signature")).await;
    world.send("stripe-webhook", &signed(&event, "stripe-signature")).await;
    // Now that the address is a customer's, the form is refused and a notice goes out.
    world.send("intake-submit", &Request::post("/api/intake/submit", &form)).await.problem(409, "customer_exists");
    world.mail.be(Mood::Failing);
    assert_eq!(world.deliver().await.len(), 2);
    let refused = world.mail.refused();
    let invitation = refused.iter().find(|letter| letter.text.contains("password")).expect("an invitation");
    let password = invitation.password();
    world.mail.be(Mood::Accepting);
    assert!(world.deliver().await.is_empty());
    world.login(EMAIL, "Wrong-Canary-Password").await.problem(401, "invalid_credentials");
    let session = world.login(EMAIL, &password).await;
    let token = session.text("token");
    world.send("me", &Request::get("/auth/me").bearer(&token)).await;
    world.send("create-customer", &Request::post("/v1/customers", &form).bearer(&key)).await;
    world.send("get-customer", &Request::get("/v1/customers/PL1").bearer(&key)).await;
    world.send("get-customer", &Request::get(format!("/v1/customers/{EMAIL}")).bearer(&key)).await;
    world.backfill().await;

    let stopped = world.stop().await;
    assert_eq!(stopped.len(), ALL.len(), "every function ran");
    for function in &stopped {
        assert_one_line_per_request(function);
        let secrets = [NAME, EMAIL, "serinus", PHONE, "Canary", &password, &token, &key];
        assert_absent(function, &secrets);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_names_the_recipient_is_not_logged_with_the_name() {
    let mut world = World::start().await;
    let key = world.api_key().await;
    let request = Request::post("/v1/customers", &json!({ "name": NAME, "email": EMAIL })).bearer(&key);
    assert_eq!(world.send("create-customer", &request).await.status(), 201);
    world.mail.be(Mood::Rejecting);
    assert_eq!(world.deliver().await.len(), 1);
    let password = world.mail.refused()[0].password();
    for function in world.stop().await {
        assert_absent(&function, &[NAME, EMAIL, "serinus", &password, &key]);
    }
}

/// Every line is JSON, and of those about requests there is one for each, by its id. The jobs are
/// asked no requests: they log what they did.
fn assert_one_line_per_request(function: &Stopped) {
    let Stopped { name, request_ids, output } = function;
    assert_eq!(output.stderr, "", "`{name}`");
    let parsed = output.stdout.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>();
    let lines = parsed.unwrap_or_else(|error| panic!("`{name}` logs JSON ({error}): {}", output.stdout));
    let routes = ALL.iter().find(|known| known.name == *name).map_or(&[][..], |known| known.routes);
    if routes.is_empty() {
        return;
    }
    let about_requests: Vec<&Value> = lines.iter().filter(|line| line["message"] == "request").collect();
    let ids: Vec<&str> = about_requests.iter().filter_map(|line| line["request_id"].as_str()).collect();
    assert_eq!(ids, *request_ids, "`{name}`: {}", output.stdout);
    for line in about_requests {
        assert_eq!((&line["method"], &line["route"]), (&json!(routes[0].method), &json!(routes[0].path)), "{line}");
        assert!(line["status"].is_u64() && line["duration_ms"].is_u64(), "{line}");
    }
}

fn assert_absent(function: &Stopped, secrets: &[&str]) {
    let Stopped { name, output, .. } = function;
    for secret in secrets {
        let there = output.stdout.contains(secret) || output.stderr.contains(secret);
        assert!(!there, "`{name}` wrote `{secret}`: {output:?}");
    }
}
