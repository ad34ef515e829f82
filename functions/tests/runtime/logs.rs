//! The log: JSON, one line per request, and nothing personal in it.

use functions::routes::ALL;
use serde_json::{Value, json};

use crate::events::Request;
use crate::mail::Mood;
use crate::world::{Answer, Stopped, World, payment, signed};

const NAME: &str = "Canaria Serinus";
const EMAIL: &str = "canary.serinus@example.com";
const OTHER_EMAIL: &str = "other.serinus@example.com";
const PHONE: &str = "9812345670";

#[tokio::test(flavor = "multi_thread")]
async fn every_function_logs_one_line_per_request_and_nothing_personal() {
    let mut world = World::start().await;
    let key = world.api_key().await;
    let form = json!({ "name": NAME, "email": EMAIL, "phone": PHONE, "address": "7 Canary Row" });
    let lead = world.send("intake-submit", &Request::post("/api/intake/submit", &form)).await;
    let event = payment(&lead);
    world.send("stripe-webhook", &signed(&event, "stripe-signature")).await;
    world.send("stripe-webhook", &signed(&event, "stripe-signature")).await;
    // Now that the address is a customer's, the form is refused and a notice goes out.
    world.send("intake-submit", &Request::post("/api/intake/submit", &form)).await.problem(409, "customer_exists");
    world.mail.be(Mood::Failing);
    assert_eq!(world.deliver().await.len(), 2);
    let refused = world.mail.refused();
    let invitation = refused.iter().find(|letter| letter.text.contains("password")).expect("an invitation");
    let password = invitation.password();
    world.mail.be(Mood::Accepting);
    assert!(world.deliver().await.is_empty());
    world.login(EMAIL, "Wrong-Canary-Password").await.problem(401, "invalid_credentials");
    let session = world.login(EMAIL, &password).await;
    let token = session.text("token");
    world.me(&token).await;
    world.send("create-customer", &Request::post("/v1/customers", &form).bearer(&key)).await;
    world.send("get-customer", &Request::get("/v1/customers/PL1").bearer(&key)).await;
    world.send("get-customer", &Request::get(format!("/v1/customers/{EMAIL}")).bearer(&key)).await;
    let of_the_account = account(&mut world).await;
    meter(&mut world, &key).await;
    report(&mut world, &key).await;
    let handed_over = administer(&mut world, &key).await;
    world.backfill().await;

    let stopped = world.stop().await;
    assert_eq!(stopped.len(), ALL.len(), "every function ran");
    for function in &stopped {
        assert_one_line_per_request(function);
        let secrets = [NAME, EMAIL, "serinus", PHONE, "Canary", &password, &token, &key, &handed_over];
        assert_absent(function, &secrets);
        assert_absent(function, &of_the_account.each_ref().map(String::as_str));
    }
}

/// An account from its registration to the last logout; answers the tokens on the way.
async fn account(world: &mut World) -> [String; 4] {
    let [first, second, third] = ["First Canary Password", "Second Canary Password", "Third Canary Password"];
    let form = json!({ "name": NAME, "email": OTHER_EMAIL, "phone": PHONE, "password": first });
    let registered = done(world, "register", &Request::post("/auth/register", &form)).await;
    let forgot = Request::post("/auth/forgot-password", &json!({ "email": OTHER_EMAIL }));
    done(world, "forgot-password", &forgot).await;
    assert!(world.deliver().await.is_empty());
    let link = world.mail.accepted().last().expect("a link to set a password").reset_token();
    let reset = Request::post("/auth/reset-password", &json!({ "token": link, "new_password": second }));
    done(world, "reset-password", &reset).await;
    let session = world.login(OTHER_EMAIL, second).await.text("token");
    let change = json!({ "current_password": second, "new_password": third });
    let change = Request::post("/auth/change-password", &change).bearer(&session);
    let changed = done(world, "change-password", &change).await.text("token");
    let details = Request::patch("/auth/me", &json!({ "address": "8 Canary Row" })).bearer(&changed);
    done(world, "update-me", &details).await;
    done(world, "logout", &Request::new("POST", "/auth/logout").bearer(&changed)).await;
    [registered.text("token"), link, session, changed]
}

/// What `PL1` may use, and uses.
async fn meter(world: &mut World, key: &str) {
    let product = json!({ "name": "Canary Seed", "items": [{ "feature_id": "seed", "included_usage": 3 }] });
    done(world, "put-product", &Request::put("/v1/products/p", &product).bearer(key)).await;
    done(world, "list-products", &Request::get("/v1/products").bearer(key)).await;
    let asked = json!({ "customer_id": "PL1", "feature_id": "seed" });
    done(world, "check", &Request::post("/v1/check", &asked).bearer(key)).await;
    done(world, "track", &Request::post("/v1/track", &asked).bearer(key)).await;
}

/// How things stand.
async fn report(world: &mut World, key: &str) {
    for (function, path) in [
        ("dashboard", "/admin/dashboard"),
        ("link-audit", "/admin/link-audit"),
        ("data-quality", "/admin/data-quality"),
        ("billing-customers", "/admin/billing/customers"),
    ] {
        done(world, function, &Request::get(path).bearer(key)).await;
    }
    let nobody = json!({ "customer": EMAIL, "delivery_boy": null });
    done(world, "assign-delivery", &Request::post("/admin/delivery-assignments", &nobody).bearer(key)).await;
}

/// What becomes of `PL1` in the hands of an administrator; answers the password handed over.
async fn administer(world: &mut World, key: &str) -> String {
    let list = Request::get("/v1/customers").query(format!("search={EMAIL}")).bearer(key);
    assert_eq!(done(world, "list-customers", &list).await.json()["count"], 1);
    let change = Request::patch("/v1/customers/PL1", &json!({ "address": "9 Canary Row" })).bearer(key);
    done(world, "update-customer", &change).await;
    let issue = Request::post("/v1/customers/PL1/credentials", &json!({ "deliver": false })).bearer(key);
    let handed_over = done(world, "issue-credentials", &issue).await.text("temporary_password");
    done(world, "delete-customer", &Request::new("DELETE", "/v1/customers/PL1").bearer(key)).await;
    handed_over
}

async fn done(world: &mut World, function: &'static str, request: &Request) -> Answer {
    let answer = world.send(function, request).await;
    assert!((200..300).contains(&answer.status()), "`{function}`: {answer:?}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_names_the_recipient_is_not_logged_with_the_name() {
    let mut world = World::start().await;
    let key = world.api_key().await;
    let request = Request::post("/v1/customers", &json!({ "name": NAME, "email": EMAIL })).bearer(&key);
    assert_eq!(world.send("create-customer", &request).await.status(), 201);
    world.mail.be(Mood::Rejecting);
    assert_eq!(world.deliver().await.len(), 1);
    let password = world.mail.refused()[0].password();
    for function in world.stop().await {
        assert_absent(&function, &[NAME, EMAIL, "serinus", &password, &key]);
    }
}

/// Every line is JSON, and of those about requests there is one for each, by its id. The jobs are
/// asked no requests: they log what they did.
fn assert_one_line_per_request(function: &Stopped) {
    let Stopped { name, request_ids, output } = function;
    assert_eq!(output.stderr, "", "`{name}`");
    let parsed = output.stdout.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>();
    let lines = parsed.unwrap_or_else(|error| panic!("`{name}` logs JSON ({error}): {}", output.stdout));
    let routes = ALL.iter().find(|known| known.name == *name).map_or(&[][..], |known| known.routes);
    let about_requests: Vec<&Value> = lines.iter().filter(|line| line["message"] == "request").collect();
    let ids: Vec<&str> = about_requests.iter().filter_map(|line| line["request_id"].as_str()).collect();
    assert_eq!(ids, *request_ids, "`{name}`: {}", output.stdout);
    // A job has no route; its line is found by the id all the same.
    for line in about_requests.into_iter().filter(|_| !routes.is_empty()) {
        assert_eq!((&line["method"], &line["route"]), (&json!(routes[0].method), &json!(routes[0].path)), "{line}");
        assert!(line["status"].is_u64() && line["duration_ms"].is_u64(), "{line}");
    }
}

fn assert_absent(function: &Stopped, secrets: &[&str]) {
    let Stopped { name, output, .. } = function;
    for secret in secrets {
        let there = output.stdout.contains(secret) || output.stderr.contains(secret);
        assert!(!there, "`{name}` wrote `{secret}`: {output:?}");
    }
}
