//! `backfill`: what the schedule does, now and to the end of the queue.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use functions::jobs::backfill::{self, Summary};
use indicatif::ProgressBar;
use shared::http::ApiError;

use crate::context::Context;
use crate::error::AdminError;
use crate::output::{ROWS_REFUSED, note, result};

/// No Lambda ends this run; a day is more than any queue takes.
const DEADLINE_SECONDS: i64 = 86_400;

const TICK: Duration = Duration::from_millis(120);

/// Nothing is to be said.
#[derive(Args, Debug)]
pub(crate) struct Opts {}

/// Works through the queue and prints what became of its rows.
pub(crate) async fn run(context: &Context, _opts: Opts) -> Result<ExitCode, AdminError> {
    let (app, now) = (&context.app, context.app.clock.now());
    if context.dry_run {
        let due = app.store.count_due_work(now).await?;
        result(format_args!("would look at {due} rows and unsent messages in the work queue"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let spinner = ProgressBar::new_spinner().with_message("Working through the queue; it can be interrupted.");
    spinner.enable_steady_tick(TICK);
    let summary = backfill::run(app, Some(now.plus_seconds(DEADLINE_SECONDS))).await;
    spinner.finish_and_clear();
    let summary = summary.map_err(|error| AdminError::Backfill(cause(error)))?;
    print(&summary)?;
    Ok(verdict(&summary))
}

fn print(summary: &Summary) -> Result<(), AdminError> {
    result(format_args!("run_id     {}", summary.run_id))?;
    for (name, rows) in [
        ("created", summary.tally.created),
        ("linked", summary.tally.linked),
        ("numbered", summary.tally.numbered),
        ("crns", summary.tally.crns),
        ("skipped", summary.tally.skipped),
        ("ambiguous", summary.tally.ambiguous),
        ("errors", summary.tally.errors),
        ("total", summary.tally.total),
        ("remaining", summary.remaining),
    ] {
        result(format_args!("{name:<9}  {rows:>9}"))?;
    }
    Ok(())
}

fn verdict(summary: &Summary) -> ExitCode {
    if summary.tally.ambiguous > 0 {
        note(format_args!("Ambiguous rows match several others and are left to a person."));
    }
    if summary.tally.errors > 0 {
        note(format_args!("Rows that failed stay in the queue; the next run tries them again."));
        return ExitCode::from(ROWS_REFUSED);
    }
    ExitCode::SUCCESS
}

/// The API tells its callers less than the operator may know.
fn cause(error: ApiError) -> String {
    match error {
        ApiError::Unavailable(cause) | ApiError::Internal(cause) => cause,
        other => other.code().1.to_owned(),
    }
}
