//! Requests under test, each over a table that was prepared for it, with what must be there
//! afterwards however often and however badly they were asked.

use std::pin::Pin;

use harness::faults::Kind;
use harness::stripe::{checkout, invoice, subscription};
use harness::{Actor, Answer, TestApp, World};
use serde_json::{Value, json};

use crate::{NEW_PASSWORD, PASSWORD};

/// What can happen to a call.
pub(crate) const KINDS: [Kind; 11] = [
    Kind::Kill { after: false },
    Kind::Kill { after: true },
    Kind::Before,
    Kind::LostAnswer,
    Kind::InternalError,
    Kind::InternalErrorAfter,
    Kind::Throttle,
    Kind::TransactionConflict,
    Kind::TransactionInProgress,
    Kind::Twice,
    Kind::Stale,
];

/// A request, over a table that was prepared for it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    prepare: AsyncCall,
    pub(crate) call: AsyncCall,
    pub(crate) check: fn(&World),
}

type AsyncCall = for<'a> fn(&'a Actors) -> Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// Who asks, and whom.
pub(crate) struct Actors {
    pub(crate) app: TestApp,
    nobody: Actor,
    admin: Actor,
}

impl Case {
    /// A table of its own, as the request finds it.
    pub(crate) async fn prepared(&self) -> Actors {
        let (app, nobody, admin) = TestApp::start().await;
        let actors = Actors { app, nobody, admin };
        (self.prepare)(&actors).await;
        actors
    }

    /// How many calls it makes where nothing fails.
    pub(crate) async fn calls(&self) -> u64 {
        let actors = self.prepared().await;
        actors.app.connector.calls_of((self.call)(&actors)).await
    }
}

fn customers(world: &World, customers: usize, users: usize, invitations: usize) {
    let found = (world.of("customer").len(), world.of("user").len(), world.messages("invitation").len());
    // The administrator is a user, too.
    assert_eq!(found, (customers, users + 1, invitations));
}

/// What everybody has used together.
pub(crate) fn used(world: &World) -> u64 {
    let balances = world.of("balance").into_iter();
    let buckets = balances.flat_map(|balance| balance["buckets"].as_array().cloned().unwrap_or_default());
    buckets.filter_map(|bucket| bucket["used"].as_u64()).sum()
}

pub(crate) const CASES: &[Case] = &[
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
    Case {
        name: "track",
        prepare: |a| Box::pin(metered(a)),
        call: |a| Box::pin(track(a)),
        check: |world| assert_eq!(used(world), 5),
    },
    Case {
        name: "track, somebody new",
        prepare: |a| Box::pin(plan(a)),
        call: |a| Box::pin(track(a)),
        check: |world| assert_eq!((used(world), world.of("customer").len()), (5, 1)),
    },
    Case {
        name: "reset",
        prepare: |a| Box::pin(forgotten(a)),
        call: |a| Box::pin(reset(a)),
        check: |world| assert!(world.of("reset_ticket").is_empty()),
    },
    Case {
        name: "forgot",
        prepare: |a| Box::pin(registered(a)),
        call: |a| Box::pin(a.nobody.post("/auth/forgot-password", json!({ "email": "a@x.io" }))),
        check: |world| assert_eq!(world.messages("password_reset").len(), 1),
    },
    Case {
        name: "login",
        prepare: |a| Box::pin(registered(a)),
        call: |a| Box::pin(a.nobody.login("a@x.io", PASSWORD)),
        check: |world| customers(world, 1, 1, 0),
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

/// A product for everybody.
async fn plan(actors: &Actors) -> Answer {
    let items = json!([{ "feature_id": "seats", "included_usage": 100 }]);
    actors.admin.put("/v1/products/pro", json!({ "name": "Pro", "is_default": true, "items": items })).await
}

async fn metered(actors: &Actors) -> Answer {
    plan(actors).await;
    actors.admin.post("/v1/customers", json!({ "id": "acme" })).await
}

async fn track(actors: &Actors) -> Answer {
    let body = json!({ "customer_id": "acme", "feature_id": "seats", "value": 5, "idempotency_key": "k" });
    actors.admin.post("/v1/track", body).await
}

async fn registered(actors: &Actors) -> Answer {
    let body = json!({ "name": "Ana", "email": "a@x.io", "password": PASSWORD });
    actors.nobody.post("/auth/register", body).await
}

async fn forgotten(actors: &Actors) -> Answer {
    registered(actors).await;
    let answer = actors.nobody.post("/auth/forgot-password", json!({ "email": "a@x.io" })).await;
    actors.app.deliver_mail().await;
    answer
}

async fn reset(actors: &Actors) -> Answer {
    let token = actors.app.reset_tokens("a@x.io").remove(0);
    let body = json!({ "token": token, "new_password": NEW_PASSWORD });
    let answer = actors.nobody.post("/auth/reset-password", body).await;
    // The link may have been used by the call whose answer was lost: its owner tries to sign in.
    if answer.status == 400 { actors.nobody.login("a@x.io", NEW_PASSWORD).await } else { answer }
}
