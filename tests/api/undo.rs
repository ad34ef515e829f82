//! `migrate up` and `migrate down`, whoever else is at it.

use std::pin::{Pin, pin};

use functions::jobs::migrate::up;
use functions::jobs::undo::{Undone, down};
use harness::TestApp;
use harness::app::START;
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::pause::Pause;
use shared::app::App;
use shared::contact::EmailAddress;
use shared::domain::customer::{Customer, Origin, Status};
use shared::domain::ledger::RunState;
use shared::domain::matching::Review;
use shared::domain::user::{Role, User};
use shared::ids::{CustomerId, UserId};
use shared::store::members::MemberLists;
use uuid::Uuid;

/// Imports `n` customers without a login, who wait for a migration.
async fn import(app: &TestApp, n: usize) {
    let store = app.raw_store();
    for _ in 0..n {
        let mut customer = Customer::new(CustomerId(START.new_id()), Status::Active, Origin::Import, START);
        customer.review = Some(Review::Staged);
        let mut transaction = store.transaction();
        transaction.save_customer(None, &customer, &MemberLists::default());
        transaction.commit(&store).await.unwrap();
    }
}

/// The run that began last.
pub(crate) async fn last_run(app: &TestApp) -> Uuid {
    app.raw_store().runs(None, 1).await.unwrap().0[0].run_id
}

/// Takes `run` back; nothing of it may be spared.
async fn all_down(app: &App, run: Uuid) -> Undone {
    let undone = down(app, run, false, |entry, why| panic!("{entry:?} is spared: {}", why.reason())).await;
    undone.unwrap().unwrap()
}

/// Checks that every customer waits for a migration, and that nobody has a login.
async fn assert_staged(app: &TestApp) {
    let world = app.world().await;
    assert!(world.of("customer").iter().all(|customer| customer["review"] == "staged"));
    assert!(world.of("user").iter().all(|user| user["role"] != "customer"));
}

/// Lets `work` go on until it is held; it must not come to its end before.
async fn until_held<F: Future>(work: &mut Pin<&mut F>, pause: &Pause) {
    tokio::select! {
        biased;
        _ = work => panic!("it was never held"),
        () = pause.reached() => {}
    }
}

#[tokio::test]
async fn two_who_take_back_one_run_at_once_share_the_work_and_spare_nothing() {
    let (app, _, _) = TestApp::start().await;
    import(&app, 5).await;
    up(&app.app, false, |_| {}).await.unwrap();
    let run = last_run(&app).await;
    let (other, _) = app.another();
    // The first has read all entries, and what they are about only after the second is done.
    let pause = app.connector.pause(&When::Operation("BatchGetItem", 1));
    let mut first = pin!(all_down(&app.app, run));
    until_held(&mut first, &pause).await;
    let second = all_down(&other, run).await;
    assert_eq!(second, Undone { restored: 5, spared: 0, before: 0 });
    pause.resume();
    assert_eq!(first.await, Undone { restored: 0, spared: 0, before: 5 });
    assert_eq!(all_down(&app.app, run).await, Undone { restored: 0, spared: 0, before: 5 });
}

#[tokio::test]
async fn what_is_migrated_while_it_is_taken_back_is_taken_back_too() {
    let (app, _, _) = TestApp::start().await;
    import(&app, 6).await;
    let (other, elsewhere) = app.another();
    // The run itself, its first row, and now the second.
    let migrating = app.connector.pause(&When::Operation("TransactWriteItems", 3));
    // It has written all six, and is about to say so.
    let finishing = app.connector.pause(&When::Operation("TransactWriteItems", 8));
    let mut migration = pin!(up(&app.app, false, |_| {}));
    until_held(&mut migration, &migrating).await;
    let run = last_run(&app).await;
    let undoing = elsewhere.pause(&When::Operation("BatchGetItem", 1));
    let mut undo = pin!(all_down(&other, run));
    until_held(&mut undo, &undoing).await;
    migrating.resume();
    until_held(&mut migration, &finishing).await;
    undoing.resume();
    assert_eq!(undo.await, Undone { restored: 6, spared: 0, before: 0 });
    finishing.resume();
    let migrated = migration.await.unwrap();
    assert_eq!((migrated.undone, migrated.tally.total, migrated.remaining), (true, 6, 6));
    assert_staged(&app).await;
}

#[tokio::test]
async fn a_run_that_is_undone_while_it_says_that_it_is_finished_stays_undone() {
    let (app, _, _) = TestApp::start().await;
    import(&app, 6).await;
    let (other, _) = app.another();
    // It has written all six, has read of no undo, and is about to say that it is finished.
    let finishing = app.connector.pause(&When::Operation("TransactWriteItems", 8));
    let mut migration = pin!(up(&app.app, false, |_| {}));
    until_held(&mut migration, &finishing).await;
    let run = last_run(&app).await;
    assert_eq!(all_down(&other, run).await, Undone { restored: 6, spared: 0, before: 0 });
    finishing.resume();
    let migrated = migration.await.unwrap();
    assert_eq!((migrated.undone, migrated.tally.total, migrated.remaining), (true, 6, 6));
    let run = app.raw_store().run(run).await.unwrap().unwrap();
    assert_eq!((run.state, run.tally.total), (RunState::Undone, 6));
    assert_staged(&app).await;
}

#[tokio::test]
async fn what_is_written_after_the_undo_was_through_is_taken_back_too() {
    let (app, _, _) = TestApp::start().await;
    import(&app, 6).await;
    let (other, _) = app.another();
    let migrating = app.connector.pause(&When::Operation("TransactWriteItems", 3));
    let mut migration = pin!(up(&app.app, false, |_| {}));
    until_held(&mut migration, &migrating).await;
    let run = last_run(&app).await;
    assert_eq!(all_down(&other, run).await, Undone { restored: 1, spared: 0, before: 0 });
    migrating.resume();
    let migrated = migration.await.unwrap();
    assert_eq!((migrated.undone, migrated.tally.total, migrated.remaining), (true, 6, 6));
    assert_staged(&app).await;
    let run = app.raw_store().run(run).await.unwrap().unwrap();
    assert_eq!(run.state, RunState::Undone);
}

#[tokio::test]
async fn a_migration_that_another_has_finished_goes_on_with_what_came_since() {
    let (app, _, _) = TestApp::start().await;
    import(&app, 3).await;
    app.connector.inject(Fault { at: When::Operation("TransactWriteItems", 2), kind: Kind::Kill { after: true } });
    assert!(run_until_killed(&app.connector, up(&app.app, false, |_| {})).await.is_none(), "it dies half-way");
    app.connector.reset();
    let (other, _) = app.another();
    let pause = app.connector.pause(&When::Operation("GetItem", 1));
    let mut first = pin!(up(&app.app, false, |_| {}));
    until_held(&mut first, &pause).await;
    up(&other, false, |_| {}).await.unwrap();
    import(&app, 2).await;
    pause.resume();
    assert_eq!(first.await.unwrap().remaining, 0);
    assert_eq!(app.raw_store().runs(None, 10).await.unwrap().0.len(), 1, "both continue one run");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_password_is_in_no_ledger_and_stays_with_its_user() {
    let (app, _, _) = TestApp::start().await;
    let mut user = User::new(UserId(START.new_id()), EmailAddress::parse("u@x.io").unwrap(), Role::Customer, START);
    user.password_hash = Some("$2b$04$GbPe7W.VNQ6LePxuLmxUHeqbzk/1DWt4VHIYEOaTUCtX5hxiZhM2q".into());
    user.review = Some(Review::Staged);
    app.save(&user).await;
    up(&app.app, false, |_| {}).await.unwrap();
    let world = app.world().await;
    assert!(world.of("change").iter().all(|change| !change.to_string().contains("$2b$")));
    let undone = all_down(&app.app, last_run(&app).await).await;
    assert_eq!(undone.restored, 1);
    let restored = app.raw_store().user(user.user_id).await.unwrap().unwrap();
    assert_eq!((restored.password_hash, restored.customer_v2_id), (user.password_hash, None));
}
