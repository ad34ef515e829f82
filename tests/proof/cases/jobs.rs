//! What runs by itself: the schedule, for everything that may be due, and the delivery of messages.
//!
//! A run that has left something behind answers 503, so that whoever called for it does so again, as
//! the schedule and the stream do.

use axum::http::HeaderMap;
use functions::jobs::backfill::run;
use harness::app::START;
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::policy::under;
use harness::world::text;
use harness::{Answer, World};
use serde_json::{Value, json};
use shared::contact::{Country, EmailAddress, Phone};
use shared::domain::customer::{Customer, Origin, Status};
use shared::domain::matching::Review;
use shared::domain::user::{Role, User};
use shared::ids::{CustomerId, UserId};
use shared::store::census::Snapshot;
use shared::store::members::MemberLists;

use super::events::{applied, awaited, give};
use super::logins::{asked, forget};
use super::{Actors, Case, customers, metered, nothing, registered, track, whole};

/// After this a message that was not delivered is late, in seconds.
const LATE_SECONDS: i64 = 301;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "backfill, customer without login",
        prepare: |a| Box::pin(imported(a, [due_customer()], [])),
        call: |a| Box::pin(scheduled(a)),
        check: |world| customers(world, 1, 1, 0),
    },
    Case {
        name: "backfill, login without customer",
        prepare: |a| Box::pin(imported(a, [], [due_login()])),
        call: |a| Box::pin(scheduled(a)),
        check: |world| customers(world, 1, 1, 0),
    },
    Case {
        name: "backfill, second look",
        prepare: |a| Box::pin(family(a)),
        call: |a| Box::pin(scheduled(a)),
        check: |world| {
            customers(world, 1, 1, 0);
            assert!(world.of("recheck").is_empty() && world.of("purge").is_empty(), "something is left");
            assert!(world.items.values().all(|item| item["review"].is_null()), "somebody waits");
        },
    },
    Case {
        name: "backfill, purge",
        prepare: |a| Box::pin(deleted(a)),
        call: |a| Box::pin(scheduled(a)),
        check: |world| {
            customers(world, 0, 0, 0);
            let left = world.items.keys().filter(|(pk, _)| pk.starts_with("CUSTOMER#") || pk.starts_with("PURGE#"));
            assert_eq!(left.count(), 0);
        },
    },
    Case {
        name: "backfill, redrive",
        prepare: |a| Box::pin(overdue(a)),
        call: |a| Box::pin(scheduled(a)),
        check: |world| {
            customers(world, 1, 1, 1);
            assert_eq!(world.messages("invitation")[0]["redrives"], 1);
        },
    },
    Case {
        name: "backfill, replay",
        prepare: |a| Box::pin(unreplayed(a)),
        call: |a| Box::pin(scheduled(a)),
        check: |world| {
            customers(world, 1, 1, 1);
            applied(world);
        },
    },
    Case {
        name: "backfill, report",
        prepare: |a| Box::pin(report_due(a)),
        call: |a| Box::pin(scheduled(a)),
        check: |world| assert!(world.of("report")[0]["counted"].is_object(), "nothing was counted"),
    },
    Case {
        name: "notify, invitation",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", json!({ "email": "a@x.io" }))),
        call: |a| Box::pin(delivered(a)),
        check: |world| sent(world, "invitation"),
    },
    Case {
        name: "notify, reset link",
        prepare: |a| Box::pin(asked(a)),
        call: |a| Box::pin(delivered(a)),
        check: |world| {
            sent(world, "password_reset");
            assert_eq!(world.of("reset_ticket").len(), 1);
        },
    },
    Case {
        name: "notify, reset link of nobody",
        prepare: |a| Box::pin(forget(a, "nobody@x.io")),
        call: |a| Box::pin(delivered(a)),
        check: |world| {
            is(world, "password_reset", "void");
            assert!(world.of("reset_ticket").is_empty(), "nobody has a ticket");
        },
    },
    Case {
        name: "notify, notice",
        prepare: |a| Box::pin(noticed(a)),
        call: |a| Box::pin(delivered(a)),
        check: |world| sent(world, "already_customer"),
    },
    Case {
        name: "notify, checkout link",
        prepare: |a| Box::pin(lead_registers(a)),
        call: |a| Box::pin(delivered(a)),
        check: |world| sent(world, "checkout_link"),
    },
];

/// One run of the schedule; if anything is still due the next one has to come.
pub(super) async fn scheduled(actors: &Actors) -> Answer {
    let ran = under("backfill", run(&actors.app.app, None)).await;
    let left = actors.app.raw_store().count_due_work(actors.app.clock.now()).await.unwrap();
    let done = left == 0 && ran.as_ref().is_ok_and(|summary| summary.tally.errors == 0);
    came_to(done, format!("{ran:?}, {left} left of {:?}", actors.app.world().await.undone()))
}

/// What was asked, and once it is done a run of the schedule for whatever could not be done at once.
pub(super) async fn and_scheduled(actors: &Actors, answer: Answer) -> Answer {
    if answer.status < 300 { scheduled(actors).await } else { answer }
}

/// What came of something that has no caller.
pub(super) fn came_to(done: bool, text: String) -> Answer {
    Answer { status: if done { 200 } else { 503 }, headers: HeaderMap::new(), text, json: Value::Null }
}

/// The stream brings every message; one that still waits comes again.
async fn delivered(actors: &Actors) -> Answer {
    actors.app.deliver_mail().await;
    let world = actors.app.world().await;
    let waiting = world.of("outbox").into_iter().filter(|message| message["state"] == "pending").count();
    came_to(waiting == 0, format!("{waiting} wait"))
}

/// Of this kind there is one message, and it is sent.
fn sent(world: &World, kind: &str) {
    is(world, kind, "sent");
}

/// Of this kind there is one message, in this state.
fn is(world: &World, kind: &str, state: &str) {
    let states: Vec<&str> = world.messages(kind).into_iter().map(|message| text(message, "state")).collect();
    assert_eq!(states, [state], "{kind}");
}

fn due_customer() -> Customer {
    let mut customer = Customer::new(CustomerId(START.new_id()), Status::Active, Origin::Import, START);
    customer.review = Some(Review::Due);
    customer
}

fn due_login() -> User {
    let email = EmailAddress::parse("a@x.io").unwrap();
    let mut login = User::new(UserId(START.new_id()), email, Role::Customer, START);
    login.review = Some(Review::Due);
    login
}

/// Rows of a legacy system.
async fn imported(
    actors: &Actors,
    customers: impl IntoIterator<Item = Customer>,
    logins: impl IntoIterator<Item = User>,
) -> Answer {
    let store = actors.app.raw_store();
    let mut transaction = store.transaction();
    for customer in customers {
        transaction.save_customer(None, &customer, &MemberLists::default());
    }
    for login in logins {
        transaction.save_user(None, &login);
    }
    transaction.commit(&store).await.unwrap();
    nothing(actors).await
}

/// Two customers and a login of one phone waited, as nobody knew whose it is; then one was deleted.
async fn family(actors: &Actors) -> Answer {
    let phone = Phone::parse("9876543210", Country::INDIA).unwrap();
    let customer = || {
        let mut customer = due_customer();
        customer.contact.phone = Some(phone.clone());
        customer
    };
    let (one, other) = (customer(), customer());
    let (id, login) = (one.internal_id, User { phone: Some(phone.clone()), ..due_login() });
    imported(actors, [one, other], [login]).await;
    scheduled(actors).await;
    let waiting = actors.app.world().await.items.values().filter(|item| item["review"] == "ambiguous").count();
    assert_eq!(waiting, 3, "all of them wait");
    actors.admin.delete(&format!("/v1/customers/{id}")).await.expect(200)
}

/// Somebody was deleted who had used something.
async fn deleted(actors: &Actors) -> Answer {
    metered(actors).await;
    track(actors).await;
    actors.admin.delete("/v1/customers/acme").await.expect(200)
}

/// Somebody was invited, and the invitation is late.
async fn overdue(actors: &Actors) -> Answer {
    let answer = actors.admin.post("/v1/customers", whole()).await;
    actors.app.clock.advance_seconds(LATE_SECONDS);
    answer
}

/// Whoever gave somebody the Stripe customer for whom an event waits died before applying it.
async fn unreplayed(actors: &Actors) -> Answer {
    awaited(actors).await;
    let app = &actors.app;
    app.connector.inject(Fault { at: When::Operation("TransactWriteItems", 1), kind: Kind::Kill { after: true } });
    assert!(run_until_killed(&app.connector, give(actors)).await.is_none(), "it dies right after its write");
    app.connector.reset();
    let world = app.world().await;
    assert_eq!((world.of("parked_event").len(), world.of("replay").len()), (1, 1));
    nothing(actors).await
}

/// Somebody asked for figures of a table that is too large to be counted while they wait.
async fn report_due(actors: &Actors) -> Answer {
    let asked = Snapshot { due_at: Some(START), ..Snapshot::default() };
    assert!(actors.app.raw_store().save_snapshot(&asked).await.unwrap());
    nothing(actors).await
}

/// A customer's address was entered into the public form.
async fn noticed(actors: &Actors) -> Answer {
    actors.admin.post("/v1/customers", json!({ "email": "a@x.io" })).await;
    actors.app.deliver_mail().await;
    actors.nobody.intake("a@x.io").await
}

/// A lead tried to register.
async fn lead_registers(actors: &Actors) -> Answer {
    actors.nobody.intake("a@x.io").await;
    registered(actors).await
}
