//! `migrate`: imported rows become whole, and back.

mod down;
mod status;
mod up;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::AdminError;

/// Which way.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    #[command(subcommand)]
    way: Way,
}

#[derive(Debug, Subcommand)]
enum Way {
    /// Link the imported rows, and give them what they lack
    Up(up::Opts),
    /// Restore what a run wrote, but for what somebody touched since
    Down(down::Opts),
    /// List the runs, newest first: id, kind, state, when it began, what it did
    Status(status::Opts),
}

/// Does it.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    match opts.way {
        Way::Up(opts) => up::run(context, opts).await,
        Way::Down(opts) => down::run(context, opts).await,
        Way::Status(opts) => status::run(context, opts).await,
    }
}
