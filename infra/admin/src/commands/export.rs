//! `export`: the customers as a file.

use std::io::{self, BufWriter, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;
use shared::app::App;
use shared::domain::customer::Customer;
use tempfile::NamedTempFile;

use crate::context::Context;
use crate::error::AdminError;
use crate::export::{self, ExportError};
use crate::output::{note, result};
use crate::progress;

/// What, and where to.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// Write all customers, leads among them, to this CSV file, or to standard output (`-`)
    #[arg(long, value_name = "FILE")]
    customers: PathBuf,
}

/// Writes the file. It appears when it is complete, and only its owner may read it.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let (app, path) = (&context.app, opts.customers);
    let rows = app.store.count_list::<Customer>().await?;
    if context.dry_run {
        result(format_args!("would export {rows} customers to `{}`", path.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let bar = progress::bar(rows, "Exporting.");
    let written = if path == Path::new("-") {
        export::write(app, &mut BufWriter::new(stdout()), |rows| bar.set_position(rows)).await
    } else {
        to_file(app, &path, &bar).await
    };
    bar.finish_and_clear();
    note(format_args!("exported {} customers to `{}`", written?, path.display()));
    Ok(ExitCode::SUCCESS)
}

async fn to_file(app: &App, path: &Path, bar: &ProgressBar) -> Result<u64, ExportError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Others may not read it: that is how temporary files are made.
    let mut out = BufWriter::new(NamedTempFile::new_in(folder)?);
    let written = export::write(app, &mut out, |rows| bar.set_position(rows)).await?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|refused| refused.error)?;
    Ok(written)
}
