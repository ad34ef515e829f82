//! Guessing at passwords: how often the account's own hash is compared, and who still gets in.

use futures::future::join_all;
use harness::app::START;
use harness::faults::Kind;
use harness::{Actor, TestApp};
use serde_json::json;
use shared::domain::attempts::{MAX_COMPARISONS, Verdict};
use shared::domain::user::Role;

use crate::accounts::{PASSWORD, register, with_user};

const EMAIL: &str = "target@x.io";

/// Where the owner signs in from; guesses come from 203.0.113.0 to .49.
const HOME: [u8; 4] = [192, 0, 2, 1];
const GUESSERS: u8 = 50;

/// Comparisons that the account's window counts; the table knows no other account's.
async fn comparisons(app: &TestApp) -> u64 {
    let world = app.world().await;
    let items = world.of("login_attempts");
    assert!(items.len() <= 1, "one account is tried");
    items.first().map_or(0, |item| item["comparisons"].as_u64().unwrap())
}

async fn guess_from_everywhere(nobody: &Actor, round: u64) {
    let guesses = (0..GUESSERS).map(|n| async move {
        let password = format!("wrong {round} {n}");
        nobody.login_from([203, 0, 113, n], EMAIL, &password).await.refused(401, "invalid_credentials");
    });
    join_all(guesses).await;
}

/// `rounds` times fifty wrong passwords at once, within an hour. The owner signs in after each of
/// about ten spans. Answers how many guesses were compared with the account's own hash.
async fn storm(rounds: u64) -> u64 {
    let (app, nobody, _) = TestApp::start().await;
    with_user(&app, EMAIL, Role::Admin, Some(PASSWORD)).await;
    let (seconds, span) = (i64::try_from(3_500 / rounds).unwrap(), (rounds / 10).max(1));
    let mut compared = 0;
    for round in 0..rounds {
        let before = comparisons(&app).await;
        guess_from_everywhere(&nobody, round).await;
        compared += comparisons(&app).await - before;
        if round % span == 0 {
            nobody.login_from(HOME, EMAIL, PASSWORD).await.expect(200);
        }
        app.clock.advance_seconds(seconds);
    }
    compared
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_hundred_guesses_from_fifty_addresses_are_compared_at_most_a_hundred_times() {
    let compared = storm(6).await;
    println!("{compared} of 300 guesses were compared");
    assert!((10..=100).contains(&compared), "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "10 000 hashes take minutes"]
async fn ten_thousand_guesses_from_fifty_addresses_are_compared_at_most_a_hundred_times() {
    let compared = storm(200).await;
    println!("{compared} of 10 000 guesses were compared");
    assert!((10..=100).contains(&compared), "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_enters_in_the_middle_of_a_storm() {
    let (app, nobody, _) = TestApp::start().await;
    with_user(&app, EMAIL, Role::Admin, Some(PASSWORD)).await;
    for round in 0..3 {
        let storm = guess_from_everywhere(&nobody, round);
        let (owner, ()) = tokio::join!(nobody.login_from(HOME, EMAIL, PASSWORD), storm);
        // Parallel charges may cost the owner a try; never a second one once they are through.
        if owner.status != 200 {
            owner.refused(401, "invalid_credentials");
            nobody.login_from(HOME, EMAIL, PASSWORD).await.expect(200);
        }
        app.clock.advance_seconds(60);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_charges_never_hand_out_more_comparisons_than_there_are() {
    let (app, _, _) = TestApp::start().await;
    let store = &app.raw_store();
    let mut granted = 0;
    for round in 0..6 {
        let now = START.plus_seconds(round * 500);
        let charges = (0..40).map(|n| async move {
            let address = format!("address {n}");
            store.charge_attempt("somebody", None, &address, now).await.unwrap().0
        });
        let verdicts = join_all(charges).await;
        granted += verdicts.into_iter().filter(|verdict| *verdict == Verdict::Compare).count();
    }
    assert!((10..=100).contains(&granted), "{granted}");
    assert_eq!(MAX_COMPARISONS, 100);
    assert_eq!(comparisons(&app).await, u64::try_from(granted).unwrap(), "every one was charged");
    let (verdict, _) = store.charge_attempt("somebody", None, "home", START.plus_seconds(3_000)).await.unwrap();
    assert_eq!(verdict, Verdict::Compare, "some are kept for an address that has not been failing");
}

#[tokio::test]
async fn a_count_that_came_again_is_not_taken_for_the_one_that_was_read() {
    let (app, _, _) = TestApp::start().await;
    let store = app.raw_store();
    let (_, read) = store.charge_attempt("somebody", None, "home", START).await.unwrap();
    store.clear_attempts(read.clone(), "home", START).await.unwrap();
    assert!(app.world().await.of("login_attempts").is_empty());
    store.charge_attempt("somebody", None, "bad", START).await.unwrap();
    let (_, late) = store.charge_attempt("somebody", Some(read), "late", START).await.unwrap();
    let counted: Vec<&str> = late.attempts.addresses.keys().map(String::as_str).collect();
    assert_eq!(counted, ["bad", "late"], "the guess in between is not forgotten");
}

#[tokio::test]
async fn an_attempt_that_cannot_be_written_down_is_a_failure_and_not_a_wrong_password() {
    let (app, nobody, _) = TestApp::start().await;
    with_user(&app, EMAIL, Role::Admin, Some(PASSWORD)).await;
    // The one charges the attempt, the other takes it off again.
    for operation in ["PutItem", "DeleteItem"] {
        app.connector.inject_with(move |call| (call.operation == operation).then_some(Kind::Throttle));
        nobody.login(EMAIL, PASSWORD).await.refused(503, "unavailable");
        assert!(app.connector.faults_fired() > 0, "{operation} is never called");
        app.connector.reset();
        nobody.login(EMAIL, PASSWORD).await.expect(200);
    }
}

#[tokio::test]
async fn the_lock_doubles_and_attempts_while_it_holds_do_not_extend_it() {
    let (app, nobody, _) = TestApp::start().await;
    with_user(&app, EMAIL, Role::Admin, Some(PASSWORD)).await;
    let refused = async |password: &str| nobody.login(EMAIL, password).await.refused(401, "invalid_credentials");
    for _ in 0..10 {
        refused("wrong").await;
    }
    for seconds in [1, 2, 4, 8] {
        // Locked for `seconds`: the right password is refused to the end, a second before as well.
        refused(PASSWORD).await;
        app.clock.advance_seconds(seconds - 1);
        refused(PASSWORD).await;
        app.clock.advance_seconds(1);
        refused("wrong").await;
    }
    app.clock.advance_seconds(16);
    nobody.login(EMAIL, PASSWORD).await.expect(200);
    // A success begins the count anew.
    for _ in 0..9 {
        refused("wrong").await;
    }
    nobody.login(EMAIL, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn every_form_of_a_login_counts_on_the_one_account() {
    let (app, nobody, _) = TestApp::start().await;
    let body = json!({ "name": "Ana", "email": EMAIL, "password": PASSWORD, "phone": "9876543210" });
    nobody.post("/auth/register", body).await.expect(201);
    for login in [EMAIL, "TARGET@x.io", "PL1", "pl1", "9876543210", "+91 98765-43210", " target@X.io ", "PL1"] {
        nobody.login(login, "wrong").await.refused(401, "invalid_credentials");
    }
    assert_eq!(comparisons(&app).await, 8);
    for login in ["pl1", EMAIL] {
        nobody.login(login, "wrong").await.refused(401, "invalid_credentials");
    }
    for login in [EMAIL, "PL1", "9876543210"] {
        nobody.login(login, PASSWORD).await.refused(401, "invalid_credentials");
    }
    nobody.login_from(HOME, "PL1", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn what_is_guessed_at_one_account_is_not_held_against_another() {
    let (_app, nobody, _) = TestApp::start().await;
    for email in [EMAIL, "other@x.io"] {
        register(&nobody, email).await.expect(201);
    }
    for _ in 0..12 {
        nobody.login(EMAIL, "wrong").await.refused(401, "invalid_credentials");
    }
    nobody.login("other@x.io", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_forged_address_is_no_other_address() {
    let (_app, nobody, _) = TestApp::start().await;
    register(&nobody, EMAIL).await.expect(201);
    let login = async |n: usize, password: &str| {
        let forged = format!("198.18.0.{n}");
        let headers =
            [("x-forwarded-for", forged.as_str()), ("x-real-ip", forged.as_str()), ("forwarded", "for=198.18.0.9")];
        nobody.post_with("/auth/login", json!({ "email": EMAIL, "password": password }), &headers).await
    };
    for n in 0..10 {
        login(n, "wrong").await.refused(401, "invalid_credentials");
    }
    login(99, PASSWORD).await.refused(401, "invalid_credentials");
    nobody.login_from(HOME, EMAIL, PASSWORD).await.expect(200);
}
