//! Mixed traffic, in short; `cargo run --release -p api-tests --bin load` is the whole of it.

use std::time::Duration;

use futures::future::join_all;
use harness::TestApp;
use harness::app::{START, WEBHOOK_SECRETS};
use harness::load::{Ledger, Traffic, is_flat};
use shared::clock::Clock;
use shared::contact::EmailAddress;
use shared::secret::Secret;

const CLIENTS: usize = 4;
const TURNS: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn four_clients_at_once_are_answered_as_they_must_be_and_leave_a_straight_table() {
    let (app, nobody, _) = TestApp::start().await;
    let store = app.raw_store();
    let admin = store.user_by_login(&EmailAddress::parse("ops@example.com").unwrap()).await.unwrap().unwrap();
    let traffic = Traffic {
        transport: nobody,
        clock: Clock::Manual(app.clock.clone()),
        webhook_secret: Secret::new(WEBHOOK_SECRETS[0]),
        admin: app.app.keys.sign_session(&admin, START, 3_600),
        pause: Duration::ZERO,
    };
    let mut ledger: Ledger = traffic.prepare().await;
    for other in join_all((0..CLIENTS).map(|client| traffic.run(client, |turn| turn < TURNS))).await {
        ledger.add(other);
    }
    app.deliver_mail().await;
    let wrong = traffic.wrong(&ledger, &app.world().await).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ledger.took.len() > CLIENTS * 30, "{:?}", ledger.answers);
}

#[test]
fn memory_is_flat_if_it_no_longer_grows_once_warm() {
    assert!(is_flat(&[10, 50, 90, 100, 100, 101, 102, 99, 100]));
    assert!(!is_flat(&[10, 20, 30, 40, 50, 60, 70, 80, 90]));
}

#[test]
fn memory_that_was_hardly_measured_is_not_flat() {
    assert!(!is_flat(&[]));
    assert!(!is_flat(&[100; 8]));
    assert!(is_flat(&[100; 9]));
}
