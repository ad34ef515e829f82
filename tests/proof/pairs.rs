//! Two faults: one meets the request, the other what the request, or whoever repeats it, does
//! about the first.

use std::future::ready;

use functions::jobs::backfill::run;
use futures::StreamExt;
use futures::stream::iter;
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::rng::{Rng, seed_to_replay};

use crate::WIDTH;
use crate::cases::{Case, every_case, is_narrowed};
use crate::singles::PATIENT_WIDTH;

/// Requests whose names begin so meet pairs of faults.
const PAIRED: [&str; 5] = ["intake", "webhook", "create", "track", "reset"];

/// Calls beyond those of a clean run at which the second fault may wait: a first fault makes for
/// further calls.
const FURTHER_CALLS: u64 = 2;

/// How often the caller tries while there are faults: two of them spoil no more than two tries.
const TRIES: usize = 3;

/// The fault that is not over with its call.
const LASTING: Kind = Kind::LostAnswerUntilGivenUp;

/// Of this many pairs both faults come to pass at least once, or the calls are no longer met.
const ONE_MET_IN: usize = 4;

/// The seed of the sample where `SEED` names no other.
const SEED: u64 = 2_026;

#[derive(Clone, Copy)]
struct Pair {
    case: &'static Case,
    first: (u64, Kind),
    second: (u64, Kind),
}

/// Every two kinds that are over with their calls.
fn passing() -> Vec<(Kind, Kind)> {
    let kinds: Vec<Kind> = Kind::EACH.into_iter().chain([Kind::TransactionThrottled]).collect();
    kinds.iter().flat_map(|a| kinds.iter().map(move |b| (*a, *b))).collect()
}

/// Every two kinds of which one is not, or neither.
fn lasting() -> Vec<(Kind, Kind)> {
    let others = Kind::EACH.into_iter().flat_map(|other| [(LASTING, other), (other, LASTING)]);
    others.chain([(LASTING, LASTING)]).collect()
}

/// Every pair of these kinds, in an order that is always the same.
async fn every_pair(kinds: &[(Kind, Kind)]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for case in every_case().filter(|case| PAIRED.iter().any(|name| case.name.starts_with(name))) {
        let calls = case.calls().await;
        for first in 1..=calls {
            for second in first + 1..=calls + FURTHER_CALLS {
                pairs.extend(kinds.iter().map(|(a, b)| Pair { case, first: (first, *a), second: (second, *b) }));
            }
        }
    }
    pairs
}

/// Two faults, then everything works again; answers whether both came to pass.
async fn two_faults(pair: Pair) -> bool {
    let Pair { case, first, second } = pair;
    let about = format!("{}: {:?} at call {}, {:?} at call {}", case.name, first.1, first.0, second.1, second.0);
    let actors = case.prepared().await;
    let app = &actors.app;
    for (call, kind) in [first, second] {
        app.connector.inject(Fault { at: When::Call(call), kind });
    }
    let mut answer = None;
    for _ in 0..TRIES {
        answer = run_until_killed(&app.connector, (case.call)(&actors)).await.filter(|answer| answer.status < 500);
        // Whoever has given up finds the network healed when they come again.
        app.connector.heal();
        if answer.is_some() {
            break;
        }
    }
    let both = app.connector.faults_fired() == 2;
    app.connector.reset();
    let answer = match answer {
        Some(answer) => answer,
        None => (case.call)(&actors).await,
    };
    app.deliver_mail().await;
    let summary = run(&app.app, None).await;
    assert!(summary.is_ok_and(|summary| summary.tally.errors == 0), "{about}: the backfill failed");
    case.assert_done(&actors, &answer, &about).await;
    both
}

async fn sample(volume: usize, kinds: &[(Kind, Kind)], width: usize) {
    let seed = seed_to_replay().unwrap_or(SEED);
    let all = every_pair(kinds).await;
    let total = all.len();
    println!("{volume} of {total} pairs, SEED={seed}");
    assert!(is_narrowed() || total >= volume, "only {total} pairs");
    let sample = Rng::new(seed).sample(all, volume);
    let both = iter(sample).map(two_faults).buffer_unordered(width).filter(|both| ready(*both)).count().await;
    println!("in {both} of them both faults came to pass");
    assert!(is_narrowed() || both * ONE_MET_IN >= volume, "in {both} of {volume} pairs both faults came to pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_faults_and_a_retry_leave_exactly_one_of_everything() {
    sample(2_000, &passing(), WIDTH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_for_good_and_another_fault_leave_exactly_one_of_everything() {
    sample(200, &lasting(), PATIENT_WIDTH).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "10 000 pairs of faults take minutes"]
async fn ten_thousand_pairs_of_faults_leave_exactly_one_of_everything() {
    sample(10_000, &passing(), WIDTH).await;
}
