//! A fault at every single call of every writing endpoint and job, then a retry: exactly one of
//! everything, links mutual, nothing half-made.

use std::collections::BTreeSet;
use std::future::ready;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::iter;
use harness::TestApp;
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use serde_json::json;

use crate::WIDTH;
use crate::cases::{Case, every_case};

/// Tables at once where most of the time is spent waiting for answers that never come.
pub(crate) const PATIENT_WIDTH: usize = 32;

/// Each case reads and writes.
const FEWEST_CALLS: usize = 2;

/// Cases whose names begin so look at several rows at once, in any order: their last call may not be made.
const VARYING: [&str; 2] = ["backfill", "update, parted"];

/// Faults that have to come to pass: with fewer, calls are no longer met.
const FEWEST_FAULTS: usize = 400;

/// Longer than the SDK waits for one attempt.
const TOO_LATE: Duration = Duration::from_millis(1_700);

/// One fault, then the caller tries again as a caller would, unless they have an answer. Answers whether
/// the fault came to pass.
async fn one_fault(case: &'static Case, call: u64, kind: Kind) -> bool {
    let about = format!("{} after {kind:?} at call {call}", case.name);
    let actors = case.prepared().await;
    let app = &actors.app;
    app.connector.inject(Fault { at: When::Call(call), kind });
    let first = run_until_killed(&app.connector, (case.call)(&actors)).await;
    let felt = app.connector.faults_fired() > 0;
    // Most reads cannot lag.
    let may_pass = kind == Kind::Stale || VARYING.iter().any(|name| case.name.starts_with(name));
    assert!(felt || may_pass, "{about}: it never came to pass");
    app.connector.reset();
    let answer = match first.filter(|answer| answer.status < 500) {
        Some(answer) => answer,
        None => (case.call)(&actors).await,
    };
    case.assert_done(&actors, &answer, &about).await;
    felt
}

/// A fault of each of `kinds` at each call of each case, `width` at once; answers how many came to pass.
async fn every_single_fault(kinds: &[Kind], width: usize) -> usize {
    let (mut points, mut cases) = (Vec::new(), 0);
    for case in every_case() {
        cases += 1;
        for call in 1..=case.calls().await {
            points.extend(kinds.iter().map(|kind| (case, call, *kind)));
        }
    }
    let count = points.len();
    assert!(count >= FEWEST_CALLS * cases * kinds.len(), "only {count} points");
    let felt = iter(points).map(|(case, call, kind)| one_fault(case, call, kind)).buffer_unordered(width);
    let felt = felt.filter(|felt| ready(*felt)).count().await;
    println!("{count} points of {cases} cases; {felt} faults came to pass");
    felt
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_and_a_retry_leave_exactly_one_of_everything() {
    let kinds: Vec<Kind> = Kind::EACH.into_iter().chain([Kind::TransactionThrottled]).collect();
    let felt = every_single_fault(&kinds, WIDTH).await;
    assert!(felt >= FEWEST_FAULTS, "{felt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_lost_for_good_leave_exactly_one_of_everything() {
    every_single_fault(&[Kind::LostAnswerUntilGivenUp], PATIENT_WIDTH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_too_late_leaves_exactly_one_of_everything() {
    every_single_fault(&[Kind::Slow(TOO_LATE)], PATIENT_WIDTH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_of_a_delivery_sends_one_password() {
    let prepare = async || {
        let (app, nobody, admin) = TestApp::start().await;
        admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
        (app, nobody)
    };
    let (app, _) = prepare().await;
    let total = app.connector.calls_of(app.deliver_mail()).await;
    assert!(total > 0, "a delivery that calls nothing cannot fail");
    for call in 1..=total {
        for kind in Kind::EACH {
            let (app, nobody) = prepare().await;
            app.connector.inject(Fault { at: When::Call(call), kind });
            run_until_killed(&app.connector, app.deliver_mail()).await;
            assert!(kind == Kind::Stale || app.connector.faults_fired() > 0, "{kind:?} at call {call} is never met");
            app.connector.reset();
            app.deliver_mail().await;
            let passwords: BTreeSet<_> = app.delivered().into_iter().map(|letter| letter.body).collect();
            assert_eq!(passwords.len(), 1, "{kind:?} at call {call}");
            let session = nobody.login("a@x.io", &app.temporary_password("a@x.io")).await;
            assert_eq!(session.status, 200, "{kind:?} at call {call}: {}", session.text);
            app.world().await.assert_straight();
        }
    }
}
