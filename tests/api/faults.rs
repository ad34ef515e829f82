//! A fault at every single call of every writing endpoint, then a retry: exactly one of
//! everything, links mutual, nothing half-made.

use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::stripe::{checkout, invoice, subscription};
use harness::{Actor, Answer, TestApp, World};
use serde_json::{Value, json};

/// What can happen to a call.
const KINDS: [Kind; 9] = [
    Kind::Kill { after: false },
    Kind::Kill { after: true },
    Kind::Before,
    Kind::LostAnswer,
    Kind::InternalError,
    Kind::InternalErrorAfter,
    Kind::Throttle,
    Kind::TransactionConflict,
    Kind::TransactionInProgress,
];

/// A request under test, over a table that was prepared for it.
struct Case {
    name: &'static str,
    prepare: AsyncCall,
    call: AsyncCall,
    check: fn(&World),
}

type AsyncCall = for<'a> fn(&'a Actors) -> std::pin::Pin<Box<dyn Future<Output = Answer> + 'a>>;

struct Actors {
    nobody: Actor,
    admin: Actor,
}

fn customers(world: &World, customers: usize, users: usize, invitations: usize) {
    let found = (world.of("customer").len(), world.of("user").len(), world.messages("invitation").len());
    // The administrator is a user, too.
    assert_eq!(found, (customers, users + 1, invitations));
}

const CASES: &[Case] = &[
    Case {
        name: "intake, new lead",
        prepare: |a| Box::pin(a.nobody.get("/nowhere")),
        call: |a| Box::pin(a.nobody.intake("a@x.io")),
        check: |world| customers(world, 1, 0, 0),
    },
    Case {
        name: "intake, returning lead",
        prepare: |a| Box::pin(a.nobody.intake("a@x.io")),
        call: |a| {
            Box::pin(
                a.nobody.post("/api/intake/submit", json!({ "name": "B", "email": "a@x.io", "phone": "9876543210" })),
            )
        },
        check: |world| customers(world, 1, 0, 0),
    },
    Case {
        name: "intake with an idempotency key",
        prepare: |a| Box::pin(a.nobody.get("/nowhere")),
        call: |a| {
            let body = json!({ "name": "Ana", "email": "a@x.io" });
            Box::pin(a.nobody.post_with("/api/intake/submit", body, &[("idempotency-key", "k")]))
        },
        check: |world| customers(world, 1, 0, 0),
    },
    Case {
        name: "webhook, paid",
        prepare: |a| Box::pin(a.nobody.intake("a@x.io")),
        call: |a| Box::pin(pay(a, "completed")),
        check: |world| customers(world, 1, 1, 1),
    },
    Case {
        name: "webhook, failed",
        prepare: |a| Box::pin(a.nobody.intake("a@x.io")),
        call: |a| Box::pin(pay(a, "expired")),
        check: |world| customers(world, 1, 0, 0),
    },
    Case {
        name: "webhook, subscription of somebody",
        prepare: |a| Box::pin(subscriber(a)),
        call: |a| Box::pin(async move { a.nobody.stripe(&subscription("updated", "evt_2", 0, "past_due")).await }),
        check: |world| {
            customers(world, 1, 1, 1);
            assert_eq!(world.of("customer")[0]["products"][0]["status"], "past_due");
        },
    },
    Case {
        name: "webhook, invoice of somebody",
        prepare: |a| Box::pin(subscriber(a)),
        call: |a| Box::pin(async move { a.nobody.stripe(&invoice("paid", "evt_2", 0)).await }),
        check: |world| assert_eq!(world.of("invoice").len(), 1),
    },
    Case {
        name: "webhook, subscription of nobody yet",
        prepare: |a| Box::pin(a.nobody.get("/nowhere")),
        call: |a| Box::pin(async move { a.nobody.stripe(&subscription("created", "evt_2", 0, "active")).await }),
        check: |world| assert_eq!((world.of("parked_event").len(), world.of("stripe_event").len()), (1, 1)),
    },
    Case {
        name: "create, new",
        prepare: |a| Box::pin(a.nobody.get("/nowhere")),
        call: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        check: |world| customers(world, 1, 1, 1),
    },
    Case {
        name: "create by phone with an idempotency key",
        prepare: |a| Box::pin(a.nobody.get("/nowhere")),
        call: |a| {
            let body = json!({ "phone": "9876543210" });
            Box::pin(a.admin.post_with("/v1/customers", body, &[("idempotency-key", "k")]))
        },
        check: |world| customers(world, 1, 1, 1),
    },
    Case {
        name: "create, claim",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", json!({ "email": "ops@acme.io" }))),
        call: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        check: |world| {
            customers(world, 1, 1, 1);
            assert_eq!(world.of("customer")[0]["id"], "acme");
        },
    },
    Case {
        name: "create, lead activated",
        prepare: |a| Box::pin(a.nobody.intake("ops@acme.io")),
        call: |a| {
            let mut body = whole();
            body["status"] = json!("active");
            Box::pin(a.admin.post("/v1/customers", body))
        },
        check: |world| customers(world, 1, 1, 1),
    },
    Case {
        name: "update",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        call: |a| {
            let id = "/v1/customers/PL1";
            Box::pin(a.admin.patch(id, json!({ "id": "new", "email": "new@acme.io", "phone": null })))
        },
        check: |world| {
            customers(world, 1, 1, 1);
            assert_eq!((&world.of("customer")[0]["id"], world.of("customer")[0].get("phone")), (&json!("new"), None));
        },
    },
    Case {
        name: "update, lead activated",
        prepare: |a| Box::pin(a.nobody.intake("a@x.io")),
        call: |a| Box::pin(a.admin.patch("/v1/customers/PLE-CVP-2026-000001", json!({ "status": "active" }))),
        check: |world| customers(world, 1, 1, 1),
    },
    Case {
        name: "delete",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        call: |a| {
            Box::pin(async move {
                let answer = a.admin.delete("/v1/customers/acme").await;
                // Deleted by the call whose answer was lost.
                if answer.status == 404 { Answer { status: 200, ..answer } } else { answer }
            })
        },
        check: |world| {
            customers(world, 0, 0, 1);
            assert_eq!(world.of("purge").len(), 1);
        },
    },
    Case {
        name: "issue credentials, invitation",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        call: |a| Box::pin(a.admin.post("/v1/customers/acme/credentials", json!({}))),
        check: |world| {
            // A repeated request is a further invitation that voids the last.
            assert!((2..=3).contains(&world.messages("invitation").len()));
            customers(world, 1, 1, world.messages("invitation").len());
        },
    },
    Case {
        name: "issue credentials, hand-over",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        call: |a| Box::pin(a.admin.post("/v1/customers/acme/credentials", json!({ "deliver": false }))),
        check: |world| customers(world, 1, 1, 1),
    },
    Case {
        name: "register with an idempotency key",
        prepare: |a| Box::pin(a.nobody.get("/nowhere")),
        call: |a| {
            let body = json!({ "name": "Ana", "email": "a@x.io", "password": "a long enough password" });
            Box::pin(a.nobody.post_with("/auth/register", body, &[("idempotency-key", "k")]))
        },
        check: |world| customers(world, 1, 1, 0),
    },
    Case {
        name: "own details",
        prepare: |a| Box::pin(a.nobody.get("/nowhere")),
        call: |a| Box::pin(a.admin.patch("/auth/me", json!({ "name": "Ops", "phone": "9876543210" }))),
        check: |world| customers(world, 0, 0, 0),
    },
    Case {
        name: "product",
        prepare: |a| Box::pin(a.nobody.get("/nowhere")),
        call: |a| {
            Box::pin(a.admin.put(
                "/v1/products/pro",
                json!({ "name": "Pro", "items": [{ "feature_id": "seats", "included_usage": 5 }] }),
            ))
        },
        check: |world| assert_eq!(world.of("product").len(), 1),
    },
];

fn whole() -> Value {
    json!({ "id": "acme", "name": "Acme", "email": "ops@acme.io", "phone": "9876543210" })
}

/// Somebody who is `cus_1` at Stripe.
async fn subscriber(actors: &Actors) -> Answer {
    actors.admin.put("/v1/products/pro", json!({ "name": "Pro", "items": [] })).await;
    actors.admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io", "stripe_id": "cus_1" })).await
}

async fn pay(actors: &Actors, kind: &str) -> Answer {
    let lead = actors.admin.get("/v1/customers/PLE-CVP-2026-000001").await;
    let mut event = checkout(kind, "evt_1", "cs_1", lead.str("internal_id"));
    event["data"]["object"]["metadata"] = json!({ "customer_reference": "PLE-CVP-2026-000001" });
    event["data"]["object"]["client_reference_id"] = Value::Null;
    actors.nobody.stripe(&event).await
}

async fn prepared(case: &Case) -> (TestApp, Actors) {
    let (app, nobody, admin) = TestApp::start().await;
    let actors = Actors { nobody, admin };
    (case.prepare)(&actors).await;
    (app, actors)
}

/// One fault, then the caller tries again as a caller would, until they have an answer.
async fn one_fault(case: &Case, call: u64, kind: Kind) {
    let (app, actors) = prepared(case).await;
    app.connector.inject(Fault { at: When::Call(call), kind });
    let first = run_until_killed(&app.connector, (case.call)(&actors)).await;
    assert!(app.connector.faults_fired() > 0, "{}: no call {call}", case.name);
    app.connector.reset();
    if first.is_none_or(|answer| answer.status >= 500) {
        let again = (case.call)(&actors).await;
        assert!(again.status < 300, "{} after {kind:?} at call {call}: {}", case.name, again.text);
    }
    let world = app.world().await;
    let broken = world.broken();
    assert!(broken.is_empty(), "{} after {kind:?} at call {call}: {broken:#?}", case.name);
    (case.check)(&world);
}

async fn calls(case: &Case) -> u64 {
    let (app, actors) = prepared(case).await;
    app.connector.calls_of((case.call)(&actors)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_and_a_retry_leave_exactly_one_of_everything() {
    let mut points = 0;
    for case in CASES {
        for call in 1..=calls(case).await {
            for kind in KINDS {
                one_fault(case, call, kind).await;
                points += 1;
            }
        }
    }
    println!("{points} single-fault points");
    assert!(points >= 200, "{points}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_lost_for_good_leave_exactly_one_of_everything() {
    for case in CASES {
        for call in 1..=calls(case).await {
            one_fault(case, call, Kind::LostAnswerUntilGivenUp).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_of_a_delivery_sends_one_password() {
    let prepare = async || {
        let (app, nobody, admin) = TestApp::start().await;
        admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
        (app, nobody)
    };
    let (app, _) = prepare().await;
    let total = app.connector.calls_of(app.deliver_mail()).await;
    for call in 1..=total {
        for kind in KINDS {
            let (app, nobody) = prepare().await;
            app.connector.inject(Fault { at: When::Call(call), kind });
            run_until_killed(&app.connector, app.deliver_mail()).await;
            app.connector.reset();
            app.deliver_mail().await;
            let passwords: std::collections::BTreeSet<_> =
                app.delivered().into_iter().map(|letter| letter.body).collect();
            assert_eq!(passwords.len(), 1, "{kind:?} at call {call}");
            let session = nobody.login("a@x.io", &app.temporary_password("a@x.io")).await;
            assert_eq!(session.status, 200, "{kind:?} at call {call}: {}", session.text);
            app.world().await.assert_straight();
        }
    }
}
