//! Where a lead pays, with Stripe.

use harness::TestApp;
use harness::stripe_api::{StripeApi, StripeFault};
use serde_json::json;

const FORM: &str = "/api/intake/submit";

#[tokio::test]
async fn a_lead_pays_in_one_session_that_names_it() {
    let stripe = StripeApi::start().await;
    let (app, nobody, _) = TestApp::start_with_stripe(stripe.url()).await;
    let lead = nobody.intake("a@x.io").await.expect(201);
    assert_eq!(lead.str("checkout_url"), "https://checkout.stripe.test/cs_test_1");
    let form = &stripe.forms()[0];
    assert_eq!((form["mode"].as_str(), form["line_items[0][price]"].as_str()), ("subscription", "price_default"));
    for name in ["client_reference_id", "metadata[client_id]", "subscription_data[metadata][client_id]"] {
        assert_eq!(form[name], lead.str("client_id"), "{name}");
    }
    assert_eq!(form["metadata[customer_reference]"], lead.str("customer_reference"));
    let world = app.world().await;
    assert_eq!(world.of("customer")[0]["checkout_session_id"], "cs_test_1");
    let again = nobody.intake("a@x.io").await.expect(200);
    assert_eq!(again.json["checkout_url"], lead.json["checkout_url"]);
    assert_eq!(stripe.sessions().len(), 1);
}

#[tokio::test]
async fn a_price_without_an_interval_is_paid_once() {
    let stripe = StripeApi::start().await;
    let (_app, nobody, admin) = TestApp::start_with_stripe(stripe.url()).await;
    let price = json!({ "amount": 500, "currency": "inr", "stripe_price_id": "price_once" });
    admin.put("/v1/products/once", json!({ "name": "Once", "items": [], "price": price })).await.expect(201);
    let body = json!({ "name": "Ana", "email": "a@x.io", "product_id": "once" });
    nobody.post(FORM, body).await.expect(201);
    let form = &stripe.forms()[0];
    assert_eq!((form["mode"].as_str(), form["line_items[0][price]"].as_str()), ("payment", "price_once"));
    assert_eq!(form["payment_intent_data[metadata][product_id]"], "once");
}

#[tokio::test]
async fn a_default_price_that_does_not_recur_is_paid_once() {
    let stripe = StripeApi::start().await;
    let (_app, nobody, _) = TestApp::start_with_stripe(stripe.url()).await;
    stripe.break_next([StripeFault::Refused]);
    nobody.intake("a@x.io").await.expect(201);
    assert_eq!(stripe.forms()[0]["mode"], "payment");
}

#[tokio::test]
async fn with_stripe_down_the_lead_is_kept_and_its_next_submission_has_a_checkout() {
    let stripe = StripeApi::start().await;
    let (app, nobody, _) = TestApp::start_with_stripe(stripe.url()).await;
    stripe.break_next([StripeFault::ErrorBefore, StripeFault::ErrorBefore]);
    let lead = nobody.intake("a@x.io").await.expect(201);
    assert!(lead.json["checkout_url"].is_null());
    assert_eq!(app.world().await.of("customer").len(), 1);
    app.clock.advance_seconds(60);
    let again = nobody.intake("a@x.io").await.expect(200);
    assert_eq!(again.str("client_id"), lead.str("client_id"));
    assert_eq!(again.str("checkout_url"), "https://checkout.stripe.test/cs_test_1");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_replay_names_the_same_checkout() {
    let stripe = StripeApi::start().await;
    let (_app, nobody, _) = TestApp::start_with_stripe(stripe.url()).await;
    let submit = || {
        let body = json!({ "name": "Ana", "email": "a@x.io" });
        nobody.post_with(FORM, body, &[("idempotency-key", "k")])
    };
    let first = submit().await.expect(201);
    let replay = submit().await.expect(201);
    assert_eq!((replay.header("idempotency-replayed"), &replay.json), (Some("true"), &first.json));
    assert_eq!(stripe.sessions().len(), 1);
}
