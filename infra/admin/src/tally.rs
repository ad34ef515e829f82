//! What became of the rows of a run, as every command shows it.

use std::process::ExitCode;

use shared::domain::ledger::Tally;
use uuid::Uuid;

use crate::error::AdminError;
use crate::output::{ROWS_REFUSED, note, result};

/// Every count by its name.
pub(crate) fn counts(tally: Tally) -> [(&'static str, u64); 8] {
    [
        ("created", tally.created),
        ("linked", tally.linked),
        ("numbered", tally.numbered),
        ("crns", tally.crns),
        ("skipped", tally.skipped),
        ("ambiguous", tally.ambiguous),
        ("errors", tally.errors),
        ("total", tally.total),
    ]
}

/// Prints what the run `run_id` did, and how many rows it left.
pub(crate) fn print(run_id: Uuid, tally: Tally, remaining: u64) -> Result<(), AdminError> {
    result(format_args!("run_id     {run_id}"))?;
    print_counts(counts(tally).into_iter().chain([("remaining", remaining)]))
}

/// Prints counts, one a line.
pub(crate) fn print_counts(counts: impl IntoIterator<Item = (&'static str, u64)>) -> Result<(), AdminError> {
    for (name, rows) in counts {
        result(format_args!("{name:<9}  {rows:>9}"))?;
    }
    Ok(())
}

/// How a run ended.
pub(crate) fn verdict(tally: Tally) -> ExitCode {
    if tally.ambiguous > 0 {
        note(format_args!(
            "Ambiguous rows match several others and are left to a person: `audit --list ambiguous` names them."
        ));
    }
    if tally.errors > 0 {
        note(format_args!("Rows that failed stay where they are; the next run tries them again."));
        return ExitCode::from(ROWS_REFUSED);
    }
    ExitCode::SUCCESS
}
