//! `POST /v1/track`.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use harness::faults::Kind;
use harness::{Actor, Answer, TestApp};
use serde_json::{Value, json};

async fn start(item: Value) -> (TestApp, Actor) {
    let (app, _, admin) = TestApp::start().await;
    admin.put("/v1/products/p", json!({ "name": "P", "is_default": true, "items": [item] })).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    (app, admin)
}

async fn track(admin: &Actor, value: u64) -> Answer {
    admin.post("/v1/track", json!({ "customer_id": "a", "feature_id": "f", "value": value })).await
}

async fn usage(admin: &Actor) -> Value {
    admin.get("/v1/customers/a").await.expect(200).json["balances"]["f"]["usage"].clone()
}

#[tokio::test]
async fn five_and_three_on_a_hundred_leave_ninety_two_and_it_never_goes_below_zero() {
    let (_app, admin) = start(json!({ "feature_id": "f", "included_usage": 100 })).await;
    track(&admin, 5).await.expect(200);
    assert_eq!(track(&admin, 3).await.json["balance"]["remaining"], 92);
    let last = track(&admin, 1_000).await.expect(200);
    assert_eq!((&last.json["deducted"], &last.json["balance"]["remaining"]), (&json!(92), &json!(0)));
    assert_eq!(track(&admin, 1).await.json["deducted"], 0);
    for value in [json!(0), json!(-1), json!(1.5), json!("1"), json!(1_000_000_000_001_u64)] {
        let answer = admin.post("/v1/track", json!({ "customer_id": "a", "feature_id": "f", "value": value })).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["value"]));
    }
}

#[tokio::test]
async fn a_key_counts_once_and_only_for_one_question() {
    let (_app, admin) = start(json!({ "feature_id": "f", "included_usage": 100 })).await;
    let body = |value| json!({ "customer_id": "a", "feature_id": "f", "value": value, "idempotency_key": "k" });
    let first = admin.post("/v1/track", body(5)).await.expect(200);
    assert_eq!(admin.post("/v1/track", body(5)).await.expect(200).text, first.text);
    admin.post("/v1/track", body(6)).await.refused(422, "idempotency_mismatch");
    let header = [("idempotency-key", "h")];
    let plain = |value| json!({ "customer_id": "a", "feature_id": "f", "value": value });
    admin.post_with("/v1/track", plain(2), &header).await.expect(200);
    let again = admin.post_with("/v1/track", plain(2), &header).await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    admin.post_with("/v1/track", plain(3), &header).await.refused(422, "idempotency_mismatch");
    assert_eq!(usage(&admin).await, 7);
}

#[tokio::test]
async fn a_key_that_was_used_makes_nobody() {
    let (app, admin) = start(json!({ "feature_id": "f", "included_usage": 100 })).await;
    let send = async |customer: &str| {
        let body = json!({ "customer_id": customer, "feature_id": "f" });
        admin.post_with("/v1/track", body, &[("idempotency-key", "k")]).await
    };
    let first = send("a").await.expect(200);
    send("brand-new").await.refused(422, "idempotency_mismatch");
    admin.get("/v1/customers/brand-new").await.refused(404, "customer_not_found");
    admin.delete("/v1/customers/a").await.expect(200);
    let again = send("a").await.expect(200);
    assert_eq!((again.header("idempotency-replayed"), &again.text), (Some("true"), &first.text));
    admin.get("/v1/customers/a").await.refused(404, "customer_not_found");
    let world = app.world().await;
    world.assert_straight();
    assert!(world.of("customer").is_empty());
}

/// 64 calls, of which every fourth shares the key of the one before; answers the sum of distinct
/// ones once every caller has been answered.
async fn sixty_four(admin: &Actor) -> u64 {
    let calls = (0..64_u64).map(|n| {
        let key = if n % 4 == 3 { n - 1 } else { n };
        let body =
            json!({ "customer_id": "a", "feature_id": "f", "value": key + 1, "idempotency_key": format!("k{key}") });
        async move {
            for _ in 0..20 {
                if admin.post("/v1/track", body.clone()).await.status == 200 {
                    return;
                }
            }
            panic!("a call was never answered");
        }
    });
    join_all(calls).await;
    (0..64).filter(|n| n % 4 != 3).map(|n| n + 1).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_are_counted_exactly() {
    let (app, admin) = start(json!({ "feature_id": "f", "included_usage": 100_000 })).await;
    let sum = sixty_four(&admin).await;
    assert_eq!(usage(&admin).await, sum);
    app.world().await.assert_straight();
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_are_counted_exactly_though_answers_are_lost() {
    let (app, admin) = start(json!({ "feature_id": "f", "included_usage": 100_000 })).await;
    let seed = AtomicU64::new(7);
    app.connector.inject_with(move |_| {
        let next = seed.load(Ordering::Relaxed).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed.store(next, Ordering::Relaxed);
        ((next >> 33) % 10 < 3).then_some(Kind::LostAnswer)
    });
    println!("seed 7");
    let before = app.connector.calls();
    let sum = sixty_four(&admin).await;
    let (calls, lost) = (app.connector.calls() - before, app.connector.faults_fired());
    assert!((calls / 4..calls * 7 / 20).contains(&lost), "{lost} of {calls} answers were lost, about 30 in 100");
    app.connector.reset();
    assert_eq!(usage(&admin).await, sum);
    app.world().await.assert_straight();
}

#[tokio::test(flavor = "multi_thread")]
async fn across_the_end_of_an_interval_nothing_is_counted_twice_or_lost() {
    let (app, admin) = start(json!({ "feature_id": "f", "included_usage": 10, "interval": "day" })).await;
    track(&admin, 10).await.expect(200);
    app.clock.advance_seconds(86_399);
    let token = app.app.store.create_api_key("later", app.clock.now()).await.unwrap().1;
    let admin = admin.with_token(token.expose());
    assert_eq!(track(&admin, 1).await.expect(200).json["deducted"], 0);
    app.clock.advance_seconds(1);
    let answers = join_all((0..16).map(|_| track(&admin, 1))).await;
    let deducted: u64 = answers.iter().map(|answer| answer.json["deducted"].as_u64().unwrap()).sum();
    assert_eq!((deducted, usage(&admin).await), (10, json!(10)));
}

#[tokio::test]
async fn overage_lets_usage_exceed_what_is_granted() {
    let (_app, admin) = start(json!({ "feature_id": "f", "included_usage": 5, "overage_allowed": true })).await;
    let body = json!({ "customer_id": "a", "feature_id": "f", "value": 8, "idempotency_key": "k" });
    let answer = admin.post("/v1/track", body.clone()).await.expect(200);
    assert_eq!(answer.json["deducted"], 8);
    let balance = &answer.json["balance"];
    assert_eq!((&balance["granted"], &balance["usage"], &balance["remaining"]), (&json!(5), &json!(8), &json!(-3)));
    let again = admin.post("/v1/track", body).await.expect(200);
    assert_eq!(again.text, answer.text, "what is kept of an answer has the sign, too");
    let check = json!({ "customer_id": "a", "feature_id": "f", "required_balance": 100 });
    let check = admin.post("/v1/check", check).await.expect(200);
    assert_eq!((check.str("code"), &check.json["balance"]), ("allowed", balance));
    let customer = admin.get("/v1/customers/a").await.expect(200);
    assert_eq!(customer.json["balances"]["f"]["remaining"], -3);
}
