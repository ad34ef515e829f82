//! A fault at every single call of every writing endpoint, then a retry: exactly one of
//! everything, links mutual, nothing half-made.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream::iter;
use harness::TestApp;
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use serde_json::json;

use crate::WIDTH;
use crate::cases::{CASES, Case, KINDS};

/// Tables at once where most of the time is spent waiting for answers that never come.
const PATIENT_WIDTH: usize = 24;

/// Each case reads and writes.
const FEWEST_CALLS: usize = 2;

/// One fault, then the caller tries again as a caller would, until they have an answer.
async fn one_fault(case: &Case, call: u64, kind: Kind) {
    let actors = case.prepared().await;
    let app = &actors.app;
    app.connector.inject(Fault { at: When::Call(call), kind });
    let first = run_until_killed(&app.connector, (case.call)(&actors)).await;
    assert!(app.connector.faults_fired() > 0, "{}: no call {call}", case.name);
    app.connector.reset();
    if first.is_none_or(|answer| answer.status >= 500) {
        let again = (case.call)(&actors).await;
        assert!(again.status < 300, "{} after {kind:?} at call {call}: {}", case.name, again.text);
    }
    let world = app.world().await;
    let broken = world.broken();
    assert!(broken.is_empty(), "{} after {kind:?} at call {call}: {broken:#?}", case.name);
    (case.check)(&world);
}

/// A fault of each of `kinds` at each call of each case, `width` at once; answers how many that are.
async fn every_single_fault(kinds: &[Kind], width: usize) -> usize {
    let mut points = Vec::new();
    for case in CASES {
        for call in 1..=case.calls().await {
            points.extend(kinds.iter().map(|kind| (case, call, *kind)));
        }
    }
    let count = points.len();
    assert!(count >= FEWEST_CALLS * CASES.len() * kinds.len(), "only {count} points");
    iter(points).for_each_concurrent(width, |(case, call, kind)| one_fault(case, call, kind)).await;
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_and_a_retry_leave_exactly_one_of_everything() {
    let points = every_single_fault(&KINDS, WIDTH).await;
    println!("{points} single-fault points");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_lost_for_good_leave_exactly_one_of_everything() {
    let points = every_single_fault(&[Kind::LostAnswerUntilGivenUp], PATIENT_WIDTH).await;
    println!("{points} points at which no answer ever came");
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
        for kind in KINDS {
            let (app, nobody) = prepare().await;
            app.connector.inject(Fault { at: When::Call(call), kind });
            run_until_killed(&app.connector, app.deliver_mail()).await;
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
