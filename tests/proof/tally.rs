//! What a run of schedules has met: how the steps of each kind ended, and which faults came to pass. A
//! run in which something never happened says nothing about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use harness::Answer;
use harness::faults::Kind;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// With success.
    Done,
    /// With an answer that it is not to be.
    Refused,
    /// With an answer that nobody can say.
    Failed,
    /// With the process.
    Died,
    /// Before it began: there was nothing to do it with.
    Nothing,
}

impl End {
    const ALL: [Self; 5] = [Self::Done, Self::Refused, Self::Failed, Self::Died, Self::Nothing];

    /// How a request ended that was answered so.
    pub(crate) fn of(answer: &Answer) -> Self {
        match answer.status {
            ..300 => Self::Done,
            300..500 => Self::Refused,
            500.. => Self::Failed,
        }
    }
}

/// What was counted so far.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// By kind of step and by end.
    steps: BTreeMap<String, BTreeMap<End, u64>>,
    /// By kind.
    faults: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a step of the kind `step`.
    pub(crate) fn step(&self, step: String, end: End) {
        *self.lock().steps.entry(step).or_default().entry(end).or_default() += 1;
    }

    /// Counts faults that came to pass.
    pub(crate) fn faults(&self, kinds: &[Kind]) {
        let mut counts = self.lock();
        for kind in kinds {
            *counts.faults.entry(format!("{kind:?}")).or_default() += 1;
        }
    }

    /// Which of `steps` never succeeded, and which of `faults` never came to pass.
    pub(crate) fn never(&self, steps: BTreeSet<String>, faults: &[Kind]) -> Vec<String> {
        let counts = self.lock();
        let done = |step: &String| counts.steps.get(step).is_some_and(|ends| ends.contains_key(&End::Done));
        let fired = |fault: &String| counts.faults.contains_key(fault);
        let unmet = faults.iter().map(|kind| format!("{kind:?}")).filter(|fault| !fired(fault));
        steps.into_iter().filter(|step| !done(step)).chain(unmet).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.lock();
        write!(f, "{:<12}", "steps")?;
        for end in End::ALL {
            write!(f, "{:>9}", format!("{end:?}").to_lowercase())?;
        }
        for (step, ends) in &counts.steps {
            write!(f, "\n{step:<12}")?;
            for end in End::ALL {
                write!(f, "{:>9}", ends.get(&end).copied().unwrap_or_default())?;
            }
        }
        let faults: Vec<_> = counts.faults.iter().map(|(kind, times)| format!("{kind} {times}")).collect();
        write!(f, "\nfaults: {}", faults.join(", "))
    }
}
