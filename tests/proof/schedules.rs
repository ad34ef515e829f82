//! Random schedules: several processes over one table do anything at once, while calls fail, time
//! jumps, mail and Stripe break, and processes die. Afterwards everything heals and what was left
//! is done, and then the table must be straight and hold whatever was acknowledged.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use functions::jobs::backfill::run as backfill;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::iter;
use harness::TestApp;
use harness::app::START;
use harness::connector::run_until_killed;
use harness::faults::{CallInfo, Kind};
use harness::rng::{Rng, seeds};
use harness::stripe_api::{StripeApi, StripeFault};
use serde_json::json;

use crate::WIDTH;
use crate::cases::KINDS;
use crate::ledger::Ledger;
use crate::operations::{Op, Scene, put_product, tracked_id};
use crate::plants::Plant;
use crate::process::{Process, api_key};
use crate::tally::{End, Tally};

/// How many schedules run with the other tests. In so many or more, everything has to happen.
const SHORT_FORM: u64 = 100;

const PROCESSES: u64 = 3;
const PHASES: u64 = 2;

/// Steps of one process in one phase.
const STEPS: u64 = 4;

/// How often a caller asks again who is not answered.
const TRIES: usize = 3;

/// Kinds that only a schedule meets: a single fault of them is a throttle or nothing.
const FURTHER_KINDS: [Kind; 2] = [Kind::TransactionThrottled, Kind::Slow(Duration::from_millis(15))];

/// Where calls fail, one in so many reads through an index lags: there are few, and nothing else can.
const LAGS_ONE_IN: u64 = 4;

/// What passes between two phases, in seconds: nothing, a day, the rest of the year.
const LEAPS: [i64; 3] = [0, 86_401, 1_798_761_595 - START.unix_seconds()];

/// Longer than a message, a lease and an intent wait before they are looked at again, in seconds: the
/// first time, doubled each time up to the last.
const LATER_SECONDS: i64 = 400;
const MAX_DOUBLINGS: u32 = 6;

/// How often the schedule may come until nothing is left to do. What waits has failed before, and the
/// faults of Stripe that are not spent yet make it fail once more.
const ROUNDS: u32 = 10;

/// Rounds in any case: mail is brought more than once, and what is done stays done.
const LEAST_ROUNDS: u32 = 3;

/// Later than anything waits, in seconds.
const FAR_SECONDS: i64 = 30 * 86_400;

const STRIPE_FAULTS: [StripeFault; 5] = [
    StripeFault::Slow(Duration::from_millis(20)),
    StripeFault::ErrorAfter,
    StripeFault::ErrorBefore,
    StripeFault::CutOff,
    StripeFault::Refused,
];

/// Everything that a seed decides.
#[derive(Debug)]
pub(crate) struct Schedule {
    seed: u64,
    /// Of a hundred calls, how many fail.
    fault_percent: u64,
    /// The faults of Stripe, where there is one: of what it makes, and of everything else.
    stripe: Option<[Vec<StripeFault>; 2]>,
    /// Whether one process hands over no mail.
    mail_fails: bool,
    leap: i64,
    /// By phase and process.
    steps: Vec<Vec<Vec<Op>>>,
}

impl Schedule {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let fault_percent = *rng.pick(&[0, 2, 5, 10, 20]);
        let faults: [Vec<_>; 2] = [(); 2].map(|()| (0..3).map(|_| *rng.pick(&STRIPE_FAULTS)).collect());
        let (stripe, mail_fails) = (rng.percent(20).then_some(faults), rng.percent(30));
        let leap = *rng.pick(&LEAPS);
        let mut process = || (0..STEPS).map(|_| Op::random(&mut rng)).collect::<Vec<_>>();
        let mut phase = || (0..PROCESSES).map(|_| process()).collect::<Vec<_>>();
        let steps = (0..PHASES).map(|_| phase()).collect();
        Self { seed, fault_percent, stripe, mail_fails, leap, steps }
    }

    /// Runs it; what is wrong afterwards, with what is needed to see it again.
    pub(crate) async fn run(&self, plant: Option<&Plant>) -> Result<(), String> {
        self.counted(plant, &Tally::default()).await
    }

    /// The same, counting what it meets.
    async fn counted(&self, plant: Option<&Plant>, tally: &Tally) -> Result<(), String> {
        let stripe = match &self.stripe {
            None => None,
            Some([makes, others]) => {
                let stripe = StripeApi::start().await;
                stripe.break_next(makes.iter().copied());
                stripe.break_next_others(others.iter().copied());
                Some(stripe)
            }
        };
        let (app, _, _) = match &stripe {
            None => TestApp::start().await,
            Some(stripe) => TestApp::start_with_stripe(stripe.url()).await,
        };
        let broken = self.on(&app, stripe.as_ref(), plant, tally).await;
        if broken.is_empty() {
            return Ok(());
        }
        Err(format!("SEED={}\n{}\n{self:#?}", self.seed, broken.join("\n")))
    }

    async fn on(&self, app: &TestApp, stripe: Option<&StripeApi>, plant: Option<&Plant>, tally: &Tally) -> Vec<String> {
        let key = api_key(app).await;
        let healthy = Process::first(app, &key);
        prepare(&healthy).await;
        let processes = self.processes(app, &key);
        if let Some(plant) = plant {
            for process in processes.iter().chain([&healthy]) {
                process.connector.rewrite(plant.rewrite());
            }
        }
        let ledger = Ledger::default();
        let mut broken = Vec::new();
        for (phase, steps) in (0..).zip(&self.steps) {
            let scene = Scene { app, phase, stripe: stripe.is_some(), ledger: &ledger, tally };
            self.break_calls(&processes, phase);
            join_all(processes.iter().zip(steps).map(|(process, steps)| act(&scene, process, steps))).await;
            for process in &processes {
                tally.faults(&process.connector.kinds_fired());
                process.connector.reset();
            }
            // Before days pass, and keys are forgotten, whoever has no answer asks once more.
            broken.extend(settle(&healthy, &scene).await);
            if phase == 0 {
                app.clock.advance_seconds(self.leap);
            }
        }
        broken.extend(drain(app).await);
        let world = app.world().await;
        broken.extend(world.broken());
        broken.extend([world.undone(), world.ahead_of_counters(), world.leads_that_paid()].concat());
        broken.extend(ledger.broken(&world));
        broken.extend(ledger.locked_out(&healthy, &world).await);
        broken.extend(stripe.into_iter().flat_map(twins));
        broken
    }

    fn processes(&self, app: &TestApp, key: &str) -> Vec<Process> {
        let mailer = if self.mail_fails { Process::without_mail } else { Process::another };
        (1..PROCESSES).map(|_| Process::another(app, key)).chain([mailer(app, key)]).collect()
    }

    fn break_calls(&self, processes: &[Process], phase: u64) {
        for (n, process) in (0..).zip(processes) {
            let seed = Rng::new(self.seed.wrapping_mul(PROCESSES * PHASES) + phase * PROCESSES + n).draw();
            process.connector.inject_with(chance(seed, self.fault_percent));
        }
    }
}

/// Every kind of fault that a call may meet.
fn kinds() -> Vec<Kind> {
    KINDS.into_iter().chain(FURTHER_KINDS).collect()
}

/// Breaks `percent` of all calls.
fn chance(seed: u64, percent: u64) -> impl Fn(&CallInfo<'_>) -> Option<Kind> + Send + Sync + 'static {
    let rng = Mutex::new(Rng::new(seed));
    let kinds = kinds();
    move |call: &CallInfo<'_>| {
        let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
        let may_lag = percent > 0 && call.operation == "Query" && call.json()["IndexName"].is_string();
        if may_lag && rng.one_in(LAGS_ONE_IN) {
            return Some(Kind::Stale);
        }
        let fails = rng.percent(percent);
        fails.then(|| *rng.pick(&kinds))
    }
}

/// Two customers whose use is counted, and what they may use.
async fn prepare(process: &Process) {
    put_product(&process.admin, "Pro").await.expect(201);
    for n in 0..2 {
        process.admin.post("/v1/customers", json!({ "id": tracked_id(n) })).await.expect(201);
    }
}

/// One actor's steps, one after another; each is tried again as its caller would.
async fn act(scene: &Scene<'_>, process: &Process, steps: &[Op]) {
    for op in steps {
        for _ in 0..TRIES {
            let asked = scene.ledger.asked(*op, scene.phase, scene.app).await;
            let step = Box::pin(op.perform(scene, process, asked.pass.as_ref()));
            // A process that dies answers nobody.
            let Some((end, answer)) = run_until_killed(&process.connector, step).await else {
                scene.tally.step(op.kind(), End::Died);
                continue;
            };
            scene.tally.step(op.kind(), end);
            let Some(answer) = answer else { break };
            scene.ledger.answered(&asked, &answer);
            if answer.status < 500 {
                break;
            }
        }
    }
}

/// Whoever used something under a key asks until they know.
async fn settle(process: &Process, scene: &Scene<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (op, phase, body) in scene.ledger.open_uses() {
        let asked = scene.ledger.asked(op, phase, scene.app).await;
        let answer = process.admin.post("/v1/track", body).await;
        scene.ledger.answered(&asked, &answer);
        if answer.status != 200 {
            broken.push(format!("{op:?} is answered {} though nothing fails", answer.text));
        }
    }
    broken
}

/// Everything works again, and what was left is done.
async fn drain(app: &TestApp) -> Vec<String> {
    let mut broken = Vec::new();
    app.deliver_mail().await;
    for round in 0..ROUNDS {
        app.clock.advance_seconds(LATER_SECONDS << round.min(MAX_DOUBLINGS));
        match backfill(&app.app, None).await {
            Ok(summary) if summary.tally.errors == 0 => {}
            other => broken.push(format!("backfill {round}: {other:?}")),
        }
        app.deliver_mail().await;
        let later = app.clock.now().plus_seconds(FAR_SECONDS);
        if round + 1 >= LEAST_ROUNDS && app.raw_store().count_due_work(later).await.unwrap() == 0 {
            break;
        }
    }
    broken
}

/// Customers for whom there are several at Stripe.
fn twins(stripe: &StripeApi) -> Vec<String> {
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for customer in stripe.customers() {
        *made.entry(customer["metadata"]["internal_id"].to_string()).or_default() += 1;
    }
    let twins = made.into_iter().filter(|(_, times)| *times > 1);
    twins.map(|(id, times)| format!("{id} was made {times} times at Stripe")).collect()
}

async fn run_seeds(volume: u64) {
    let seeds = seeds(volume);
    let count = seeds.end - seeds.start;
    let tally = &Tally::default();
    println!("{count} schedules, from SEED={}", seeds.start);
    // On the heap: a schedule is larger than a test's stack.
    let run = |seed| Box::pin(async move { Schedule::of(seed).counted(None, tally).await });
    let failed: Vec<String> =
        iter(seeds).map(run).buffer_unordered(WIDTH).filter_map(|run| ready(run.err())).collect().await;
    println!("{tally}");
    assert!(failed.is_empty(), "{} schedules failed:\n{}", failed.len(), failed.join("\n\n"));
    let never = tally.never(Op::kinds(), &kinds());
    assert!(count < SHORT_FORM || never.is_empty(), "in {count} schedules these never came to pass: {never:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_at_once_the_table_ends_straight_and_holds_what_was_acknowledged() {
    run_seeds(SHORT_FORM).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "20 000 schedules take hours"]
async fn after_twenty_thousand_schedules_the_table_is_straight_and_holds_what_was_acknowledged() {
    run_seeds(20_000).await;
}
