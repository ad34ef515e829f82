//! `migrate up` and `migrate down`: a legacy system is brought over, taken back, and brought over
//! again, whatever dies and whoever calls meanwhile.

mod deaths;
mod order;
mod runs;
mod schedule;
mod undo;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use admin::import::{Finding, Place, Watcher, run};
use functions::jobs::migrate::{Migrated, up};
use harness::legacy::{self, Defect, Manifest};
use harness::rng::seed_to_replay;
use harness::world::text;
use harness::{Actor, TestApp, World};
use serde_json::Value;
use shared::app::App;
use shared::domain::ledger::Tally;
use tempfile::TempDir;

use crate::import::inputs;

/// The password of every imported user who has one.
const LEGACY_PASSWORD: &str = "correct horse";

/// Is told and keeps nothing.
struct Deaf;

impl Watcher for Deaf {
    fn found(&mut self, _: Place, _: Finding) -> io::Result<()> {
        Ok(())
    }

    fn passed(&mut self, _: u64) {}
}

/// The seed of a story: `seed`, or the one to replay.
fn seeded(seed: u64) -> u64 {
    let seed = seed_to_replay().unwrap_or(seed);
    println!("SEED={seed}");
    seed
}

/// An app with the rows of `people` people, imported and staged. Its table has no stream.
async fn imported(people: u64, seed: u64, without: &[Defect]) -> (TestApp, Actor, Actor, Manifest) {
    let (app, nobody, admin) = TestApp::start().await;
    app.stop_stream().await;
    let folder = TempDir::new().unwrap();
    let manifest = legacy::write_without(folder.path(), people, seed, without).unwrap();
    let totals = run(&app.app, &inputs(folder.path()), false, &mut Deaf).await.unwrap();
    assert_eq!(totals.imported, manifest.imported);
    (app, nobody, admin, manifest)
}

/// Imports files of these names with these lines.
async fn import_lines(app: &TestApp, files: &[(&str, &str)]) {
    let folder = TempDir::new().unwrap();
    for (name, lines) in files {
        fs::write(folder.path().join(name), lines).unwrap();
    }
    run(&app.app, &inputs(folder.path()), false, &mut Deaf).await.unwrap();
}

/// `migrate up`, which must come to its end.
async fn migrate(app: &App) -> Migrated {
    let migrated = up(app, false, |_| {}).await.unwrap();
    assert_eq!((migrated.tally.errors, migrated.remaining), (0, 0), "{migrated:?}");
    assert_eq!(counted(&migrated.tally), migrated.tally.total, "{migrated:?}");
    migrated
}

fn counted(tally: &Tally) -> u64 {
    tally.errors + tally.ambiguous + tally.created + tally.linked + tally.skipped
}

/// What is not straight is said of a row that only a person can settle.
#[track_caller]
fn assert_settled(world: &World) {
    let rows = || world.of("customer").into_iter().chain(world.of("user"));
    let ids = rows().filter(|row| row["review"] == "ambiguous").map(|row| text(row, "pk"));
    let ids: Vec<&str> = ids.map(|pk| pk.split_once('#').unwrap().1).collect();
    let broken = world.broken();
    let unexplained: Vec<_> = broken.iter().filter(|line| !ids.iter().any(|id| line.contains(id))).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert!(rows().all(|row| row["review"].is_null() || row["review"] == "ambiguous"), "every row was looked at");
}

/// What became of every legacy row, whatever ids and numbers were given on the way.
fn picture(world: &World) -> BTreeMap<String, String> {
    let rows = |kind| world.of(kind).into_iter().filter(|row| row["legacy"].is_object());
    let customers = rows("customer").map(|row| {
        let with = counterpart(world, row, ("USER", "user_id"), ("customer_v2_id", "internal_id"));
        (row, format!("{with}; reference: {}", row["customer_reference"].is_string()))
    });
    let users = rows("user").map(|row| {
        let with = counterpart(world, row, ("CUSTOMER", "customer_v2_id"), ("user_id", "user_id"));
        (row, format!("{with}; number: {}", row["customer_number"].is_string()))
    });
    let all = customers.chain(users);
    all.map(|(row, what)| (text(row, "pk").to_owned(), format!("{what}; review: {}", row["review"]))).collect()
}

/// Whom `row` points at through `field`, and whether that one's field `back` names it.
fn counterpart(world: &World, row: &Value, (kind, field): (&str, &str), (back, own): (&str, &str)) -> String {
    let id = text(row, field);
    if id.is_empty() {
        return "nobody".into();
    }
    let Some(other) = world.at(&format!("{kind}#{id}")) else { return format!("{id}, who is not there") };
    let name = if other["legacy"].is_object() { id } else { "somebody new" };
    let mutual = text(other, back) == text(row, own);
    format!("{name}{}", if mutual { "" } else { ", who does not point back" })
}

/// Checks that two pictures are one.
#[track_caller]
fn assert_same(one: &BTreeMap<String, String>, two: &BTreeMap<String, String>, which: &str) {
    let keys: BTreeSet<_> = one.keys().chain(two.keys()).collect();
    let differs = keys.into_iter().filter(|key| one.get(*key) != two.get(*key));
    let lines: Vec<_> = differs.map(|key| format!("{key}:\n  {:?}\n  {:?}", one.get(key), two.get(key))).collect();
    assert!(lines.is_empty(), "{which}: {} rows differ\n{}", lines.len(), lines.join("\n"));
}
