//! `migrate up`: the imported rows are linked and completed.

use std::process::ExitCode;

use clap::Args;
use functions::jobs::migrate;

use crate::commands::audit;
use crate::context::Context;
use crate::error::{AdminError, cause};
use crate::output::result;
use crate::{progress, tally};

/// How.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// Send the users that are made an invitation; without it nobody is invited, whatever
    /// `BACKFILL_INVITES` says
    #[arg(long)]
    invite: bool,
}

/// Completes every staged row, and prints the audit before and after and what became of the rows.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    let staged = app.store.count_staged_rows().await?;
    result(format_args!("before:"))?;
    audit::print(&audit::take(context).await?)?;
    if context.dry_run {
        return preview(context, staged).await;
    }
    let bar = progress::bar(staged, "Migrating; it can be interrupted.");
    let migrated = migrate::up(app, opts.invite, |rows| bar.set_position(rows)).await;
    bar.finish_and_clear();
    let migrated = migrated.map_err(|error| AdminError::Migration(cause(error)))?;
    let Some(run_id) = migrated.run_id else { return nothing_staged() };
    result(format_args!("after:"))?;
    audit::print(&audit::take(context).await?)?;
    tally::print(run_id, migrated.tally, migrated.remaining)?;
    if migrated.undone {
        result(format_args!("the run was undone meanwhile: what it wrote was taken back"))?;
    }
    Ok(tally::verdict(migrated.tally))
}

async fn preview(context: &Context, staged: u64) -> Result<ExitCode, AdminError> {
    if staged == 0 {
        return nothing_staged();
    }
    let spinner = progress::spinner("Planning.");
    let planned = migrate::preview(&context.app).await;
    spinner.finish_and_clear();
    let planned = planned.map_err(|error| AdminError::Migration(cause(error)))?;
    result(format_args!("would come to:"))?;
    // What is drawn on the way cannot be told before.
    let told = tally::counts(planned).into_iter().filter(|(name, _)| !matches!(*name, "numbered" | "crns" | "errors"));
    tally::print_counts(told)?;
    Ok(ExitCode::SUCCESS)
}

fn nothing_staged() -> Result<ExitCode, AdminError> {
    result(format_args!("nothing is staged: there is nothing to migrate"))?;
    Ok(ExitCode::SUCCESS)
}
