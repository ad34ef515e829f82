//! The part of the programme that meets at chosen moments: two processes do something that
//! concerns the same thing, and one of them is held at its n-th call until the other is done. Where a
//! bug shows to a single process there is no other.
//!
//! A seed names a probe and a moment, so that every seed is one run that can be repeated.

use std::pin::Pin;

use functions::jobs::backfill;
use harness::app::START;
use harness::faults::{Fault, Kind, When};
use harness::stripe::{checkout, subscription};
use serde_json::json;
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::ids::{CustomerId, UserId};

use crate::PASSWORD;
use crate::plants::Plant;
use crate::process::Process;
use crate::scene::{Scene, Verdict, answered, one_of, require};

pub(crate) const SAME_ID: usize = 0;
pub(crate) const APART: usize = 1;
pub(crate) const STAFF: usize = 2;
pub(crate) const TAKEN_ADDRESS: usize = 3;
pub(crate) const CHANGES: usize = 4;
pub(crate) const LOST_TRACK: usize = 5;
pub(crate) const FORGOTTEN_TOKEN: usize = 6;
pub(crate) const KEYED_CREATE: usize = 7;
pub(crate) const EVENT: usize = 8;
pub(crate) const SESSION: usize = 9;
pub(crate) const TRACKS: usize = 10;
pub(crate) const KEYED_TRACK: usize = 11;
pub(crate) const IN_ORDER: usize = 12;
pub(crate) const OWN_CHANGE: usize = 13;
pub(crate) const GUESSES: usize = 14;
pub(crate) const OWNER: usize = 15;
pub(crate) const DELETION: usize = 16;
pub(crate) const PURGED: usize = 17;
pub(crate) const GIVEN: usize = 18;

/// How many probes there are.
pub(crate) const PROBES: usize = 19;

type Probe = for<'a> fn(&'a Scene) -> Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// In the order of their numbers.
const ALL: [Probe; PROBES] = [
    |s| Box::pin(same_id(s)),
    |s| Box::pin(same_id_apart(s)),
    |s| Box::pin(staff_of_the_same_address(s)),
    |s| Box::pin(two_of_an_address_whose_login_is_taken(s)),
    |s| Box::pin(two_changes(s)),
    |s| Box::pin(a_use_whose_answer_is_lost(s)),
    |s| Box::pin(a_creation_whose_token_is_forgotten(s)),
    |s| Box::pin(a_creation_under_a_key_twice(s)),
    |s| Box::pin(an_event_twice(s)),
    |s| Box::pin(two_events_of_a_session(s)),
    |s| Box::pin(two_uses(s)),
    |s| Box::pin(a_use_under_a_key_twice(s)),
    |s| Box::pin(creations_in_order(s)),
    |s| Box::pin(ones_own_change(s)),
    |s| Box::pin(two_guesses(s)),
    |s| Box::pin(a_guess_while_the_owner_signs_in(s)),
    |s| Box::pin(a_change_in_a_deletion(s)),
    |s| Box::pin(a_use_after_the_purge(s)),
    |s| Box::pin(an_event_of_a_stripe_customer_who_is_given_away(s)),
];

/// Runs the probe and the moment of `seed`, with a bug planted or none.
pub(crate) async fn run(seed: u64, plant: Option<&'static Plant>) -> Verdict {
    let probes = u64::try_from(PROBES).unwrap();
    let scene = Scene::new(1 + seed / probes, plant).await;
    ALL[usize::try_from(seed % probes).unwrap()](&scene).await?;
    let broken = scene.app.world().await.broken();
    if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
}

async fn same_id(scene: &Scene) -> Verdict {
    scene.begin();
    let body = json!({ "id": "acme", "email": "ops@acme.io" });
    let (first, second) = scene.both_create(body.clone(), body).await;
    answered(&[&first, &second])?;
    let (one, other) = (first.str("internal_id"), second.str("internal_id"));
    require(one == other, || format!("one id, two customers: {one}, {other}"))?;
    let invited = scene.app.world().await.messages("invitation").len();
    require(invited == 1, || format!("{invited} invitations"))
}

async fn same_id_apart(scene: &Scene) -> Verdict {
    scene.begin();
    let (first, second) = scene.both_create(json!({ "id": "acme" }), json!({ "id": "acme" })).await;
    answered(&[&first, &second])?;
    let (one, other) = (first.str("internal_id"), second.str("internal_id"));
    require(one == other, || format!("one id, two customers: {one}, {other}"))
}

/// Somebody of the staff, who signs in with the address of a customer.
async fn staff(scene: &Scene) {
    let email = EmailAddress::parse("ops@acme.io").unwrap();
    scene.app.save(&User::new(UserId(START.new_id()), email, Role::Admin, START)).await;
}

async fn staff_of_the_same_address(scene: &Scene) -> Verdict {
    scene.begin();
    let create = scene.create(json!({ "email": "ops@acme.io" }));
    let (answer, ()) = scene.interleave(When::Call(scene.moment), create, staff_if_free(scene)).await;
    answered(&[&answer])
}

/// The staff's login, unless the customer was first.
async fn staff_if_free(scene: &Scene) {
    if scene.app.world().await.at("EMAIL#ops@acme.io").is_none() {
        staff(scene).await;
    }
}

async fn two_of_an_address_whose_login_is_taken(scene: &Scene) -> Verdict {
    staff(scene).await;
    scene.begin();
    let body = json!({ "email": "ops@acme.io" });
    let (first, second) = scene.both_create(body.clone(), body).await;
    answered(&[&first, &second])?;
    let (one, other) = (first.str("internal_id"), second.str("internal_id"));
    require(one == other, || format!("one address, two customers: {one}, {other}"))
}

async fn two_changes(scene: &Scene) -> Verdict {
    scene.create(json!({ "id": "acme" })).await.expect(201);
    scene.begin();
    let name = scene.one.admin.patch("/v1/customers/acme", json!({ "name": "Acme" }));
    let area = scene.two.admin.patch("/v1/customers/acme", json!({ "area": "North" }));
    let (first, second) = scene.interleave(When::Call(scene.moment), name, area).await;
    answered(&[&first, &second])?;
    let found = scene.one.admin.get("/v1/customers/acme").await;
    let both = (found.str("name"), found.str("area")) == ("Acme", "North");
    require(both, || format!("a change was lost: {}", found.text))
}

async fn a_use_whose_answer_is_lost(scene: &Scene) -> Verdict {
    scene.create(json!({ "id": "acme" })).await.expect(201);
    scene.begin();
    let lost = Fault { at: When::Operation("TransactWriteItems", 1), kind: Kind::LostAnswer };
    scene.one.connector.inject(lost);
    let (one, two) = (scene.track(&scene.one, 5, None), scene.track(&scene.two, 1, None));
    let (first, second) = scene.interleave(When::Operation("TransactWriteItems", 2), one, two).await;
    answered(&[&first, &second])?;
    scene.is_used(6).await
}

async fn a_creation_whose_token_is_forgotten(scene: &Scene) -> Verdict {
    scene.begin_forgetful();
    let lost = Fault { at: When::Operation("TransactWriteItems", 1), kind: Kind::LostAnswer };
    scene.one.connector.inject(lost);
    let answer = scene.create(json!({ "id": "acme", "email": "ops@acme.io" })).await;
    answered(&[&answer])?;
    require(answer.status == 201, || "whoever created it is told that it was there".into())
}

async fn a_creation_under_a_key_twice(scene: &Scene) -> Verdict {
    scene.begin();
    let send = async |process: &Process| {
        let body = json!({ "phone": "9876543210" });
        process.admin.post_with("/v1/customers", body, &[("idempotency-key", "k")]).await
    };
    let at = When::Call(scene.moment);
    let (first, second) = scene.interleave(at, send(&scene.one), send(&scene.two)).await;
    answered(&[&first, &second])?;
    let (one, other) = (first.str("internal_id"), second.str("internal_id"));
    require(one == other, || format!("one key, two customers: {one}, {other}"))
}

/// Somebody who may pay.
async fn lead(scene: &Scene) -> String {
    scene.one.nobody.intake("ops@acme.io").await.expect(201).str("client_id").to_owned()
}

async fn an_event_twice(scene: &Scene) -> Verdict {
    let event = checkout("completed", "evt_1", "cs_1", &lead(scene).await);
    scene.begin();
    let (one, two) = (scene.one.nobody.stripe(&event), scene.two.nobody.stripe(&event));
    let (first, second) = scene.interleave(When::Call(scene.moment), one, two).await;
    answered(&[&first, &second])?;
    let new = [&first, &second].into_iter().filter(|answer| answer.json["duplicate"].is_null()).count();
    require(new == 1, || format!("one event was new {new} times"))?;
    let recorded = scene.app.world().await.at("STRIPE_EVENT#evt_1").is_some();
    require(recorded, || "an acknowledged event is not recorded".into())
}

async fn two_events_of_a_session(scene: &Scene) -> Verdict {
    let lead = lead(scene).await;
    let paid = checkout("completed", "evt_1", "cs_1", &lead);
    let later = checkout("async_payment_succeeded", "evt_2", "cs_1", &lead);
    scene.begin();
    let (one, two) = (scene.one.nobody.stripe(&paid), scene.two.nobody.stripe(&later));
    let (first, second) = scene.interleave(When::Call(scene.moment), one, two).await;
    answered(&[&first, &second])?;
    let counted = [&first, &second].into_iter().filter(|answer| answer.json["duplicate"].is_null()).count();
    require(counted == 1, || format!("one payment was counted {counted} times"))
}

async fn two_uses(scene: &Scene) -> Verdict {
    scene.create(json!({ "id": "acme" })).await.expect(201);
    scene.track(&scene.one, 1, None).await.expect(200);
    scene.begin();
    let (one, two) = (scene.track(&scene.one, 5, None), scene.track(&scene.two, 3, None));
    let (first, second) = scene.interleave(When::Call(scene.moment), one, two).await;
    answered(&[&first, &second])?;
    scene.is_used(9).await
}

async fn a_use_under_a_key_twice(scene: &Scene) -> Verdict {
    scene.create(json!({ "id": "acme" })).await.expect(201);
    scene.begin();
    let (one, two) = (scene.track(&scene.one, 5, Some("k")), scene.track(&scene.two, 5, Some("k")));
    let (first, second) = scene.interleave(When::Call(scene.moment), one, two).await;
    answered(&[&first, &second])?;
    scene.is_used(5).await
}

async fn creations_in_order(scene: &Scene) -> Verdict {
    scene.begin();
    let first = scene.create(json!({ "id": "first" })).await;
    let second = scene.create(json!({ "id": "second" })).await;
    answered(&[&first, &second])?;
    let (one, next) = (first.str("customer_reference"), second.str("customer_reference"));
    require(one < next, || format!("{next} was issued after {one}"))
}

/// Whoever has changed something sees it, though every read that may lag does.
async fn ones_own_change(scene: &Scene) -> Verdict {
    scene.create(json!({ "id": "acme", "name": "Acme" })).await.expect(201);
    scene.begin();
    scene.one.connector.inject(Fault { at: When::Every(Box::new(|_| true)), kind: Kind::Stale });
    answered(&[&scene.one.admin.get("/v1/customers/acme").await])?;
    answered(&[&scene.one.admin.patch("/v1/customers/acme", json!({ "name": "Acme Ltd" })).await])?;
    let found = scene.one.admin.get("/v1/customers/acme").await;
    answered(&[&found])?;
    require(found.str("name") == "Acme Ltd", || format!("an own change is not seen: {}", found.text))
}

/// Each guess is charged, or a crowd of them could see one untouched account.
async fn two_guesses(scene: &Scene) -> Verdict {
    scene.begin();
    let guess = async |process: &Process| process.nobody.login("ops@acme.io", "a wrong password").await;
    let at = When::Call(scene.moment);
    let (first, second) = scene.interleave(at, guess(&scene.one), guess(&scene.two)).await;
    one_of(&[&first, &second], &[401])?;
    scene.are_charged(2).await
}

/// Whoever knows the password wipes out their own attempts and nobody else's.
async fn a_guess_while_the_owner_signs_in(scene: &Scene) -> Verdict {
    let body = json!({ "name": "Ana", "email": "ana@x.io", "password": PASSWORD });
    scene.one.nobody.post("/auth/register", body).await.expect(201);
    scene.begin();
    let owner = scene.one.nobody.login("ana@x.io", PASSWORD);
    let guess = scene.two.nobody.login_from([203, 0, 113, 9], "ana@x.io", "a wrong password");
    let (signed_in, refused) = scene.interleave(When::Call(scene.moment), owner, guess).await;
    one_of(&[&signed_in], &[200])?;
    one_of(&[&refused], &[401])?;
    scene.are_charged(1).await
}

/// The customer is renamed while it is deleted: its new id goes with it, or it stays.
async fn a_change_in_a_deletion(scene: &Scene) -> Verdict {
    scene.create(json!({ "id": "acme" })).await.expect(201);
    scene.begin();
    let deletion = scene.one.admin.delete("/v1/customers/acme");
    let change = scene.two.admin.patch("/v1/customers/acme", json!({ "id": "acme-2" }));
    let (deleted, changed) = scene.interleave(When::Call(scene.moment), deletion, change).await;
    one_of(&[&deleted, &changed], &[200, 404])
}

/// Nothing is counted for a customer who is gone, and of whom the rest is gone as well.
async fn a_use_after_the_purge(scene: &Scene) -> Verdict {
    let created = scene.create(json!({ "id": "acme" })).await.expect(201);
    let id: CustomerId = created.str("internal_id").parse().unwrap();
    scene.begin();
    let deletion = async {
        let deleted = scene.two.admin.delete("/v1/customers/acme").await;
        scene.app.raw_store().purge(id).await.unwrap();
        deleted
    };
    let (counted, deleted) =
        scene.interleave(When::Call(scene.moment), scene.track(&scene.one, 5, None), deletion).await;
    one_of(&[&counted, &deleted], &[200, 404])?;
    let place = format!("CUSTOMER#{id}");
    let left: Vec<_> = scene.app.world().await.items.into_keys().filter(|(pk, _)| *pk == place).collect();
    require(left.is_empty(), || format!("of a customer who is gone for good there is {left:?}"))
}

/// What Stripe says of somebody is applied, whether they get their Stripe customer before, meanwhile or
/// after, and whether or not the schedule has been there.
async fn an_event_of_a_stripe_customer_who_is_given_away(scene: &Scene) -> Verdict {
    scene.create(json!({ "id": "acme" })).await.expect(201);
    scene.begin();
    let event = subscription("created", "evt_1", 0, "active");
    let give = async {
        let given = scene.two.admin.patch("/v1/customers/acme", json!({ "stripe_id": "cus_1" })).await;
        backfill::run(&scene.two.app, None).await.unwrap();
        given
    };
    let told = scene.one.nobody.stripe(&event);
    let (told, given) = scene.interleave(When::Call(scene.moment), told, give).await;
    answered(&[&told, &given])?;
    let waiting = scene.app.world().await.of("parked_event").len();
    require(waiting == 0, || "an event waits for somebody who is there".into())
}
