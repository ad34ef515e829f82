//! Makes the files of a legacy system that never was: `users.json`, `customers_v2.json`,
//! `clients.json`. The same seed makes the same files.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use harness::legacy::write;

/// Makes the files of a legacy system, with every defect that real ones have.
#[derive(Parser)]
#[command(name = "legacy-data")]
struct Cli {
    /// How many people; each has about two rows
    #[arg(long, default_value_t = 150)]
    rows: u64,
    /// What the files are made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder for the files
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match make(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}: {error}", cli.out.display());
            ExitCode::FAILURE
        }
    }
}

fn make(cli: &Cli) -> io::Result<()> {
    std::fs::create_dir_all(&cli.out)?;
    let manifest = write(&cli.out, cli.rows, cli.seed)?;
    let mut out = io::stdout().lock();
    writeln!(out, "lines     {:>9}", manifest.read)?;
    writeln!(out, "rows      {:>9}", manifest.imported)?;
    writeln!(out, "bad       {:>9}", manifest.refused)?;
    for (code, count) in manifest.findings {
        writeln!(out, "  {code:<13} {count:>9}")?;
    }
    Ok(())
}
