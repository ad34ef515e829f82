//! `PUT /v1/products/{id}` and `GET /v1/products`.

use harness::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_product_is_made_once_and_then_replaced() {
    let (_app, _, admin) = TestApp::start().await;
    let body = json!({ "name": "Milk", "price": { "amount": 4900, "currency": "INR", "interval": "month" },
                       "items": [{ "feature_id": "litres", "included_usage": 30, "interval": "month" }] });
    let made = admin.put("/v1/products/milk", body).await.expect(201);
    assert_eq!((made.str("id"), made.json["price"]["currency"].as_str()), ("milk", Some("inr")));
    for field in ["group", "free_trial"] {
        assert!(made.json[field].is_null() && made.json.get(field).is_some(), "{field} is null, not absent");
    }
    assert_eq!(made.json["items"][0]["unlimited"], false);
    let replaced = admin.put("/v1/products/milk", json!({ "name": "More milk", "items": [] })).await.expect(200);
    assert_eq!((replaced.str("name"), replaced.json["price"].is_null()), ("More milk", true));
    assert_eq!(replaced.json["created_at"], made.json["created_at"]);
}

#[tokio::test]
async fn every_wrong_field_is_named_by_its_path() {
    let (app, _, admin) = TestApp::start().await;
    let body = json!({ "group": "a b", "price": { "amount": -1, "currency": "rupee" }, "free_trial": { "days": 0 },
                       "items": [{ "feature_id": "a", "included_usage": 1 }, { "feature_id": "a", "included_usage": 1 },
                                 { "feature_id": "b.c", "included_usage": 1.5, "interval": "hour" }, 7] });
    let answer = admin.put("/v1/products/milk", body).await;
    answer.refused(400, "invalid_request");
    let expected = [
        "name",
        "group",
        "price.amount",
        "price.currency",
        "free_trial.days",
        "items[2].feature_id",
        "items[2].interval",
        "items[2].included_usage",
        "items[3]",
    ];
    let fields = answer.fields();
    assert!(expected.iter().all(|field| fields.contains(field)), "{fields:?}");
    let twice = json!({ "name": "Milk", "items": [{ "feature_id": "a", "included_usage": 1 },
                                                  { "feature_id": "a", "included_usage": 2 }] });
    assert_eq!(admin.put("/v1/products/milk", twice).await.fields(), ["items[1].feature_id"]);
    let many: Vec<_> = (0..51).map(|n| json!({ "feature_id": format!("f{n}"), "included_usage": 1 })).collect();
    assert_eq!(admin.put("/v1/products/milk", json!({ "name": "Milk", "items": many })).await.fields(), ["items"]);
    assert_eq!(admin.put("/v1/products/a.b", json!({ "name": "Milk", "items": [] })).await.fields(), ["id"]);
    assert!(app.world().await.of("product").is_empty());
}

#[tokio::test]
async fn a_list_is_walked_page_by_page() {
    let (_app, _, admin) = TestApp::start().await;
    for n in 0..5 {
        admin.put(&format!("/v1/products/p{n}"), json!({ "name": "P", "items": [] })).await.expect(201);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/v1/products?limit=2{cursor}")).await.expect(200);
        let rows = page.json["data"].as_array().unwrap();
        assert_eq!((&page.json["success"], &page.json["count"]), (&json!(true), &json!(rows.len())));
        seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(next) = page.json["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["p0", "p1", "p2", "p3", "p4"]);
    for limit in ["0", "101", "x", "-1"] {
        admin.get(&format!("/v1/products?limit={limit}")).await.refused(400, "invalid_request");
    }
    admin.get("/v1/products?cursor=%21").await.refused(400, "invalid_cursor");
}

#[tokio::test]
async fn the_catalogue_does_not_reach_those_who_hold_a_product() {
    let (_app, _, admin) = TestApp::start().await;
    let product = |usage| {
        json!({ "name": format!("With {usage}"), "is_default": true,
                "items": [{ "feature_id": "litres", "included_usage": usage }] })
    };
    admin.put("/v1/products/milk", product(30)).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    admin.put("/v1/products/milk", product(10)).await.expect(200);
    let held = admin.get("/v1/customers/a").await.expect(200);
    assert_eq!(
        (&held.json["balances"]["litres"]["granted"], &held.json["products"][0]["name"]),
        (&json!(30), &json!("With 30"))
    );
    let new = admin.post("/v1/customers", json!({ "id": "b" })).await.expect(201);
    assert_eq!(new.json["balances"]["litres"]["remaining"], 10);
}

#[tokio::test]
async fn what_a_product_has_only_later_can_be_used_too() {
    let (app, _, admin) = TestApp::start().await;
    let product = |features: &[&str]| {
        let item = |id: &&str| json!({ "feature_id": id, "included_usage": 10 });
        let items: Vec<_> = features.iter().map(item).collect();
        json!({ "name": "Milk", "is_default": true, "items": items })
    };
    admin.put("/v1/products/milk", product(&["litres"])).await.expect(201);
    admin.put("/v1/products/milk", product(&["litres", "bottles"])).await.expect(200);
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    for feature in ["litres", "bottles"] {
        let used = json!({ "customer_id": "a", "feature_id": feature, "value": 4 });
        assert_eq!(admin.post("/v1/track", used).await.expect(200).json["deducted"], 4, "{feature}");
    }
    app.world().await.assert_straight();
}
