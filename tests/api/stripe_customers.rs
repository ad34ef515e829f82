//! Exactly one Stripe customer, whatever races, fails or dies.

use std::time::Duration;

use functions::jobs::backfill::run;
use futures::future::join_all;
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::stripe_api::{StripeApi, StripeFault};
use harness::{Actor, TestApp, stripe_config};
use serde_json::{Value, json};
use shared::stripe::client::StripeClient;
use shared::stripe::error::StripeError;

/// Longer than a lease and the first wait.
const LATER_SECONDS: i64 = 120;

fn body(id: &str) -> Value {
    json!({ "id": id, "create_in_stripe": true })
}

async fn backfill(app: &TestApp) {
    app.clock.advance_seconds(LATER_SECONDS);
    run(&app.app, None).await.unwrap();
}

async fn stripe_id(admin: &Actor, id: &str) -> Value {
    admin.get(&format!("/v1/customers/{id}")).await.expect(200).json["stripe_id"].clone()
}

/// Thirty creates of one id under different names, at a Stripe that fails once.
async fn thirty_at_once(fault: StripeFault, paid_default: bool) {
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    if paid_default {
        put_paid_default(&admin).await;
    }
    stripe.break_next([fault]);
    let create = |n: usize| {
        let name = format!("Name {n}");
        let asked = !paid_default;
        admin.post("/v1/customers", json!({ "id": "a", "name": name, "email": "a@x.io", "create_in_stripe": asked }))
    };
    let answers = join_all((0..30).map(create)).await;
    assert!(answers.iter().all(|answer| [200, 201].contains(&answer.status)));
    backfill(&app).await;
    assert_eq!(stripe.customers().len(), 1, "{fault:?}");
    assert_eq!(stripe_id(&admin, "a").await, "cus_1", "{fault:?}");
    assert_eq!(stripe.refused(), 0, "no retry has other parameters under a key that was used");
    let again = admin.post("/v1/customers", json!({ "id": "a", "name": "Another name" })).await.expect(200);
    assert_eq!(again.json["stripe_id"], "cus_1");
    let world = app.world().await;
    world.assert_straight();
    let intent = world.of("stripe_intent")[0];
    assert_eq!((&intent["state"], intent["gsi2pk"].is_null()), (&json!("done"), true));
    assert_eq!(intent["parameters"], json!([]), "nothing personal is kept");
}

async fn put_paid_default(admin: &Actor) {
    let price = json!({ "amount": 5, "currency": "inr", "interval": "month" });
    let paid = json!({ "name": "Paid", "is_default": true, "force_paid_default": true, "items": [], "price": price });
    admin.put("/v1/products/paid", paid).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_creates_make_one_customer_at_a_stripe_that_is_slow() {
    thirty_at_once(StripeFault::Slow(Duration::from_millis(250)), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_creates_make_one_customer_at_a_stripe_that_fails_after_the_work() {
    thirty_at_once(StripeFault::ErrorAfter, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_creates_make_one_customer_at_a_stripe_that_does_not_answer() {
    thirty_at_once(StripeFault::CutOff, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_creates_with_a_paid_default_make_one_customer_at_a_stripe_that_is_slow() {
    thirty_at_once(StripeFault::Slow(Duration::from_millis(250)), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_creates_with_a_paid_default_make_one_customer_at_a_stripe_that_fails_after_the_work() {
    thirty_at_once(StripeFault::ErrorAfter, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_creates_with_a_paid_default_make_one_customer_at_a_stripe_that_does_not_answer() {
    thirty_at_once(StripeFault::CutOff, true).await;
}

#[tokio::test]
async fn a_stripe_that_never_answers_has_as_long_as_a_call_may_take() {
    let stripe = StripeApi::start().await;
    stripe.break_next([StripeFault::NoAnswer]);
    let client = StripeClient::with_timeout(&stripe_config(stripe.url()), Duration::from_millis(50));
    assert_eq!(client.post("/v1/customers", &[], "key").await, Err(StripeError::Timeout));
}

#[tokio::test]
async fn after_a_failure_that_did_nothing_the_next_key_makes_it() {
    let stripe = StripeApi::start().await;
    let (_app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    stripe.break_next([StripeFault::ErrorBefore]);
    let created = admin.post("/v1/customers", body("a")).await.expect(201);
    assert_eq!(created.json["stripe_id"], "cus_1");
    assert_eq!(stripe.customers().len(), 1);
}

/// A create at which Stripe fails, and then each look-up for what that may have made.
async fn looked_up_in_vain(create: StripeFault, lookups: &[StripeFault]) {
    let about = format!("{create:?}, then {lookups:?}");
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    stripe.break_next([create]);
    stripe.break_next_others(lookups.iter().copied());
    let created = admin.post("/v1/customers", body("a")).await.expect(201);
    assert!(created.json["stripe_id"].is_null(), "{about}");
    for _ in 1..lookups.len() {
        backfill(&app).await;
        assert!(stripe_id(&admin, "a").await.is_null(), "{about}");
    }
    backfill(&app).await;
    assert_eq!((stripe_id(&admin, "a").await, stripe.customers().len()), (json!("cus_1"), 1), "{about}");
    app.deliver_mail().await;
    // What Stripe may have said of `cus_1` before is looked for by the next run.
    backfill(&app).await;
    let world = app.world().await;
    world.assert_straight();
    assert!(world.undone().is_empty(), "{about}");
}

#[tokio::test]
async fn a_look_up_that_fails_is_repeated_before_anything_else_is_made() {
    use StripeFault::{CutOff, ErrorAfter, ErrorBefore};
    for create in [ErrorBefore, ErrorAfter] {
        looked_up_in_vain(create, &[ErrorBefore]).await;
        looked_up_in_vain(create, &[CutOff]).await;
        looked_up_in_vain(create, &[ErrorAfter, CutOff]).await;
    }
}

#[tokio::test]
async fn where_stripe_offers_no_search_its_list_is_looked_through_until_it_answers() {
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    stripe.break_next([StripeFault::ErrorAfter]);
    stripe.break_next_others([StripeFault::Refused, StripeFault::ErrorBefore, StripeFault::Refused]);
    let created = admin.post("/v1/customers", body("a")).await.expect(201);
    assert!(created.json["stripe_id"].is_null(), "neither search nor list answers");
    backfill(&app).await;
    assert_eq!((stripe_id(&admin, "a").await, stripe.customers().len()), (json!("cus_1"), 1));
    app.world().await.assert_straight();
}

/// Kills the create of `body` at every call of it, asks once more, and lets the backfill finish.
async fn killed_anywhere(app: &TestApp, admin: &Actor, stripe: &StripeApi, body: fn(&str) -> Value) {
    let calls = app.connector.calls_of(admin.post("/v1/customers", body("whole"))).await;
    for (n, after) in (1..=calls).flat_map(|n| [(n, false), (n, true)]) {
        let id = format!("a{n}-{after}");
        app.connector.reset();
        app.connector.inject(Fault { at: When::Call(n), kind: Kind::Kill { after } });
        let _ = run_until_killed(&app.connector, admin.post("/v1/customers", body(&id))).await;
        app.connector.reset();
        let again = admin.post("/v1/customers", body(&id)).await;
        assert!([200, 201].contains(&again.status), "{}", again.text);
        backfill(app).await;
        let internal_id = again.str("internal_id");
        let made = stripe.customers().into_iter().filter(|c| c["metadata"]["internal_id"] == internal_id).count();
        assert_eq!(made, 1, "killed at call {n}, after: {after}");
        assert!(stripe_id(admin, &id).await.is_string(), "killed at call {n}, after: {after}");
    }
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_request_killed_at_any_call_is_finished_by_the_backfill() {
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    killed_anywhere(&app, &admin, &stripe, body).await;
}

#[tokio::test]
async fn a_create_with_a_paid_default_killed_at_any_call_is_finished_by_the_backfill() {
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    put_paid_default(&admin).await;
    killed_anywhere(&app, &admin, &stripe, |id| json!({ "id": id })).await;
}

#[tokio::test]
async fn a_paid_default_waits_for_stripe_and_makes_its_customer() {
    let stripe = StripeApi::start().await;
    let (_app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    put_paid_default(&admin).await;
    let created = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    assert_eq!(
        (&created.json["stripe_id"], &created.json["products"][0]["status"]),
        (&json!("cus_1"), &json!("scheduled"))
    );
}

#[tokio::test]
async fn what_was_made_for_a_customer_deleted_meanwhile_is_recorded() {
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    stripe.break_next([StripeFault::CutOff]);
    let created = admin.post("/v1/customers", body("a")).await.expect(201);
    assert!(created.json["stripe_id"].is_null());
    admin.delete("/v1/customers/a").await.expect(200);
    backfill(&app).await;
    let world = app.world().await;
    let intent = world.of("stripe_intent")[0];
    assert_eq!((&intent["state"], &intent["stripe_id"]), (&json!("orphaned"), &json!("cus_1")));
    assert_eq!(stripe.customers().len(), 1);
}

#[tokio::test]
async fn whoever_gives_their_stripe_customer_up_and_asks_again_gets_the_same_one() {
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io", "create_in_stripe": true })).await.expect(201);
    // Under its new address Stripe does not know them.
    admin.patch("/v1/customers/a", json!({ "stripe_id": null, "email": "b@x.io" })).await.expect(200);
    let plain = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(200);
    assert_eq!(plain.json["stripe_id"], json!(null), "nobody asked");
    let again = admin.post("/v1/customers", body("a")).await.expect(200);
    assert_eq!((again.str("stripe_id"), stripe.customers().len()), ("cus_1", 1));
    app.world().await.assert_straight();
}

#[tokio::test]
async fn whose_stripe_customer_is_anothers_now_gets_one_of_their_own() {
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    admin.post("/v1/customers", body("a")).await.expect(201);
    admin.patch("/v1/customers/a", json!({ "stripe_id": null })).await.expect(200);
    admin.post("/v1/customers", json!({ "id": "b", "stripe_id": "cus_1" })).await.expect(201);
    let again = admin.post("/v1/customers", body("a")).await.expect(200);
    assert_eq!((again.str("stripe_id"), stripe.customers().len()), ("cus_2", 2));
    app.world().await.assert_straight();
}

#[tokio::test]
async fn what_stripe_refused_is_made_once_it_is_asked_for_again() {
    let stripe = StripeApi::start().await;
    let (app, _, admin) = TestApp::start_with_stripe(stripe.url()).await;
    stripe.break_next([StripeFault::Refused]);
    let refused = admin.post("/v1/customers", body("a")).await.expect(201);
    assert!(refused.json["stripe_id"].is_null());
    assert_eq!(app.world().await.of("stripe_intent")[0]["state"], "refused");
    let answers = join_all((0..8).map(|_| admin.post("/v1/customers", body("a")))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    backfill(&app).await;
    assert_eq!((stripe_id(&admin, "a").await, stripe.customers().len()), (json!("cus_1"), 1));
    app.world().await.assert_straight();
}

#[tokio::test]
async fn without_stripe_the_caller_is_told() {
    let (_app, _, admin) = TestApp::start().await;
    let created = admin.post("/v1/customers", body("a")).await.expect(201);
    assert_eq!(created.json["warnings"], json!(["stripe_not_configured"]));
}

#[tokio::test]
async fn who_has_no_key_but_knows_that_another_has_leaves_it_to_the_backfill() {
    let (app, _, admin) = TestApp::start_with(|settings| settings.stripe_configured = true).await;
    put_paid_default(&admin).await;
    let made = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    assert_eq!(made.json["products"][0]["status"], "scheduled");
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.of("stripe_intent")[0]["state"], "pending");
}
