//! The command line.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shared::telemetry;

use crate::options::Options;
use crate::{LocalError, demo, setup, welcome};

/// Rollcall on this machine: every route, an embedded `DynamoDB`, a mailbox, a stand-in checkout.
#[derive(Parser)]
#[command(name = "rollcall", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Serve every route; the default.
    Serve(Options),
    /// Walk from first contact to a signed-in page on a throw-away server, and say what held.
    Demo,
}

/// Does what the command line asks for.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Serve(cli.options)) {
        Command::Serve(options) => serve(options).await.map(|()| true),
        Command::Demo => demo::run().await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> Result<(), LocalError> {
    telemetry::init_terminal(setup::variable("RUST_LOG").as_deref());
    // Before anybody is told that the server is ready: what they send next may be a signal.
    let shutdown = shutdown_signal().map_err(LocalError::Signals)?;
    let admin_email = options.admin_email.clone();
    let local = setup::build(options).await?;
    welcome::announce(&local, &admin_email);
    local.run(shutdown).await
}

/// Resolves on SIGTERM or Ctrl-C.
#[cfg(unix)]
fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Resolves on Ctrl-C.
#[cfg(not(unix))]
fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("rollcall").chain(arguments.iter().copied()))
    }

    #[test]
    fn serve_is_the_default() {
        assert_eq!(parse(&[]).unwrap().options.port, 3_000);
        assert_eq!(parse(&["--port", "0"]).unwrap().options.port, 0);
        let Some(Command::Serve(options)) = parse(&["serve", "--port", "0", "--memory"]).unwrap().command else {
            panic!("`serve` is a command");
        };
        assert!(options.port == 0 && options.memory);
        assert!(matches!(parse(&["demo"]).unwrap().command, Some(Command::Demo)));
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        assert!(parse(&["--memory", "--data", "elsewhere"]).is_err());
        assert!(parse(&["--dynamodb-port", "0", "--dynamodb-endpoint", "http://localhost:8000"]).is_err());
        assert!(parse(&["--admin-email", "nobody"]).is_err());
    }

    #[test]
    fn passwords_are_not_printed() {
        let options = parse(&["--admin-password", "canary-one", "--stripe-webhook-secret", "canary-two"]);
        assert!(!format!("{:?}", options.unwrap().options).contains("canary"));
    }
}
