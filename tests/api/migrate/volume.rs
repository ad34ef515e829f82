//! Many rows with every defect.

use std::collections::BTreeMap;

use functions::jobs::migrate::{Migrated, preview, up};
use harness::legacy::{Defect, ambiguous};
use harness::world::text;
use harness::{TestApp, World};
use serde_json::{Value, json};
use shared::domain::ledger::Tally;
use shared::store::key::Key;

use super::{assert_settled, import_lines, imported, migrate, seeded};
use crate::reports::assert_true;

/// How many people; each has about two rows.
const PEOPLE: u64 = 2_500;

/// What only a person can tell apart.
const UNCLEAR: [Defect; 3] = [Defect::TwoUsers, Defect::TwoCustomers, Defect::Family];

/// The rows of a kind with a value in `field`, by key.
fn having<'a>(world: &'a World, kind: &str, field: &str) -> BTreeMap<&'a str, &'a str> {
    let rows = world.of(kind).into_iter().filter(|row| row[field].is_string());
    rows.map(|row| (text(row, "pk"), text(row, field))).collect()
}

/// What one had the other has, too; answers how many more it has.
#[track_caller]
fn kept(before: &World, after: &World, kind: &str, field: &str) -> usize {
    let (old, new) = (having(before, kind, field), having(after, kind, field));
    for (pk, value) in &old {
        assert_eq!(new.get(pk), Some(value), "{pk} lost its {field}");
    }
    new.len() - old.len()
}

fn sequence(user: &Value) -> u64 {
    text(user, "customer_number")[2..].parse().unwrap()
}

/// Numbers were given in order of creation, after all that were there.
fn assert_in_order(before: &World, after: &World) {
    let old = having(before, "user", "customer_number");
    let last = before.of("user").into_iter().filter(|user| user["customer_number"].is_string()).map(sequence).max();
    let place = |row: &Value| format!("{}#{}", text(row, "created_at"), text(row, "pk"));
    let mut given: Vec<(u64, String)> = Vec::new();
    for user in after.of("user").into_iter().filter(|user| user["customer_number"].is_string()) {
        if old.contains_key(text(user, "pk")) {
            continue;
        }
        let customer = after.at(&format!("CUSTOMER#{}", text(user, "customer_v2_id")));
        let customer = customer.filter(|it| text(it, "user_id") == text(user, "user_id"));
        let rows = [Some(user), customer].into_iter().flatten().filter(|row| row["legacy"].is_object());
        // A pair is come to with the older of the two.
        given.push((sequence(user), rows.map(place).min().unwrap()));
    }
    given.sort_unstable();
    assert!(given.first().is_none_or(|(first, _)| Some(*first) > last), "the new ones come after the old ones");
    let out = given.windows(2).find(|pair| pair[0].1 >= pair[1].1);
    assert!(out.is_none(), "out of order: {out:?}");
    println!("{} numbers in order of creation", given.len());
}

/// Every customer that is no lead has exactly one login, which is theirs alone, or waits for a person.
fn assert_everybody_has_one_login(world: &World) {
    let mut pointed: BTreeMap<&str, usize> = BTreeMap::new();
    for user in world.of("user").into_iter().filter(|user| user["role"] == "customer" && user["review"].is_null()) {
        *pointed.entry(text(user, "customer_v2_id")).or_default() += 1;
    }
    let lead = |it: &Value| it["origin"] == "intake" && it["user_id"].is_null();
    for customer in world.of("customer").into_iter().filter(|it| !lead(it) && it["review"].is_null()) {
        assert_eq!(pointed.get(text(customer, "internal_id")), Some(&1), "{customer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_rows_with_every_defect_end_linked_or_reported() {
    let (app, _, _, manifest) = imported(PEOPLE, seeded(11), &[]).await;
    assert!(manifest.imported > 4_500, "{}", manifest.imported);
    let before = app.world().await;
    let migrated = migrate(&app.app).await;
    println!("{migrated:?}");
    let tally = migrated.tally;
    assert_eq!((tally.total, tally.ambiguous), (manifest.imported, ambiguous(PEOPLE)));
    let world = app.world().await;
    assert_settled(&world);
    assert_everybody_has_one_login(&world);
    let reported = world.items.values().filter(|item| item["review"] == "ambiguous").count();
    assert_eq!(reported as u64, tally.ambiguous);
    assert_eq!(kept(&before, &world, "user", "customer_number") as u64, tally.numbered);
    assert_eq!(kept(&before, &world, "customer", "customer_reference") as u64, tally.crns);
    let heads = |world: &World| world.of("customer").len() + world.of("user").len();
    assert_eq!((heads(&world) - heads(&before)) as u64, tally.created, "each of those who were created is one");
    assert_in_order(&before, &world);
    assert!(world.of("outbox").is_empty(), "nobody is invited unasked");
    let runs = world.of("run");
    assert_eq!((runs.len(), &runs[0]["state"], &runs[0]["total"]), (1, &json!("finished"), &json!(tally.total)));

    let again = up(&app.app, false, |_| {}).await.unwrap();
    assert_eq!(again, Migrated::default());
    assert_eq!(app.world().await.items, world.items, "a second run changes nothing, and makes no run");
}

#[tokio::test]
async fn what_is_foretold_is_what_is_done() {
    let (app, _, _, _) = imported(122, seeded(2), &[]).await;
    let before = app.world().await;
    let told = preview(&app.app).await.unwrap();
    assert_eq!(app.world().await.items, before.items, "a preview changes nothing");
    let done = migrate(&app.app).await.tally;
    // Numbers and references are not foretold.
    assert_eq!(told, Tally { numbered: 0, crns: 0, ..done });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reports_tell_the_truth_of_what_was_brought_over() {
    let (app, _, admin, _) = imported(183, seeded(5), &UNCLEAR).await;
    assert_eq!(assert_true(&app, &admin).await["status"], "NEEDS ATTENTION");
    assert_eq!(migrate(&app.app).await.tally.ambiguous, 0);
    app.world().await.assert_straight();
    let straight = assert_true(&app, &admin).await;
    assert_eq!((&straight["status"], &straight["linkage_completeness"]), (&json!("HEALTHY"), &json!("100.0%")));
    for figure in ["total_sync_issues", "one_way_links", "dangling_links", "duplicate_links"] {
        assert_eq!(straight[figure], 0, "{figure}");
    }
    for figure in ["missing_customer_reference", "missing_customer_number"] {
        assert_eq!(straight[figure], 0, "{figure}");
    }

    let (app, _, admin, _) = imported(183, seeded(5), &[]).await;
    migrate(&app.app).await;
    let unclear = assert_true(&app, &admin).await;
    assert_eq!(unclear["status"], "NEEDS ATTENTION");
    assert_eq!(unclear["dangling_links"], 0, "what points at nobody is cleared or filled");
}

#[tokio::test]
async fn a_counter_stands_above_every_number_that_was_imported() {
    let (app, _, _) = TestApp::start().await;
    let lines = "{\"_id\":\"a\",\"email\":\"a@x.io\",\"role\":\"customer\",\"customerId\":\"PL40\",\"createdAt\":\"2024-01-02\"}\n\
                 {\"_id\":\"b\",\"email\":\"b@x.io\",\"role\":\"customer\",\"createdAt\":\"2024-01-01\"}\n";
    import_lines(&app, &[("users.json", lines)]).await;
    let (store, counter) = (app.raw_store(), Key::number_counter());
    assert!(!store.advance_counter(&counter, 23).await.unwrap(), "PL40 was issued: the counter does not go back");
    assert_eq!(store.last_drawn(&counter).await.unwrap(), 40);
    migrate(&app.app).await;
    let world = app.world().await;
    let mut numbers: Vec<_> = having(&world, "user", "customer_number").into_values().collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["PL40", "PL41"]);
    assert!(store.advance_counter(&counter, 50).await.unwrap());
    assert_eq!(store.draw_number(&app.app.settings, app.app.clock.now()).await.unwrap().as_str(), "PL51");
}
