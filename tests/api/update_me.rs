//! `PATCH /auth/me`.

use futures::future::join_all;
use harness::{Actor, Answer, TestApp};
use serde_json::{Value, json};
use shared::domain::user::Role;

use crate::accounts::{PASSWORD, api_key, fields, register, with_user};

async fn patch(actor: &Actor, body: Value) -> Answer {
    actor.patch("/auth/me", body).await
}

#[tokio::test]
async fn a_customer_changes_their_details_in_both_records() {
    let (app, nobody, admin) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let user = nobody.with_token(session.str("token"));
    let body = json!({ "name": " Ana María ", "phone": "98765 43210", "address": "1 Main St\nSpringfield",
                       "area": "North" });
    let answer = patch(&user, body).await.expect(200);
    assert_eq!((answer.str("name"), answer.str("phone")), ("Ana María", "+919876543210"));
    let customer = &answer.json["customer"];
    assert_eq!((&customer["name"], &customer["phone"]), (&json!("Ana María"), &json!("+919876543210")));
    assert_eq!((&customer["address"], &customer["area"]), (&json!("1 Main St\nSpringfield"), &json!("North")));
    assert_eq!(user.get("/auth/me").await.expect(200).json, answer.json, "the shape of me, and the session lives");
    assert_eq!(admin.get("/v1/customers/PL1").await.expect(200).json, *customer);
    app.world().await.assert_straight();
    nobody.login("+919876543210", PASSWORD).await.expect(200);

    // What is not named stays.
    let answer = patch(&user, json!({ "phone": "+14155550100" })).await.expect(200);
    assert_eq!((answer.str("name"), answer.str("phone")), ("Ana María", "+14155550100"));
    assert_eq!(answer.json["customer"]["area"], "North");
    nobody.login("+919876543210", PASSWORD).await.refused(401, "invalid_credentials");
    nobody.login("+14155550100", PASSWORD).await.expect(200);
    let same = patch(&user, json!({})).await.expect(200);
    assert_eq!(same.json, answer.json);
    // Null clears.
    let answer = patch(&user, json!({ "phone": null, "area": null })).await.expect(200);
    assert!(answer.json["phone"].is_null() && answer.json["customer"]["phone"].is_null(), "{}", answer.text);
    assert!(answer.json["customer"]["area"].is_null() && answer.json["customer"]["address"].is_string());
    nobody.login("+14155550100", PASSWORD).await.refused(401, "invalid_credentials");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn nobody_changes_what_is_not_theirs_to_change() {
    let (app, nobody, _) = TestApp::start().await;
    let ana = register(&nobody, "a@x.io").await.expect(201);
    let eve = register(&nobody, "e@x.io").await.expect(201);
    let (a, e) = (nobody.with_token(ana.str("token")), nobody.with_token(eve.str("token")));
    let before = [a.get("/auth/me").await.expect(200), e.get("/auth/me").await.expect(200)];
    let body = json!({
        "name": "Eve", "role": "admin", "email": "a@x.io", "enabled": true, "token_version": 7, "status": "trial",
        "user_id": ana.str("user_id"), "_id": ana.str("user_id"), "sub": ana.str("user_id"), "customerId": "PL1",
        "customer_v2_id": ana.str("customer_v2_id"), "internal_id": ana.str("customer_v2_id"),
        "must_change_password": true, "password": "a password of hers", "stripe_id": "cus_1", "id": "eve",
        "customer": { "area": "South" },
    });
    patch(&e, body).await.expect(200);
    assert_eq!(a.get("/auth/me").await.expect(200).json, before[0].json);
    let mut wanted = before[1].json.clone();
    (wanted["name"], wanted["customer"]["name"]) = (json!("Eve"), json!("Eve"));
    assert_eq!(e.get("/auth/me").await.expect(200).json, wanted);
    nobody.login("e@x.io", PASSWORD).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn every_wrong_field_is_named_and_nothing_is_changed() {
    let (app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let user = nobody.with_token(session.str("token"));
    let before = user.get("/auth/me").await.expect(200);
    let body = json!({ "name": "", "phone": "12", "address": 7, "area": "a".repeat(101) });
    let answer = patch(&user, body).await;
    assert_eq!(fields(&answer), ["address", "area", "name", "phone"]);
    patch(&user, json!({ "name": "Bea", "phone": "12" })).await.refused(400, "invalid_request");
    assert_eq!(user.get("/auth/me").await.expect(200).json, before.json);
    app.world().await.assert_straight();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_leave_the_records_in_step() {
    let (app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let user = &nobody.with_token(session.str("token"));
    let bodies = (0..8).map(|n| match n % 4 {
        0 => json!({ "name": format!("Ana {n}") }),
        1 => json!({ "phone": format!("+1415555010{n}") }),
        2 => json!({ "address": format!("{n} Main St") }),
        _ => json!({ "area": format!("Area {n}") }),
    });
    for answer in join_all(bodies.map(|body| patch(user, body))).await {
        answer.expect(200);
    }
    let me = user.get("/auth/me").await.expect(200);
    assert!(me.str("name").starts_with("Ana ") && me.str("phone").starts_with("+1415555010"), "{}", me.text);
    let customer = &me.json["customer"];
    assert_eq!((&customer["name"], &customer["phone"]), (&me.json["name"], &me.json["phone"]));
    assert!(customer["address"].is_string() && customer["area"].is_string(), "no change is lost: {}", me.text);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn somebody_without_a_customer_record_changes_their_account() {
    let (app, nobody, _) = TestApp::start().await;
    let user = with_user(&app, "boy@x.io", Role::DeliveryBoy, None).await;
    let token = app.app.keys.sign_session(&user, harness::app::START, 60);
    let answer = patch(&nobody.with_token(token), json!({ "name": "Raj", "phone": "9876543210" })).await.expect(200);
    assert_eq!((answer.str("name"), answer.str("phone")), ("Raj", "+919876543210"));
    assert!(answer.json["customer"].is_null());
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_temporary_password_and_an_api_key_are_not_enough() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let session = nobody.login("a@x.io", &app.temporary_password("a@x.io")).await.expect(200);
    let user = nobody.with_token(session.str("token"));
    patch(&user, json!({ "name": "Ana" })).await.refused(403, "password_change_required");
    patch(&nobody.with_token(api_key(&app).await), json!({ "name": "Ana" })).await.refused(403, "forbidden");
    patch(&nobody, json!({ "name": "Ana" })).await.refused(401, "unauthorized");
}
