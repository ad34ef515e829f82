//! Histories of concurrent callers, recorded through the real router while calls fail, and judged:
//! numbers, names and balances behave as if everything happened one after another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::iter;
use harness::connector::run_until_killed;
use harness::faults::{CallInfo, Kind};
use harness::history::{Model, Operation, Outcome, Recorder, assert_linearizable, is_linearizable};
use harness::rng::{Rng, seed_to_replay};
use harness::{Answer, TestApp};
use serde_json::json;

use crate::WIDTH;
use crate::cases::KINDS;
use crate::process::{Process, api_key};

const PROCESSES: u64 = 4;

/// Operations of one process.
const STEPS: u64 = 6;

/// Of a hundred calls, how many fail.
const FAULT_PERCENT: u64 = 10;

/// A counter: each number that is drawn is larger than those drawn before.
struct Counter;

impl Model for Counter {
    type State = u64;
    type Input = ();
    type Output = u64;

    fn start(&self) -> u64 {
        0
    }

    fn step(&self, last: &u64, (): &(), drawn: Option<&u64>) -> Option<u64> {
        match drawn {
            // A gap.
            None => Some(*last),
            Some(drawn) => (drawn > last).then_some(*drawn),
        }
    }
}

/// Who has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Nobody,
    /// Somebody whom no answer has named.
    Unnamed,
    Named(String),
}

/// A name: it has one holder until that one is deleted, who never has it again.
struct Name;

#[derive(Clone, Copy, Debug)]
enum NameAsk {
    GetOrCreate,
    Delete,
}

/// Whom the name means; after a deletion, whether anybody was there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NameAnswer {
    Holder(String),
    Deleted(bool),
}

impl Model for Name {
    /// Who has it, and who had it once.
    type State = (Holder, BTreeSet<String>);
    type Input = NameAsk;
    type Output = NameAnswer;

    fn start(&self) -> Self::State {
        (Holder::Nobody, BTreeSet::new())
    }

    fn step(&self, state: &Self::State, input: &NameAsk, output: Option<&NameAnswer>) -> Option<Self::State> {
        let (holder, gone) = state;
        let deleted = || {
            let mut gone = gone.clone();
            if let Holder::Named(id) = holder {
                gone.insert(id.clone());
            }
            (Holder::Nobody, gone)
        };
        match (input, output) {
            (NameAsk::GetOrCreate, None) if *holder == Holder::Nobody => Some((Holder::Unnamed, gone.clone())),
            (NameAsk::GetOrCreate, None) => Some(state.clone()),
            (NameAsk::GetOrCreate, Some(NameAnswer::Holder(id))) => match holder {
                Holder::Named(holder) => (holder == id).then(|| state.clone()),
                Holder::Nobody | Holder::Unnamed => {
                    (!gone.contains(id)).then(|| (Holder::Named(id.clone()), gone.clone()))
                }
            },
            (NameAsk::Delete, None) => Some(deleted()),
            (NameAsk::Delete, Some(NameAnswer::Deleted(there))) => {
                (*there == (*holder != Holder::Nobody)).then(deleted)
            }
            _ => None,
        }
    }
}

/// What is left of a balance, and what was taken under each key.
struct Balance {
    granted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    value: u64,
    key: Option<u64>,
}

impl Model for Balance {
    type State = (u64, BTreeMap<u64, u64>);
    type Input = Use;
    /// How much was taken.
    type Output = u64;

    fn start(&self) -> Self::State {
        (self.granted, BTreeMap::new())
    }

    fn step(&self, (left, taken): &Self::State, asked: &Use, deducted: Option<&u64>) -> Option<Self::State> {
        let before = asked.key.and_then(|key| taken.get(&key));
        let takes = before.copied().unwrap_or_else(|| asked.value.min(*left));
        if deducted.is_some_and(|deducted| *deducted != takes) {
            return None;
        }
        if before.is_some() {
            return Some((*left, taken.clone()));
        }
        let mut taken = taken.clone();
        taken.extend(asked.key.map(|key| (key, takes)));
        Some((left - takes, taken))
    }
}

/// Several processes over one table, whose calls fail by chance.
struct Stage {
    app: TestApp,
    processes: Vec<Process>,
}

impl Stage {
    async fn new(seed: u64, granted: u64) -> Self {
        let (app, _, _) = TestApp::start().await;
        let key = api_key(&app).await;
        let first = Process::first(&app, &key);
        let items = json!([{ "feature_id": "seats", "included_usage": granted }]);
        let product = json!({ "name": "Pro", "is_default": true, "items": items });
        first.admin.put("/v1/products/pro", product).await.expect(201);
        first.admin.post("/v1/customers", json!({ "id": "user" })).await.expect(201);
        let processes: Vec<_> = (0..PROCESSES).map(|_| Process::another(&app, &key)).collect();
        for (n, process) in (0..).zip(&processes) {
            process.connector.inject_with(chance(seed * PROCESSES + n));
        }
        Self { app, processes }
    }

    /// Lets every process ask what `ask` chooses, and records what it sees.
    async fn record<I, O, A, F>(&self, seed: u64, choose: impl Fn(&mut Rng) -> I, ask: A, see: F) -> Recorder<I, O>
    where
        I: Copy,
        O: Clone,
        A: AsyncFn(&Process, I, u64) -> Answer,
        F: Fn(I, &Answer) -> Outcome<O>,
    {
        let recorder = Recorder::default();
        let mut rng = Rng::new(seed);
        let plans: Vec<Vec<I>> = (0..PROCESSES).map(|_| (0..STEPS).map(|_| choose(&mut rng)).collect()).collect();
        let (ask, see, recorder_of) = (&ask, &see, &recorder);
        join_all((0..).zip(&self.processes).zip(&plans).map(|((n, process), plan)| async move {
            for (step, input) in (0..).zip(plan) {
                let name = n * STEPS + step;
                let work = async {
                    match run_until_killed(&process.connector, ask(process, *input, name)).await {
                        Some(answer) if answer.status < 500 => see(*input, &answer),
                        _ => Outcome::Unknown,
                    }
                };
                recorder_of.record(*input, work).await;
            }
        }))
        .await;
        // What nobody knows of may have happened or not: a history of little else explains anything.
        let history = recorder.history();
        let known = history.iter().filter(|operation| matches!(operation.outcome, Outcome::Ok(_))).count();
        assert!(known * 3 >= history.len(), "SEED={seed}: only {known} of {} are known", history.len());
        recorder
    }
}

fn chance(seed: u64) -> impl Fn(&CallInfo<'_>) -> Option<Kind> + Send + Sync + 'static {
    let rng = Mutex::new(Rng::new(seed));
    move |_| {
        let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
        let fails = rng.percent(FAULT_PERCENT);
        fails.then(|| *rng.pick(&KINDS))
    }
}

async fn numbers(seed: u64) {
    let stage = Stage::new(seed, 1).await;
    for (field, beginning) in [("customer_reference", "PLE-CVP-2026-"), ("customerId", "PL")] {
        let create = async |process: &Process, (): (), n: u64| {
            process.admin.post("/v1/customers", json!({ "id": format!("{field}-{n}") })).await
        };
        let see = |(), answer: &Answer| {
            let number = answer.str(field).strip_prefix(beginning).and_then(|digits| digits.parse::<u64>().ok());
            number.map_or(Outcome::Failed, Outcome::Ok)
        };
        let recorder = stage.record(seed, |_| (), create, see).await;
        assert_linearizable(&Counter, &recorder.history(), &format!("{field}, SEED={seed}"));
    }
    stage.app.world().await.assert_straight();
}

async fn names(seed: u64) {
    let stage = Stage::new(seed, 1).await;
    for (body, path) in [(json!({ "id": "acme" }), Some("/v1/customers/acme")), (json!({ "email": "a@x.io" }), None)] {
        // Nobody is deleted by an e-mail address.
        let choose = |rng: &mut Rng| {
            if path.is_some() && rng.percent(25) { NameAsk::Delete } else { NameAsk::GetOrCreate }
        };
        let ask = async |process: &Process, ask: NameAsk, _: u64| match (ask, path) {
            (NameAsk::Delete, Some(path)) => process.admin.delete(path).await,
            _ => process.admin.post("/v1/customers", body.clone()).await,
        };
        let see = |ask, answer: &Answer| match ask {
            NameAsk::GetOrCreate if answer.status < 300 => {
                Outcome::Ok(NameAnswer::Holder(answer.str("internal_id").to_owned()))
            }
            NameAsk::Delete if [200, 404].contains(&answer.status) => {
                Outcome::Ok(NameAnswer::Deleted(answer.status == 200))
            }
            NameAsk::GetOrCreate | NameAsk::Delete => Outcome::Failed,
        };
        let recorder = stage.record(seed, choose, ask, see).await;
        assert_linearizable(&Name, &recorder.history(), &format!("{body}, SEED={seed}"));
    }
    stage.app.world().await.assert_straight();
}

async fn balances(seed: u64) {
    const GRANTED: u64 = 40;
    let stage = Stage::new(seed, GRANTED).await;
    let choose = |rng: &mut Rng| {
        let key = rng.percent(50).then(|| rng.below(4));
        // The same key asks the same.
        Use { value: key.unwrap_or_else(|| rng.below(5)) + 1, key }
    };
    let ask = async |process: &Process, asked: Use, _: u64| {
        let key = asked.key.map(|key| format!("k{key}"));
        let body =
            json!({ "customer_id": "user", "feature_id": "seats", "value": asked.value, "idempotency_key": key });
        process.admin.post("/v1/track", body).await
    };
    let see = |_, answer: &Answer| answer.json["deducted"].as_u64().map_or(Outcome::Failed, Outcome::Ok);
    let recorder = stage.record(seed, choose, ask, see).await;
    assert_linearizable(&Balance { granted: GRANTED }, &recorder.history(), &format!("balance, SEED={seed}"));
    stage.app.world().await.assert_straight();
}

async fn all_of(volume: u64) {
    let seeds: Vec<u64> = seed_to_replay().map_or_else(|| (0..volume).collect(), |seed| vec![seed]);
    println!("five histories for each of {} seeds, from SEED={}", seeds.len(), seeds[0]);
    iter(seeds)
        .for_each_concurrent(WIDTH, |seed| async move {
            numbers(seed).await;
            names(seed).await;
            balances(seed).await;
        })
        .await;
}

/// What one caller asked and was answered, one after the other.
fn seen<I, O>(asked: impl IntoIterator<Item = (I, O)>) -> Vec<Operation<I, O>> {
    let sent = asked.into_iter().zip((0_u64..).step_by(2));
    sent.map(|((input, output), n)| Operation { input, outcome: Outcome::Ok(output), begun: n, ended: n + 1 }).collect()
}

/// The same by callers who asked all at once.
fn seen_at_once<I, O>(asked: impl IntoIterator<Item = (I, O)>) -> Vec<Operation<I, O>> {
    seen(asked).into_iter().map(|operation| Operation { begun: 0, ended: 1, ..operation }).collect()
}

#[test]
fn whoever_was_deleted_does_not_have_the_name_again() {
    let history = |last: &str| {
        let holder = |id: &str| (NameAsk::GetOrCreate, NameAnswer::Holder(id.to_owned()));
        seen([holder("one"), (NameAsk::Delete, NameAnswer::Deleted(true)), holder(last)])
    };
    assert!(is_linearizable(&Name, &history("two")));
    assert!(!is_linearizable(&Name, &history("one")));
}

#[test]
fn a_number_is_not_drawn_twice_nor_after_a_larger_one() {
    let drawn = |numbers: [u64; 3]| numbers.map(|number| ((), number));
    assert!(is_linearizable(&Counter, &seen(drawn([1, 2, 4]))));
    assert!(!is_linearizable(&Counter, &seen(drawn([1, 3, 2]))));
    assert!(!is_linearizable(&Counter, &seen(drawn([1, 2, 2]))));
    // At once they may come in any order, and still not twice.
    assert!(is_linearizable(&Counter, &seen_at_once(drawn([4, 1, 2]))));
    assert!(!is_linearizable(&Counter, &seen_at_once(drawn([2, 1, 2]))));
}

#[test]
fn a_use_under_a_key_is_not_taken_twice() {
    let (balance, keyed, plain) =
        (Balance { granted: 10 }, Use { value: 4, key: Some(1) }, Use { value: 6, key: None });
    // Its second answer is the first once more, and what is left is all there for somebody else.
    let history = |left: u64| [(keyed, 4), (keyed, 4), (plain, left)];
    assert!(is_linearizable(&balance, &seen(history(6))));
    assert!(!is_linearizable(&balance, &seen(history(2))));
    assert!(!is_linearizable(&balance, &seen_at_once(history(2))));
    // Nor is the same rest given to two.
    assert!(is_linearizable(&balance, &seen_at_once([(plain, 6), (plain, 4)])));
    assert!(!is_linearizable(&balance, &seen_at_once([(plain, 6), (plain, 6)])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concurrent_callers_see_could_have_happened_one_after_another() {
    all_of(8).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a thousand seeds take minutes in a release build, and an hour otherwise"]
async fn what_a_thousand_crowds_see_could_have_happened_one_after_another() {
    all_of(1_000).await;
}
