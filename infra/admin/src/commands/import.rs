//! `import`: a legacy system's users and customers, from the files that `mongoexport` wrote.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use indicatif::{ProgressBar, ProgressStyle};
use shared::domain::legacy::Source;

use crate::context::Context;
use crate::csv::quoted;
use crate::error::AdminError;
use crate::import::{self, Finding, ImportError, Input, Place, Totals, Watcher};
use crate::output::{ROWS_REFUSED, note, result};

const BAR: &str = "{msg} {wide_bar} {percent:>3} % {eta}";

/// The files, any of them, at least one.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("files").required(true).multiple(true)))]
pub(crate) struct Opts {
    /// The collection `users`, a document a line
    #[arg(long, value_name = "FILE", group = "files")]
    users: Option<PathBuf>,
    /// The collection `customers_v2`, a document a line
    #[arg(long, value_name = "FILE", group = "files")]
    customers: Option<PathBuf>,
    /// The collection `clients`, a document a line
    #[arg(long, value_name = "FILE", group = "files")]
    clients: Option<PathBuf>,
    /// Write what is to be said about rows to this CSV file and not to standard error
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Imports the files and prints what became of their lines.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let Opts { users, customers, clients, report } = opts;
    let files = [(Source::Users, users), (Source::CustomersV2, customers), (Source::Clients, clients)];
    let given = files.into_iter().filter_map(|(source, path)| path.map(|path| Input { source, path }));
    let inputs: Vec<Input> = given.collect();
    let mut told = Told::new(&inputs, report.as_deref()).map_err(ImportError::Report)?;
    let totals = import::run(&context.app, &inputs, context.dry_run, &mut told).await;
    told.finish().map_err(ImportError::Report)?;
    let totals = totals?;
    print(&totals, context.dry_run)?;
    Ok(verdict(&totals, context.dry_run))
}

fn print(totals: &Totals, dry_run: bool) -> Result<(), AdminError> {
    let imported = if dry_run { "to import" } else { "imported" };
    for (name, lines) in [
        ("read", totals.read),
        (imported, totals.imported),
        ("already there", totals.there),
        ("refused", totals.refused),
        ("reported", totals.reported),
    ] {
        result(format_args!("{name:<13}  {lines:>9}"))?;
    }
    Ok(())
}

fn verdict(totals: &Totals, dry_run: bool) -> ExitCode {
    if totals.imported > 0 && !dry_run {
        note(format_args!("The rows wait for `migrate up`; until then the backfill leaves them alone."));
    }
    if totals.refused > 0 {
        note(format_args!("Lines that were refused are in no figure but their own; mend them and import again."));
        return ExitCode::from(ROWS_REFUSED);
    }
    ExitCode::SUCCESS
}

/// Shows the progress, and writes findings as they come.
struct Told<'a> {
    inputs: &'a [Input],
    bar: ProgressBar,
    csv: Option<BufWriter<File>>,
}

impl<'a> Told<'a> {
    fn new(inputs: &'a [Input], report: Option<&Path>) -> io::Result<Self> {
        let mut csv = report.map(File::create).transpose()?.map(BufWriter::new);
        if let Some(csv) = &mut csv {
            writeln!(csv, "file,line,verdict,field,code,reason")?;
        }
        // A file that is missing is for the import to say.
        let bytes: u64 = inputs.iter().filter_map(|input| Some(fs::metadata(&input.path).ok()?.len())).sum();
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(2 * bytes).with_style(style).with_message("Importing; it can be interrupted.");
        Ok(Self { inputs, bar, csv })
    }

    fn finish(self) -> io::Result<()> {
        self.bar.finish_and_clear();
        self.csv.map_or(Ok(()), |mut csv| csv.flush())
    }
}

impl Watcher for Told<'_> {
    fn found(&mut self, place: Place, finding: Finding) -> io::Result<()> {
        let input = self.inputs.iter().find(|input| input.source == place.source);
        let file = input.map_or_else(|| place.source.name().to_owned(), |input| input.path.display().to_string());
        let (line, verdict) = (place.line, finding.verdict());
        if let Some(csv) = &mut self.csv {
            let (field, code, reason) = (finding.field(), finding.code(), finding.reason());
            let (file, reason) = (quoted(&file), quoted(reason));
            return writeln!(csv, "{file},{line},{verdict},{field},{code},{reason}");
        }
        self.bar.suspend(|| note(format_args!("{file}:{line}: {verdict}: {finding}")));
        Ok(())
    }

    fn passed(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }
}
