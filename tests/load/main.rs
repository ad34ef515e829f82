//! Mixed traffic on the real local server, for a while: no wrong answer, no broken invariant,
//! memory that is flat once warm.

mod http;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::future::join_all;
use harness::World;
use harness::app::TABLE;
use harness::load::{Ledger, Traffic, is_flat, summary};
use shared::clock::Clock;
use shared::secret::Secret;
use shared::store::connect::{Endpoint, client};

use http::Http;
use server::{ADMIN_EMAIL, ADMIN_PASSWORD, Server, WEBHOOK_SECRET};

/// Between two looks at the server's memory.
const SAMPLE: Duration = Duration::from_millis(500);

/// Whether the system says how much memory a process has in use.
const MEASURES_MEMORY: bool = cfg!(target_os = "linux");

/// Mixed traffic on the local server.
#[derive(Parser)]
struct Options {
    /// How long; turns that have begun are finished.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Clients at once.
    #[arg(long, value_name = "N", default_value_t = 64)]
    clients: usize,
    /// How long a client waits before each request. The embedded `DynamoDB` looks through its whole
    /// stream at every write: without a pause that is what is measured.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    pause_ms: u64,
    /// The server; beside this binary unless given.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Where what the server logs goes.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Also write `docs/proof/load.md`.
    #[arg(long)]
    write: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<bool, String> {
    let server = Server::start(options.server.as_deref(), options.log.as_deref())?;
    let transport = Http::new(&server.url);
    let traffic = Traffic {
        admin: transport.sign_in(ADMIN_EMAIL, ADMIN_PASSWORD).await?,
        transport,
        clock: Clock::System,
        webhook_secret: Secret::new(WEBHOOK_SECRET),
        pause: Duration::from_millis(options.pause_ms),
    };
    let mut ledger = traffic.prepare().await;
    let (started, limit) = (Instant::now(), Duration::from_secs(options.seconds));
    let clients = async {
        let clients = (0..options.clients).map(|client| traffic.run(client, |_| started.elapsed() < limit));
        let told: Vec<Ledger> = join_all(clients).await;
        told
    };
    let (told, memory_kib) = tokio::join!(clients, samples(&server, started, limit));
    let elapsed = started.elapsed();
    for other in told {
        ledger.add(other);
    }
    let world = World::read(&client(&Endpoint::local(&server.dynamodb_url)), TABLE).await;
    ledger.wrong = traffic.wrong(&ledger, &world).await;
    server.stop()?;
    let report = document(options, &summary(&ledger, elapsed, &memory_kib));
    println!("{report}");
    for wrong in &ledger.wrong {
        eprintln!("{wrong}");
    }
    if options.write {
        fs::write(path(), &report).map_err(|error| format!("docs/proof/load.md: {error}"))?;
    }
    let flat = !MEASURES_MEMORY || is_flat(&memory_kib);
    if !flat {
        eprintln!("memory still grows, or was looked at too few times to tell: {memory_kib:?} KiB");
    }
    Ok(flat && ledger.wrong.is_empty())
}

/// The memory of the server while there is traffic, in equal steps.
async fn samples(server: &Server, started: Instant, limit: Duration) -> Vec<u64> {
    let mut samples = Vec::new();
    while started.elapsed() < limit {
        samples.extend(server.resident_kib());
        tokio::time::sleep(SAMPLE).await;
    }
    samples
}

fn document(options: &Options, summary: &str) -> String {
    format!(
        "# Load\n\n\
         {} clients for {} s on the local server with its state on disk, each waiting {} ms before a request: \
         `cargo run --release -p api-tests --bin load -- --write` (after `cargo build --release -p local`).\n\
         {} Times are those of this machine and its embedded DynamoDB, and promise nothing.\n\n{summary}",
        options.clients,
        options.seconds,
        options.pause_ms,
        offered(options),
    )
}

/// The most that the clients ask for, were every answer there at once. It bounds what is answered.
fn offered(options: &Options) -> String {
    let clients = u64::try_from(options.clients).unwrap_or(u64::MAX);
    match clients.saturating_mul(1_000).checked_div(options.pause_ms) {
        Some(most) => {
            format!("That offers {most} requests per second at most: it is no measure of what the server could do.")
        }
        None => "Each client asks as fast as it is answered.".to_owned(),
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/proof/load.md")
}
