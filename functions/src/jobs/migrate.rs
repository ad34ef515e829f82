//! `migrate up`: completes the imported rows, in order of creation, as the schedule completes others.
//!
//! What must stay true: it can be killed anywhere and started again, also twice at once. The rows that
//! are left are still staged, and a run that was broken off is continued under its id. A run that
//! somebody undoes meanwhile stays undone: what it wrote too late for that, it takes back itself.

use std::collections::HashSet;

use shared::app::App;
use shared::domain::ledger::{RunKind, RunState, Tally};
use shared::domain::matching::Review;
use shared::http::ApiError;
use shared::store::work::Due;
use uuid::Uuid;

use super::plan::{Need, Row};
use super::undo;
use super::walk::{AHEAD, Walk};

/// Rows read at once.
const PAGE: i32 = 100;

/// Passes of which nothing comes before the rest is left to the next run.
const MAX_IDLE_PASSES: u32 = 3;

/// What a migration did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The run; none if there was nothing to do.
    pub run_id: Option<Uuid>,
    /// What became of the rows.
    pub tally: Tally,
    /// Rows that are still staged.
    pub remaining: u64,
    /// Whether somebody undid the run meanwhile: what it wrote was taken back.
    pub undone: bool,
}

/// Completes every imported row that no migration has covered. New logins are invited if `invite`.
/// Tells `progress` how many rows it is through.
pub async fn up(app: &App, invite: bool, progress: impl Fn(u64)) -> Result<Migrated, ApiError> {
    let unfinished = app.store.unfinished_migration().await?;
    let run_id = unfinished.as_ref().map_or_else(|| app.clock.now().new_id(), |run| run.run_id);
    let mut walk = Walk::new(app, run_id, RunKind::Migration, invite);
    if unfinished.is_some() {
        walk = walk.resume();
    }
    let mut idle = 0;
    while idle < MAX_IDLE_PASSES {
        walk.again();
        let done = walk.tally.total;
        let seen = pass(app, &mut walk, run_id, &progress).await?;
        // The index may be behind, or somebody else at work: it is read until nothing is left but
        // what failed, or nothing comes of it.
        if seen.is_none_or(|seen| seen == walk.tally.errors) {
            break;
        }
        idle += u32::from(walk.tally.total - walk.tally.errors == done);
    }
    walk.finish().await?;
    let undone = is_undone(app, run_id).await?;
    if undone {
        // The undo may have been through before the last of it was written.
        undo::down(app, run_id, false, |_, _| {}).await?;
    }
    let remaining = app.store.count_staged_rows().await?;
    let run_id = Some(run_id).filter(|_| unfinished.is_some() || walk.tally.total > 0);
    Ok(Migrated { run_id, tally: walk.tally, remaining, undone })
}

/// Goes through the staged rows once; answers how many there were, or `None` if somebody is undoing
/// the run meanwhile. That another `up` has finished it is no reason to stop.
async fn pass(app: &App, walk: &mut Walk<'_>, run_id: Uuid, progress: &impl Fn(u64)) -> Result<Option<u64>, ApiError> {
    let (mut seen, mut start) = (0, None);
    loop {
        let page = app.store.staged_rows(start, PAGE).await?;
        for window in rows(page.due).chunks(AHEAD) {
            if is_undone(app, run_id).await? {
                return Ok(None);
            }
            seen += window.len() as u64;
            walk.repair(window, None).await?;
            progress(walk.tally.total);
        }
        start = page.next;
        if start.is_none() {
            return Ok(Some(seen));
        }
    }
}

/// Whether somebody undoes the run, or has undone it.
async fn is_undone(app: &App, run_id: Uuid) -> Result<bool, ApiError> {
    let run = app.store.run(run_id).await?;
    Ok(run.is_some_and(|run| matches!(run.state, RunState::Undoing | RunState::Undone)))
}

/// What [`up`] would do, as far as it can be said without doing it.
pub async fn preview(app: &App) -> Result<Tally, ApiError> {
    let (mut tally, mut start) = (Tally::default(), None);
    let mut written: HashSet<Uuid> = HashSet::new();
    loop {
        let page = app.store.staged_rows(start, PAGE).await?;
        for row in rows(page.due) {
            tally.total += 1;
            let plan = row.plan(app, Review::Staged, app.clock.now()).await?;
            let records: Vec<Uuid> = plan.need.records().into_iter().flatten().collect();
            if records.iter().any(|record| written.contains(record)) {
                tally.skipped += 1;
                continue;
            }
            written.extend(records);
            match plan.need {
                Need::Link { created: true, .. } => tally.created += 1,
                Need::Link { .. } => tally.linked += 1,
                Need::AmbiguousCustomer(_) | Need::AmbiguousUser(_) => tally.ambiguous += 1,
                Need::Complete { .. } | Need::CompleteUser { .. } | Need::Wait | Need::Nothing => tally.skipped += 1,
            }
        }
        start = page.next;
        if start.is_none() {
            return Ok(tally);
        }
    }
}

fn rows(due: Vec<Due>) -> Vec<Row> {
    let row = |due| match due {
        Due::Customer(id) => Some(Row::Customer(id)),
        Due::User(id) => Some(Row::User(id)),
        Due::Message(_) | Due::Purge(_) | Due::Replay(_) | Due::StripeIntent(..) | Due::Recheck(_) | Due::Report => {
            None
        }
    };
    due.into_iter().filter_map(row).collect()
}
