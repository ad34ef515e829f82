//! `migrate down`: what a run wrote goes back to what it was, and what others did since stays.

use std::collections::BTreeSet;

use functions::jobs::backfill::run;
use functions::jobs::migrate::up;
use functions::jobs::undo::{Undone, down};
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::legacy::{Defect, PROPORTIONS};
use harness::rng::Rng;
use harness::world::text;
use harness::{Actor, TestApp, World};
use serde_json::{Value, json};
use shared::app::App;
use shared::contact::EmailAddress;
use shared::domain::ledger::{Entry, Spared};
use shared::domain::legacy::Source;
use shared::ids::CustomerId;
use shared::store::members::MemberLists;
use shared::store::{Conflict, Refused};
use uuid::Uuid;

use super::{LEGACY_PASSWORD, assert_same, assert_settled, import_lines, imported, migrate, picture, seeded};
use crate::accounts::register;

/// One person with each defect.
const PEOPLE: u64 = 61;

/// What every write changes, and an undo does not take back.
const TECHNICAL: [&str; 4] = ["version", "updated_at", "restored", "op_id"];

/// What a run leaves on purpose: itself, what it reserves, how far the counters are.
const LEFT: [&str; 4] = ["run", "change", "reservation", "counter"];

type At = (String, String);

/// The item at `at` without what is technical.
fn plain(world: &World, at: &At) -> Option<Value> {
    let mut item = world.items.get(at)?.clone();
    for name in TECHNICAL {
        item.as_object_mut().unwrap().remove(name);
    }
    Some(item)
}

/// Whether an item stays when a run is undone: its own, and the guards of what was issued.
fn stays(world: &World, at: &At) -> bool {
    let kind = world.items.get(at).map_or("", |item| text(item, "kind"));
    LEFT.contains(&kind) || at.0.starts_with("NUMBER#") || at.0.starts_with("CRN#")
}

/// Checks that `after` is `before`, but for what stays.
#[track_caller]
pub(super) fn assert_restored(before: &World, after: &World) {
    assert_taken_back(before, before, before, after, &BTreeSet::new());
}

/// Checks that `after` is `before` plus the traffic that made `live` of `migrated`, but for what stays
/// and for the records of `spared`, which are as they were.
#[track_caller]
fn assert_taken_back(before: &World, migrated: &World, live: &World, after: &World, spared: &BTreeSet<Uuid>) {
    let of_spared = |at: &At| {
        let items = [migrated.items.get(at), live.items.get(at)];
        let texts: Vec<String> = items.into_iter().flatten().map(Value::to_string).collect();
        spared.iter().map(Uuid::to_string).any(|id| texts.iter().any(|text| text.contains(&id)))
    };
    let worlds = [before, live, after];
    let places: BTreeSet<&At> = worlds.iter().flat_map(|world| world.items.keys()).collect();
    let mut wrong = Vec::new();
    for at in places {
        if worlds.iter().any(|world| stays(world, at)) {
            if live.items.contains_key(at) && !after.items.contains_key(at) {
                wrong.push(format!("{at:?} is gone"));
            }
            continue;
        }
        let touched = migrated.items.get(at) != live.items.get(at) || of_spared(at);
        let expected = if touched { plain(live, at) } else { plain(before, at) };
        if plain(after, at) != expected {
            wrong.push(format!("{at:?}\n  is     {:?}\n  not    {expected:?}", plain(after, at)));
        }
    }
    assert!(wrong.is_empty(), "{} items are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

/// Undoes a run; answers what it says, and which entries it spared and why.
async fn undo(app: &App, run: Uuid) -> (Undone, Vec<(Entry, Spared)>) {
    let mut spared = Vec::new();
    let undone = down(app, run, false, |entry, why| spared.push((entry.clone(), why))).await.unwrap();
    (undone.unwrap(), spared)
}

fn records(spared: &[(Entry, Spared)]) -> BTreeSet<Uuid> {
    let customers = spared.iter().filter_map(|(entry, _)| entry.customer.as_ref().map(|change| change.id.0));
    customers.chain(spared.iter().filter_map(|(entry, _)| entry.user.as_ref().map(|change| change.id.0))).collect()
}

/// What everybody has that a run gives or makes.
fn given(world: &World) -> Vec<(String, Value)> {
    let fields = ["customer_reference", "customer_number", "user_id", "customer_v2_id", "email", "review"];
    let rows = world.of("customer").into_iter().chain(world.of("user"));
    rows.map(|row| {
        let values = fields.iter().map(|field| row[*field].clone()).collect();
        (text(row, "pk").to_owned(), Value::Array(values))
    })
    .collect()
}

/// Pairs that both were imported, active, with a password: whom the traffic is about.
fn pairs(world: &World) -> Vec<(&Value, &Value)> {
    let customers = world.of("customer").into_iter().filter(|it| it["legacy"].is_object() && it["status"] == "active");
    let pairs = customers.filter_map(|it| world.at(&format!("USER#{}", text(it, "user_id"))).map(|user| (it, user)));
    let mut pairs: Vec<_> = pairs
        .filter(|(customer, user)| {
            let signs_in = user["enabled"] == true && text(user, "password_hash").starts_with("$2");
            user["legacy"].is_object() && signs_in && customer["email"] == user["email"]
        })
        .collect();
    pairs.sort_by_key(|pair| text(pair.0, "pk"));
    pairs
}

/// A customer whom the run made.
fn made(world: &World) -> &Value {
    let customers = world.of("customer");
    let made = customers.into_iter().find(|it| it["legacy"].is_null() && it["origin"] == "import");
    made.unwrap()
}

/// What people do while nobody undoes anything: four of them touch what the run wrote.
async fn traffic(nobody: &Actor, admin: &Actor, world: &World) {
    admin
        .put("/v1/products/p", json!({ "name": "P", "items": [{ "feature_id": "f", "included_usage": 5 }] }))
        .await
        .expect(201);
    admin.post("/v1/customers", json!({ "id": "new", "email": "new@live.io" })).await.expect(201);
    register(nobody, "reg@live.io").await.expect(201);
    nobody.intake("lead@live.io").await.expect(201);
    let id = |pair: &(&Value, &Value)| text(pair.0, "internal_id").to_owned();
    let pairs = pairs(world);
    admin.patch(&format!("/v1/customers/{}", id(&pairs[0])), json!({ "area": "North" })).await.expect(200);
    admin.delete(&format!("/v1/customers/{}", id(&pairs[1]))).await.expect(200);
    nobody.login(text(pairs[2].1, "email"), LEGACY_PASSWORD).await.expect(200);
    let used = json!({ "customer_id": text(made(world), "internal_id"), "feature_id": "f", "idempotency_key": "once" });
    admin.post("/v1/track", used).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn up_live_traffic_and_down_leave_the_table_as_it_was_plus_the_traffic() {
    let (app, nobody, admin, _) = imported(PEOPLE, seeded(31), &[]).await;
    let before = app.world().await;
    let run = migrate(&app.app).await.run_id.unwrap();
    let migrated = app.world().await;
    traffic(&nobody, &admin, &migrated).await;
    let live = app.world().await;

    let dry = down(&app.app, run, true, |_, _| {}).await.unwrap().unwrap();
    assert_eq!(app.world().await.items, live.items, "a dry run changes nothing");
    let (undone, spared) = undo(&app.app, run).await;
    assert_eq!((undone, undone.spared), (dry, 4), "{spared:?}");
    let why: BTreeSet<&str> = spared.iter().map(|(_, why)| why.reason()).collect();
    let reasons = [Spared::CustomerChanged, Spared::CustomerGone, Spared::UserChanged, Spared::CustomerUsed];
    assert_eq!(why, reasons.iter().map(|why| why.reason()).collect::<BTreeSet<_>>());
    let after = app.world().await;
    assert_taken_back(&before, &migrated, &live, &after, &records(&spared));

    let (again, still) = undo(&app.app, run).await;
    assert_eq!((again.restored, again.before, again.spared), (0, undone.restored, 4), "{still:?}");
    assert_taken_back(&before, &migrated, &live, &app.world().await, &records(&spared));

    // What is brought over once more has what it had.
    migrate(&app.app).await;
    let once_more = app.world().await;
    assert_settled(&once_more);
    assert_same(&picture(&live), &picture(&once_more), "up, down, up");
    assert_eq!(given(&live), given(&once_more), "numbers, references and counterparts are the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_dies_at_every_turn_is_run_again() {
    let seed = seeded(37);
    let (app, _, _, _) = imported(PEOPLE, seed, &[]).await;
    let before = app.world().await;
    let run = migrate(&app.app).await.run_id.unwrap();
    let migrated = app.world().await;
    let (mut rng, mut deaths) = (Rng::new(seed), 0);
    loop {
        let at = When::Call(1 + rng.below(60));
        app.connector.inject(Fault { at, kind: Kind::Kill { after: rng.percent(50) } });
        let done = run_until_killed(&app.connector, down(&app.app, run, false, |_, _| {})).await;
        app.connector.reset();
        if let Some(undone) = done {
            assert_eq!(undone.unwrap().unwrap().spared, 0);
            break;
        }
        deaths += 1;
    }
    println!("{deaths} deaths");
    assert!(deaths >= 5, "{deaths}");
    assert_restored(&before, &app.world().await);
    migrate(&app.app).await;
    assert_eq!(given(&migrated), given(&app.world().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_call_of_an_undo_leaves_nothing_behind() {
    let few = [Defect::LoneUser, Defect::LoneCustomer];
    let others: Vec<Defect> = PROPORTIONS.iter().map(|(defect, _)| *defect).filter(|it| !few.contains(it)).collect();
    let (app, _, _, _) = imported(PEOPLE, seeded(3), &others).await;
    let before = app.world().await;
    let migrated = migrate(&app.app).await;
    let first = given(&app.world().await);
    let mut run = migrated.run_id.unwrap();
    for call in 1.. {
        app.connector.inject(Fault { at: When::Call(call), kind: Kind::Kill { after: true } });
        let died = run_until_killed(&app.connector, down(&app.app, run, false, |_, _| {})).await.is_none();
        app.connector.reset();
        if !died {
            assert!(call > 10, "an undo of four people takes {call} calls");
            return;
        }
        // Straight on, though the undo left things half done: those whom it took away come again.
        let next = if call % 2 == 0 { up(&app.app, false, |_| {}).await.unwrap().run_id } else { None };
        if call % 2 == 0 {
            assert_eq!(first, given(&app.world().await), "died at call {call}");
        }
        for run in [Some(run), next].into_iter().flatten() {
            let (undone, spared) = undo(&app.app, run).await;
            assert_eq!(undone.spared, 0, "died at call {call}: {spared:?}");
        }
        assert_undone(&before, &app).await;
        run = migrate(&app.app).await.run_id.unwrap();
    }
}

async fn assert_undone(before: &World, app: &TestApp) {
    let after = app.world().await;
    assert_restored(before, &after);
    assert!(after.of("purge").is_empty() && after.of("recheck").is_empty());
}

/// Rows of which a first run can settle none, and one that comes later and settles two.
async fn two_runs() -> (TestApp, World, [Uuid; 2]) {
    let (app, _, _) = TestApp::start().await;
    let users = "{\"_id\":\"u1\",\"email\":\"u1@x.io\",\"phone\":\"9876543210\",\"role\":\"customer\",\"createdAt\":\"2024-01-01\"}\n\
                 {\"_id\":\"u2\",\"email\":\"u2@x.io\",\"phone\":\"9876543210\",\"role\":\"customer\",\"createdAt\":\"2024-01-02\"}\n";
    let customer = "{\"id\":\"c1\",\"phone\":\"9876543210\",\"status\":\"active\",\"created_at\":\"2024-01-03\"}\n";
    import_lines(&app, &[("users.json", users), ("customers_v2.json", customer)]).await;
    let before = app.world().await;
    let first = migrate(&app.app).await;
    assert_eq!(first.tally.ambiguous, 3, "{first:?}");
    let later = "{\"id\":\"c2\",\"user_id\":\"u2\",\"status\":\"active\",\"created_at\":\"2024-01-04\"}\n";
    import_lines(&app, &[("customers_v2.json", later)]).await;
    let second = migrate(&app.app).await;
    assert_eq!((second.tally.linked, second.tally.total), (1, 1), "{second:?}");
    (app, before, [first.run_id.unwrap(), second.run_id.unwrap()])
}

/// Checks that the rows of the first import are as they were before the runs.
async fn assert_first_rows_restored(app: &TestApp, before: &World) {
    let after = app.world().await;
    for at in before.items.keys().filter(|at| !stays(before, at)) {
        assert_eq!(plain(before, at), plain(&after, at), "{at:?}");
    }
}

#[tokio::test]
async fn two_runs_are_undone_newest_first() {
    let (app, before, [first, second]) = two_runs().await;
    let migrated = app.world().await;
    assert_eq!(undo(&app.app, second).await.0, Undone { restored: 1, spared: 0, before: 0 });
    assert_eq!(undo(&app.app, first).await.0, Undone { restored: 3, spared: 0, before: 0 });
    assert_first_rows_restored(&app, &before).await;
    let number = |world: &World, id: &str| {
        let id = Source::Users.id_of(id);
        text(world.at(&format!("USER#{id}")).unwrap(), "customer_number").to_owned()
    };
    migrate(&app.app).await;
    let again = app.world().await;
    for user in ["u1", "u2"] {
        assert_eq!(number(&migrated, user), number(&again, user), "{user}");
    }
}

#[tokio::test]
async fn what_a_later_run_wrote_is_spared_until_that_is_undone() {
    let (app, before, [first, second]) = two_runs().await;
    let (undone, spared) = undo(&app.app, first).await;
    assert_eq!(undone, Undone { restored: 2, spared: 1, before: 0 });
    assert!(matches!(spared.as_slice(), [(_, Spared::UserChanged)]), "{spared:?}");
    assert_eq!(undo(&app.app, second).await.0.restored, 1);
    assert_eq!(undo(&app.app, first).await.0, Undone { restored: 1, spared: 0, before: 2 });
    assert_first_rows_restored(&app, &before).await;
}

/// Gives the customer `id` another phone number, lets the schedule look, and takes back what that did.
async fn looked_at_and_back(app: &TestApp, admin: &Actor, id: Uuid, phone: &str) {
    // Later than the others were written last: that they came back then is no change of theirs.
    app.clock.advance_seconds(1);
    admin.patch(&format!("/v1/customers/{id}"), json!({ "phone": phone })).await.expect(200);
    let summary = run(&app.app, None).await.unwrap();
    assert!(summary.tally.total > 1, "the others came back: {summary:?}");
    assert_eq!(undo(&app.app, summary.run_id).await.0.spared, 0);
}

#[tokio::test]
async fn who_only_came_back_because_of_somebody_else_is_restored() {
    let (app, _, admin) = TestApp::start().await;
    let user =
        |id| format!("{{\"_id\":\"{id}\",\"email\":\"{id}@x.io\",\"phone\":\"9876543210\",\"role\":\"customer\"}}\n");
    let customer = |id| format!("{{\"id\":\"{id}\",\"phone\":\"9876543210\",\"status\":\"active\"}}\n");
    let (users, customers) = (user("u1") + &user("u2"), customer("c1") + &customer("c2"));
    import_lines(&app, &[("users.json", &users), ("customers_v2.json", &customers)]).await;
    let before = app.world().await;
    let first = migrate(&app.app).await;
    assert_eq!(first.tally.ambiguous, 4, "{first:?}");
    let migrated = app.world().await;
    let second = Source::CustomersV2.id_of("c2");
    let others = ["u1", "u2"].map(|id| format!("USER#{}", Source::Users.id_of(id)));
    let others = [&others[..], &[format!("CUSTOMER#{}", Source::CustomersV2.id_of("c1"))]].concat();
    let assert_others_restored = |after: &World| {
        for at in others.iter().map(|pk| (pk.clone(), "#".to_owned())) {
            assert_eq!(plain(&before, &at), plain(after, &at), "{at:?}");
        }
    };

    looked_at_and_back(&app, &admin, second, "9123456780").await;
    let (undone, spared) = undo(&app.app, first.run_id.unwrap()).await;
    assert_eq!(undone, Undone { restored: 3, spared: 1, before: 0 });
    assert_eq!(records(&spared), BTreeSet::from([second]), "only whom a person changed: {spared:?}");
    assert_others_restored(&app.world().await);

    // Once more, from what was restored: they get what they had, and give it back again.
    let again = migrate(&app.app).await;
    assert_eq!(again.tally.ambiguous, 3, "{again:?}");
    let of_others = |world: &World| {
        let all = given(world).into_iter();
        all.filter(|(pk, _)| others.contains(pk)).collect::<Vec<_>>()
    };
    assert_eq!(of_others(&migrated), of_others(&app.world().await));
    looked_at_and_back(&app, &admin, second, "9876543210").await;
    let undone = undo(&app.app, again.run_id.unwrap()).await.0;
    assert_eq!(undone, Undone { restored: 3, spared: 0, before: 0 });
    assert_others_restored(&app.world().await);
}

#[tokio::test]
async fn who_is_parted_from_the_customer_that_was_made_twice_for_them_gets_another() {
    let (app, _, admin) = TestApp::start().await;
    let user = "{\"_id\":\"u1\",\"email\":\"u1@x.io\",\"role\":\"customer\",\"createdAt\":\"2024-01-01\"}\n";
    import_lines(&app, &[("users.json", user)]).await;
    let first = migrate(&app.app).await;
    let customer = text(made(&app.world().await), "internal_id").to_owned();
    assert_eq!(undo(&app.app, first.run_id.unwrap()).await.0.restored, 1);
    migrate(&app.app).await;
    assert_eq!(text(made(&app.world().await), "internal_id"), customer);
    let parted = json!({ "user_id": null, "email": "other@x.io" });
    admin.patch(&format!("/v1/customers/{customer}"), parted).await.expect(200);
    let summary = run(&app.app, None).await.unwrap();
    assert_eq!((summary.tally.created, summary.tally.errors), (2, 0), "{summary:?}");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn two_of_one_id_who_are_not_one_person_get_theirs_again() {
    let (app, _, _) = TestApp::start().await;
    let id = "0190a1c2-0000-7000-8000-000000000000";
    let user = format!(
        "{{\"_id\":\"{id}\",\"email\":\"u@x.io\",\"phone\":\"9876543210\",\"role\":\"customer\",\"createdAt\":\"2024-01-01\"}}\n"
    );
    let customer =
        format!("{{\"id\":\"{id}\",\"phone\":\"9123456780\",\"status\":\"active\",\"created_at\":\"2024-01-02\"}}\n");
    import_lines(&app, &[("users.json", &user), ("customers_v2.json", &customer)]).await;
    let first = migrate(&app.app).await;
    assert_eq!((first.tally.created, first.tally.total), (2, 2), "each gets a counterpart: {first:?}");
    let migrated = app.world().await;
    assert_eq!(undo(&app.app, first.run_id.unwrap()).await.0.restored, 2);
    migrate(&app.app).await;
    let again = app.world().await;
    again.assert_straight();
    assert_eq!(given(&migrated), given(&again), "numbers, references and counterparts are the same");
}

#[tokio::test]
async fn what_was_made_again_is_not_taken_for_what_it_was() {
    let (app, _, _) = TestApp::start().await;
    let user = "{\"_id\":\"u1\",\"email\":\"u1@x.io\",\"role\":\"customer\",\"createdAt\":\"2024-01-01\"}\n";
    let customer = "{\"id\":\"c1\",\"email\":\"c1@x.io\",\"status\":\"active\",\"created_at\":\"2024-01-02\"}\n";
    import_lines(&app, &[("users.json", user), ("customers_v2.json", customer)]).await;
    let first = migrate(&app.app).await;
    let store = app.raw_store();
    let id: CustomerId = text(made(&app.world().await), "internal_id").parse().unwrap();
    let customer = store.customer(id).await.unwrap().unwrap();
    let user = store.user_by_login(&EmailAddress::parse("c1@x.io").unwrap()).await.unwrap().unwrap();
    assert_eq!(undo(&app.app, first.run_id.unwrap()).await.0.restored, 2);
    migrate(&app.app).await;
    let again = store.user(user.user_id).await.unwrap().unwrap();
    assert!(store.customer(id).await.unwrap().is_some(), "both are there under their ids");
    assert_ne!(again.credential_epoch, user.credential_epoch, "a link that was sent then is void");

    // Whoever has read them before the undo writes only now.
    let mut late = [store.transaction(), store.transaction()];
    late[0].save_customer(Some(&customer), &customer, &MemberLists::default());
    late[1].save_user(Some(&user), &user);
    for transaction in late {
        let refused = transaction.commit(&store).await;
        assert!(matches!(refused, Err(Refused::Conflict(Conflict::Changed))), "{refused:?}");
    }
}

#[tokio::test]
async fn nobody_undoes_a_run_that_there_is_not() {
    let (app, _, _) = TestApp::start().await;
    assert_eq!(down(&app.app, Uuid::nil(), false, |_, _| {}).await.unwrap(), None);
}
