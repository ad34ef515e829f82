//! It dies anywhere, runs twice at once, and people come and go meanwhile: the end is the same.

use functions::jobs::migrate::up;
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::legacy::{Defect, PROPORTIONS};
use harness::rng::Rng;
use harness::{Actor, TestApp};
use serde_json::json;
use shared::app::App;

use super::{assert_same, assert_settled, imported, migrate, picture, seeded};

/// One person with each defect.
const PEOPLE: u64 = 61;

/// Calls within which it dies: more than it takes to plan one window of rows, or it would die before
/// it had written anything, every time.
const DEATH_WITHIN: u64 = 350;

/// Those whose migration dies at every call: one row of each kind is completed, two are made, one waits.
const FEW: [Defect; 3] = [Defect::LoneUser, Defect::LoneCustomer, Defect::TwoUsers];

fn kill(app: &TestApp, call: u64, after: bool) {
    app.connector.reset();
    app.connector.inject(Fault { at: When::Call(call), kind: Kind::Kill { after } });
}

/// `migrate up`, killed again and again, each time some calls further on than the last; answers how
/// often it died.
async fn die_often(app: &TestApp, rng: &mut Rng, calls: u64) -> u64 {
    let mut deaths = 0;
    loop {
        kill(app, 1 + rng.below(calls), rng.percent(50));
        let done = run_until_killed(&app.connector, up(&app.app, false, |_| {})).await;
        app.connector.reset();
        match done {
            Some(migrated) => {
                assert_eq!(migrated.unwrap().remaining, 0);
                return deaths;
            }
            None => deaths += 1,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_dies_at_every_turn_comes_to_the_same_end() {
    let seed = seeded(23);
    let (alone, _, _, _) = imported(PEOPLE, seed, &[]).await;
    migrate(&alone.app).await;
    let alone = alone.world().await;
    assert_settled(&alone);
    let (app, _, _, _) = imported(PEOPLE, seed, &[]).await;
    let deaths = die_often(&app, &mut Rng::new(seed), DEATH_WITHIN).await;
    println!("{deaths} deaths");
    assert!(deaths >= 5, "{deaths}");
    let world = app.world().await;
    assert_settled(&world);
    assert_same(&picture(&alone), &picture(&world), "after many deaths");
    let runs = world.of("run");
    assert_eq!((runs.len(), &runs[0]["state"]), (1, &json!("finished")), "a run that was broken off is continued");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_call_of_the_first_rows_changes_nothing() {
    let seed = seeded(3);
    let others: Vec<Defect> = PROPORTIONS.iter().map(|(defect, _)| *defect).filter(|it| !FEW.contains(it)).collect();
    let (alone, _, _, _) = imported(PEOPLE, seed, &others).await;
    let calls = alone.connector.calls_of(migrate(&alone.app)).await;
    let alone = picture(&alone.world().await);
    assert!(calls > 20, "{calls}");
    for call in 1..=calls {
        let (app, _, _, _) = imported(PEOPLE, seed, &others).await;
        kill(&app, call, call % 2 == 0);
        // The last of them may not be made: what is planned at once comes in any order.
        let died = run_until_killed(&app.connector, up(&app.app, false, |_| {})).await.is_none();
        assert!(died || call + 5 > calls, "it dies at call {call} of {calls}");
        app.connector.reset();
        migrate(&app.app).await;
        let world = app.world().await;
        assert_settled(&world);
        assert_same(&alone, &picture(&world), &format!("died at call {call}"));
    }
}

/// Customers who are made and deleted while others are brought over; they share nothing with them.
async fn come_and_go(nobody: &Actor, admin: &Actor) {
    for n in 0..30 {
        let id = format!("live-{n}");
        let body = json!({ "id": id, "email": format!("{id}@live.io"), "phone": format!("80000{n:05}") });
        admin.post("/v1/customers", body).await.expect(201);
        nobody.intake(&format!("lead-{n}@live.io")).await.expect(201);
        if n % 2 == 0 {
            admin.delete(&format!("/v1/customers/{id}")).await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_once_while_people_come_and_go_come_to_the_same_end() {
    let seed = seeded(29);
    let (alone, _, _, _) = imported(PEOPLE, seed, &[]).await;
    migrate(&alone.app).await;
    let (app, nobody, admin, _) = imported(PEOPLE, seed, &[]).await;
    // One of them has died before.
    kill(&app, 150, true);
    assert!(run_until_killed(&app.connector, up(&app.app, false, |_| {})).await.is_none());
    app.connector.reset();
    let (other, _): (App, _) = app.another();
    tokio::join!(migrate(&app.app), migrate(&other), come_and_go(&nobody, &admin));
    let world = app.world().await;
    assert_settled(&world);
    assert_same(&picture(&alone.world().await), &picture(&world), "two at once, in traffic");
    assert!(world.of("run").iter().all(|run| run["state"] == "finished"));
    let live =
        world.of("customer").into_iter().filter(|it| it["id"].as_str().is_some_and(|id| id.starts_with("live-")));
    assert_eq!(live.count(), 15);
}
