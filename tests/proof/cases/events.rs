//! Who comes by the public form, and what Stripe says of them.

use harness::stripe::{checkout, invoice, subscription};
use harness::world::text;
use harness::{Answer, World};
use serde_json::{Value, json};

use super::jobs::{and_scheduled, came_to};
use super::{Actors, Case, customers, nothing, refused};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "intake, new lead",
        prepare: |a| Box::pin(nothing(a)),
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
        check: |world| {
            customers(world, 1, 0, 0);
            let lead = world.of("customer")[0];
            assert_eq!((text(lead, "name"), text(lead, "phone")), ("B", "+919876543210"));
        },
    },
    Case {
        name: "intake with an idempotency key",
        prepare: |a| Box::pin(nothing(a)),
        call: |a| {
            let body = json!({ "name": "Ana", "email": "a@x.io" });
            Box::pin(a.nobody.post_with("/api/intake/submit", body, &[("idempotency-key", "k")]))
        },
        check: |world| customers(world, 1, 0, 0),
    },
    Case {
        name: "intake, new lead at Stripe",
        prepare: |a| Box::pin(nothing(a)),
        call: |a| Box::pin(intake_at_stripe(a)),
        check: |world| {
            customers(world, 1, 0, 0);
            assert!(text(world.of("customer")[0], "checkout_session_id").starts_with("cs_test_"), "nowhere to pay");
        },
    },
    Case {
        name: "intake, address of a customer",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", json!({ "email": "a@x.io" }))),
        call: |a| Box::pin(async move { refused(a.nobody.intake("a@x.io").await, 409) }),
        check: |world| {
            customers(world, 1, 1, 1);
            assert_eq!(world.messages("already_customer").len(), 1);
        },
    },
    Case {
        name: "webhook, paid",
        prepare: |a| Box::pin(a.nobody.intake("a@x.io")),
        call: |a| Box::pin(pay(a, "cus_2")),
        check: |world| customers(world, 1, 1, 1),
    },
    Case {
        name: "webhook, paid by somebody for whom events wait",
        prepare: |a| {
            Box::pin(async move {
                parked(a).await;
                a.nobody.intake("a@x.io").await
            })
        },
        call: |a| Box::pin(async move { and_scheduled(a, pay(a, "cus_1").await).await }),
        check: |world| {
            customers(world, 1, 1, 1);
            applied(world);
        },
    },
    Case {
        name: "webhook, failed",
        prepare: |a| Box::pin(a.nobody.intake("a@x.io")),
        call: |a| Box::pin(expire(a)),
        check: |world| {
            customers(world, 1, 0, 0);
            assert_eq!(world.of("customer")[0]["status"], "payment_failed");
        },
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
        prepare: |a| Box::pin(nothing(a)),
        call: |a| Box::pin(async move { a.nobody.stripe(&subscription("created", "evt_2", 0, "active")).await }),
        check: |world| assert_eq!((world.of("parked_event").len(), world.of("stripe_event").len()), (1, 1)),
    },
    Case {
        name: "create, with a Stripe customer for whom events wait",
        prepare: |a| Box::pin(parked(a)),
        call: |a| {
            Box::pin(async move {
                let body = json!({ "id": "a", "phone": "9876543210", "stripe_id": "cus_1" });
                and_scheduled(a, a.admin.post("/v1/customers", body).await).await
            })
        },
        check: |world| {
            customers(world, 1, 1, 1);
            applied(world);
        },
    },
    Case {
        name: "update, with a Stripe customer for whom events wait",
        prepare: |a| Box::pin(awaited(a)),
        call: |a| Box::pin(async move { and_scheduled(a, give(a).await).await }),
        check: |world| {
            customers(world, 1, 1, 1);
            applied(world);
        },
    },
];

/// A lead, who comes again if there is nowhere to pay yet: that Stripe failed is no failure of the form.
async fn intake_at_stripe(actors: &Actors) -> Answer {
    let answer = actors.nobody.intake("a@x.io").await;
    if answer.status >= 300 {
        return answer;
    }
    if answer.str("checkout_url").is_empty() {
        return came_to(false, answer.text);
    }
    let sessions = actors.stripe.as_ref().unwrap().sessions().len();
    // One too many where Stripe failed after it had made one, which does no harm.
    assert!((1..=2).contains(&sessions), "{sessions} sessions at Stripe");
    answer
}

/// What waited was applied, and waits no more.
pub(super) fn applied(world: &World) {
    assert_eq!((world.of("parked_event").len(), world.of("replay").len()), (0, 0));
    assert_eq!(world.of("customer")[0]["products"][0]["status"], "active");
}

/// An event of `cus_1`, whom nobody has.
async fn parked(actors: &Actors) -> Answer {
    actors.admin.put("/v1/products/pro", json!({ "name": "Pro", "items": [] })).await;
    actors.nobody.stripe(&subscription("created", "evt_2", 0, "active")).await
}

/// The same, and the customer `a`, whose it is.
pub(super) async fn awaited(actors: &Actors) -> Answer {
    parked(actors).await;
    actors.admin.post("/v1/customers", json!({ "id": "a", "phone": "9876543210" })).await
}

/// Gives `cus_1` to the customer `a`.
pub(super) async fn give(actors: &Actors) -> Answer {
    actors.admin.patch("/v1/customers/a", json!({ "stripe_id": "cus_1" })).await
}

/// Somebody who is `cus_1` at Stripe.
async fn subscriber(actors: &Actors) -> Answer {
    actors.admin.put("/v1/products/pro", json!({ "name": "Pro", "items": [] })).await;
    actors.admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io", "stripe_id": "cus_1" })).await
}

/// The lead, whom its reference names, pays as the Stripe customer `payer`.
async fn pay(actors: &Actors, payer: &str) -> Answer {
    let mut event = checkout("completed", "evt_1", "cs_1", "");
    let object = &mut event["data"]["object"];
    object["metadata"] = json!({ "customer_reference": "PLE-CVP-2026-000001" });
    (object["client_reference_id"], object["customer"]) = (Value::Null, json!(payer));
    actors.nobody.stripe(&event).await
}

/// The latest session of the lead expires; that of another would change nothing.
async fn expire(actors: &Actors) -> Answer {
    let world = actors.app.world().await;
    let lead = world.of("customer")[0];
    let event = checkout("expired", "evt_1", text(lead, "checkout_session_id"), text(lead, "internal_id"));
    actors.nobody.stripe(&event).await
}
