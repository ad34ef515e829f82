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
use harness::policy::may_write;
use harness::stripe_api::StripeFault;
use serde_json::json;

use crate::WIDTH;
use crate::cases::{Case, every_case, is_narrowed};

/// Tables at once where most of the time is spent waiting for answers that never come.
pub(crate) const PATIENT_WIDTH: usize = 32;

/// Each case reads and writes.
const FEWEST_CALLS: usize = 2;

/// Cases that look at several rows, in an order that chance decides: some of their last calls may not be made.
const VARYING: [&str; 2] = ["backfill, second look", "update, parted"];

/// Of the faults of each case so many come to pass, in percent: all but those of the last calls of the above.
const LEAST_FELT_PERCENT: usize = 80;

/// Longer than the SDK waits for one attempt.
const TOO_LATE: Duration = Duration::from_millis(1_700);

/// What can go wrong with one call to Stripe.
const STRIPE_FAULTS: [StripeFault; 7] = [
    StripeFault::Slow(Duration::from_millis(100)),
    StripeFault::ErrorBefore,
    StripeFault::ErrorAfter,
    StripeFault::CutOff,
    StripeFault::NoAnswer,
    StripeFault::TooMany,
    StripeFault::Refused,
];

/// What this case needs of Stripe nobody asks for again, so that a refusal is the last word.
const ASKED_ONCE: &str = "create, paid default at Stripe";

/// A fault at a call.
#[derive(Clone, Copy)]
struct Point {
    case: &'static Case,
    call: u64,
    kind: Kind,
}

/// One fault, then the caller tries again as a caller would, unless they have an answer. Answers whether
/// the fault came to pass.
async fn one_fault(Point { case, call, kind }: Point) -> bool {
    let about = format!("{} after {kind:?} at call {call}", case.name);
    let actors = case.prepared().await;
    let app = &actors.app;
    app.connector.inject(Fault { at: When::Call(call), kind });
    let first = run_until_killed(&app.connector, (case.call)(&actors)).await;
    let felt = app.connector.faults_fired() > 0;
    // Most reads cannot lag.
    let may_pass = kind == Kind::Stale || VARYING.contains(&case.name);
    assert!(felt || may_pass, "{about}: it never came to pass");
    app.connector.reset();
    let answer = match first.filter(|answer| answer.status < 500) {
        Some(answer) => answer,
        None => (case.call)(&actors).await,
    };
    case.assert_done(&actors, &answer, &about).await;
    felt
}

/// A fault of each of `kinds` at each call of each case, `width` at once.
async fn every_single_fault(kinds: &[Kind], width: usize) {
    let mut points = Vec::new();
    for case in every_case() {
        for call in 1..=case.calls().await {
            points.extend(kinds.iter().map(|kind| Point { case, call, kind: *kind }));
        }
    }
    let least = FEWEST_CALLS * every_case().count() * kinds.len();
    assert!(!points.is_empty() && (is_narrowed() || points.len() >= least), "only {} points", points.len());
    let runs = iter(points).map(|point| async move { (point, one_fault(point).await) });
    let runs: Vec<_> = runs.buffer_unordered(width).collect().await;
    assert_felt(kinds, &runs);
}

/// Enough of the faults came to pass: of each kind, and in each case.
fn assert_felt(kinds: &[Kind], runs: &[(Point, bool)]) {
    let count = |of: &dyn Fn(&Point) -> bool| {
        let felt: Vec<bool> = runs.iter().filter(|(point, _)| of(point)).map(|(_, felt)| *felt).collect();
        (felt.iter().filter(|felt| **felt).count(), felt.len())
    };
    for kind in kinds {
        let (felt, points) = count(&|point| point.kind == *kind);
        println!("{kind:?}: {felt} of {points} came to pass");
        // In a few cases there may be no read that can lag.
        assert!(felt > 0 || is_narrowed(), "{kind:?} never came to pass");
    }
    for case in every_case() {
        let (felt, points) = count(&|point| point.case.name == case.name && point.kind != Kind::Stale);
        assert!(felt * 100 >= points * LEAST_FELT_PERCENT, "{}: {felt} of {points} came to pass", case.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_and_a_retry_leave_exactly_one_of_everything() {
    let kinds: Vec<Kind> = Kind::EACH.into_iter().chain([Kind::TransactionThrottled]).collect();
    every_single_fault(&kinds, WIDTH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_lost_for_good_leave_exactly_one_of_everything() {
    every_single_fault(&[Kind::LostAnswerUntilGivenUp], PATIENT_WIDTH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_too_late_leaves_exactly_one_of_everything() {
    every_single_fault(&[Kind::Slow(TOO_LATE)], PATIENT_WIDTH).await;
}

/// One fault of Stripe, then the caller tries again, unless they have an answer. The schedule is part of the
/// cases in which it has something to do.
async fn one_fault_of_stripe(case: &'static Case, call: usize, fault: StripeFault) {
    let about = format!("{} after {fault:?} at call {call} of Stripe", case.name);
    let actors = case.prepared().await;
    let stripe = actors.stripe.as_ref().unwrap();
    stripe.break_call(call, fault);
    let first = (case.call)(&actors).await;
    assert_eq!(stripe.faults_left(), 0, "{about}: it never came to pass");
    let answer = if first.status < 500 { first } else { (case.call)(&actors).await };
    case.assert_done(&actors, &answer, &about).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_of_stripe_and_a_retry_leave_exactly_one_of_everything() {
    let mut points = Vec::new();
    for case in every_case().filter(|case| case.is_at_stripe()) {
        let calls = case.stripe_calls().await;
        assert!(calls > 0, "{} calls no Stripe", case.name);
        let faults = STRIPE_FAULTS.into_iter();
        let faults = faults.filter(|fault| *fault != StripeFault::Refused || case.name != ASKED_ONCE);
        points.extend(faults.flat_map(|fault| (1..=calls).map(move |call| (case, call, fault))));
    }
    println!("{} points at Stripe", points.len());
    assert!(is_narrowed() || !points.is_empty(), "nobody calls Stripe");
    let runs = iter(points).map(|(case, call, fault)| one_fault_of_stripe(case, call, fault));
    runs.buffer_unordered(PATIENT_WIDTH).for_each(ready).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_that_may_write_has_a_case_in_which_it_does() {
    let writers: Vec<_> = iter(every_case()).map(Case::writers).buffer_unordered(WIDTH).collect().await;
    let writers: BTreeSet<_> = writers.into_iter().flatten().collect();
    let missing: Vec<_> = may_write().difference(&writers).copied().collect();
    assert!(missing.is_empty() || is_narrowed(), "no fault meets {missing:?}: each needs a case in tests/proof/cases");
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
