//! `GET /v1/customers/{id}`.

use harness::TestApp;
use harness::app::START;
use serde_json::json;

#[tokio::test]
async fn a_customer_is_found_by_every_identifier() {
    let (_app, _, admin) = TestApp::start().await;
    let customer = admin.post("/v1/customers", json!({ "id": "acme", "email": "a@x.io" })).await.expect(201);
    for field in ["id", "internal_id", "customer_reference", "customerId"] {
        let found = admin.get(&format!("/v1/customers/{}", customer.str(field))).await.expect(200);
        assert_eq!(found.json["internal_id"], customer.json["internal_id"], "{field}");
    }
}

#[tokio::test]
async fn nobody_is_found_by_anything_else() {
    let (_app, _, admin) = TestApp::start().await;
    let id = START.new_id();
    for path in
        ["acme", "PL9", "PLE-CVP-2026-000009", &id.to_string(), "a%20b", "a@x.io", "%FF", "%00", &"a".repeat(200)]
    {
        admin.get(&format!("/v1/customers/{path}")).await.refused(404, "customer_not_found");
    }
}

#[tokio::test]
async fn only_an_administrator_or_a_living_api_key_may_look() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "acme", "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let session = nobody.login("a@x.io", &app.temporary_password("a@x.io")).await.expect(200);
    let invited = nobody.with_token(session.str("token"));
    invited.get("/v1/customers/acme").await.refused(403, "password_change_required");
    let body = json!({ "name": "B", "email": "b@x.io", "password": "correct horse battery" });
    let customer = nobody.with_token(nobody.post("/auth/register", body).await.expect(201).str("token"));
    customer.get("/v1/customers/acme").await.refused(403, "forbidden");
    customer.post("/v1/customers", json!({ "id": "x" })).await.refused(403, "forbidden");
    nobody.get("/v1/customers/acme").await.refused(401, "unauthorized");
    let (_, key) = app.app.store.create_api_key("test", START).await.unwrap();
    nobody.with_token(key.expose()).get("/v1/customers/acme").await.expect(200);
    nobody.with_token("rk_0000").get("/v1/customers/acme").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn what_is_expanded_and_empty_is_a_list_and_what_is_not_is_absent() {
    let (_app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    let found = admin.get("/v1/customers/a?expand=invoices,entities").await.expect(200);
    assert_eq!((&found.json["invoices"], &found.json["entities"]), (&json!([]), &json!([])));
    assert!(found.json.get("trials_used").is_none());
    let refused = admin.get("/v1/customers/a?expand=invoices,orders").await;
    refused.refused(400, "invalid_request");
    assert_eq!(refused.fields(), ["expand"]);
}
