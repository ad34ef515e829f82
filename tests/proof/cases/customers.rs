//! What an administrator or their system does to customers and what they use, Stripe's part included.

use harness::app::START;
use harness::{Answer, World};
use serde_json::{Value, json};
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::ids::UserId;

use super::jobs::{came_to, scheduled};
use super::{Actors, Case, customers, gone, metered, nothing, plan, track, used, whole};

/// Longer than an intent's lease and its first wait.
const LATER_SECONDS: i64 = 120;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "create, new",
        prepare: |a| Box::pin(nothing(a)),
        call: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        check: |world| customers(world, 1, 1, 1),
    },
    Case {
        name: "create by phone with an idempotency key",
        prepare: |a| Box::pin(nothing(a)),
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
        name: "create, for a login",
        prepare: |a| Box::pin(signs_in(a, Role::Customer, "a@x.io")),
        call: |a| Box::pin(create_for_login(a)),
        check: |world| customers(world, 1, 1, 0),
    },
    Case {
        name: "create, asked for at Stripe",
        prepare: |a| Box::pin(nothing(a)),
        call: |a| {
            let mut body = whole();
            body["create_in_stripe"] = json!(true);
            Box::pin(create_at_stripe(a, body, 0))
        },
        check: |world| {
            customers(world, 1, 1, 1);
            assert_eq!(world.of("customer")[0]["stripe_id"], "cus_1");
        },
    },
    Case {
        name: "create, paid default at Stripe",
        prepare: |a| Box::pin(paid_default(a)),
        call: |a| Box::pin(create_at_stripe(a, whole(), 1)),
        check: |world| {
            customers(world, 1, 1, 1);
            let customer = world.of("customer")[0];
            let made = (&customer["stripe_id"], &customer["products"][0]["subscription_id"]);
            assert_eq!(made, (&json!("cus_1"), &json!("sub_1")));
        },
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
        name: "update, linked",
        prepare: |a| Box::pin(parted(a)),
        call: |a| Box::pin(link(a)),
        check: |world| customers(world, 1, 1, 1),
    },
    Case {
        name: "update, parted",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        call: |a| Box::pin(part(a)),
        // Each gets a counterpart of its own.
        check: |world| customers(world, 2, 2, 1),
    },
    Case {
        name: "delete",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        call: |a| Box::pin(async move { gone(a.admin.delete("/v1/customers/acme").await) }),
        check: deleted,
    },
    Case {
        name: "delete, with a subscription at Stripe",
        prepare: |a| {
            Box::pin(async move {
                paid_default(a).await;
                create_at_stripe(a, whole(), 1).await.expect(201)
            })
        },
        call: |a| Box::pin(cancel_and_delete(a)),
        check: deleted,
    },
    Case {
        name: "delivery assignment",
        prepare: |a| {
            Box::pin(async move {
                signs_in(a, Role::DeliveryBoy, "ravi@x.io").await;
                a.admin.post("/v1/customers", whole()).await
            })
        },
        call: |a| {
            let body = json!({ "customer": "acme", "delivery_boy": "ravi@x.io" });
            Box::pin(a.admin.post("/admin/delivery-assignments", body))
        },
        check: |world| {
            customers(world, 1, 2, 1);
            assert!(world.of("customer")[0]["delivery_boy_id"].is_string(), "nobody delivers");
        },
    },
    Case {
        name: "product",
        prepare: |a| Box::pin(nothing(a)),
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
        name: "check, somebody new",
        prepare: |a| Box::pin(plan(a)),
        call: |a| Box::pin(a.admin.post("/v1/check", json!({ "customer_id": "acme", "feature_id": "seats" }))),
        check: |world| customers(world, 1, 1, 0),
    },
];

fn deleted(world: &World) {
    customers(world, 0, 0, 1);
    assert_eq!(world.of("purge").len(), 1);
}

/// Somebody whom no customer has.
async fn signs_in(actors: &Actors, role: Role, email: &str) -> Answer {
    let user = User::new(UserId(START.new_id()), EmailAddress::parse(email).unwrap(), role, START);
    actors.app.save(&user).await;
    nothing(actors).await
}

/// Who signs in with `email`.
async fn login_of(actors: &Actors, email: &str) -> UserId {
    let email = EmailAddress::parse(email).unwrap();
    actors.app.raw_store().user_by_login(&email).await.unwrap().unwrap().user_id
}

async fn create_for_login(actors: &Actors) -> Answer {
    let login = login_of(actors, "a@x.io").await;
    actors.admin.post("/v1/customers", json!({ "id": "acme", "user_id": login })).await
}

/// A customer and a login that somebody took apart, and that would find each other again.
async fn parted(actors: &Actors) -> Answer {
    actors.admin.post("/v1/customers", whole()).await;
    actors.admin.patch("/v1/customers/acme", json!({ "user_id": null })).await
}

/// Takes the two apart for good, and a run of the schedule. Once they are apart the customer has another
/// login, of which a further request would part it again.
async fn part(actors: &Actors) -> Answer {
    let is_apart = |customer: &&Value| customer["email"] == "other@acme.io";
    if !actors.app.world().await.of("customer").iter().any(is_apart) {
        let apart = json!({ "user_id": null, "email": "other@acme.io", "phone": null });
        let answer = actors.admin.patch("/v1/customers/acme", apart).await;
        if answer.status >= 300 {
            return answer;
        }
    }
    scheduled(actors).await
}

/// Links the two again.
async fn link(actors: &Actors) -> Answer {
    let login = login_of(actors, "ops@acme.io").await;
    actors.admin.patch("/v1/customers/acme", json!({ "user_id": login })).await
}

/// A product for everybody that Stripe bills.
async fn paid_default(actors: &Actors) -> Answer {
    let price = json!({ "amount": 5, "currency": "inr", "interval": "month", "stripe_price_id": "price_pro" });
    let body = json!({ "name": "Pro", "is_default": true, "force_paid_default": true, "items": [], "price": price });
    actors.admin.put("/v1/products/pro", body).await
}

/// A customer who is to be at Stripe, and a later run of the schedule: once nothing is left to do there
/// is one of them, with `subscriptions`.
async fn create_at_stripe(actors: &Actors, body: Value, subscriptions: usize) -> Answer {
    let answer = actors.admin.post("/v1/customers", body).await;
    if answer.status >= 300 {
        return answer;
    }
    actors.app.clock.advance_seconds(LATER_SECONDS);
    // What Stripe said of a customer whom the first run gives its Stripe customer is for the second.
    scheduled(actors).await;
    let ran = scheduled(actors).await;
    let world = actors.app.world().await;
    let waiting = intents(&world, "pending");
    if ran.status >= 300 || waiting > 0 {
        return came_to(false, format!("{waiting} intents wait; {}", ran.text));
    }
    if intents(&world, "refused") > 0 {
        return came_to(false, "Stripe has refused, and whoever still wants it asks again".into());
    }
    let stripe = actors.stripe.as_ref().unwrap();
    let made = (stripe.customers().len(), stripe.subscriptions().len(), stripe.canceled().len());
    assert_eq!(made, (1, subscriptions, 0), "customers, subscriptions and canceled ones at Stripe");
    answer
}

/// Deletes the customer, whose subscription is canceled before.
async fn cancel_and_delete(actors: &Actors) -> Answer {
    let answer = gone(actors.admin.delete("/v1/customers/acme?cancel_subscriptions=true").await);
    if answer.status < 300 {
        assert_eq!(actors.stripe.as_ref().unwrap().canceled(), ["sub_1"], "canceled at Stripe");
    }
    answer
}

fn intents(world: &World, state: &str) -> usize {
    world.of("stripe_intent").into_iter().filter(|intent| intent["state"] == state).count()
}
