//! `migrate status`: the runs that can be undone.

use std::process::ExitCode;

use clap::Args;
use shared::domain::ledger::{Run, RunKind, RunState};

use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};
use crate::tally;

/// Runs read at once.
const PAGE: i32 = 100;

/// Nothing is to be said.
#[derive(Args, Debug)]
pub(crate) struct Opts {}

/// Prints one line for each run, newest first.
pub(crate) async fn run(context: &Context, _opts: Opts) -> Result<ExitCode, AdminError> {
    let (mut start, mut none) = (None, true);
    loop {
        let (runs, next) = context.app.store.runs(start, PAGE).await?;
        for run in &runs {
            result(format_args!("{}", line(run)))?;
            none = false;
        }
        start = next;
        if start.is_none() {
            break;
        }
    }
    if none {
        note(format_args!("There are no runs."));
    }
    Ok(ExitCode::SUCCESS)
}

/// The line of `run`, which begins with its id.
fn line(run: &Run) -> String {
    let counts = tally::counts(run.tally).map(|(name, rows)| format!("{name}={rows}")).join(" ");
    let kind = match run.run_kind {
        RunKind::Migration => "migration",
        RunKind::Backfill => "backfill",
    };
    let state = match run.state {
        RunState::Running => "running",
        RunState::Finished => "finished",
        RunState::Undoing => "undoing",
        RunState::Undone => "undone",
    };
    format!("{}  {kind:<9}  {state:<8}  {}  {counts}", run.run_id, run.started_at)
}

#[cfg(test)]
mod tests {
    use shared::clock::Time;
    use shared::domain::ledger::Tally;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_line_begins_with_the_id_and_has_every_count() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let tally = Tally { created: 1, linked: 2, total: 3, ..Tally::default() };
        let run = Run { tally, ..Run::new(Uuid::max(), RunKind::Backfill, now) };
        assert_eq!(
            line(&run),
            "ffffffff-ffff-ffff-ffff-ffffffffffff  backfill   running   2026-11-20T12:00:00Z  created=1 linked=2 \
             numbered=0 crns=0 skipped=0 ambiguous=0 errors=0 total=3"
        );
    }
}
