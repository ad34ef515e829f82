//! Rows that more than one run wrote: each takes back its own, and whoever was read is never met again.

use functions::jobs::undo::{Undone, down};
use harness::TestApp;
use serde_json::json;
use shared::domain::legacy::Source;
use uuid::Uuid;

use super::schedule::{assert_linked, family, until_idle};
use super::{import_lines, migrate};
use crate::undo::last_run;

/// Takes `run` back.
async fn undo(app: &TestApp, run: Uuid) -> Undone {
    down(&app.app, run, false, |_, _| {}).await.unwrap().unwrap()
}

/// Where the customer `id` and the login of the family are.
fn places(id: &str) -> [String; 2] {
    [format!("CUSTOMER#{id}"), format!("USER#{}", Source::Users.id_of("u"))]
}

async fn versions(app: &TestApp, places: &[String; 2]) -> [u64; 2] {
    let world = app.world().await;
    places.each_ref().map(|pk| world.at(pk).unwrap()["version"].as_u64().unwrap())
}

#[tokio::test]
async fn whom_the_schedule_settled_is_spared_when_the_migration_is_taken_back() {
    let (app, admin, [first, second]) = family().await;
    let (migration, pair) = (last_run(&app).await, places(&first));
    let [customer, user] = versions(&app, &pair).await;
    admin.patch(&format!("/v1/customers/{second}"), json!({ "phone": "9123456780" })).await.expect(200);
    assert_eq!(until_idle(&app).await, 2, "one pair is linked, and the other gets a login");
    assert_eq!(versions(&app, &pair).await, [customer + 2, user + 2], "they came back, and they were linked");
    assert_eq!(undo(&app, migration).await, Undone { restored: 0, spared: 3, before: 0 });
    assert_linked(&app, &first).await;
}

#[tokio::test]
async fn a_customer_that_two_runs_wrote_goes_back_a_step_at_a_time_and_no_version_comes_twice() {
    let (app, _, [_, second]) = family().await;
    let (first_run, pair) = (last_run(&app).await, places(&second));
    let [customer, user] = versions(&app, &pair).await;
    let login = "{\"_id\":\"v\",\"email\":\"v@x.io\",\"customer_v2_id\":\"c2\",\"role\":\"customer\",\"createdAt\":\"2024-01-04\"}\n";
    import_lines(&app, &[("users.json", login)]).await;
    let later = migrate(&app.app).await;
    assert_eq!((later.tally.linked, later.tally.total), (1, 1), "{later:?}");
    assert_eq!(undo(&app, later.run_id.unwrap()).await, Undone { restored: 1, spared: 0, before: 0 });
    assert_eq!(undo(&app, first_run).await, Undone { restored: 3, spared: 0, before: 0 });
    assert_eq!(versions(&app, &pair).await, [customer + 3, user + 1], "each step back is a write of its own");
    let world = app.world().await;
    assert!(world.of("customer").iter().all(|customer| customer["review"] == "staged"), "they wait for a migration");
}
