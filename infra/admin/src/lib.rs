//! The administrator's command line, against any `DynamoDB`.
//!
//! Results go to standard output; progress, notes and errors to standard error. Every command can
//! be run again: what is there already is left alone and said to be there. A command ends with 0
//! when it did what it was asked or found it done, 1 when it was refused or failed, 2 when it was
//! not understood, and 3 when it went through its rows and some of them were refused.

mod account;
mod api_keys;
pub mod audit;
mod cli;
mod commands;
mod context;
mod csv;
mod customer;
mod error;
pub mod export;
pub mod import;
mod output;
mod password;
mod progress;
mod tally;
mod who;

use std::process::ExitCode;

use clap::Parser;
use shared::telemetry;

use crate::cli::Cli;
use crate::context::Context;
use crate::error::AdminError;

/// Does what the command line says, and answers how it went.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init_terminal(variable("RUST_LOG").as_deref());
    run(cli).await.unwrap_or_else(|error| {
        output::note(format_args!("error: {error}"));
        ExitCode::FAILURE
    })
}

async fn run(cli: Cli) -> Result<ExitCode, AdminError> {
    let context = Context::read(&cli.target, variable)?;
    cli.command.run(&context).await
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
