//! `migrate down`: what a run wrote is taken back, but for what somebody touched since.

use std::fmt::Display;
use std::process::ExitCode;

use clap::Args;
use functions::jobs::undo;
use shared::domain::ledger::{Entry, Spared};
use uuid::Uuid;

use crate::context::Context;
use crate::error::{AdminError, cause};
use crate::output::result;
use crate::progress;

/// Which run.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// The run, by the id at the beginning of its line in `migrate status`
    #[arg(long, value_name = "ID")]
    run: Uuid,
}

/// Takes the run back, and prints what it spared and why.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    // Where there is no such run, or no table, nothing was done that could be continued.
    context.app.store.run(opts.run).await?.ok_or(AdminError::UnknownRun(opts.run))?;
    let spinner = progress::spinner("Taking it back; it can be interrupted.");
    let mut printed = Ok(());
    let spare = |entry: &Entry, why: Spared| {
        if printed.is_ok() {
            printed = spinner.suspend(|| result(format_args!("{}", spared(entry, why))));
        }
    };
    let undone = undo::down(&context.app, opts.run, context.dry_run, spare).await;
    spinner.finish_and_clear();
    let undone = undone.map_err(|error| AdminError::Undo(cause(error)))?;
    let undone = undone.ok_or(AdminError::UnknownRun(opts.run))?;
    printed?;
    let restored = if context.dry_run { "to restore" } else { "restored" };
    let spared = if context.dry_run { "to spare" } else { "spared" };
    for (name, entries) in [(restored, undone.restored), (spared, undone.spared), ("before", undone.before)] {
        result(format_args!("{name:<10}  {entries:>9}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The line of an entry that stays.
fn spared(entry: &Entry, why: Spared) -> String {
    let customer = or_none(entry.customer.as_ref().map(|change| change.id));
    let user = or_none(entry.user.as_ref().map(|change| change.id));
    format!("spared  customer {customer}  user {user}  {}", why.reason())
}

fn or_none(id: Option<impl Display>) -> String {
    id.map_or_else(|| "-".to_owned(), |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use shared::domain::ledger::{Change, EntryState};
    use shared::ids::CustomerId;

    use super::*;

    #[test]
    fn a_spared_entry_is_named_with_the_reason() {
        let entry = Entry {
            run_id: Uuid::nil(),
            entry_id: Uuid::nil(),
            customer: Some(Change { id: CustomerId(Uuid::max()), before: None, version: 1 }),
            user: None,
            crn: None,
            number: None,
            message_id: None,
            state: EntryState::Written,
            version: 1,
            expires_at: 0,
        };
        let line = spared(&entry, Spared::CustomerChanged);
        assert_eq!(line, format!("spared  customer {}  user -  the customer was changed since", Uuid::max()));
    }
}
