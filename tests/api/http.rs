//! What holds for every route.

use axum::body::Body;
use functions::routes::{ALL, Access};
use harness::TestApp;
use harness::faults::Kind;
use serde_json::{Value, json};

#[tokio::test]
async fn an_unknown_route_and_a_wrong_method_are_told_apart() {
    let (_app, nobody, _) = TestApp::start().await;
    nobody.get("/nowhere").await.refused(404, "not_found");
    let answer = nobody.get("/auth/login").await;
    answer.refused(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_body_must_be_json_of_a_bounded_size() {
    let (_app, nobody, _) = TestApp::start().await;
    let send = async |kind: Option<&str>, body: String| {
        let request = nobody.request("POST", "/api/intake/submit");
        let request = kind.into_iter().fold(request, |request, kind| request.header("content-type", kind));
        nobody.send(request, Body::from(body)).await
    };
    let good = json!({ "name": "Ana", "email": "a@x.io" }).to_string();
    send(None, good.clone()).await.refused(415, "unsupported_media_type");
    send(Some("text/plain"), good.clone()).await.refused(415, "unsupported_media_type");
    for bad in ["", "{", "[1]", "7", "\u{0}", "{\"name\": \"\\ud800\"}"] {
        send(Some("application/json"), bad.into()).await.refused(400, "invalid_json");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    send(Some("application/json"), deep).await.refused(413, "payload_too_large");
    let deep = format!("{{\"metadata\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    send(Some("application/json"), deep).await.refused(400, "invalid_json");
    send(Some("application/json"), format!("\"{}\"", "x".repeat(70_000))).await.refused(413, "payload_too_large");
    send(Some("application/json; charset=utf-8"), good).await.expect(201);
}

#[tokio::test]
async fn browsers_of_known_origins_are_let_in_and_others_are_told_nothing() {
    let (_app, nobody, _) =
        TestApp::start_with(|settings| settings.cors_origins = vec!["https://shop.example".into()]).await;
    let preflight = async |origin: &str| {
        let request = nobody.request("OPTIONS", "/auth/login").header("origin", origin);
        nobody.send(request.header("access-control-request-method", "POST"), Body::empty()).await
    };
    let answer = preflight("https://shop.example").await.expect(204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("idempotency-key"));
    let answer = preflight("https://evil.example").await.expect(204);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let body = json!({ "name": "Ana", "email": "a@x.io" });
    let answer = nobody.post_with("/api/intake/submit", body, &[("origin", "https://shop.example")]).await.expect(201);
    assert_eq!(answer.header("access-control-expose-headers"), Some("Idempotency-Replayed, Retry-After"));
}

#[tokio::test]
async fn every_route_that_asks_who_you_are_refuses_nobody() {
    let (_app, nobody, _) = TestApp::start().await;
    for route in ALL.iter().flat_map(|function| function.routes) {
        let path = route.path.replace("{id}", "x");
        let request = nobody.request(route.method, &path).header("content-type", "application/json");
        let answer = nobody.send(request, Body::from("{}")).await;
        match route.access {
            Access::Admin | Access::SignedIn { .. } => answer.refused(401, "unauthorized"),
            Access::Signed => answer.refused(400, "invalid_signature"),
            Access::Public => assert_ne!(answer.status, 401, "{}", route.path),
        }
    }
}

#[tokio::test]
async fn a_failure_says_only_that_it_failed_and_its_id() {
    let (app, nobody, _) = TestApp::start().await;
    let assert_failed = async |status: u16, code: &str| {
        let answer = nobody.intake("a@x.io").await;
        answer.refused(status, code);
        assert!(answer.str("detail").starts_with("The request failed. Its id is "), "{}", answer.text);
    };
    // A table that does not answer, or has too much to do, may do so a little later.
    for kind in [Kind::Before, Kind::Throttle] {
        app.connector.inject_with(move |_| Some(kind));
        assert_failed(503, "unavailable").await;
        app.connector.reset();
    }
    // One that refuses what it is asked would refuse it again.
    let nonsense = |_: &str, body: &mut Value| body["ReturnConsumedCapacity"] = json!("NONSENSE");
    app.connector.rewrite(Box::new(nonsense));
    assert_failed(500, "internal").await;
}
