//! `audit`: whether users and customers belong together, counted now.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use shared::domain::census::Finding;

use crate::audit::{self, Audit};
use crate::context::Context;
use crate::error::AdminError;
use crate::output::result;
use crate::progress;

/// What is shown.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// Print these records instead, one a line: what it is, its id, and what it points to
    #[arg(long, value_name = "WHICH")]
    list: Option<List>,
}

/// Records that are not as they should be.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum List {
    /// There are several matches, and a person must decide
    Ambiguous,
    /// It points to somebody who does not point back
    OneWay,
    /// It points to nobody
    Dangling,
    /// It points where another does, too
    Duplicate,
}

/// Counts everybody and prints the figures, or the records.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let audit = take(context).await?;
    if let Some(list) = opts.list {
        for line in audit.cases(finding(list)) {
            result(format_args!("{line}"))?;
        }
    } else {
        print(&audit)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts everybody.
pub(crate) async fn take(context: &Context) -> Result<Audit, AdminError> {
    let spinner = progress::spinner("Counting.");
    let audit = audit::take(&context.app, |rows| spinner.set_message(format!("Counting: {rows} so far."))).await;
    spinner.finish_and_clear();
    Ok(audit?)
}

/// Prints the figures.
pub(crate) fn print(audit: &Audit) -> Result<(), AdminError> {
    for line in audit.table()? {
        result(format_args!("{line}"))?;
    }
    Ok(())
}

fn finding(list: List) -> Finding {
    match list {
        List::Ambiguous => Finding::Ambiguous,
        List::OneWay => Finding::OneWay,
        List::Dangling => Finding::Dangling,
        List::Duplicate => Finding::Duplicate,
    }
}
