//! Stripe at its worst: events in any order, many of them twice, some of them poison, and a process
//! that dies at every step. None is lost, none counts twice, and the poison can be seen.

use std::collections::{BTreeMap, BTreeSet};

use functions::jobs::backfill;
use harness::app::{START, WEBHOOK_SECRETS};
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::rng::{Rng, seed};
use harness::stripe::{checkout, invoice, refund, subscription};
use harness::world::text;
use harness::{Actor, TestApp, World};
use serde_json::{Value, json};
use shared::secret::Secret;
use shared::stripe::event::Event;
use shared::stripe::signature::sign;

/// At which call a process dies, and whether the call is carried out.
type Death = (u64, bool);

/// A process dies at one of its first so many calls: most have few, and a payment that brings what
/// was parked has many.
const STEPS: [u64; 3] = [4, 8, 20];

/// Beside the deaths that are wanted, a delivery dies fewer times than this.
const MAX_DEATHS: u64 = 4;

/// What Stripe does to somebody, in events.
const EVENTS_OF_A_LEAD: usize = 12;

/// An app with leads who will pay, and two customers who have.
struct Scene {
    app: TestApp,
    nobody: Actor,
    leads: Vec<String>,
    /// The customer whom Stripe knows as `cus_known_b`.
    other: String,
}

impl Scene {
    async fn set(leads: usize) -> Self {
        let (app, nobody, admin) = TestApp::start().await;
        admin.put("/v1/products/pro", json!({ "name": "Pro", "items": [] })).await.expect(201);
        let mut ids = Vec::new();
        for n in 0..leads {
            let form = json!({ "name": "Lea", "email": format!("lead-{n}@x.io"), "product_id": "pro" });
            ids.push(nobody.post("/api/intake/submit", form).await.expect(201).str("client_id").to_owned());
        }
        let mut other = String::new();
        for name in ["a", "b"] {
            let body = json!({ "email": format!("known-{name}@x.io"), "stripe_id": format!("cus_known_{name}") });
            admin.post("/v1/customers", body).await.expect(201).str("internal_id").clone_into(&mut other);
        }
        Self { app, nobody, leads: ids, other }
    }

    /// Every good event once, in the order in which Stripe made them.
    fn good(&self) -> Vec<Value> {
        let mut events: Vec<Value> = self.leads.iter().enumerate().flat_map(|(n, id)| of_lead(n, id)).collect();
        events.sort_by_key(|event| event["created"].as_i64());
        events
    }

    /// Delivers `body` as Stripe does, again and again until it is taken. `kills` says when the first
    /// processes die. Answers the deaths that happened.
    async fn deliver(&self, body: &str, kills: &[Death]) -> Vec<Death> {
        let header = sign(body.as_bytes(), &Secret::new(WEBHOOK_SECRETS[0]), START);
        let mut deaths = Vec::new();
        for (call, after) in kills.iter().copied() {
            self.app.connector.inject(Fault { at: When::Call(call), kind: Kind::Kill { after } });
            let answer = run_until_killed(&self.app.connector, self.nobody.stripe_raw(body.to_owned(), &header)).await;
            self.app.connector.reset();
            if let Some(answer) = answer {
                answer.expect(200);
                return deaths;
            }
            deaths.push((call, after));
        }
        self.nobody.stripe_raw(body.to_owned(), &header).await.expect(200);
        deaths
    }

    /// The table, once the schedule has finished what was left to it.
    async fn end(&self) -> World {
        backfill::run(&self.app.app, None).await.unwrap();
        let world = self.app.world().await;
        world.assert_straight();
        assert_eq!((world.of("parked_event").len(), world.of("replay").len()), (0, 0), "an event still waits");
        world
    }
}

/// What happens to the lead `n`, whom Rollcall knows as `id` and Stripe as `cus_{n}`.
fn of_lead(n: usize, id: &str) -> [Value; EVENTS_OF_A_LEAD] {
    let event = |name: &str| format!("evt_{n}_{name}");
    let named = |mut event: Value, object: &str| {
        event["data"]["object"]["id"] = json!(format!("{object}_{n}"));
        event["data"]["object"]["customer"] = json!(format!("cus_{n}"));
        // Half of the subscriptions say whose they are; the others are known by their customer alone.
        if object == "sub" && n.is_multiple_of(2) {
            event["data"]["object"]["metadata"]["client_id"] = json!(id);
        }
        event
    };
    let session = |kind: &str, name: &str, payment_status: &str, seconds: i64| {
        let mut event = checkout(kind, &event(name), &format!("cs_{n}_{name}"), id);
        event["created"] = json!(START.unix_seconds() + seconds);
        event["data"]["object"]["payment_status"] = json!(payment_status);
        event["data"]["object"]["customer"] = json!(format!("cus_{n}"));
        event
    };
    let refunded = |name: &str, seconds: i64, amount: u64| {
        let mut event = named(refund(&event(name), seconds, amount), "ch");
        event["data"]["object"]["invoice"] = json!(format!("in_{n}"));
        event
    };
    // Every third ends.
    let last = if n.is_multiple_of(3) { ("deleted", "canceled") } else { ("updated", "active") };
    [
        session("expired", "abandoned", "unpaid", 0),
        session("completed", "unpaid", "unpaid", 1),
        session("async_payment_succeeded", "paid", "paid", 2),
        named(subscription("created", &event("created"), 3, "incomplete"), "sub"),
        named(subscription("updated", &event("first"), 3, "active"), "sub"),
        named(invoice("payment_failed", &event("failed"), 4), "in"),
        named(subscription("updated", &event("late"), 5, "past_due"), "sub"),
        named(invoice("paid", &event("settled"), 6), "in"),
        refunded("part", 7, 100),
        refunded("more", 8, 300),
        session("completed", "again", "paid", 9),
        named(subscription(last.0, &event("last"), 10, last.1), "sub"),
    ]
}

/// A body with a good signature and nothing good in it, and what an operator is to find of it.
fn poison(n: usize, other: &str) -> (String, &'static str) {
    let id = format!("evt_poison_{n}");
    let event = |kind: &str, object: &Value| {
        json!({ "id": id, "type": kind, "created": START.unix_seconds(), "data": { "object": object } }).to_string()
    };
    match n % 8 {
        0 => (event("customer.tax_id.created", &json!({ "customer": "cus_0" })), "no effect"),
        1 => (format!("not json, the {n}."), "unreadable"),
        2 => (event("customer.subscription.updated", &json!([7])), "unreadable"),
        3 => {
            // Somebody else's subscription with the name of another customer.
            let mut event = subscription("updated", &id, 5, "canceled");
            event["data"]["object"]["customer"] = json!("cus_known_a");
            event["data"]["object"]["metadata"]["client_id"] = json!(other);
            (event.to_string(), "the Stripe customer is another's")
        }
        4 => {
            let nobody = START.new_id().to_string();
            (checkout("completed", &id, &format!("cs_poison_{n}"), &nobody).to_string(), "no such customer")
        }
        5 => {
            let whole = event("invoice.paid", &json!({ "id": "in_0", "customer": "cus_0" }));
            (whole[..whole.len() - 1].to_owned(), "unreadable")
        }
        6 => (event("invoice.paid", &json!({ "id": "in_0", "customer": "cüs_0" })), "unreadable"),
        _ => {
            (event("invoice.paid", &json!({ "id": { "is": "no text" }, "customer": 7, "total": "much" })), "unreadable")
        }
    }
}

/// Everybody, by e-mail address, as far as it does not depend on who was first.
fn everybody(world: &World) -> BTreeMap<String, Value> {
    let invoices = |id: &str| -> Vec<Value> {
        let theirs = world.of("invoice").into_iter().filter(|invoice| text(invoice, "customer_id") == id);
        theirs
            .map(|invoice| {
                json!({
                    "stripe_id": invoice["stripe_id"], "status": invoice["status"], "currency": invoice["currency"],
                    "total": invoice["total"], "refunded": invoice["amount_refunded"],
                    "url": invoice["hosted_invoice_url"], "last": invoice["last_event"],
                })
            })
            .collect()
    };
    let person = |customer: &Value| {
        json!({
            "status": customer["status"], "stripe_id": customer["stripe_id"], "products": customer["products"],
            "signs in": customer["user_id"].is_string(), "invoices": invoices(text(customer, "internal_id")),
        })
    };
    world.of("customer").into_iter().map(|customer| (text(customer, "email").to_owned(), person(customer))).collect()
}

/// Everybody after each good event, once, in order and undisturbed; and the most calls that one took.
async fn expected(leads: usize) -> (BTreeMap<String, Value>, u64) {
    let scene = Scene::set(leads).await;
    let mut longest = 0;
    for event in scene.good() {
        let calls = scene.app.connector.calls_of(scene.deliver(&event.to_string(), &[])).await;
        longest = calls.max(longest);
    }
    (everybody(&scene.end().await), longest)
}

/// Of the two deaths at a step, before the call and after it, those that nobody has died yet, at the first
/// of `steps` where there are any. The one before comes first: it changes nothing for the other.
fn spared(steps: u64, deaths: &BTreeMap<Death, usize>) -> Vec<Death> {
    let both = (1..=steps).map(|step| [(step, false), (step, true)]);
    let mut open = both.map(|both| both.into_iter().filter(|death| !deaths.contains_key(death)).collect::<Vec<_>>());
    open.find(|open| !open.is_empty()).unwrap_or_default()
}

async fn storm(events: usize) {
    let seed = seed("webhook storm");
    let mut rng = Rng::new(seed);
    let leads = events * 9 / 10 / EVENTS_OF_A_LEAD;
    let (expected, longest) = expected(leads).await;
    let scene = Scene::set(leads).await;
    let good: Vec<String> = scene.good().iter().map(Value::to_string).collect();
    let poison: Vec<_> = (good.len()..events).map(|n| poison(n, &scene.other)).collect();
    let distinct: Vec<&str> =
        good.iter().map(String::as_str).chain(poison.iter().map(|(body, _)| body.as_str())).collect();
    let mut deliveries = distinct.clone();
    deliveries.extend((0..events * 3 / 10).map(|_| *rng.pick(&distinct)));
    rng.shuffle(&mut deliveries);

    let mut deaths = BTreeMap::<Death, usize>::new();
    for body in &deliveries {
        // Where nobody has died yet, somebody has to, as soon as an event takes so many calls.
        let mut kills = spared(longest, &deaths);
        for _ in 0..rng.below(MAX_DEATHS) {
            let steps = *rng.pick(&STEPS);
            kills.push((1 + rng.draw() % steps, rng.one_in(2)));
        }
        for death in scene.deliver(body, &kills).await {
            *deaths.entry(death).or_default() += 1;
        }
    }
    let (sent, bad) = (deliveries.len(), poison.len());
    println!("{sent} deliveries of {events} events, {bad} of them poison, of up to {longest} calls; deaths {deaths:?}");

    let world = scene.end().await;
    let marked: BTreeMap<_, _> = world
        .of("stripe_event")
        .into_iter()
        .map(|marker| (text(marker, "event_id"), text(marker, "outcome")))
        .collect();
    let sent: BTreeSet<_> = distinct.iter().map(|body| Event::parse(body.as_bytes()).id).collect();
    let recorded: BTreeSet<_> = marked.keys().map(|id| (*id).to_owned()).collect();
    assert_eq!(recorded, sent, "SEED={seed}");
    for (body, outcome) in &poison {
        let id = Event::parse(body.as_bytes()).id;
        assert_eq!(marked.get(id.as_str()), Some(outcome), "SEED={seed}: {body}");
    }
    assert_eq!(world.messages("invitation").len(), leads + 2, "SEED={seed}: each is invited once");
    let found = everybody(&world);
    for (email, wanted) in &expected {
        assert_eq!(found.get(email), Some(wanted), "SEED={seed}: {email}");
    }
    assert_eq!(found.len(), expected.len(), "SEED={seed}");
    let missed = spared(longest, &deaths);
    assert!(missed.is_empty(), "SEED={seed}: nobody died {missed:?}, of {longest} steps: {deaths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_events_ends_as_if_each_had_come_once_and_in_order() {
    storm(300).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "10 000 events take minutes"]
async fn a_storm_of_ten_thousand_events_ends_as_if_each_had_come_once_and_in_order() {
    storm(10_000).await;
}
