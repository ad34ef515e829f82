//! Brings a large legacy system over, and writes what it took to `docs/proof/migration.md`.
//!
//! Import and `migrate up` run in processes of their own, so that their memory is theirs alone and not
//! the table's, whose embedded `DynamoDB` is in this one.
#![expect(clippy::unwrap_used, reason = "it stops where it is surprised")]

mod worker;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::StreamSpecification;
use clap::Parser;
use harness::World;
use harness::app::TABLE;
use harness::legacy;
use local::dynamo::{Embedded, Storage};
use shared::store::connect::{Endpoint, client};
use shared::store::table;
use tempfile::TempDir;
use worker::{Figures, Phase};

/// What the files are made from.
const SEED: u64 = 1;

/// The smaller system has so many times fewer people.
const SMALLER: u64 = 10;

/// What it takes to bring a large legacy system over.
#[derive(Parser)]
struct Options {
    /// How many people; each has about two rows.
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(100..=5_000_000))]
    people: u64,
    /// Also write `docs/proof/migration.md`.
    #[arg(long)]
    write: bool,
    /// Do a part of the work, as the process that does it.
    #[arg(long, hide = true, requires_all = ["table", "folder"])]
    phase: Option<Phase>,
    /// Where the table is.
    #[arg(long, hide = true)]
    table: Option<String>,
    /// Where the files are.
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if let (Some(phase), Some(url), Some(folder)) = (options.phase, &options.table, &options.folder) {
        println!("{}", worker::work(phase, url, folder).await);
        return ExitCode::SUCCESS;
    }
    let small = bring_over(options.people / SMALLER).await;
    let large = bring_over(options.people).await;
    let report = document(&options, &small, &large);
    println!("{report}");
    if options.write {
        fs::write(path(), &report).unwrap();
    }
    let wrong: Vec<&String> = small.wrong.iter().chain(&large.wrong).collect();
    for line in &wrong {
        eprintln!("{line}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What it took to bring one system over.
struct Brought {
    people: u64,
    file_kib: u64,
    import: Figures,
    up: Figures,
    again: Figures,
    wrong: Vec<String>,
}

async fn bring_over(people: u64) -> Brought {
    eprintln!("{people} people");
    let folder = TempDir::new().unwrap();
    let manifest = legacy::write(folder.path(), people, SEED).unwrap();
    let files = fs::read_dir(folder.path()).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let database = Embedded::start(Storage::Memory, 0).await.unwrap();
    let client = client(&Endpoint::local(database.url()));
    table::create(&client, TABLE).await.unwrap();
    // The embedded `DynamoDB` looks through its whole stream at every write.
    let off = StreamSpecification::builder().stream_enabled(false).build().unwrap();
    client.update_table().table_name(TABLE).stream_specification(off).send().await.unwrap();
    let import = in_a_process(Phase::Import, &database, folder.path()).await;
    let up = in_a_process(Phase::Up, &database, folder.path()).await;
    let again = in_a_process(Phase::Up, &database, folder.path()).await;
    let mut wrong = wrong(&client).await;
    let expected = (manifest.imported, manifest.imported, legacy::ambiguous(people), 0);
    let found = (import.rows, up.rows, up.ambiguous, again.rows);
    if found != expected {
        wrong.push(format!("imported, brought over, ambiguous, brought over again: {found:?}, not {expected:?}"));
    }
    database.stop().await;
    Brought { people, file_kib: bytes / 1_024, import, up, again, wrong }
}

/// Does a part of the work in a process of its own.
async fn in_a_process(phase: Phase, database: &Embedded, folder: &Path) -> Figures {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("--phase").arg(phase.name()).arg("--table").arg(database.url()).arg("--folder").arg(folder);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Figures::parse(&String::from_utf8(output.stdout).unwrap())
}

/// What is not straight, and not about a row that waits for a person.
async fn wrong(client: &Client) -> Vec<String> {
    let world = World::read(client, TABLE).await;
    let waiting = world.items.values().filter(|item| item["review"] == "ambiguous");
    let ids = waiting.filter_map(|item| item["pk"].as_str()?.split_once('#').map(|(_, id)| id.to_owned()));
    let ids: BTreeSet<String> = ids.collect();
    let explained = |line: &String| line.split([' ', ',']).any(|word| ids.contains(word));
    world.broken().into_iter().filter(|line| !explained(line)).collect()
}

fn document(options: &Options, small: &Brought, large: &Brought) -> String {
    let mut text = format!(
        "# Bringing a legacy system over\n\n\
         `cargo run --release -p api-tests --bin migration -- --people {} --write`\n\n\
         Files of a seeded generator with every defect (`tests/harness/legacy.rs`), imported and brought over by the\n\
         code of `admin import` and `migrate up`, each in a process of its own; the embedded DynamoDB is in another, on\n\
         the same machine. Units are what `ConsumedCapacity` says. Times are those of this machine and its embedded\n\
         DynamoDB, and promise nothing. Every invariant holds in the table afterwards, but for rows that only a person\n\
         can settle, which are reported; the second `up` finds nothing to do.\n\n\
         | people | files | step | rows | seconds | rows/s | RCU | WCU | WCU/row | peak memory |\n\
         | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        options.people
    );
    for brought in [small, large] {
        let files = format!("{} MiB", brought.file_kib / 1_024);
        for (step, figures) in [("import", &brought.import), ("up", &brought.up), ("up again", &brought.again)] {
            writeln!(text, "| {} | {files} | {step} | {} |", brought.people, figures.cells()).unwrap();
        }
    }
    writeln!(text, "\n{} rows of the larger system wait for a person.", large.up.ambiguous).unwrap();
    text
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/proof/migration.md")
}
