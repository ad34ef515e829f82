//! Rows under review, repaired one after the other, and planned a few ahead.
//!
//! They are repaired in order of creation, because numbers are given in that order; what they need is
//! found out for several at once, because that is what takes the time. A plan is only good as long as
//! nobody wrote to what it was made from: the transaction sees to that.

use futures::future::join_all;
use shared::app::App;
use shared::clock::Time;
use shared::domain::ledger::{Run, RunKind, RunState, Tally};
use shared::domain::matching::Review;
use shared::http::ApiError;
use uuid::Uuid;

use super::plan::Row;
use super::repair::{Outcome, Repair, Scope};

/// Rows that are planned at once.
pub(super) const AHEAD: usize = 16;

/// A run over rows under review. It is on record from its first row on.
pub(super) struct Walk<'a> {
    app: &'a App,
    scope: Scope,
    kind: RunKind,
    begun: bool,
    /// What became of the rows.
    pub(super) tally: Tally,
}

impl<'a> Walk<'a> {
    pub(super) fn new(app: &'a App, run_id: Uuid, kind: RunKind, invite: bool) -> Self {
        let review = match kind {
            RunKind::Migration => Review::Staged,
            RunKind::Backfill => Review::Due,
        };
        Self { app, scope: Scope { run_id, review, invite }, kind, begun: false, tally: Tally::default() }
    }

    /// Repairs `rows`, unless it is `stop_at` before it gets to one. Answers whether it got to all.
    pub(super) async fn repair(&mut self, rows: &[Row], stop_at: Option<Time>) -> Result<bool, ApiError> {
        let late = |app: &App| stop_at.is_some_and(|at| app.clock.now() >= at);
        for window in rows.chunks(AHEAD) {
            if late(self.app) {
                return Ok(false);
            }
            let now = self.app.clock.now();
            let plans = join_all(window.iter().map(|row| row.plan(self.app, self.scope.review, now))).await;
            if plans.iter().flatten().any(|plan| plan.need.writes()) {
                self.begin().await?;
            }
            let mut written = Vec::new();
            for (row, plan) in window.iter().zip(plans) {
                if late(self.app) {
                    return Ok(false);
                }
                let repaired = async {
                    let mut plan = plan?;
                    // A number drawn for a plan that cannot hold would be lost.
                    if plan.need.records().iter().flatten().any(|record| written.contains(record)) {
                        plan = row.plan(self.app, self.scope.review, now).await?;
                    }
                    self.scope.repair(self.app, *row, plan).await
                };
                match repaired.await {
                    Ok((repair, records)) => {
                        written.extend(records.into_iter().flatten());
                        add(&mut self.tally, repair);
                    }
                    Err(error) => {
                        tracing::error!(whose = %row.key(), ?error, "a row could not be repaired");
                        self.tally.total += 1;
                        self.tally.errors += 1;
                    }
                }
            }
        }
        Ok(true)
    }

    /// Continues a run that is on record.
    pub(super) fn resume(self) -> Self {
        Self { begun: true, ..self }
    }

    /// Begins anew with the rows that are left: those that failed get another chance.
    pub(super) fn again(&mut self) {
        self.tally.total -= self.tally.errors;
        self.tally.errors = 0;
    }

    async fn begin(&mut self) -> Result<(), ApiError> {
        if !self.begun {
            self.app.store.begin_run(&Run::new(self.scope.run_id, self.kind, self.app.clock.now())).await?;
            self.begun = true;
        }
        Ok(())
    }

    /// Puts what was done on record, if there was anything to do.
    pub(super) async fn finish(&self) -> Result<(), ApiError> {
        if !self.begun {
            return Ok(());
        }
        let (tally, id) = (self.tally, self.scope.run_id);
        let finish = |run: &mut Run| {
            run.tally = run.tally.plus(tally);
            if run.state == RunState::Running {
                run.state = RunState::Finished;
            }
        };
        Ok(self.app.store.change_run(id, finish).await?)
    }
}

/// A row counts when it is done, not when it is met: whoever is linked leaves the list together with
/// their counterpart, of which nothing more is said than that. What was done before is not this run's.
fn add(tally: &mut Tally, repair: Repair) {
    let Some(others) = repair.rows.checked_sub(1) else { return };
    tally.total += repair.rows;
    tally.skipped += others;
    tally.numbered += u64::from(repair.numbered);
    tally.crns += u64::from(repair.crn);
    match repair.outcome {
        Outcome::Created => tally.created += 1,
        Outcome::Linked => tally.linked += 1,
        Outcome::Skipped => tally.skipped += 1,
        Outcome::Ambiguous => tally.ambiguous += 1,
    }
}
