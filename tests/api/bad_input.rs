//! Whatever a route is sent: it never fails, and refuses only as documented.
//!
//! Every route of the table is sent requests near a good one. A route that is new has to say in
//! `templates` what a good one is.

mod attempt;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use functions::refusals::{Refusal, failures, refusals};
use functions::routes::{ALL, Access, Route};
use harness::app::{START, WEBHOOK_SECRETS};
use harness::rng::seed;
use harness::stripe::{checkout, invoice, refund, subscription};
use harness::{Actor, Answer, TestApp};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};
use shared::contact::EmailAddress;
use shared::secret::Secret;
use shared::stripe::signature::sign;
use tokio::runtime::Runtime;

use self::attempt::{Attempt, Who, attempts};

/// Refusals that a request meets before anybody decides on what it asks.
const OUTER: [&str; 9] = [
    "unauthorized",
    "forbidden",
    "password_change_required",
    "unsupported_media_type",
    "payload_too_large",
    "invalid_json",
    "invalid_request",
    "invalid_signature",
    "not_found",
];

/// The reference of the lead who may pay.
const LEAD: &str = "PLE-CVP-2026-000001";

/// Refusals of a request as a whole, which name no field.
const OF_THE_WHOLE: [&str; 2] =
    ["Either customer ID or email is required", "The login is disabled: give the customer another `status` first."];

/// Good bodies of a route, with every field that it takes; null where it takes none.
fn templates(route: &Route) -> Option<Vec<Value>> {
    let body = match (route.method, route.path) {
        ("POST", "/api/webhooks/stripe") => return Some(events()),
        ("POST", "/api/intake/submit") => json!({
            "name": "Lea", "email": "lea@x.io", "phone": "9876543210", "address": "1 Road", "area": "North",
            "product_id": "pro", "metadata": { "from": { "page": [1, "b"] } },
        }),
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
    Some(vec![body])
}

/// An event of every kind that means something: the lead pays, and `acme` has had a Stripe customer
/// all along.
fn events() -> Vec<Value> {
    let by_lead = |kind: &str, n: u8| {
        let nobody = "0190a1c2-0000-7000-8000-000000000001";
        let mut event = checkout(kind, &format!("evt_{n}"), &format!("cs_{n}"), nobody);
        event["data"]["object"]["metadata"]["customer_reference"] = json!(LEAD);
        event
    };
    vec![
        by_lead("expired", 1),
        by_lead("completed", 2),
        subscription("created", "evt_3", 3, "incomplete"),
        subscription("updated", "evt_4", 4, "active"),
        subscription("deleted", "evt_5", 5, "canceled"),
        invoice("paid", "evt_6", 6),
        invoice("payment_failed", "evt_7", 7),
        refund("evt_8", 8, 100),
    ]
}

/// Whom it is done to: an app with a product, a lead, a customer, and somebody with a password.
struct Victim {
    app: TestApp,
    nobody: Actor,
    /// How many events it was sent.
    events: AtomicU64,
}

impl Victim {
    async fn prepare() -> Self {
        let (app, nobody, admin) = TestApp::start().await;
        let product = json!({ "name": "Pro", "items": [{ "feature_id": "seats", "included_usage": 5 }] });
        admin.put("/v1/products/pro", product).await.expect(201);
        let lead = nobody.intake("lead@x.io").await.expect(201);
        assert_eq!(lead.str("customer_reference"), LEAD);
        let ana = json!({ "name": "Ana", "email": "ana@x.io", "password": "a long enough password" });
        nobody.post("/auth/register", ana).await.expect(201);
        let victim = Self { app, nobody, events: AtomicU64::new(0) };
        victim.acme().await;
        victim
    }

    /// The customer `acme`, made again if somebody deleted it.
    async fn acme(&self) {
        let admin = self.nobody.with_token(self.session().await);
        let body = json!({ "id": "acme", "phone": "9876543216", "stripe_id": "cus_1" });
        let answer = admin.post("/v1/customers", body).await;
        assert!(answer.status < 300, "{}", answer.text);
    }

    /// `body` as one more event, if it is one that Stripe made: a repeated event changes nothing.
    fn as_another(&self, body: &[u8]) -> Vec<u8> {
        let mut event: Value = serde_json::from_slice(body).unwrap_or_default();
        if !event["id"].as_str().is_some_and(|id| id.starts_with("evt_")) {
            return body.to_vec();
        }
        event["id"] = json!(format!("evt_another_{}", self.events.fetch_add(1, Ordering::Relaxed)));
        event.to_string().into_bytes()
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
        let mut body = attempt.body.clone();
        if route.access == Access::Signed && attempt.signed {
            body = self.as_another(&body);
            request = request.header("stripe-signature", sign(&body, &Secret::new(WEBHOOK_SECRETS[0]), START));
        }
        self.nobody.send(request, Body::from(body)).await
    }
}

/// What is wrong with an answer of a route with these refusals, if anything is.
fn complaint(answer: &Answer, refusals: &BTreeSet<Refusal>) -> Option<String> {
    let fine = match answer.status {
        200..=299 => answer.text.is_empty() || !answer.json.is_null(),
        400..=499 => refusals.contains(&(answer.status, answer.str("code"))) && is_a_problem(answer),
        _ => false,
    };
    (!fine).then(|| format!("{} {:?} {}", answer.status, answer.header("content-type"), answer.text))
}

fn is_a_problem(answer: &Answer) -> bool {
    let code = answer.str("code");
    let problem = answer.header("content-type") == Some("application/problem+json")
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
    let Some(templates) = templates(route) else { panic!("{name}: say in `templates` what a good body is") };
    let (victim, refusals) = (runtime.block_on(Victim::prepare()), refusals(route));
    for good in &templates {
        let answer = runtime.block_on(victim.send(route, &Attempt::good(good)));
        let code = answer.str("code");
        let taken = answer.status < 300 || !OUTER.contains(&code);
        assert!(taken && complaint(&answer, &refusals).is_none(), "{name} does not take {good}: {}", answer.text);
    }
    let mut start = [0; 32];
    start[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &start));
    let tally = RefCell::new(Tally::new());
    let outcome = runner.run(&attempts(templates), |attempt| {
        let answer = runtime.block_on(victim.send(route, &attempt));
        *tally.borrow_mut().entry((answer.status, answer.str("code").to_owned())).or_default() += 1;
        complaint(&answer, &refusals).map_or(Ok(()), |complaint| Err(TestCaseError::fail(complaint)))
    });
    if let Err(error) = outcome {
        panic!("{name}, SEED={seed}: {error}");
    }
    let broken = runtime.block_on(victim.app.world()).broken();
    assert!(broken.is_empty(), "{name}, SEED={seed}: {broken:#?}");
    runtime.block_on(victim.app.stop());
    let tally = tally.into_inner();
    let near = tally.keys().any(|(_, code)| !OUTER.contains(&code.as_str()));
    assert!(near, "{name}, SEED={seed}: nothing came near a decision: {tally:?}");
    tally
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
fn the_page_of_the_api_lists_every_refusal_with_its_status() {
    let (_, table) = include_str!("../../docs/API.md").split_once("| code | status | |\n").unwrap();
    let mut listed = BTreeSet::new();
    for row in table.lines().skip(1).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let status: u16 = cells[2].parse().unwrap();
        listed.extend(cells[1].split(", ").map(|code| (status, code.trim_matches('`'))));
    }
    let of_routes = ALL.iter().flat_map(|function| function.routes).flat_map(refusals);
    let of_no_route = [(404, "not_found"), (405, "method_not_allowed")];
    let all: BTreeSet<Refusal> = of_routes.chain(of_no_route).chain(failures()).collect();
    assert_eq!(listed, all);
}

#[test]
fn bad_input_is_refused_as_documented_and_breaks_nothing() {
    bombard_all(40);
}

#[test]
#[ignore = "2 000 requests to each route take minutes"]
fn much_bad_input_is_refused_as_documented_and_breaks_nothing() {
    bombard_all(2_000);
}
