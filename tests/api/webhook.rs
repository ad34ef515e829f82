//! `POST /api/webhooks/stripe`.

use axum::body::Body;
use functions::jobs::backfill::run;
use futures::future::join_all;
use harness::TestApp;
use harness::app::{START, WEBHOOK_SECRETS};
use harness::stripe::checkout;
use harness::world::text;
use serde_json::{Value, json};
use shared::secret::Secret;
use shared::stripe::signature::sign;

#[tokio::test]
async fn a_paid_checkout_turns_a_lead_into_a_customer_with_a_login() {
    let (app, nobody, _) = TestApp::start().await;
    let lead = nobody.intake("a@x.io").await.expect(201);
    let event = checkout("completed", "evt_1", "cs_1", lead.str("client_id"));
    let answer = nobody.stripe(&event).await.expect(200);
    assert_eq!(answer.json, json!({ "received": true }));
    let world = app.world().await;
    world.assert_straight();
    let customer = world.of("customer")[0];
    assert_eq!(text(customer, "customer_reference"), lead.str("customer_reference"));
    assert_eq!((text(customer, "status"), text(customer, "stripe_id")), ("active", "cus_cs_1"));
    assert_eq!(text(customer, "customer_number"), "PL1");
    assert_eq!(world.messages("invitation").len(), 1);
    app.deliver_mail().await;
    let session = nobody.login("a@x.io", &app.temporary_password("a@x.io")).await.expect(200);
    let me = nobody.with_token(session.str("token")).get("/auth/me").await.expect(200);
    assert_eq!(me.json["customer"]["customer_reference"], lead.json["customer_reference"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_fifty_times_at_once_is_one_activation() {
    let (app, nobody, _) = TestApp::start().await;
    let lead = nobody.intake("a@x.io").await.expect(201);
    let event = checkout("completed", "evt_1", "cs_1", lead.str("client_id"));
    let answers = join_all((0..50).map(|_| nobody.stripe(&event))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(answers.iter().filter(|answer| answer.json.get("duplicate").is_none()).count(), 1);
    let world = app.world().await;
    world.assert_straight();
    assert_eq!((world.of("user").len(), world.messages("invitation").len()), (2, 1));
    assert_eq!(world.of("customer")[0]["customer_reference"], lead.json["customer_reference"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_under_several_events_is_one_activation() {
    let (app, nobody, _) = TestApp::start().await;
    let id = nobody.intake("a@x.io").await.str("client_id").to_owned();
    let events = [
        checkout("completed", "evt_1", "cs_1", &id),
        checkout("completed", "evt_2", "cs_1", &id),
        checkout("async_payment_succeeded", "evt_3", "cs_1", &id),
    ];
    for answer in join_all(events.iter().chain(&events).map(|event| nobody.stripe(event))).await {
        answer.expect(200);
    }
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.messages("invitation").len(), 1);
    assert_eq!(world.of("stripe_event").len(), 3);
}

#[tokio::test]
async fn a_further_paid_session_of_a_customer_is_only_recorded() {
    let (app, nobody, _) = TestApp::start().await;
    let id = nobody.intake("a@x.io").await.str("client_id").to_owned();
    nobody.stripe(&checkout("completed", "evt_1", "cs_1", &id)).await.expect(200);
    let before = app.world().await;
    nobody.stripe(&checkout("completed", "evt_2", "cs_2", &id)).await.expect(200);
    let mut without = checkout("completed", "evt_3", "cs_3", &id);
    without["data"]["object"]["customer"] = Value::Null;
    nobody.stripe(&without).await.expect(200);
    let after = app.world().await;
    after.assert_straight();
    assert_eq!(before.of("customer"), after.of("customer"));
    assert_eq!((after.of("user").len(), after.messages("invitation").len()), (2, 1));
    assert_eq!(after.of("checkout").len(), 3);
    assert!(after.at("STRIPE_CUSTOMER#cus_cs_2").is_some(), "the second Stripe customer is an alias");
}

#[tokio::test]
async fn a_further_stripe_customer_of_somebody_may_become_their_own_and_then_anothers() {
    let (app, nobody, admin) = TestApp::start().await;
    let id = nobody.intake("a@x.io").await.str("client_id").to_owned();
    for session in ["cs_1", "cs_2"] {
        nobody.stripe(&checkout("completed", &format!("evt_{session}"), session, &id)).await.expect(200);
    }
    let path = format!("/v1/customers/{id}");
    admin.patch(&path, json!({ "stripe_id": null })).await.expect(200);
    // They pay once more, as the one that was an alias.
    let mut again = checkout("completed", "evt_3", "cs_3", &id);
    again["data"]["object"]["customer"] = json!("cus_cs_2");
    nobody.stripe(&again).await.expect(200);
    assert_eq!(admin.get(&path).await.expect(200).str("stripe_id"), "cus_cs_2");
    admin.patch(&path, json!({ "stripe_id": "cus_9" })).await.expect(200);
    admin.post("/v1/customers", json!({ "id": "b", "stripe_id": "cus_cs_2" })).await.expect(201);
    admin.delete(&path).await.expect(200);
    run(&app.app, None).await.unwrap();
    let world = app.world().await;
    assert!(world.at("STRIPE_CUSTOMER#cus_cs_2").is_some(), "what the first leaves is not the second's");
    world.assert_straight();
}

#[tokio::test]
async fn an_unpaid_session_changes_nothing_and_its_later_success_activates() {
    let (app, nobody, _) = TestApp::start().await;
    let id = nobody.intake("a@x.io").await.str("client_id").to_owned();
    let mut unpaid = checkout("completed", "evt_1", "cs_1", &id);
    unpaid["data"]["object"]["payment_status"] = json!("unpaid");
    nobody.stripe(&unpaid).await.expect(200);
    assert_eq!(text(app.world().await.of("customer")[0], "status"), "pending_payment");
    nobody.stripe(&checkout("async_payment_succeeded", "evt_2", "cs_1", &id)).await.expect(200);
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(text(world.of("customer")[0], "status"), "active");
}

#[tokio::test]
async fn a_failure_counts_for_the_latest_session_of_a_lead_and_never_for_a_customer() {
    let (app, nobody, _) = TestApp::start().await;
    let lead = nobody.intake("a@x.io").await;
    let (id, url) = (lead.str("client_id").to_owned(), lead.str("checkout_url").to_owned());
    let latest = url.rsplit('/').next().unwrap().to_owned();
    let status = async || text(app.world().await.of("customer")[0], "status").to_owned();
    nobody.stripe(&checkout("expired", "evt_1", "cs_old", &id)).await.expect(200);
    assert_eq!(status().await, "pending_payment");
    nobody.stripe(&checkout("async_payment_failed", "evt_2", &latest, &id)).await.expect(200);
    assert_eq!(status().await, "payment_failed");
    nobody.stripe(&checkout("completed", "evt_3", "cs_new", &id)).await.expect(200);
    assert_eq!(status().await, "active");
    nobody.stripe(&checkout("expired", "evt_4", &latest, &id)).await.expect(200);
    assert_eq!(status().await, "active");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_customer_is_found_by_any_of_our_names_in_order() {
    let (app, nobody, _) = TestApp::start().await;
    let first = nobody.intake("a@x.io").await;
    let mut event = checkout("completed", "evt_1", "cs_1", "not-a-uuid");
    event["data"]["object"]["metadata"] = json!({ "customer_reference": first.str("customer_reference") });
    nobody.stripe(&event).await.expect(200);
    let second = nobody.intake("b@x.io").await;
    let mut event = checkout("completed", "evt_2", "cs_2", &uuid());
    event["data"]["object"]["metadata"] = json!({ "client_id": second.str("client_id") });
    nobody.stripe(&event).await.expect(200);
    let world = app.world().await;
    world.assert_straight();
    assert!(world.of("customer").iter().all(|customer| customer["status"] == "active"));
}

#[tokio::test]
async fn a_stripe_customer_belongs_to_one_customer() {
    let (app, nobody, _) = TestApp::start().await;
    for (n, email) in ["a@x.io", "b@x.io"].into_iter().enumerate() {
        let id = nobody.intake(email).await.str("client_id").to_owned();
        let mut event = checkout("completed", &format!("evt_{n}"), &format!("cs_{n}"), &id);
        event["data"]["object"]["customer"] = json!("cus_shared");
        nobody.stripe(&event).await.expect(200);
    }
    let world = app.world().await;
    world.assert_straight();
    let holders: Vec<_> = world.of("customer").into_iter().filter(|c| c["stripe_id"] == "cus_shared").collect();
    assert_eq!(holders.len(), 1);
    assert!(world.of("customer").iter().all(|customer| customer["status"] == "active"));
}

#[tokio::test]
async fn what_names_nobody_and_what_is_no_event_is_recorded_without_effect() {
    let (app, nobody, _) = TestApp::start().await;
    nobody.stripe(&checkout("completed", "evt_1", "cs_1", &uuid())).await.expect(200);
    nobody.stripe(&json!({ "id": "evt_2", "type": "customer.tax_id.created", "data": {} })).await.expect(200);
    for (n, junk) in ["not json", "[]", "{\"id\":7}", "null", "\u{0}"].into_iter().enumerate() {
        let header = sign(junk.as_bytes(), &Secret::new(WEBHOOK_SECRETS[0]), START);
        assert_eq!(nobody.stripe_raw(junk, &header).await.expect(200).json["received"], true);
        assert_eq!(nobody.stripe_raw(junk, &header).await.expect(200).json["duplicate"], true);
        assert_eq!(app.world().await.of("stripe_event").len(), 3 + n);
    }
    assert!(app.world().await.of("customer").is_empty());
}

#[tokio::test]
async fn only_a_fresh_signature_over_the_very_bytes_is_accepted() {
    let (app, nobody, _) = TestApp::start().await;
    let body = json!({ "id": "evt_1", "type": "ping", "data": { "object": {} } }).to_string();
    let signed = |secret: &str, time| sign(body.as_bytes(), &Secret::new(secret), time);
    let good = signed(WEBHOOK_SECRETS[0], START);
    let (t, v1) = good.split_once(',').unwrap();
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&body).unwrap()).unwrap();
    let refused = [
        (body.clone(), String::new()),
        (body.clone(), "t=1".into()),
        (body.clone(), v1.to_owned()),
        (body.clone(), format!("{t},v1=nothex")),
        (body.clone(), good.replace("v1=", "v0=")),
        (body.clone(), signed("whsec_other", START)),
        (body.clone(), signed(WEBHOOK_SECRETS[0], START.plus_seconds(301))),
        (body.clone(), signed(WEBHOOK_SECRETS[0], START.plus_seconds(-301))),
        (pretty, good.clone()),
        (String::new(), good.clone()),
    ];
    for (body, header) in refused {
        nobody.stripe_raw(body, &header).await.refused(400, "invalid_signature");
    }
    let request = nobody.request("POST", "/api/webhooks/stripe");
    nobody.send(request, Body::from(body.clone())).await.refused(400, "invalid_signature");
    assert!(app.world().await.of("stripe_event").is_empty());
    let accepted = [
        format!("{t},v1={},{v1}", "0".repeat(64)),
        signed(WEBHOOK_SECRETS[1], START),
        signed(WEBHOOK_SECRETS[0], START.plus_seconds(299)),
        signed(WEBHOOK_SECRETS[0], START.plus_seconds(-299)),
    ];
    for header in accepted {
        nobody.stripe_raw(body.clone(), &header).await.expect(200);
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_hashed() {
    let (_app, nobody, _) = TestApp::start().await;
    let body = "x".repeat(600 * 1_024);
    let header = sign(body.as_bytes(), &Secret::new(WEBHOOK_SECRETS[0]), START);
    nobody.stripe_raw(body, &header).await.refused(413, "payload_too_large");
}

#[tokio::test]
async fn a_payment_enables_the_login_of_an_inactive_customer() {
    let (app, nobody, admin) = TestApp::start().await;
    let customer = admin.post("/v1/customers", json!({ "email": "a@x.io", "status": "inactive" })).await.expect(201);
    nobody.stripe(&checkout("completed", "evt_1", "cs_1", customer.str("internal_id"))).await.expect(200);
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(text(world.of("customer")[0], "status"), "active");
}

fn uuid() -> String {
    START.new_id().to_string()
}
