//! `PATCH /v1/customers/{id}`.

use harness::TestApp;
use harness::world::text;
use serde_json::json;

#[tokio::test]
async fn what_is_absent_stays_and_null_clears() {
    let (app, _, admin) = TestApp::start().await;
    let body = json!({ "id": "a", "name": "Ana", "email": "a@x.io", "phone": "9876543210", "address": "1 Road",
                       "stripe_id": "cus_1", "metadata": { "k": 1, "l": 2 } });
    admin.post("/v1/customers", body).await.expect(201);
    let changed = admin.patch("/v1/customers/a", json!({ "name": "Bea", "metadata": { "k": null, "m": 3 } })).await;
    let changed = changed.expect(200);
    assert_eq!((changed.str("name"), changed.str("phone")), ("Bea", "+919876543210"));
    assert_eq!(changed.json["metadata"], json!({ "l": 2, "m": 3 }));
    let nulls = json!({ "id": null, "name": null, "email": null, "phone": null, "address": null, "stripe_id": null });
    let cleared = admin.patch("/v1/customers/a", nulls.clone()).await.expect(200);
    for field in nulls.as_object().unwrap().keys() {
        assert!(cleared.json[field].is_null(), "{field}");
    }
    app.world().await.assert_straight();
    admin.get("/v1/customers/a").await.refused(404, "customer_not_found");
    admin.post("/v1/customers", json!({ "id": "a", "stripe_id": "cus_1" })).await.expect(201);
}

#[tokio::test]
async fn what_another_customer_has_is_refused() {
    let (app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a", "stripe_id": "cus_1" })).await.expect(201);
    let other = admin.post("/v1/customers", json!({ "id": "b" })).await.expect(201);
    let patch = async |body| admin.patch("/v1/customers/a", body).await;
    patch(json!({ "id": "b" })).await.refused(409, "customer_exists");
    admin.patch("/v1/customers/b", json!({ "stripe_id": "cus_1" })).await.refused(409, "stripe_id_taken");
    patch(json!({ "user_id": other.str("user_id") })).await.refused(409, "already_linked");
    let nobody = shared::ids::UserId(harness::app::START.new_id()).to_string();
    patch(json!({ "user_id": nobody })).await.refused(404, "user_not_found");
    assert_eq!(patch(json!({ "email": "x" })).await.fields(), ["email"]);
    admin.patch("/v1/customers/c", json!({})).await.refused(404, "customer_not_found");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn the_login_moves_with_its_own_address_and_not_onto_another() {
    let (app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "b", "email": "b@x.io" })).await.expect(201);
    let login = async |number: &str| {
        let world = app.world().await;
        world.assert_straight();
        let users = world.of("user");
        text(users.iter().find(|user| user["customer_number"] == number).unwrap(), "email").to_owned()
    };
    admin.patch("/v1/customers/a", json!({ "email": "new@x.io" })).await.expect(200);
    assert_eq!(login("PL1").await, "new@x.io");
    admin.patch("/v1/customers/a", json!({ "email": "b@x.io" })).await.expect(200);
    assert_eq!(login("PL1").await, "new@x.io");
    admin.patch("/v1/customers/a", json!({ "email": "later@x.io" })).await.expect(200);
    assert_eq!(login("PL1").await, "new@x.io", "it was not the old address any more");
}

#[tokio::test]
async fn inactive_ends_the_sessions_and_active_lets_in_again() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let password = app.temporary_password("a@x.io");
    let session = nobody.login("a@x.io", &password).await.expect(200);
    let owner = nobody.with_token(session.str("token"));
    admin.patch("/v1/customers/a", json!({ "status": "inactive" })).await.expect(200);
    owner.get("/auth/me").await.refused(401, "unauthorized");
    admin.patch("/v1/customers/a", json!({ "status": "active" })).await.expect(200);
    owner.get("/auth/me").await.refused(401, "unauthorized");
    nobody.login("a@x.io", &password).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_lead_that_is_activated_gets_its_login_and_invitation() {
    let (app, nobody, admin) = TestApp::start().await;
    let lead = nobody.intake("a@x.io").await.expect(201);
    let path = format!("/v1/customers/{}", lead.str("customer_reference"));
    let active = admin.patch(&path, json!({ "status": "trial" })).await.expect(200);
    assert_eq!(active.str("customerId"), "PL1");
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.messages("invitation").len(), 1);
    assert_eq!(admin.patch(&path, json!({ "status": "pending_payment" })).await.fields(), ["status"]);
}

#[tokio::test]
async fn an_unlinked_pair_is_completed_by_the_backfill() {
    let (app, _, admin) = TestApp::start().await;
    let made = admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(201);
    let alone = admin.patch("/v1/customers/a", json!({ "user_id": null })).await.expect(200);
    assert!(alone.json["user_id"].is_null() && alone.json["customerId"].is_null());
    functions::jobs::backfill::run(&app.app, None).await.unwrap();
    app.world().await.assert_straight();
    let again = admin.get("/v1/customers/a").await.expect(200);
    assert_eq!(again.json["user_id"], made.json["user_id"]);
}

#[tokio::test]
async fn a_lead_that_is_activated_gets_the_default_products() {
    let (app, nobody, admin) = TestApp::start().await;
    let product =
        json!({ "name": "Free", "is_default": true, "items": [{ "feature_id": "seats", "included_usage": 3 }] });
    admin.put("/v1/products/free", product).await.expect(201);
    let lead = nobody.intake("a@x.io").await.expect(201);
    let path = format!("/v1/customers/{}", lead.str("client_id"));
    let active = admin.patch(&path, json!({ "status": "active" })).await.expect(200);
    assert_eq!(active.json["products"][0]["id"], "free");
    app.world().await.assert_straight();
}
