//! `admin import`: a legacy system's files become users and customers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use admin::import::{Finding, ImportError, Input, Place, Refusal, Totals, Watcher, What, run};
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::legacy::{self, Manifest};
use harness::world::text;
use harness::{TestApp, World};
use serde_json::{Value, json};
use shared::app::App;
use shared::domain::legacy::Source;
use tempfile::TempDir;

/// How many people the sample in the repository has, and its seed.
const SAMPLE: (u64, u64) = (150, 1);

/// Remembers what it is told.
#[derive(Default)]
struct Told {
    findings: Vec<(Place, Finding)>,
    bytes: u64,
}

impl Watcher for Told {
    fn found(&mut self, place: Place, finding: Finding) -> io::Result<()> {
        self.findings.push((place, finding));
        Ok(())
    }

    fn passed(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

impl Told {
    fn codes(&self) -> BTreeMap<&'static str, u64> {
        let mut codes = BTreeMap::new();
        for (_, finding) in &self.findings {
            *codes.entry(finding.code()).or_default() += 1;
        }
        codes
    }

    /// Findings in the order of the files: a dry run foretells some of them later.
    fn sorted(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.findings.iter().map(|(place, finding)| format!("{place:?} {finding}")).collect();
        lines.sort_unstable();
        lines
    }
}

/// Every file of a folder.
pub(crate) fn inputs(folder: &Path) -> Vec<Input> {
    let input = |source| Input { source, path: folder.join(legacy::file_name(source)) };
    Source::ALL.into_iter().map(input).filter(|input| input.path.exists()).collect()
}

async fn import(app: &App, folder: &Path, dry_run: bool) -> (Totals, Told) {
    let mut told = Told::default();
    let totals = run(app, &inputs(folder), dry_run, &mut told).await.unwrap();
    assert_eq!(totals.read, totals.imported + totals.there + totals.refused, "{totals:?}");
    (totals, told)
}

/// A folder with these files.
fn folder(files: &[(Source, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (source, lines) in files {
        fs::write(folder.path().join(legacy::file_name(*source)), lines).unwrap();
    }
    folder
}

fn sample_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("legacy")
}

fn user<'a>(world: &'a World, id: &str) -> &'a Value {
    world.at(&format!("USER#{}", Source::Users.id_of(id))).unwrap()
}

fn customer<'a>(world: &'a World, source: Source, id: &str) -> &'a Value {
    world.at(&format!("CUSTOMER#{}", source.id_of(id))).unwrap()
}

/// What the import leaves for `migrate up`; everything else must be straight.
fn assert_guarded(world: &World) {
    let waiting = ["has no reference", "has no login", "points to no user", "which does not point back"];
    let waiting = |line: &&String| {
        let later = ["disagree about the number", "its login is not", "no number of their own", "no customer that"];
        waiting.iter().chain(&later).any(|words| line.contains(words)) || line.contains("guard of  does not name")
    };
    let broken = world.broken();
    let unexplained: Vec<_> = broken.iter().filter(|line| !waiting(line)).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}

#[test]
fn the_sample_in_the_repository_is_the_one_that_the_generator_makes() {
    let made = TempDir::new().unwrap();
    legacy::write(made.path(), SAMPLE.0, SAMPLE.1).unwrap();
    for source in Source::ALL {
        let (made, kept) =
            (made.path().join(legacy::file_name(source)), sample_folder().join(legacy::file_name(source)));
        let made = fs::read(made).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(sample_folder()).unwrap();
            fs::write(&kept, &made).unwrap();
        }
        let same = fs::read(&kept).unwrap_or_default() == made;
        assert!(same, "{} is stale: UPDATE=1 cargo test -p api-tests the_sample", kept.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_legacy_system_counts_once_and_what_is_the_matter_is_said() {
    let (app, _, _) = TestApp::start().await;
    let made = TempDir::new().unwrap();
    let expected: Manifest = legacy::write(made.path(), 1_200, 7).unwrap();
    let (foretold, dry) = import(&app.app, made.path(), true).await;
    let before = app.world().await.items;
    let (totals, told) = import(&app.app, made.path(), false).await;
    assert_eq!((totals.read, totals.imported, totals.refused), (expected.read, expected.imported, expected.refused));
    assert_eq!(told.codes(), expected.findings);
    assert_eq!((foretold, dry.sorted()), (totals, told.sorted()), "a dry run says the same");
    let world = app.world().await;
    assert!(before.len() <= 2, "a dry run writes nothing");
    let rows = world.of("user").len() + world.of("customer").len();
    assert_eq!(rows as u64, totals.imported + 1, "the administrator was there");
    assert_guarded(&world);
    let staged = world.items.values().filter(|item| item["review"] == "staged").count();
    assert_eq!(staged as u64, totals.imported);
    assert!(world.of("outbox").is_empty(), "nobody is invited");
    assert!(!format!("{:?}", world.items).contains("mango-lassi-1"), "no readable password is kept");

    let (again, said) = import(&app.app, made.path(), false).await;
    assert_eq!((again.imported, again.there, again.refused), (0, totals.imported, totals.refused));
    assert_eq!(said.sorted(), told.sorted(), "a further import says the same");
    assert_eq!(app.world().await.items, world.items, "and changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_died_is_run_again() {
    let made = TempDir::new().unwrap();
    let expected = legacy::write(made.path(), 61, 3).unwrap();
    for call in [1, 7, 30, 60, 90] {
        let (app, _, _) = TestApp::start().await;
        app.connector.inject(Fault { at: When::Call(call), kind: Kind::Kill { after: true } });
        let mut told = Told::default();
        let died = run_until_killed(&app.connector, run(&app.app, &inputs(made.path()), false, &mut told)).await;
        assert!(died.is_none(), "it dies at call {call}");
        app.connector.reset();
        let (totals, told) = import(&app.app, made.path(), false).await;
        assert_eq!(totals.imported + totals.there, expected.imported);
        assert_eq!(told.codes(), expected.findings);
        assert_guarded(&app.world().await);
    }
}

#[tokio::test]
async fn the_older_keeps_the_login_the_number_and_the_reference() {
    let (app, _, _) = TestApp::start().await;
    let folder = folder(&[
        (
            Source::Users,
            r#"{"_id":"young","email":"ANA@x.io","role":"customer","customerId":"PL7","createdAt":"2024-02-01"}
{"_id":"old","email":"ana@x.io","role":"customer","customerId":"PL7","createdAt":"2024-01-01"}
"#,
        ),
        (
            Source::Clients,
            r#"{"client_id":"young","email":"b@x.io","customer_reference":"PLE-CVP-2024-000041","created_at":"2024-02-01"}
{"client_id":"old","email":"c@x.io","customer_reference":"PLE-CVP-2024-000041","created_at":"2024-01-01"}
"#,
        ),
    ]);
    import(&app.app, folder.path(), false).await;
    let world = app.world().await;
    let (old, young) = (user(&world, "old"), user(&world, "young"));
    assert_eq!((text(old, "email"), text(old, "customer_number")), ("ana@x.io", "PL7"));
    assert_eq!(text(young, "email"), format!("user-{}@earlybird.local", text(young, "user_id")));
    assert_eq!((&young["customer_number"], &young["legacy"]["unread"]["email"]), (&Value::Null, &"ana@x.io".into()));
    let reference = |id| text(customer(&world, Source::Clients, id), "customer_reference").to_owned();
    assert_eq!((reference("old").as_str(), reference("young").as_str()), ("PLE-CVP-2024-000041", ""));
    assert_eq!(app.app.store.draw_number(&app.app.settings, app.app.clock.now()).await.unwrap().as_str(), "PL8");
    let counter = world.at("COUNTER#crn#2024").unwrap();
    assert_eq!(counter["value"], 41);
}

#[tokio::test]
async fn pointers_are_stored_as_found_and_followed_by_either_id() {
    let (app, _, admin) = TestApp::start().await;
    let folder = folder(&[
        (
            Source::Users,
            r#"{"_id":{"$oid":"65e1c24000000000000000aa"},"id":"u-1","email":"a@x.io","role":"customer","customer_v2_id":"65e1c24000000000000000bb"}
{"_id":"u-2","email":"b@x.io","role":"customer","customer_v2_id":"c-9"}
{"_id":"u-3","email":"c@x.io","role":"delivery_boy","customer_v2_id":"nobody"}
"#,
        ),
        (
            Source::CustomersV2,
            r#"{"_id":{"$oid":"65e1c24000000000000000bb"},"id":"cust-550e8400","status":"active","user_id":"65e1c24000000000000000aa","delivery_boy_id":"u-3"}
"#,
        ),
        (Source::Clients, r#"{"client_id":"c-9","full_name":"Gita","email":"g@x.io"}"#),
    ]);
    let (totals, told) = import(&app.app, folder.path(), false).await;
    assert_eq!((totals.imported, told.findings.len()), (5, 0), "{:?}", told.sorted());
    let world = app.world().await;
    let one = customer(&world, Source::CustomersV2, "cust-550e8400");
    assert_eq!(text(user(&world, "u-1"), "customer_v2_id"), text(one, "internal_id"));
    assert_eq!(text(one, "user_id"), text(user(&world, "u-1"), "user_id"));
    assert_eq!(text(one, "delivery_boy_id"), text(user(&world, "u-3"), "user_id"));
    let client = customer(&world, Source::Clients, "c-9");
    assert_eq!(text(user(&world, "u-2"), "customer_v2_id"), text(client, "internal_id"));
    assert_eq!((text(client, "origin"), text(client, "status")), ("intake", "pending_payment"));
    assert_eq!(world.of("pointer").len(), 4);
    for (search, found) in [("cust-550e8400", one), ("65e1c24000000000000000bb", one), ("u-1", one), ("c-9", client)] {
        let rows = admin.get(&format!("/v1/customers?search={search}")).await.expect(200);
        assert_eq!(rows.json["data"][0]["internal_id"], found["internal_id"], "{search}");
        assert_eq!(rows.json["count"], 1, "{search}");
    }
}

#[tokio::test]
async fn a_second_id_finds_its_row_whatever_its_form() {
    let (app, _, admin) = TestApp::start().await;
    let folder = folder(&[(
        Source::CustomersV2,
        r#"{"_id":{"$uuid":"0190a1c2-0000-7000-8000-000000000000"},"id":"cust-1","status":"active"}
{"_id":"PL7","id":"cust-2","status":"active"}
{"_id":"PLE-CVP-2024-000007","id":"cust-3","status":"active"}
"#,
    )]);
    import(&app.app, folder.path(), false).await;
    let world = app.world().await;
    let second_ids = ["0190a1c2-0000-7000-8000-000000000000", "PL7", "PLE-CVP-2024-000007"];
    for (second_id, id) in second_ids.into_iter().zip(["cust-1", "cust-2", "cust-3"]) {
        let expected = &customer(&world, Source::CustomersV2, id)["internal_id"];
        let rows = admin.get(&format!("/v1/customers?search={second_id}")).await.expect(200);
        assert_eq!(&rows.json["data"][0]["internal_id"], expected, "{second_id}");
        let assignment = json!({ "customer": second_id, "delivery_boy": null });
        let assigned = admin.post("/admin/delivery-assignments", assignment).await.expect(200);
        assert_eq!(&assigned.json["customer"]["internal_id"], expected, "{second_id}");
    }
}

#[tokio::test]
async fn an_address_that_somebody_here_has_is_theirs() {
    let (app, nobody, _) = TestApp::start().await;
    nobody.intake("lead@x.io").await.expect(201);
    let folder = folder(&[
        (Source::Users, r#"{"_id":"u","email":"ops@example.com","role":"customer"}"#),
        (Source::Clients, r#"{"client_id":"c","email":"LEAD@x.io","full_name":"Ana"}"#),
    ]);
    let (_, told) = import(&app.app, folder.path(), false).await;
    let said: Vec<_> = told.findings.iter().map(|(place, finding)| (place.source, finding.code())).collect();
    assert_eq!(said, [(Source::Clients, "shared"), (Source::Users, "login-taken")]);
    assert_guarded(&app.world().await);
}

#[tokio::test]
async fn a_file_that_is_no_export_is_refused_before_anything_is_written() {
    let (app, _, _) = TestApp::start().await;
    let array = folder(&[
        (Source::Users, r#"{"_id":"u","email":"a@x.io","role":"customer"}"#),
        (Source::Clients, "\u{feff}\n[{\"client_id\":\"c\"}]"),
    ]);
    let before = app.world().await.items;
    let mut told = Told::default();
    let refused = run(&app.app, &inputs(array.path()), false, &mut told).await;
    assert!(matches!(refused, Err(ImportError::Array(_))), "{refused:?}");
    let missing = [Input { source: Source::Users, path: array.path().join("none.json") }];
    let refused = run(&app.app, &missing, false, &mut told).await;
    assert!(matches!(refused, Err(ImportError::Read { .. })), "{refused:?}");
    assert_eq!(app.world().await.items, before);
}

#[tokio::test]
async fn whoever_was_deleted_since_is_not_brought_back() {
    let (app, _, admin) = TestApp::start().await;
    let folder = folder(&[
        (Source::Users, r#"{"_id":"u","email":"a@x.io","role":"customer","customer_v2_id":"c"}"#),
        (
            Source::CustomersV2,
            r#"{"_id":"c","email":"a@x.io","status":"active","user_id":"u"}
{"_id":"d","email":"d@x.io","status":"active"}"#,
        ),
    ]);
    import(&app.app, folder.path(), false).await;
    for id in ["c", "d"] {
        admin.delete(&format!("/v1/customers/{}", Source::CustomersV2.id_of(id))).await.expect(200);
    }
    let before = app.world().await;
    assert_eq!((before.of("customer").len(), before.of("tombstone").len()), (0, 3));
    for dry_run in [true, false] {
        let (totals, told) = import(&app.app, folder.path(), dry_run).await;
        assert_eq!((totals.imported, totals.there, totals.reported), (0, 3, 3));
        assert_eq!(told.codes(), BTreeMap::from([("deleted-since", 3)]));
    }
    assert_eq!(app.world().await.items, before.items);
}

#[test]
fn the_manual_explains_every_reason() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/MIGRATION.md");
    let manual = fs::read_to_string(manual).unwrap();
    let refusals = Refusal::ALL.map(|refusal| refusal.words().0).into_iter();
    for code in refusals.chain(What::ALL.map(|what| what.words().0)) {
        assert!(manual.contains(&format!("| `{code}` |")), "docs/MIGRATION.md does not explain `{code}`");
    }
}
