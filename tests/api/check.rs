//! `POST /v1/check`.

use futures::future::join_all;
use harness::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_check_says_what_there_is_and_why() {
    let (app, _, admin) = TestApp::start().await;
    let items = json!([{ "feature_id": "litres", "included_usage": 10 }]);
    admin.put("/v1/products/free", json!({ "name": "F", "is_default": true, "items": items })).await.expect(201);
    let other = json!([{ "feature_id": "bread", "included_usage": 10 }]);
    admin.put("/v1/products/other", json!({ "name": "O", "items": other })).await.expect(201);
    let check = async |body| admin.post("/v1/check", body).await.expect(200);
    let first = check(json!({ "customer_id": "a", "feature_id": "litres", "required_balance": 10 })).await;
    assert_eq!((&first.json["allowed"], first.str("code")), (&json!(true), "allowed"));
    assert_eq!(first.json["balance"]["remaining"], 10);
    let more = check(json!({ "customer_id": "a", "feature_id": "litres", "required_balance": 11 })).await;
    assert_eq!((&more.json["allowed"], more.str("code")), (&json!(false), "insufficient_balance"));
    assert_eq!(check(json!({ "customer_id": "a", "feature_id": "bread" })).await.str("code"), "not_in_plan");
    assert_eq!(check(json!({ "customer_id": "a", "product_id": "free" })).await.str("code"), "product_active");
    assert_eq!(check(json!({ "customer_id": "a", "product_id": "other" })).await.str("code"), "product_not_active");
    let customer = admin.get("/v1/customers/a").await.expect(200);
    for field in ["internal_id", "customer_reference", "customerId"] {
        let answer = check(json!({ "customer_id": customer.str(field), "feature_id": "litres" })).await;
        assert_eq!(answer.str("code"), "allowed", "{field}");
    }
    admin.post("/v1/check", json!({ "customer_id": "b", "feature_id": "no" })).await.refused(404, "feature_not_found");
    admin
        .post("/v1/check", json!({ "customer_id": "PL99", "feature_id": "litres" }))
        .await
        .refused(404, "customer_not_found");
    admin.post("/v1/check", json!({ "customer_id": "b" })).await.refused(400, "invalid_request");
    assert_eq!(app.world().await.of("customer").len(), 1);
}

#[tokio::test]
async fn nobody_is_created_where_that_is_switched_off() {
    let (app, _, admin) = TestApp::start_with(|settings| settings.auto_create_customers = false).await;
    let items = json!([{ "feature_id": "litres", "included_usage": 10 }]);
    admin.put("/v1/products/free", json!({ "name": "F", "items": items })).await.expect(201);
    for path in ["/v1/check", "/v1/track"] {
        admin
            .post(path, json!({ "customer_id": "a", "feature_id": "litres" }))
            .await
            .refused(404, "customer_not_found");
    }
    assert!(app.world().await.of("customer").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_and_a_track_that_create_the_customer_at_once_make_one() {
    let (app, _, admin) = TestApp::start().await;
    let items = json!([{ "feature_id": "litres", "included_usage": 100 }]);
    admin.put("/v1/products/free", json!({ "name": "F", "is_default": true, "items": items })).await.expect(201);
    let body = json!({ "customer_id": "a", "feature_id": "litres", "customer_data": { "email": "a@x.io" } });
    let calls = (0..20).map(|n| admin.post(if n % 2 == 0 { "/v1/check" } else { "/v1/track" }, body.clone()));
    assert!(join_all(calls).await.iter().all(|answer| answer.status == 200));
    let world = app.world().await;
    world.assert_straight();
    assert_eq!((world.of("customer").len(), world.messages("invitation").len()), (1, 1));
    let customer = admin.get("/v1/customers/a").await.expect(200);
    assert_eq!((customer.str("email"), &customer.json["balances"]["litres"]["usage"]), ("a@x.io", &json!(10)));
}
