//! `GET /auth/me`.

use harness::TestApp;
use harness::app::START;
use serde_json::json;

#[tokio::test]
async fn a_customer_sees_their_live_record() {
    let (app, nobody, admin) = TestApp::start().await;
    let customer = admin.post("/v1/customers", json!({ "email": "a@x.io", "name": "Ana" })).await.expect(201);
    app.deliver_mail().await;
    let session = nobody.login("a@x.io", &app.temporary_password("a@x.io")).await.expect(200);
    let me = nobody.with_token(session.str("token")).get("/auth/me").await.expect(200);
    assert_eq!((me.str("role"), me.str("customerId"), me.str("email")), ("customer", "PL1", "a@x.io"));
    assert_eq!(me.json["customer_v2_id"], customer.json["internal_id"]);
    assert_eq!(me.json["customer"]["customer_reference"], customer.json["customer_reference"]);
    assert_eq!(me.json["customer"]["user_id"], me.json["user_id"]);
}

#[tokio::test]
async fn an_administrator_has_no_customer() {
    let (_app, _, admin) = TestApp::start().await;
    let me = admin.get("/auth/me").await.expect(200);
    assert!(me.json["customer"].is_null() && me.json["customerId"].is_null());
}

#[tokio::test]
async fn a_stale_claim_decides_nothing() {
    let (app, nobody, admin) = TestApp::start().await;
    let customer = admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    let other = admin.post("/v1/customers", json!({ "email": "b@x.io" })).await.expect(201);
    let id = customer.str("user_id").parse().unwrap();
    let mut user = app.raw_store().user(id).await.unwrap().unwrap();
    user.customer_v2_id = Some(other.str("internal_id").parse().unwrap());
    let token = app.app.keys.sign_session(&user, START, 60);
    let me = nobody.with_token(token).get("/auth/me").await.expect(200);
    assert_eq!(me.json["customer"]["internal_id"], customer.json["internal_id"]);
}

#[tokio::test]
async fn a_session_ends_with_its_user_its_version_its_key_and_its_time() {
    let (app, nobody, admin) = TestApp::start().await;
    let customer = admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    let user = app.raw_store().user(customer.str("user_id").parse().unwrap()).await.unwrap().unwrap();
    let token = |user: &_| app.app.keys.sign_session(user, START, 60);
    nobody.with_token(token(&user)).get("/auth/me").await.expect(200);
    let mut revoked = user.clone();
    revoked.token_version += 1;
    let mut gone = user.clone();
    gone.user_id = shared::ids::UserId(START.new_id());
    let (other_keys, _) = shared::token::KeyRing::generate();
    let forged = other_keys.sign_session(&user, START, 60);
    for token in [token(&revoked), token(&gone), forged, "nonsense".into(), "a.b.c".into()] {
        let answer = nobody.with_token(token).get("/auth/me").await;
        answer.refused(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let token = token(&user);
    app.clock.advance_seconds(59);
    nobody.with_token(&token).get("/auth/me").await.expect(200);
    app.clock.advance_seconds(1);
    nobody.with_token(&token).get("/auth/me").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn an_api_key_is_nobody_in_person() {
    let (app, nobody, _) = TestApp::start().await;
    let (_, key) = app.app.store.create_api_key("test", START).await.unwrap();
    nobody.with_token(key.expose()).get("/auth/me").await.refused(403, "forbidden");
    nobody.with_token("rk_unknown").get("/auth/me").await.refused(401, "unauthorized");
    nobody.get("/auth/me").await.refused(401, "unauthorized");
}
