//! Whatever a route is sent: it never fails, and refuses only as documented.
//!
//! Every route of the table is sent requests near a good one. A route that is new has to say in
//! `template` what a good one is.

mod attempt;

use std::cell::RefCell;
use std::collections::BTreeMap;

use axum::body::Body;
use functions::routes::{ALL, Access, Route};
use harness::app::{START, WEBHOOK_SECRETS};
use harness::rng::seed;
use harness::stripe::checkout;
use harness::{Actor, Answer, TestApp};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};
use shared::contact::EmailAddress;
use shared::secret::Secret;
use shared::stripe::signature::sign;
use tokio::runtime::Runtime;

use self::attempt::{Attempt, Who, attempts};

/// Every code that a request may be refused with.
const CODES: [&str; 29] = [
    "invalid_json",
    "invalid_request",
    "unauthorized",
    "invalid_credentials",
    "password_change_required",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "unsupported_media_type",
    "payload_too_large",
    "rate_limited",
    "idempotency_mismatch",
    "idempotency_in_progress",
    "customer_not_found",
    "user_not_found",
    "product_not_found",
    "feature_not_found",
    "customer_exists",
    "email_taken",
    "already_linked",
    "already_active",
    "not_a_customer",
    "not_a_delivery_boy",
    "stripe_id_taken",
    "has_subscription",
    "ambiguous",
    "invalid_signature",
    "invalid_token",
    "invalid_cursor",
];

/// Refusals of a request as a whole, which name no field.
const OF_THE_WHOLE: [&str; 2] =
    ["Either customer ID or email is required", "The login is disabled: give the customer another `status` first."];

/// A good body of a route, with every field that it takes; null where it takes none.
fn template(route: &Route) -> Option<Value> {
    let body = match (route.method, route.path) {
        ("POST", "/api/intake/submit") => json!({
            "name": "Lea", "email": "lea@x.io", "phone": "9876543210", "address": "1 Road", "area": "North",
            "product_id": "pro", "metadata": { "from": { "page": [1, "b"] } },
        }),
        ("POST", "/api/webhooks/stripe") => {
            checkout("completed", "evt_1", "cs_1", "0190a1c2-0000-7000-8000-000000000001")
        }
        ("POST", "/auth/register") => {
            json!({ "name": "Eve", "email": "eve@x.io", "password": "a long enough password", "phone": "9876543211" })
        }
        ("POST", "/auth/login") => json!({ "email": "ana@x.io", "password": "a long enough password" }),
        ("POST", "/auth/forgot-password") => json!({ "email": "ana@x.io" }),
        ("POST", "/auth/reset-password") => {
            json!({ "token": "none of ours", "new_password": "another long enough password" })
        }
        ("POST", "/auth/change-password") => {
            json!({ "current_password": "wrong", "new_password": "another long enough password" })
        }
        ("PATCH", "/auth/me") => {
            json!({ "name": "Ops", "phone": "9876543212", "address": "2 Road", "area": "South" })
        }
        ("POST", "/v1/customers" | "/phase0-v2/customers" | "/phase0-v2/customers-with-subscription") => json!({
            "id": "bolt", "name": "Bolt", "email": "ops@bolt.io", "phone": "9876543213", "address": "3 Road",
            "area": "East", "status": "trial", "fingerprint": "f", "metadata": { "a": 1 }, "stripe_id": "cus_2",
            "create_in_stripe": false, "disable_default": false, "user_id": null, "entity_id": "desk",
            "entity_data": { "name": "Desk", "feature_id": "seats" },
            "subscription": { "product_id": "pro", "quantity": 2 },
        }),
        ("PATCH", "/v1/customers/{id}") => json!({
            "id": "acme", "name": "Acme", "email": "new@acme.io", "phone": "9876543214", "address": "4 Road",
            "area": "West", "status": "active", "fingerprint": "g", "metadata": { "a": null, "b": 2 },
            "stripe_id": "cus_3",
        }),
        ("POST", "/v1/customers/{id}/credentials") => json!({ "deliver": true }),
        ("PUT", "/v1/products/{id}") => json!({
            "name": "Pro", "group": "milk", "is_default": true, "force_paid_default": true,
            "price": { "amount": 49_900, "currency": "inr", "interval": "month", "stripe_price_id": "price_1" },
            "free_trial": { "days": 14, "card_required": false },
            "items": [{
                "feature_id": "seats", "included_usage": 5, "interval": "month", "unlimited": false,
                "overage_allowed": true,
            }],
        }),
        ("POST", "/v1/check") => json!({
            "customer_id": "acme", "feature_id": "seats", "required_balance": 1, "entity_id": "desk",
            "customer_data": { "name": "Acme", "email": "c@acme.io", "phone": "9876543215", "stripe_id": "cus_4" },
        }),
        ("POST", "/v1/track") => json!({
            "customer_id": "acme", "feature_id": "seats", "value": 1, "idempotency_key": "k", "entity_id": "desk",
            "customer_data": { "name": "Acme", "email": "t@acme.io", "metadata": { "a": 1 }, "fingerprint": "f" },
        }),
        ("POST", "/admin/delivery-assignments") => json!({ "customer": "acme", "delivery_boy": "dev@x.io" }),
        ("POST", "/auth/logout") | ("GET", _) | ("DELETE", "/v1/customers/{id}") => Value::Null,
        _ => return None,
    };
    Some(body)
}

/// Whom it is done to: an app with a product, a customer, and somebody with a password.
struct Victim {
    app: TestApp,
    nobody: Actor,
}

impl Victim {
    async fn prepare() -> Self {
        let (app, nobody, admin) = TestApp::start().await;
        let product = json!({ "name": "Pro", "items": [{ "feature_id": "seats", "included_usage": 5 }] });
        admin.put("/v1/products/pro", product).await.expect(201);
        let ana = json!({ "name": "Ana", "email": "ana@x.io", "password": "a long enough password" });
        nobody.post("/auth/register", ana).await.expect(201);
        let victim = Self { app, nobody };
        victim.acme().await;
        victim
    }

    /// The customer `acme`, made again if somebody deleted it.
    async fn acme(&self) {
        let admin = self.nobody.with_token(self.session().await);
        let answer = admin.post("/v1/customers", json!({ "id": "acme", "phone": "9876543216" })).await;
        assert!(answer.status < 300, "{}", answer.text);
    }

    /// A session of the administrator of this moment, however often they were logged out.
    async fn session(&self) -> String {
        let email = EmailAddress::parse("ops@example.com").unwrap();
        let admin = self.app.raw_store().user_by_login(&email).await.unwrap().unwrap();
        self.app.app.keys.sign_session(&admin, START, 3_600)
    }

    async fn send(&self, route: &Route, attempt: &Attempt) -> Answer {
        if route.method == "DELETE" {
            self.acme().await;
        }
        let path = route.path.replace("{id}", &attempt.segment);
        let mut request = self.nobody.request(route.method, &format!("{path}{}", attempt.query));
        match &attempt.who {
            Who::Nobody => {}
            Who::Admin => {
                let session = self.session().await;
                request = request.header("authorization", format!("Bearer {session}"));
            }
            Who::Garbage(header) => request = request.header("authorization", header.as_slice()),
        }
        if let Some(kind) = &attempt.content_type {
            request = request.header("content-type", kind.as_slice());
        }
        for (name, value) in &attempt.headers {
            request = request.header(*name, value.as_slice());
        }
        if route.access == Access::Signed && attempt.signed {
            request = request.header("stripe-signature", sign(&attempt.body, &Secret::new(WEBHOOK_SECRETS[0]), START));
        }
        self.nobody.send(request, Body::from(attempt.body.clone())).await
    }
}

/// What is wrong with an answer to bad input, if anything is.
fn complaint(answer: &Answer) -> Option<String> {
    let fine = match answer.status {
        200..=299 => answer.text.is_empty() || !answer.json.is_null(),
        400..=499 => is_documented(answer),
        _ => false,
    };
    (!fine).then(|| format!("{} {:?} {}", answer.status, answer.header("content-type"), answer.text))
}

fn is_documented(answer: &Answer) -> bool {
    let code = answer.str("code");
    let problem = answer.header("content-type") == Some("application/problem+json")
        && CODES.contains(&code)
        && answer.str("type") == format!("/problems/{code}")
        && answer.json["status"] == answer.status
        && !answer.str("title").is_empty()
        && !answer.str("detail").is_empty();
    let challenged = (answer.header("www-authenticate") == Some("Bearer")) == (answer.status == 401);
    let named = match answer.json["errors"].as_array() {
        None => code != "invalid_request" || OF_THE_WHOLE.contains(&answer.str("detail")),
        Some(errors) => {
            let filled = |error: &Value, name: &str| error[name].as_str().is_some_and(|text| !text.is_empty());
            code == "invalid_request"
                && !errors.is_empty()
                && errors.iter().all(|error| filled(error, "field") && filled(error, "message"))
        }
    };
    problem && challenged && named
}

/// How often each status and code was answered.
type Tally = BTreeMap<(u16, String), usize>;

/// Sends `cases` requests to `route` and counts the answers.
fn bombard(runtime: &Runtime, route: &Route, cases: u32, seed: u64) -> Tally {
    let name = format!("{} {}", route.method, route.path);
    let Some(template) = template(route) else { panic!("{name}: say in `template` what a good body is") };
    let victim = runtime.block_on(Victim::prepare());
    let mut start = [0; 32];
    start[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &start));
    let tally = RefCell::new(Tally::new());
    let outcome = runner.run(&attempts(template), |attempt| {
        let answer = runtime.block_on(victim.send(route, &attempt));
        *tally.borrow_mut().entry((answer.status, answer.str("code").to_owned())).or_default() += 1;
        complaint(&answer).map_or(Ok(()), |complaint| Err(TestCaseError::fail(complaint)))
    });
    if let Err(error) = outcome {
        panic!("{name}, SEED={seed}: {error}");
    }
    let broken = runtime.block_on(victim.app.world()).broken();
    assert!(broken.is_empty(), "{name}, SEED={seed}: {broken:#?}");
    runtime.block_on(victim.app.stop());
    tally.into_inner()
}

fn bombard_all(cases: u32) {
    let seed = seed("bad input");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut total = Tally::new();
    for route in ALL.iter().flat_map(|function| function.routes) {
        for (answer, times) in bombard(&runtime, route, cases, seed) {
            *total.entry(answer).or_default() += times;
        }
    }
    println!("{total:?}");
    let (done, refused): (Vec<_>, Vec<_>) = total.keys().partition(|(status, _)| *status < 300);
    assert!(!done.is_empty() && refused.len() >= 6, "the requests are not near good ones: {total:?}");
}

#[test]
fn bad_input_is_refused_as_documented_and_breaks_nothing() {
    bombard_all(40);
}

#[test]
#[ignore = "2 000 requests to each route"]
fn much_bad_input_is_refused_as_documented_and_breaks_nothing() {
    bombard_all(2_000);
}
