//! What a customer holds from the first day.

use futures::future::join_all;
use harness::stripe::{checkout, subscription};
use harness::{Actor, Answer, TestApp};
use serde_json::{Value, json};

async fn product(admin: &Actor, id: &str, more: Value) {
    let mut body = json!({ "name": id, "is_default": true, "items": [] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.put(&format!("/v1/products/{id}"), body).await.expect(201);
}

fn held(answer: &Answer) -> Vec<(&str, &str)> {
    let products = answer.json["products"].as_array().unwrap();
    products.iter().map(|p| (p["id"].as_str().unwrap(), p["status"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn each_group_gives_one_default_by_the_total_order() {
    let (app, _, admin) = TestApp::start().await;
    product(&admin, "b-free", json!({ "group": "milk" })).await;
    product(&admin, "a-free", json!({ "group": "milk" })).await;
    product(&admin, "z-trial", json!({ "group": "bread", "free_trial": { "days": 14 } })).await;
    product(&admin, "a-bread", json!({ "group": "bread" })).await;
    let customer = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    assert_eq!(held(&customer), [("z-trial", "trialing"), ("a-free", "active")]);
    assert_eq!(customer.json["products"][0]["trial_ends_at"], "2026-12-04T12:00:00Z");
    let none = admin.post("/v1/customers", json!({ "id": "b", "disable_default": true })).await.expect(201);
    assert!(held(&none).is_empty());
    app.clock.advance_seconds(14 * 86_400);
    let admin = admin.with_token(app.app.store.create_api_key("later", app.clock.now()).await.unwrap().1.expose());
    let later = admin.get("/v1/customers/a").await.expect(200);
    assert_eq!(held(&later), [("z-trial", "expired"), ("a-free", "active")]);
}

#[tokio::test]
async fn a_trial_is_had_once_per_fingerprint() {
    let (app, _, admin) = TestApp::start().await;
    product(&admin, "trial", json!({ "free_trial": { "days": 14 } })).await;
    let create = async |id: &str, fingerprint: &str| {
        admin.post("/v1/customers", json!({ "id": id, "fingerprint": fingerprint })).await.expect(201)
    };
    assert_eq!(held(&create("a", "one").await), [("trial", "trialing")]);
    assert_eq!(held(&create("b", "one").await), [("trial", "active")]);
    assert_eq!(held(&create("c", "two").await), [("trial", "trialing")]);
    let racers = join_all(
        (0..10).map(|n| admin.post("/v1/customers", json!({ "id": format!("r{n}"), "fingerprint": "three" }))),
    )
    .await;
    assert_eq!(racers.iter().filter(|answer| held(answer) == [("trial", "trialing")]).count(), 1);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_paid_default_is_left_out_with_a_warning_where_nothing_calls_stripe() {
    let (_app, _, admin) = TestApp::start().await;
    let price = json!({ "price": { "amount": 5, "currency": "inr" }, "force_paid_default": true });
    product(&admin, "paid", price).await;
    let first = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    assert_eq!((held(&first), &first.json["warnings"]), (vec![], &json!(["stripe_not_configured"])));
    let keyed = async || admin.post_with("/v1/customers", json!({ "id": "k" }), &[("idempotency-key", "k")]).await;
    for replayed in [None, Some("true")] {
        let answer = keyed().await.expect(201);
        assert_eq!(answer.header("idempotency-replayed"), replayed);
        assert_eq!(answer.json["warnings"], json!(["stripe_not_configured"]), "also when it is answered again");
    }
    product(&admin, "free", json!({})).await;
    let second = admin.post("/v1/customers", json!({ "id": "b" })).await.expect(201);
    assert_eq!(held(&second), [("free", "active")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_at_once_give_the_defaults_once() {
    let (app, _, admin) = TestApp::start().await;
    product(&admin, "trial", json!({ "free_trial": { "days": 14 } })).await;
    let answers = join_all((0..30).map(|_| admin.post("/v1/customers", json!({ "id": "a" })))).await;
    assert!(answers.iter().all(|answer| held(answer) == [("trial", "trialing")]));
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.of("trial").len(), 1);
}

#[tokio::test]
async fn a_subscription_stands_in_the_place_of_its_groups_default() {
    let (app, _, admin) = TestApp::start().await;
    product(&admin, "free", json!({ "group": "milk" })).await;
    let pro =
        json!({ "group": "milk", "is_default": false, "items": [{ "feature_id": "litres", "included_usage": 10 }] });
    product(&admin, "pro", pro).await;
    let body = json!({ "id": "a", "subscription": { "product_id": "pro", "quantity": 3 } });
    let customer = admin.post("/v1/customers", body).await.expect(201);
    assert_eq!(held(&customer), [("pro", "active")]);
    assert_eq!(customer.json["balances"]["litres"]["granted"], 30);
    let unknown = json!({ "id": "b", "subscription": { "product_id": "nothing" } });
    admin.post("/v1/customers", unknown).await.refused(404, "product_not_found");
    assert_eq!(app.world().await.of("customer").len(), 1);
}

#[tokio::test]
async fn a_payment_activates_the_chosen_product_and_the_defaults_of_other_groups() {
    let (app, nobody, admin) = TestApp::start().await;
    product(&admin, "free", json!({ "group": "milk" })).await;
    product(&admin, "bread", json!({ "group": "bread" })).await;
    product(&admin, "pro", json!({ "group": "milk", "is_default": false })).await;
    let form = |product: &str| json!({ "name": "Ana", "email": "a@x.io", "product_id": product });
    nobody.post("/api/intake/submit", form("nothing")).await.refused(404, "product_not_found");
    let lead = nobody.post("/api/intake/submit", form("pro")).await.expect(201);
    nobody.stripe(&checkout("completed", "evt_1", "cs_1", lead.str("client_id"))).await.expect(200);
    let customer = admin.get(&format!("/v1/customers/{}", lead.str("client_id"))).await.expect(200);
    assert_eq!(held(&customer), [("bread", "active"), ("pro", "active")]);
    app.world().await.assert_straight();
}

/// A paid checkout of the customer `id` in a session that says in `metadata` what it was made for.
fn paid_for(n: usize, id: &str, product: Value) -> Value {
    let mut event = checkout("completed", &format!("evt_{n}"), &format!("cs_{n}"), id);
    event["data"]["object"]["metadata"]["product_id"] = product;
    event
}

#[tokio::test]
async fn a_payment_activates_what_its_session_was_made_for_whatever_the_lead_came_for_since() {
    for subscribed_first in [false, true] {
        let (app, nobody, admin) = TestApp::start().await;
        product(&admin, "cheap", json!({ "is_default": false, "group": "milk" })).await;
        product(&admin, "lux", json!({ "is_default": false, "group": "bread" })).await;
        let form = |product: &str| json!({ "name": "Ana", "email": "a@x.io", "product_id": product });
        let lead = nobody.post("/api/intake/submit", form("cheap")).await.expect(201);
        nobody.post("/api/intake/submit", form("lux")).await.expect(200);
        let id = lead.str("client_id");
        let mut subscribed = subscription("created", "evt_s", 0, "active");
        subscribed["data"]["object"]["customer"] = json!("cus_cs_1");
        subscribed["data"]["object"]["metadata"]["product_id"] = json!("cheap");
        let mut events = vec![paid_for(1, id, json!("cheap")), subscribed];
        if subscribed_first {
            events.reverse();
        }
        // What is paid further is only recorded, whatever it was for.
        events.push(paid_for(2, id, json!("lux")));
        for event in &events {
            nobody.stripe(event).await.expect(200);
        }
        let customer = admin.get(&format!("/v1/customers/{id}")).await.expect(200);
        assert_eq!(held(&customer), [("cheap", "active")], "subscribed first: {subscribed_first}");
        app.world().await.assert_straight();
    }
}

#[tokio::test]
async fn a_session_that_names_no_product_of_ours_pays_for_what_the_lead_came_for() {
    let (app, nobody, admin) = TestApp::start().await;
    product(&admin, "pro", json!({ "is_default": false })).await;
    let long = "p".repeat(200);
    let odd =
        [json!("nothing"), json!("no id"), json!(long), json!(""), json!(7), json!(["lux"]), json!({}), json!(true)];
    for (n, odd) in odd.into_iter().chain([Value::Null]).enumerate() {
        let form = json!({ "name": "Ana", "email": format!("a{n}@x.io"), "product_id": "pro" });
        let lead = nobody.post("/api/intake/submit", form).await.expect(201);
        nobody.stripe(&paid_for(n, lead.str("client_id"), odd.clone())).await.expect(200);
        let customer = admin.get(&format!("/v1/customers/{}", lead.str("client_id"))).await.expect(200);
        assert_eq!(held(&customer), [("pro", "active")], "{odd}");
    }
    app.world().await.assert_straight();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_of_a_customer_who_is_there_is_attached_once() {
    let (app, nobody, admin) = TestApp::start().await;
    product(&admin, "free", json!({ "group": "milk" })).await;
    product(&admin, "bread", json!({ "group": "bread" })).await;
    let items = json!([{ "feature_id": "litres", "included_usage": 10 }]);
    product(&admin, "pro", json!({ "group": "milk", "is_default": false, "items": items })).await;
    let first = admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(201);
    assert_eq!(held(&first), [("bread", "active"), ("free", "active")]);
    let body = |quantity: u64| json!({ "id": "a", "subscription": { "product_id": "pro", "quantity": quantity } });
    let answers = join_all((0..10).map(|_| admin.post("/v1/customers", body(3)))).await;
    for answer in &answers {
        assert_eq!((answer.status, held(answer)), (200, vec![("bread", "active"), ("pro", "active")]));
        assert_eq!(answer.json["balances"]["litres"]["granted"], 30, "three of it, however often it is said");
    }
    admin.post("/v1/track", json!({ "customer_id": "a", "feature_id": "litres", "value": 7 })).await.expect(200);
    let other = admin.post("/v1/customers", body(5)).await.expect(200);
    let litres = &other.json["balances"]["litres"];
    assert_eq!((&litres["granted"], &litres["usage"]), (&json!(30), &json!(7)), "what is held stays");
    let unknown = json!({ "id": "a", "subscription": { "product_id": "nothing" } });
    admin.post("/v1/customers", unknown).await.refused(404, "product_not_found");
    let lead = nobody.intake("lead@x.io").await.expect(201);
    let asked = json!({ "email": "lead@x.io", "subscription": { "product_id": "pro" } });
    let still = admin.post("/v1/customers", asked).await.expect(200);
    assert_eq!((still.str("internal_id"), held(&still)), (lead.str("client_id"), vec![]), "a lead holds nothing yet");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_subscription_that_ended_is_not_given_again_by_a_late_retry() {
    let (app, nobody, admin) = TestApp::start().await;
    product(&admin, "pro", json!({ "is_default": false, "free_trial": { "days": 14 } })).await;
    admin.post("/v1/customers", json!({ "id": "a", "stripe_id": "cus_1" })).await.expect(201);
    let body = json!({ "id": "a", "subscription": { "product_id": "pro" } });
    let attached = admin.post_with("/v1/customers", body.clone(), &[("idempotency-key", "k")]).await.expect(200);
    assert_eq!(held(&attached), [("pro", "trialing")]);
    assert_eq!(app.world().await.of("trial").len(), 1);
    nobody.stripe(&subscription("deleted", "evt_1", 0, "canceled")).await.expect(200);
    let replayed = admin.post_with("/v1/customers", body.clone(), &[("idempotency-key", "k")]).await.expect(200);
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    for answer in [replayed, admin.post("/v1/customers", body).await.expect(200)] {
        assert_eq!(held(&answer), [("pro", "canceled")]);
    }
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_trial_that_was_used_is_none_for_a_customer_who_is_there() {
    let (app, _, admin) = TestApp::start().await;
    product(&admin, "pro", json!({ "is_default": false, "free_trial": { "days": 14 } })).await;
    let body = json!({ "id": "a", "fingerprint": "one", "subscription": { "product_id": "pro" } });
    admin.post("/v1/customers", body).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "b", "fingerprint": "one" })).await.expect(201);
    let second = json!({ "id": "b", "subscription": { "product_id": "pro" } });
    assert_eq!(held(&admin.post("/v1/customers", second).await.expect(200)), [("pro", "active")]);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn there_are_as_many_defaults_as_one_transaction_holds_whatever_else_is_in_it() {
    let (app, nobody, admin) = TestApp::start().await;
    let trial = |group: usize| {
        json!({ "name": "T", "is_default": true, "group": format!("g{group}"), "free_trial": { "days": 14 },
                "items": [] })
    };
    for n in 0..25 {
        admin.put(&format!("/v1/products/t{n}"), trial(n)).await.expect(201);
    }
    let one_more = admin.put("/v1/products/t25", trial(25)).await;
    one_more.refused(400, "invalid_request");
    assert_eq!(one_more.fields(), ["is_default"]);
    admin.put("/v1/products/t24", trial(24)).await.expect(200);
    admin.put("/v1/products/other", trial(3)).await.expect(201);
    let pro = json!({ "name": "Pro", "free_trial": { "days": 14 }, "items": [] });
    admin.put("/v1/products/pro", pro).await.expect(201);
    let body = json!({ "id": "a", "name": "Ana", "email": "a@x.io", "phone": "9876543210", "fingerprint": "one",
                       "stripe_id": "cus_1", "subscription": { "product_id": "pro" } });
    let made = admin.post_with("/v1/customers", body, &[("idempotency-key", "k")]).await.expect(201);
    assert_eq!(held(&made).len(), 26);
    // A lead that ends by a change of everything.
    let lead = nobody.intake("lead@x.io").await.expect(201);
    let free = admin.post("/v1/customers", json!({ "id": "b", "disable_default": true })).await.expect(201);
    admin.patch("/v1/customers/b", json!({ "user_id": null })).await.expect(200);
    let change = json!({ "id": "l", "name": "Lea", "email": "l@x.io", "phone": "9876543211", "fingerprint": "two",
                         "stripe_id": "cus_2", "status": "active", "user_id": free.str("user_id") });
    let path = format!("/v1/customers/{}", lead.str("client_id"));
    let active = admin.patch(&path, change).await.expect(200);
    assert_eq!(held(&active).len(), 25);
    functions::jobs::backfill::run(&app.app, None).await.unwrap();
    app.world().await.assert_straight();
}
