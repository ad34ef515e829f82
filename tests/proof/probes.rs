//! The part of the programme that meets at chosen moments: two processes do something that
//! concerns the same thing, and one of them is held at its n-th call until the other is done.
//!
//! A seed names a probe and a moment, so that every seed is one run that can be repeated.

use std::pin::{Pin, pin};

use harness::app::START;
use harness::faults::{Fault, Kind, When};
use harness::stripe::checkout;
use harness::{Answer, TestApp};
use serde_json::{Value, json};
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::ids::{CustomerId, UserId};

use crate::PASSWORD;
use crate::cases::used;
use crate::plants::{Plant, forget_tokens};
use crate::process::{Process, api_key};

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

/// How many probes there are.
pub(crate) const PROBES: usize = 18;

/// What is wrong, or nothing.
type Verdict = Result<(), String>;

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
];

/// Runs the probe and the moment of `seed`, with a bug planted or none.
pub(crate) async fn run(seed: u64, plant: Option<&'static Plant>) -> Verdict {
    let probes = u64::try_from(PROBES).unwrap();
    let scene = Scene::new(1 + seed / probes, plant).await;
    ALL[usize::try_from(seed % probes).unwrap()](&scene).await?;
    let broken = scene.app.world().await.broken();
    if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
}

/// Two processes over one table.
struct Scene {
    app: TestApp,
    one: Process,
    two: Process,
    /// The call of the first process at which the second acts.
    moment: u64,
    plant: Option<&'static Plant>,
}

impl Scene {
    async fn new(moment: u64, plant: Option<&'static Plant>) -> Self {
        let (app, _, _) = TestApp::start().await;
        let key = api_key(&app).await;
        let (one, two) = (Process::first(&app, &key), Process::another(&app, &key));
        let items = json!([{ "feature_id": "seats", "included_usage": 1_000 }]);
        let product = json!({ "name": "Pro", "is_default": true, "items": items });
        one.admin.put("/v1/products/pro", product).await.expect(201);
        Self { app, one, two, moment, plant }
    }

    /// Plants the bug, once everything is prepared.
    fn begin(&self) {
        for process in [&self.one, &self.two] {
            if let Some(plant) = self.plant {
                process.connector.rewrite(plant.rewrite());
            }
        }
    }

    /// The same in a table that forgets tokens at once, as it does after ten minutes.
    fn begin_forgetful(&self) {
        let forget = forget_tokens();
        let planted = self.plant.map(Plant::rewrite);
        self.one.connector.rewrite(Box::new(move |operation, body| {
            forget(operation, body);
            if let Some(planted) = &planted {
                planted(operation, body);
            }
        }));
    }

    /// Runs both; the second while the first is held at `at`, or after it.
    async fn interleave<A, B>(&self, at: When, one: impl Future<Output = A>, two: impl Future<Output = B>) -> (A, B) {
        let pause = self.one.connector.pause(&at);
        let mut one = pin!(one);
        let early = tokio::select! {
            biased;
            answer = &mut one => Some(answer),
            () = pause.reached() => None,
        };
        let second = two.await;
        pause.resume();
        let first = match early {
            Some(answer) => answer,
            None => one.await,
        };
        (first, second)
    }

    /// Both create, at the moment of the seed.
    async fn both_create(&self, first: Value, second: Value) -> (Answer, Answer) {
        let (one, two) = (&self.one.admin, &self.two.admin);
        let at = When::Call(self.moment);
        self.interleave(at, one.post("/v1/customers", first), two.post("/v1/customers", second)).await
    }

    async fn create(&self, body: Value) -> Answer {
        self.one.admin.post("/v1/customers", body).await
    }

    async fn track(&self, process: &Process, value: u64, key: Option<&str>) -> Answer {
        let body = json!({ "customer_id": "acme", "feature_id": "seats", "value": value, "idempotency_key": key });
        process.admin.post("/v1/track", body).await
    }

    async fn is_used(&self, wanted: u64) -> Verdict {
        let found = used(&self.app.world().await);
        require(found == wanted, || format!("{found} is counted of {wanted}"))
    }

    /// The one login that anybody tried has been compared with so often.
    async fn are_charged(&self, wanted: u64) -> Verdict {
        let world = self.app.world().await;
        let found: Vec<_> = world.of("login_attempts").iter().map(|item| item["comparisons"].as_u64()).collect();
        require(found == [Some(wanted)], || format!("{wanted} guesses are charged as {found:?}"))
    }
}

/// Each of these is answered one of `statuses`.
fn one_of(answers: &[&Answer], statuses: &[u16]) -> Verdict {
    for answer in answers {
        assert_ne!(answer.str("code"), "internal", "{}", answer.text);
        require(statuses.contains(&answer.status), || format!("answered {}", answer.text))?;
    }
    Ok(())
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A bug must be noticed by what it does: a request that the table does not even understand is a
/// mistake of whoever planted it.
fn answered(answers: &[&Answer]) -> Verdict {
    for answer in answers {
        assert_ne!(answer.str("code"), "internal", "{}", answer.text);
        require(answer.status < 300, || format!("answered {}", answer.text))?;
    }
    Ok(())
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
