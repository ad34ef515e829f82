//! `POST /v1/customers/{id}/credentials`.

use axum::body::Body;
use harness::{Answer, TestApp};
use serde_json::json;

const PATH: &str = "/v1/customers/a/credentials";

#[tokio::test]
async fn a_hand_over_and_an_invitation_void_what_was_before() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(201);
    let handed = admin.post(PATH, json!({ "deliver": false })).await.expect(200);
    assert_eq!((handed.str("login"), handed.header("cache-control")), ("a@x.io", Some("no-store")));
    assert_eq!(handed.str("expires_at"), "2026-11-27T12:00:00Z");
    app.deliver_mail().await;
    assert!(app.delivered().is_empty(), "the invitation that was on its way is void");
    nobody.login("a@x.io", handed.str("temporary_password")).await.expect(200);
    let invited = admin.send(admin.request("POST", PATH), Body::empty()).await.expect(202);
    assert_eq!(invited.json, json!({ "login": "a@x.io", "delivered_to": "email" }));
    nobody.login("a@x.io", handed.str("temporary_password")).await.refused(401, "invalid_credentials");
    app.deliver_mail().await;
    let sent = app.temporary_password("a@x.io");
    nobody.login("a@x.io", &sent).await.expect(200);
    let last = admin.post(PATH, json!({ "deliver": false })).await.expect(200);
    nobody.login("a@x.io", &sent).await.refused(401, "invalid_credentials");
    nobody.login("a@x.io", last.str("temporary_password")).await.expect(200);
    app.world().await.assert_straight();
}

/// The login of a customer whose address is another's login, or who has none.
fn placeholder(customer: &Answer) -> String {
    format!("customer-{}@earlybird.local", customer.str("internal_id"))
}

#[tokio::test]
async fn a_message_names_the_login_and_by_sms_the_customer_number() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "one", "email": "s@x.io" })).await.expect(201);
    let second = admin.post("/v1/customers", json!({ "id": "two", "email": "s@x.io" })).await.expect(201);
    let third = admin.post("/v1/customers", json!({ "id": "three", "phone": "9876543210" })).await.expect(201);
    app.deliver_mail().await;
    let (letters, login) = (app.delivered(), placeholder(&second));
    let letter = letters.iter().find(|letter| letter.body.lines().any(|line| line == login));
    let letter = letter.unwrap_or_else(|| panic!("{login} is on a line of its own: {letters:?}"));
    assert_eq!((letter.to.as_str(), letter.body.contains(second.str("customerId"))), ("s@x.io", true));
    let first = letters.iter().find(|letter| letter.body.lines().any(|line| line == "s@x.io")).unwrap();
    assert!(!first.body.contains("customer number"), "an address is enough: {}", first.body);
    let sms = letters.iter().find(|letter| letter.to == "+919876543210").unwrap();
    assert!(sms.body.contains(third.str("customerId")) && !sms.body.contains("earlybird.local"), "{}", sms.body);
    let sent = admin.post("/v1/customers/two/credentials", json!({})).await.expect(202);
    assert_eq!(sent.json, json!({ "login": login, "delivered_to": "email" }));
    let by_sms = admin.post("/v1/customers/three/credentials", json!({})).await.expect(202);
    assert_eq!(by_sms.json, json!({ "login": third.str("customerId"), "delivered_to": "sms" }));
    let handed = admin.post("/v1/customers/two/credentials", json!({ "deliver": false })).await.expect(200);
    assert_eq!(handed.str("login"), login);
    nobody.login(&login, handed.str("temporary_password")).await.expect(200);
}

#[tokio::test]
async fn an_empty_body_is_no_body() {
    let (_app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(201);
    let send = async |kind: &str, body: &'static str| {
        admin.send(admin.request("POST", PATH).header("content-type", kind), Body::from(body)).await
    };
    send("application/json", "").await.expect(202);
    send("application/json", r#"{"deliver":false}"#).await.expect(200);
    send("application/json", " ").await.refused(400, "invalid_json");
    send("text/plain", "").await.refused(415, "unsupported_media_type");
    admin.send(admin.request("POST", PATH), Body::from("{}")).await.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn who_cannot_be_given_credentials_is_told_apart() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post(PATH, json!({})).await.refused(404, "customer_not_found");
    let created = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    let unreachable = admin.post(PATH, json!({ "deliver": true })).await;
    unreachable.refused(400, "invalid_request");
    assert_eq!(unreachable.fields(), ["deliver"]);
    assert_eq!(admin.post(PATH, json!({ "deliver": false })).await.expect(200).str("login"), placeholder(&created));
    let lead = nobody.intake("lead@x.io").await.expect(201);
    let path = format!("/v1/customers/{}/credentials", lead.str("client_id"));
    admin.post(&path, json!({})).await.refused(404, "user_not_found");
    app.world().await.assert_straight();
}
