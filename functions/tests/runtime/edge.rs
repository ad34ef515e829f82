//! What the edge makes of a request: routes, methods, bodies, addresses, failures.

use functions::routes::{ALL, Function};
use serde_json::json;
use shared::clock::Clock;
use shared::store::rate::WINDOW_SECONDS;

use crate::events::Request;
use crate::world::{Answer, World};

/// Functions that answer HTTP.
fn http_functions() -> impl Iterator<Item = &'static Function> {
    ALL.iter().copied().filter(|function| !function.routes.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_refuses_what_is_not_its_own() {
    let mut world = World::start().await;
    for function in http_functions() {
        let unknown = world.send(function.name, &Request::get("/nowhere")).await;
        unknown.problem(404, "not_found");
        for route in function.routes {
            let method = if route.method == "DELETE" { "PUT" } else { "DELETE" };
            let wrong = Request::new(method, route.path.replace("{id}", "PL1"));
            let refused = world.send(function.name, &wrong).await;
            refused.problem(405, "method_not_allowed");
            let allow = refused.header("allow").unwrap_or_default();
            assert!(allow.split(',').any(|method| method.trim() == route.method), "{}: `{allow}`", route.path);
        }
    }
}

/// `template.yaml` sends there what no route of the gateway takes.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_serves_is_refused_by_me() {
    let mut world = World::start().await;
    let strays = [Request::get("/"), Request::get("/.env"), Request::post("/auth/nothing", &json!({}))];
    for stray in strays {
        world.send("me", &stray.unrouted()).await.problem(404, "not_found");
    }
    // It knows its own path alone.
    for path in ["/auth/login", "/v1/customers"] {
        world.send("me", &Request::new("DELETE", path).unrouted()).await.problem(404, "not_found");
    }
    world.send("me", &Request::new("DELETE", "/auth/me").unrouted()).await.problem(405, "method_not_allowed");
    // A preflight succeeds; what it allows is for the gateway to say.
    let preflight = Request::new("OPTIONS", "/v1/customers").unrouted().header("origin", "https://app.example.com");
    let answer = world.send("me", &preflight.header("access-control-request-method", "POST")).await;
    assert_eq!((answer.status(), answer.header("access-control-allow-origin")), (204, None), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json_and_no_larger_than_its_route_takes() {
    let mut world = World::start().await;
    let key = world.api_key().await;
    let routes = [
        ("intake-submit", "/api/intake/submit"),
        ("login", "/auth/login"),
        ("register", "/auth/register"),
        ("forgot-password", "/auth/forgot-password"),
        ("reset-password", "/auth/reset-password"),
        ("create-customer", "/v1/customers"),
    ];
    for (function, path) in routes {
        let request = Request::post(path, &json!({})).bearer(&key);
        let as_text = request.clone().header("content-type", "text/plain");
        world.send(function, &as_text).await.problem(415, "unsupported_media_type");
        let broken = Request::post_text(path, "{".into()).bearer(&key);
        world.send(function, &broken).await.problem(400, "invalid_json");
        let large = Request::post_text(path, " ".repeat(64 * 1_024 + 1)).bearer(&key);
        world.send(function, &large).await.problem(413, "payload_too_large");
        world.send(function, &large.in_base64()).await.problem(413, "payload_too_large");
    }
    let large = Request::post_text("/api/webhooks/stripe", " ".repeat(512 * 1_024 + 1));
    world
        .send("stripe-webhook", &large.header("stripe-signature", "t=1,v1=00"))
        .await
        .problem(413, "payload_too_large");
    let just_right = Request::post_text("/api/webhooks/stripe", " ".repeat(512 * 1_024));
    let just_right = just_right.header("stripe-signature", "t=1,v1=00");
    world.send("stripe-webhook", &just_right).await.problem(400, "invalid_signature");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_counted_by_the_address_that_the_gateway_saw() {
    let mut world = World::start().await;
    let window = || Clock::System.now().unix_seconds().div_euclid(WINDOW_SECONDS);
    // A window that ends meanwhile starts the count anew: try again, as somebody else.
    for host in 1..=2 {
        let (source_ip, began) = (format!("192.0.2.{host}"), window());
        let mut answers = Vec::new();
        for n in 1..=31 {
            answers.push(submit_from(&mut world, &source_ip, &format!("203.0.113.{n}"), &format!("{host}-{n}")).await);
        }
        let other = submit_from(&mut world, "192.0.2.99", "203.0.113.31", &format!("{host}-other")).await;
        if window() != began {
            continue;
        }
        let last = answers.pop().expect("31 answers");
        assert!(answers.iter().all(|answer| answer.status() == 201), "{answers:?}");
        last.problem(429, "rate_limited");
        let wait: i64 = last.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or_default();
        assert!((1..=WINDOW_SECONDS).contains(&wait), "{last:?}");
        assert_eq!(other.status(), 201, "{other:?}");
        return;
    }
    panic!("31 requests took longer than a window");
}

async fn submit_from(world: &mut World, source_ip: &str, forwarded_for: &str, who: &str) -> Answer {
    let form = json!({ "name": "Asha Rao", "email": format!("asha.{who}@example.com") });
    let request = Request::post("/api/intake/submit", &form).from(source_ip);
    world.send("intake-submit", &request.header("x-forwarded-for", forwarded_for)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_tells_its_request_id_and_nothing_else() {
    let mut world = World::start().await.with("TABLE_NAME", "elsewhere");
    let failed = world.submit("asha@example.com").await;
    let detail = failed.problem(500, "internal");
    assert!(detail.contains(&failed.request_id), "{detail}");
    assert!(!failed.body().contains("elsewhere"), "{failed:?}");
}
