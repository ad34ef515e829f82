//! `backfill`: what the schedule does, now and to the end of the queue.

use std::process::ExitCode;

use clap::Args;
use functions::jobs::backfill;

use crate::context::Context;
use crate::error::{AdminError, cause};
use crate::output::result;
use crate::{progress, tally};

/// No Lambda ends this run; a day is more than any queue takes.
const DEADLINE_SECONDS: i64 = 86_400;

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
    // Where there is no table, nothing was done that could be continued.
    app.store.due_work(now, None, 1).await?;
    let spinner = progress::spinner("Working through the queue; it can be interrupted.");
    let summary = backfill::run(app, Some(now.plus_seconds(DEADLINE_SECONDS))).await;
    spinner.finish_and_clear();
    let summary = summary.map_err(|error| AdminError::Backfill(cause(error)))?;
    tally::print(summary.run_id, summary.tally, summary.remaining)?;
    Ok(tally::verdict(summary.tally))
}
