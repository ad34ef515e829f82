//! Whether what concurrent callers saw could have happened one after another.
//!
//! The search of Wing and Gong, with the memory of Lowe: it puts the operations of a history in an
//! order in which each lies between its beginning and its end and in which the model gives every
//! answer that was given. An operation whose outcome nobody knows may have happened at any time
//! since it began, or never; one that failed for certain is no part of the history.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Mutex;

/// What one thing does when operations come one at a time.
pub trait Model {
    /// What it remembers.
    type State: Clone + Eq + Hash;
    /// What is asked.
    type Input: Debug;
    /// What is answered.
    type Output: Debug;

    /// At the beginning.
    fn start(&self) -> Self::State;

    /// The state after `input`; `None` if it cannot be answered `output` in this state. Without an
    /// output nobody saw the answer.
    fn step(&self, state: &Self::State, input: &Self::Input, output: Option<&Self::Output>) -> Option<Self::State>;
}

/// What the caller knows of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<O> {
    /// It was answered so.
    Ok(O),
    /// It certainly changed nothing.
    Failed,
    /// It may have happened, and may still happen.
    Unknown,
}

/// One operation of a history.
#[derive(Clone, Debug)]
pub struct Operation<I, O> {
    /// What was asked.
    pub input: I,
    /// What came of it.
    pub outcome: Outcome<O>,
    /// The logical time at which it began.
    pub begun: u64,
    /// The logical time at which its caller had the answer.
    pub ended: u64,
}

/// The most operations of one history: they are a bit each.
pub const MAX_OPERATIONS: usize = 128;

/// Records what concurrent callers ask and see.
#[derive(Debug)]
pub struct Recorder<I, O>(Mutex<(u64, Vec<Operation<I, O>>)>);

impl<I, O> Default for Recorder<I, O> {
    fn default() -> Self {
        Self(Mutex::new((0, Vec::new())))
    }
}

impl<I: Clone, O: Clone> Recorder<I, O> {
    /// Runs `work`, which asks `input` and answers what came of it.
    pub async fn record(&self, input: I, work: impl Future<Output = Outcome<O>>) {
        let begun = self.tick();
        let outcome = work.await;
        let mut guard = self.0.lock().unwrap();
        guard.0 += 1;
        let ended = guard.0;
        guard.1.push(Operation { input, outcome, begun, ended });
    }

    /// The history so far.
    pub fn history(&self) -> Vec<Operation<I, O>> {
        self.0.lock().unwrap().1.clone()
    }

    fn tick(&self) -> u64 {
        let mut guard = self.0.lock().unwrap();
        guard.0 += 1;
        guard.0
    }
}

/// Whether the operations of `history` have an order that `model` allows.
pub fn is_linearizable<M: Model>(model: &M, history: &[Operation<M::Input, M::Output>]) -> bool {
    let operations: Vec<_> = history.iter().filter(|operation| !matches!(operation.outcome, Outcome::Failed)).collect();
    assert!(operations.len() <= MAX_OPERATIONS, "a history of {} operations", operations.len());
    Search { model, operations, seen: HashSet::new() }.explain(0, &model.start())
}

/// Stops the test unless `history` is linearizable.
#[track_caller]
pub fn assert_linearizable<M: Model>(model: &M, history: &[Operation<M::Input, M::Output>], about: &str) {
    assert!(is_linearizable(model, history), "{about}: no order explains\n{history:#?}");
}

struct Search<'a, M: Model> {
    model: &'a M,
    operations: Vec<&'a Operation<M::Input, M::Output>>,
    /// Which were put in order, and the state after: known to lead nowhere.
    seen: HashSet<(u128, M::State)>,
}

impl<M: Model> Search<'_, M> {
    /// Whether the operations that are not in `done` can follow `state`.
    fn explain(&mut self, done: u128, state: &M::State) -> bool {
        let open: Vec<usize> = (0..self.operations.len()).filter(|n| done & (1 << n) == 0).collect();
        let ends = open.iter().filter_map(|n| self.end(*n));
        let Some(first_end) = ends.min() else { return true };
        if !self.seen.insert((done, state.clone())) {
            return false;
        }
        // Whatever begins after another has ended comes after it.
        let next: Vec<usize> = open.into_iter().filter(|n| self.operations[*n].begun < first_end).collect();
        next.into_iter().any(|n| {
            let operation = self.operations[n];
            let output = match &operation.outcome {
                Outcome::Ok(output) => Some(output),
                Outcome::Failed | Outcome::Unknown => None,
            };
            let after = self.model.step(state, &operation.input, output);
            after.is_some_and(|after| self.explain(done | (1 << n), &after))
        })
    }

    /// When an operation has ended that must be in the order; `None` for one that need not be.
    fn end(&self, n: usize) -> Option<u64> {
        matches!(self.operations[n].outcome, Outcome::Ok(_)).then(|| self.operations[n].ended)
    }
}
