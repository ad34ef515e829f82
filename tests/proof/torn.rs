//! Batches that are no snapshot: a process reads some of the keys before, and the rest after, what another
//! does in between, at each batch, at each place in it, in both orders.
//!
//! What must stay true: whatever has been seen of the other and whatever not, each is answered what is
//! promised. Two of the same request are one, and nobody is refused for what they have just done themselves.

use std::future::ready;
use std::pin::Pin;

use functions::jobs::backfill;
use futures::StreamExt;
use futures::stream::iter;
use harness::app::{START, TABLE};
use harness::faults::When;
use harness::stripe::{checkout, subscription};
use harness::torn::Tear;
use harness::world::text;
use harness::{Answer, World};
use serde_json::{Value, json};
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::ids::UserId;

use crate::cases::used;
use crate::process::Process;
use crate::scene::{Scene, Verdict, answered, meanwhile, require};
use crate::{PASSWORD, WIDTH};

/// Of the tears so many come to pass, in percent: all, unless the SDK stops waiting for one.
const LEAST_TORN_PERCENT: usize = 90;

const KEY: &[(&str, &str)] = &[("idempotency-key", "k")];

/// Two processes, of which one is held elsewhere than at a call, and no bug.
async fn scene() -> Scene {
    Scene::new(0, None).await
}

/// A request, and what is asked in the middle of its batches.
struct Story {
    name: &'static str,
    /// Answers what the requests are about.
    prepare: Prepare,
    torn: Ask,
    /// The same, if there is nothing else.
    between: Option<Ask>,
    check: fn(&Answer, &Answer, &World) -> Verdict,
}

type Prepare = for<'a> fn(&'a Scene) -> Pin<Box<dyn Future<Output = String> + 'a>>;

type Ask = for<'a> fn(&'a Process, &'a str) -> Pin<Box<dyn Future<Output = Answer> + 'a>>;

const STORIES: &[Story] = &[
    Story {
        name: "register, with a key",
        prepare: |_| Box::pin(ready(String::new())),
        torn: |p, _| Box::pin(register(p)),
        between: None,
        check: |first, second, world| {
            done_once(first, second, "user_id")?;
            nobody_was_told(world)
        },
    },
    Story {
        name: "create, with a key",
        prepare: |_| Box::pin(ready(String::new())),
        torn: |p, _| Box::pin(create(p, json!({ "id": "acme", "email": "ops@acme.io" }), KEY)),
        between: None,
        check: |first, second, _| done_once(first, second, "internal_id"),
    },
    Story {
        name: "create for a login, with a key",
        prepare: |s| Box::pin(free_login(s)),
        torn: |p, user| Box::pin(create(p, json!({ "phone": "9876543210", "user_id": user }), KEY)),
        between: None,
        check: |first, second, _| done_once(first, second, "internal_id"),
    },
    Story {
        name: "create for a login, by an id",
        prepare: |s| Box::pin(free_login(s)),
        torn: |p, user| Box::pin(create(p, json!({ "id": "acme", "user_id": user }), &[])),
        between: None,
        check: |first, second, _| made_once(first, second),
    },
    Story {
        name: "create for a Stripe customer, by an address",
        prepare: |_| Box::pin(ready(String::new())),
        torn: |p, _| Box::pin(create(p, json!({ "email": "ops@acme.io", "stripe_id": "cus_1" }), &[])),
        between: None,
        check: |first, second, _| made_once(first, second),
    },
    Story {
        name: "intake, with a key",
        prepare: |_| Box::pin(ready(String::new())),
        torn: |p, _| Box::pin(enter(p)),
        between: None,
        check: |first, second, _| done_once(first, second, "client_id"),
    },
    Story {
        name: "intake, with a key, and its payment",
        prepare: |_| Box::pin(ready(String::new())),
        torn: |p, _| Box::pin(enter(p)),
        between: Some(|p, _| Box::pin(enter_and_pay(p))),
        check: |first, second, world| {
            done_once(first, second, "client_id")?;
            nobody_was_told(world)
        },
    },
    Story {
        name: "a checkout event",
        prepare: |s| Box::pin(lead(s)),
        torn: |p, lead| Box::pin(pay(p, lead)),
        between: None,
        check: |first, second, _| counted_once(first, second),
    },
    Story {
        name: "an event that is parked",
        prepare: |_| Box::pin(ready(String::new())),
        torn: |p, _| Box::pin(subscribe(p)),
        between: None,
        check: |first, second, _| counted_once(first, second),
    },
    Story {
        name: "a payment, and an event that waits for it",
        prepare: |s| Box::pin(lead(s)),
        torn: |p, lead| Box::pin(pay(p, lead)),
        between: Some(|p, _| Box::pin(subscribe(p))),
        check: both_count,
    },
    Story {
        name: "an event that waits, and its payment",
        prepare: |s| Box::pin(lead(s)),
        torn: |p, _| Box::pin(subscribe(p)),
        between: Some(|p, lead| Box::pin(pay(p, lead))),
        check: both_count,
    },
    Story {
        name: "track, with a key",
        prepare: |s| Box::pin(acme(s)),
        torn: |p, _| Box::pin(track(p, json!({}), KEY)),
        between: None,
        check: used_once,
    },
    Story {
        name: "track, with a key in the body",
        prepare: |s| Box::pin(acme(s)),
        torn: |p, _| Box::pin(track(p, json!({ "idempotency_key": "k" }), &[])),
        between: None,
        check: used_once,
    },
    Story {
        name: "track by somebody new, with a key",
        prepare: |_| Box::pin(ready(String::new())),
        torn: |p, _| Box::pin(track(p, json!({}), KEY)),
        between: None,
        check: used_once,
    },
];

async fn register(process: &Process) -> Answer {
    let body = json!({ "name": "Ana", "email": "ana@x.io", "password": PASSWORD });
    process.nobody.post_with("/auth/register", body, KEY).await
}

async fn create(process: &Process, body: Value, headers: &[(&str, &str)]) -> Answer {
    process.admin.post_with("/v1/customers", body, headers).await
}

async fn enter(process: &Process) -> Answer {
    let body = json!({ "name": "Ana", "email": "ana@x.io" });
    process.nobody.post_with("/api/intake/submit", body, KEY).await
}

async fn enter_and_pay(process: &Process) -> Answer {
    let entered = enter(process).await.expect(201);
    pay(process, entered.str("client_id")).await.expect(200);
    entered
}

/// In a session of the Stripe customer that [`subscribe`] is about.
async fn pay(process: &Process, lead: &str) -> Answer {
    process.nobody.stripe(&checkout("completed", "evt_1", "1", lead)).await
}

async fn subscribe(process: &Process) -> Answer {
    process.nobody.stripe(&subscription("created", "evt_2", 0, "active")).await
}

async fn track(process: &Process, mut body: Value, headers: &[(&str, &str)]) -> Answer {
    body["customer_id"] = json!("acme");
    body["feature_id"] = json!("seats");
    body["value"] = json!(5);
    process.admin.post_with("/v1/track", body, headers).await
}

async fn acme(scene: &Scene) -> String {
    scene.create(json!({ "id": "acme" })).await.expect(201).str("internal_id").to_owned()
}

async fn lead(scene: &Scene) -> String {
    scene.one.nobody.intake("ana@x.io").await.expect(201).str("client_id").to_owned()
}

/// A login that is nobody's yet.
async fn free_login(scene: &Scene) -> String {
    let email = EmailAddress::parse("free@x.io").unwrap();
    let user = User::new(UserId(START.new_id()), email, Role::Customer, START);
    scene.app.save(&user).await;
    user.user_id.to_string()
}

/// One did it, and the other was told the same once more.
fn done_once(first: &Answer, second: &Answer, whose: &str) -> Verdict {
    answered(&[first, second])?;
    require(first.status == second.status, || format!("answered {} and {}", first.status, second.status))?;
    let again = [first, second].into_iter().filter(|answer| answer.header("idempotency-replayed").is_some()).count();
    require(again == 1, || format!("of two answers {again} are replays"))?;
    same(first, second, whose)
}

/// One made the customer, and the other found them.
fn made_once(first: &Answer, second: &Answer) -> Verdict {
    answered(&[first, second])?;
    let made = [first, second].into_iter().filter(|answer| answer.status == 201).count();
    require(made == 1, || format!("made {made} times"))?;
    same(first, second, "internal_id")
}

fn same(first: &Answer, second: &Answer, whose: &str) -> Verdict {
    let (one, other) = (first.str(whose), second.str(whose));
    require(!one.is_empty() && one == other, || format!("one request, two of `{whose}`: {one}, {other}"))
}

/// Nobody hears that somebody has entered their address who was themselves.
fn nobody_was_told(world: &World) -> Verdict {
    let told = world.messages("already_customer").len();
    require(told == 0, || format!("{told} notices"))
}

fn counted_once(first: &Answer, second: &Answer) -> Verdict {
    answered(&[first, second])?;
    let new = [first, second].into_iter().filter(|answer| answer.json["duplicate"].is_null()).count();
    require(new == 1, || format!("one event was new {new} times"))
}

/// Whichever came first, whoever paid has what they subscribed to.
fn both_count(first: &Answer, second: &Answer, world: &World) -> Verdict {
    answered(&[first, second])?;
    require(world.of("parked_event").is_empty(), || "an event waits for somebody who is there".into())?;
    let customer = world.of("customer").into_iter().next().ok_or("there is nobody")?;
    let mut held = customer["products"].as_array().into_iter().flatten();
    let subscribed = held.any(|held| held["subscription_id"] == "sub_1");
    require(text(customer, "status") == "active" && subscribed, || format!("there is {customer}"))
}

fn used_once(first: &Answer, second: &Answer, world: &World) -> Verdict {
    done_once(first, second, "customer_id")?;
    require(first.json["balance"] == second.json["balance"], || format!("{} and {}", first.text, second.text))?;
    let used = used(world);
    require(used == 5, || format!("{used} is counted of 5"))
}

/// How many keys each batch has that a story reads where nothing comes in between.
async fn batches(story: &Story) -> Vec<usize> {
    let scene = scene().await;
    let subject = (story.prepare)(&scene).await;
    scene.one.connector.start_recording();
    (story.torn)(&scene.one, &subject).await;
    let calls = scene.one.connector.take_recording().calls;
    let batches = calls.iter().filter(|call| call.operation == "BatchGetItem");
    batches.map(|call| call.json()["RequestItems"][TABLE]["Keys"].as_array().map_or(0, Vec::len)).collect()
}

/// A story with its `nth` batch torn. Answers whether that came to pass.
async fn one_tear(story: &Story, nth: u64, tear: Tear) -> bool {
    let about = format!("{}: batch {nth}, {tear:?}", story.name);
    let scene = scene().await;
    let subject = (story.prepare)(&scene).await;
    let pause = scene.one.connector.tear(nth, tear);
    let torn = (story.torn)(&scene.one, &subject);
    let between = (story.between.unwrap_or(story.torn))(&scene.two, &subject);
    let (first, second) = meanwhile(&pause, torn, between).await;
    straight(&scene, &about).await;
    // What is parked in the very moment of its payment is left to the schedule.
    backfill::run(&scene.two.app, None).await.unwrap();
    let world = straight(&scene, &about).await;
    assert_eq!((story.check)(&first, &second, &world), Ok(()), "{about}");
    scene.one.connector.torn() == 1
}

async fn straight(scene: &Scene, about: &str) -> World {
    let world = scene.app.world().await;
    let broken = world.broken();
    assert!(broken.is_empty(), "{about}: {broken:#?}");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_the_middle_of_a_batch_breaks_no_promise() {
    let mut points = Vec::new();
    for story in STORIES {
        let before = points.len();
        for (nth, keys) in (1..).zip(batches(story).await) {
            points.extend(Tear::every(keys).map(|tear| (story, nth, tear)));
        }
        assert!(points.len() > before, "{}: no batch can be torn", story.name);
    }
    let total = points.len();
    let runs = iter(points).map(|(story, nth, tear)| one_tear(story, nth, tear));
    let torn = runs.buffer_unordered(WIDTH).filter(|torn| ready(*torn)).count().await;
    println!("{torn} of {total} batches were torn");
    assert!(torn * 100 >= total * LEAST_TORN_PERCENT, "{torn} of {total} batches were torn");
}

/// The condition of its guard fails before that of the marker, also where no batch is torn.
#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_customer_is_not_refused_to_whoever_took_it() {
    let body = || json!({ "phone": "9876543210", "stripe_id": "cus_1" });
    let alone = scene().await;
    let calls = alone.one.connector.calls_of(create(&alone.one, body(), KEY)).await;
    assert!(calls > 1, "what reads nothing before it writes cannot lose a race");
    for call in 1..=calls {
        let scene = scene().await;
        let (one, two) = (create(&scene.one, body(), KEY), create(&scene.two, body(), KEY));
        let (first, second) = scene.interleave(When::Call(call), one, two).await;
        assert_eq!(done_once(&first, &second, "internal_id"), Ok(()), "held at call {call}");
        straight(&scene, &format!("held at call {call}")).await;
    }
}
