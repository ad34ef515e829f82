//! Exactly one subscription for a product that waits for one, whatever races, fails or dies.

use std::time::Duration;

use functions::jobs::backfill::run;
use futures::future::join_all;
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::stripe::{checkout, subscription};
use harness::stripe_api::{StripeApi, StripeFault};
use harness::world::text;
use harness::{Actor, TestApp, World};
use serde_json::{Value, json};

/// Longer than a lease and the first wait.
const LATER_SECONDS: i64 = 120;

/// Lets the first call pass.
const PASS: StripeFault = StripeFault::Slow(Duration::ZERO);

async fn start() -> (StripeApi, TestApp, Actor, Actor) {
    let stripe = StripeApi::start().await;
    let (app, nobody, admin) = TestApp::start_with_stripe(stripe.url()).await;
    let price = json!({ "amount": 5, "currency": "inr", "interval": "month", "stripe_price_id": "price_pro" });
    put_default(&admin, "pro", price).await;
    (stripe, app, nobody, admin)
}

async fn put_default(admin: &Actor, id: &str, price: Value) {
    let body = json!({ "name": id, "is_default": true, "force_paid_default": true, "items": [], "price": price });
    admin.put(&format!("/v1/products/{id}"), body).await.expect(201);
}

async fn backfill(app: &TestApp) {
    app.clock.advance_seconds(LATER_SECONDS);
    run(&app.app, None).await.unwrap();
}

/// Where the first product of a customer stands, and the subscription it follows.
async fn standing(app: &TestApp, id: &str) -> (String, String) {
    let world = app.world().await;
    let customer = world.of("customer").into_iter().find(|customer| text(customer, "id") == id).unwrap();
    let product = &customer["products"][0];
    (text(product, "status").to_owned(), text(product, "subscription_id").to_owned())
}

/// Where the intents stand: that to make the Stripe customer first.
fn states(world: &World) -> Vec<&str> {
    world.of("stripe_intent").into_iter().map(|intent| text(intent, "state")).collect()
}

#[tokio::test]
async fn a_paid_default_is_subscribed_to_once_and_goes_where_its_events_say() {
    let (stripe, app, nobody, admin) = start().await;
    let created = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    assert_eq!((created.str("stripe_id"), &created.json["products"][0]["status"]), ("cus_1", &json!("scheduled")));
    let forms = stripe.forms();
    assert_eq!(forms.len(), 2, "a customer and a subscription");
    let told = |name: &str| forms[1].get(name).map(String::as_str).unwrap_or_default();
    assert_eq!((told("customer"), told("items[0][price]"), told("items[0][quantity]")), ("cus_1", "price_pro", "1"));
    assert_eq!((told("payment_behavior"), told("metadata[product_id]")), ("default_incomplete", "pro"));
    assert_eq!(told("metadata[client_id]"), created.str("internal_id"));
    assert_eq!(told("metadata[customer_reference]"), created.str("customer_reference"));
    assert_eq!(standing(&app, "a").await, ("scheduled".into(), "sub_1".into()));
    admin.post("/v1/customers", json!({ "id": "a", "create_in_stripe": true })).await.expect(200);
    backfill(&app).await;
    assert_eq!(stripe.subscriptions().len(), 1);
    for (event, status) in [("evt_1", "incomplete"), ("evt_2", "active")] {
        nobody.stripe_at(&subscription("updated", event, 0, status), app.clock.now()).await.expect(200);
    }
    assert_eq!(standing(&app, "a").await, ("active".into(), "sub_1".into()));
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_customer_who_is_at_stripe_already_is_subscribed_at_once() {
    let (stripe, app, _, admin) = start().await;
    admin.post("/v1/customers", json!({ "id": "a", "stripe_id": "cus_own" })).await.expect(201);
    let made = stripe.subscriptions();
    assert_eq!((made.len(), &made[0]["customer"]), (1, &json!("cus_own")));
    assert!(stripe.customers().is_empty());
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_price_that_is_not_at_stripe_or_is_due_once_makes_no_subscription() {
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    put_default(&admin, "once", json!({ "amount": 5, "currency": "inr", "stripe_price_id": "price_once" })).await;
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    put_default(&admin, "here", json!({ "amount": 5, "currency": "inr", "interval": "month" })).await;
    admin.post("/v1/customers", json!({ "id": "b" })).await.expect(201);
    backfill(&app).await;
    assert_eq!((stripe.customers().len(), stripe.subscriptions().len()), (2, 0));
    for id in ["a", "b"] {
        assert_eq!(standing(&app, id).await.0, "scheduled");
    }
}

async fn thirty_at_once(fault: StripeFault) {
    let (stripe, app, _, admin) = start().await;
    stripe.break_next([PASS, fault]);
    let create = |n: usize| admin.post("/v1/customers", json!({ "id": "a", "name": format!("Name {n}") }));
    let answers = join_all((0..30).map(create)).await;
    assert!(answers.iter().all(|answer| [200, 201].contains(&answer.status)));
    backfill(&app).await;
    assert_eq!((stripe.customers().len(), stripe.subscriptions().len(), stripe.refused()), (1, 1, 0), "{fault:?}");
    assert_eq!(standing(&app, "a").await, ("scheduled".into(), "sub_1".into()), "{fault:?}");
    let world = app.world().await;
    world.assert_straight();
    for intent in world.of("stripe_intent") {
        assert_eq!((&intent["state"], intent["gsi2pk"].is_null()), (&json!("done"), true), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_creates_make_one_subscription_at_a_stripe_that_is_slow() {
    thirty_at_once(StripeFault::Slow(Duration::from_millis(250))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_creates_make_one_subscription_at_a_stripe_that_fails_after_the_work() {
    thirty_at_once(StripeFault::ErrorAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_creates_make_one_subscription_at_a_stripe_that_does_not_answer() {
    thirty_at_once(StripeFault::CutOff).await;
}

#[tokio::test]
async fn a_create_killed_at_any_call_is_subscribed_once_by_the_backfill() {
    let (stripe, app, _, admin) = start().await;
    let calls = app.connector.calls_of(admin.post("/v1/customers", json!({ "id": "whole" }))).await;
    for (n, after) in (1..=calls).flat_map(|n| [(n, false), (n, true)]) {
        let body = json!({ "id": format!("a{n}-{after}") });
        app.connector.reset();
        app.connector.inject(Fault { at: When::Call(n), kind: Kind::Kill { after } });
        let _ = run_until_killed(&app.connector, admin.post("/v1/customers", body.clone())).await;
        app.connector.reset();
        let again = admin.post("/v1/customers", body).await;
        assert!([200, 201].contains(&again.status), "{}", again.text);
        backfill(&app).await;
        let id = again.str("internal_id");
        let made = stripe.subscriptions().into_iter().filter(|it| it["metadata"]["client_id"] == id).count();
        assert_eq!(made, 1, "killed at call {n}, after: {after}");
        assert!(!standing(&app, again.str("id")).await.1.is_empty(), "killed at call {n}, after: {after}");
    }
    app.world().await.assert_straight();
}

#[tokio::test]
async fn events_that_overtake_the_answer_are_what_counts() {
    let (stripe, app, nobody, admin) = start().await;
    stripe.break_next([PASS, StripeFault::CutOff]);
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    assert_eq!(standing(&app, "a").await, ("scheduled".into(), String::new()));
    nobody.stripe(&subscription("updated", "evt_1", 0, "active")).await.expect(200);
    assert_eq!(standing(&app, "a").await, ("active".into(), "sub_1".into()));
    backfill(&app).await;
    assert_eq!(standing(&app, "a").await, ("active".into(), "sub_1".into()));
    assert_eq!((stripe.subscriptions().len(), stripe.canceled().len()), (1, 0));
    let world = app.world().await;
    assert!(world.of("stripe_intent").iter().all(|intent| intent["state"] == "done"));
}

#[tokio::test]
async fn what_was_made_for_a_customer_deleted_meanwhile_is_canceled() {
    let (stripe, app, _, admin) = start().await;
    stripe.break_next([PASS, StripeFault::CutOff]);
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    admin.delete("/v1/customers/a").await.expect(200);
    assert!(stripe.canceled().is_empty(), "nobody knows of it yet");
    backfill(&app).await;
    assert_eq!((stripe.subscriptions().len(), stripe.canceled()), (1, vec!["sub_1".to_owned()]));
    assert_eq!(states(&app.world().await), ["done", "orphaned"]);
}

#[tokio::test]
async fn a_cancellation_that_fails_is_done_by_a_later_backfill() {
    use StripeFault::{CutOff, ErrorAfter, ErrorBefore, Refused};
    for fault in [ErrorBefore, ErrorAfter, CutOff, Refused] {
        let (stripe, app, _, admin) = start().await;
        stripe.break_next([PASS, CutOff]);
        admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
        admin.delete("/v1/customers/a").await.expect(200);
        // First it is looked for.
        stripe.break_next_others([PASS, fault]);
        backfill(&app).await;
        assert_eq!(states(&app.world().await), ["done", "pending"], "{fault:?}");
        backfill(&app).await;
        let world = app.world().await;
        assert_eq!(states(&world), ["done", "orphaned"], "{fault:?}");
        assert_eq!(stripe.canceled(), ["sub_1"], "{fault:?}");
        world.assert_straight();
        assert!(world.undone().is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn one_that_nobody_has_paid_for_ends_with_its_customer() {
    let (stripe, app, nobody, admin) = start().await;
    for (n, id) in ["a", "b"].into_iter().enumerate() {
        admin.post("/v1/customers", json!({ "id": id })).await.expect(201);
        if id == "b" {
            let mut event = subscription("updated", "evt_1", 0, "active");
            event["data"]["object"]["customer"] = json!("cus_2");
            event["data"]["object"]["id"] = json!("sub_2");
            nobody.stripe(&event).await.expect(200);
            admin.delete("/v1/customers/b").await.refused(409, "has_subscription");
        }
        admin.delete(&format!("/v1/customers/{id}?cancel_subscriptions={}", id == "b")).await.expect(200);
        assert_eq!(stripe.canceled().len(), n + 1);
    }
    backfill(&app).await;
    assert_eq!(stripe.canceled(), ["sub_1", "sub_2"]);
}

#[tokio::test]
async fn a_lead_that_pays_is_subscribed_to_the_paid_default_by_the_backfill() {
    let (stripe, app, nobody, admin) = start().await;
    let lead = nobody.intake("a@x.io").await.expect(201);
    let sessions = stripe.sessions().len();
    assert_eq!(sessions, 1);
    nobody.stripe(&checkout("completed", "evt_1", "cs_1", lead.str("client_id"))).await.expect(200);
    backfill(&app).await;
    let made = stripe.subscriptions();
    assert_eq!((made.len(), &made[0]["customer"]), (1, &json!("cus_cs_1")));
    let customer = admin.get(&format!("/v1/customers/{}", lead.str("client_id"))).await.expect(200);
    assert_eq!(customer.json["products"][0]["status"], "scheduled");
    app.world().await.assert_straight();
}
