//! What the administrator's commands do, below what they print.

use std::fs;
use std::io;

use admin::import::{Finding, Input, Place, Watcher, run as import};
use admin::{audit, export};
use functions::jobs::{backfill, migrate};
use functions::linking::{NotUpdated, Settled, link, unlink};
use harness::app::START;
use harness::world::text;
use harness::{TestApp, World, legacy};
use serde_json::{Value, json};
use shared::domain::census;
use shared::domain::customer::Customer;
use shared::domain::get_or_create;
use shared::domain::legacy::Source;
use shared::domain::linking::Refusal;
use shared::domain::matching::Review;
use shared::domain::update;
use shared::ids::{CustomerId, UserId};
use shared::store::api_key::ApiKey;
use shared::store::key::Key;
use tempfile::TempDir;
use uuid::Uuid;

/// Two users who name one customer.
const RIVALS: [(Source, &str); 2] = [
    (
        Source::Users,
        r#"{"_id":"old","email":"old@x.io","role":"customer","customer_v2_id":"c","createdAt":"2024-01-01"}
{"_id":"new","email":"new@x.io","role":"customer","customer_v2_id":"c","createdAt":"2024-01-02"}
"#,
    ),
    (Source::CustomersV2, r#"{"id":"c","name":"Ana","status":"active","created_at":"2024-01-01"}"#),
];

/// A customer and a user who name each other, and another user who names that customer; and the same
/// with another customer.
const CLAIMED: [(Source, &str); 2] = [
    (
        Source::Users,
        r#"{"_id":"u7","email":"u7@x.io","role":"customer","customer_v2_id":"c","createdAt":"2024-01-01"}
{"_id":"u8","email":"u8@x.io","role":"customer","customer_v2_id":"c","createdAt":"2024-01-02"}
{"_id":"u9","email":"u9@x.io","role":"customer","customer_v2_id":"d1","createdAt":"2024-01-03"}
"#,
    ),
    (
        Source::CustomersV2,
        r#"{"id":"c","status":"active","user_id":"u7","created_at":"2024-01-01"}
{"id":"d1","status":"active","user_id":"u9","created_at":"2024-01-02"}
{"id":"d2","status":"active","user_id":"u9","created_at":"2024-01-03"}
"#,
    ),
];

/// One login and two customers on one phone.
const FAMILY: [(Source, &str); 2] = [
    (Source::Users, r#"{"_id":"u","email":"u@x.io","phone":"9876500001","role":"customer","createdAt":"2024-01-01"}"#),
    (
        Source::CustomersV2,
        r#"{"id":"c1","email":"c1@x.io","phone":"9876500001","status":"active","created_at":"2024-01-01"}
{"id":"c2","email":"c2@x.io","phone":"9876500001","status":"active","created_at":"2024-01-02"}
"#,
    ),
];

/// A customer who names one user and is named by another.
const CROSSED: [(Source, &str); 2] = [
    (
        Source::Users,
        r#"{"_id":"named","email":"named@x.io","role":"customer","createdAt":"2024-01-01"}
{"_id":"naming","email":"naming@x.io","role":"customer","customer_v2_id":"c","createdAt":"2024-01-02"}
"#,
    ),
    (Source::CustomersV2, r#"{"id":"c","status":"active","user_id":"named","created_at":"2024-01-01"}"#),
];

/// Hears nothing.
struct Deaf;

impl Watcher for Deaf {
    fn found(&mut self, _: Place, _: Finding) -> io::Result<()> {
        Ok(())
    }

    fn passed(&mut self, _: u64) {}
}

/// Imports these lines, and migrates them.
async fn migrated(app: &TestApp, files: &[(Source, &str)]) {
    let folder = TempDir::new().unwrap();
    let input = |(source, lines): &(Source, &str)| {
        let path = folder.path().join(legacy::file_name(*source));
        fs::write(&path, lines).unwrap();
        Input { source: *source, path }
    };
    let inputs: Vec<Input> = files.iter().map(input).collect();
    let totals = import(&app.app, &inputs, false, &mut Deaf).await.unwrap();
    assert_eq!(totals.refused, 0);
    migrate::up(&app.app, false, |_| ()).await.unwrap();
}

fn user_id(id: &str) -> UserId {
    UserId(Source::Users.id_of(id))
}

async fn customer(app: &TestApp, id: Uuid) -> Customer {
    app.app.store.customer(CustomerId(id)).await.unwrap().unwrap()
}

async fn legacy_customer(app: &TestApp, id: &str) -> Customer {
    customer(app, Source::CustomersV2.id_of(id)).await
}

fn user<'a>(world: &'a World, id: &str) -> &'a Value {
    world.at(&format!("USER#{}", user_id(id))).unwrap()
}

async fn audited(app: &TestApp) -> Vec<String> {
    audit::take(&app.app, |_| ()).await.unwrap().table().unwrap()
}

async fn assert_healthy(app: &TestApp) {
    app.world().await.assert_straight();
    let lines = audited(app).await;
    assert!(lines.iter().any(|line| line.contains(" status ") && line.ends_with(" HEALTHY")), "{lines:#?}");
}

/// The id that an answer names.
fn id(answer: &harness::Answer, field: &str) -> Uuid {
    answer.str(field).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_says_what_the_reports_say_and_lists_every_case() {
    let (app, _, admin) = TestApp::start().await;
    let made = TempDir::new().unwrap();
    legacy::write(made.path(), 244, 11).unwrap();
    let input = |source| Input { source, path: made.path().join(legacy::file_name(source)) };
    import(&app.app, &Source::ALL.map(input), false, &mut Deaf).await.unwrap();
    let audit = audit::take(&app.app, |_| ()).await.unwrap();
    let lines = audit.table().unwrap();
    let shown = |name: &str| {
        let line = lines.iter().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("`{name}` is missing")).trim_start()[name.len()..].trim().to_owned()
    };
    for report in ["link-audit", "data-quality", "dashboard"] {
        let answer = admin.get(&format!("/admin/{report}")).await.expect(200);
        for (name, figure) in answer.json.as_object().unwrap() {
            match figure {
                _ if name == "samples" => {}
                Value::Number(number) => assert_eq!(shown(name), number.to_string(), "{name}"),
                Value::String(text) => assert_eq!(shown(name), *text, "{name}"),
                Value::Array(_) => assert_eq!(shown(name), "users, customers_v2", "{name}"),
                Value::Object(parts) => {
                    for (part, number) in parts {
                        assert_eq!(shown(&format!("{name}.{part}")), number.to_string(), "{name}.{part}");
                    }
                }
                other => panic!("{name} is {other}"),
            }
        }
    }
    for (finding, figure) in [(census::Finding::OneWay, "one_way_links"), (census::Finding::Dangling, "dangling_links")]
    {
        let cases: Vec<String> = audit.cases(finding).collect();
        assert_eq!(cases.len().to_string(), shown(figure), "{figure}");
        assert!(!cases.is_empty() && cases.iter().all(|case| case.split_whitespace().count() == 4), "{cases:#?}");
    }
}

#[tokio::test]
async fn whom_a_person_links_is_linked_whatever_else_points_at_either() {
    let (app, _, _) = TestApp::start().await;
    migrated(&app, &RIVALS).await;
    let before = app.world().await;
    assert_eq!(before.items.values().filter(|item| item["review"] == "ambiguous").count(), 3);
    let of = async || legacy_customer(&app, "c").await;
    assert_eq!(link(&app.app, of().await, user_id("new"), true).await.unwrap(), Settled::Would);
    assert_eq!(app.world().await.items, before.items, "a dry run changes nothing");
    let Settled::Done(linked) = link(&app.app, of().await, user_id("new"), false).await.unwrap() else {
        panic!("they are linked now");
    };
    assert_eq!((linked.user_id, linked.review), (Some(user_id("new")), None));
    let world = app.world().await;
    let rival = user(&world, "old");
    assert_eq!((text(rival, "customer_v2_id"), text(rival, "review")), ("", "due"), "the rival is let go of");
    assert_eq!(link(&app.app, of().await, user_id("new"), false).await.unwrap(), Settled::Already);
    assert_eq!(app.world().await.items, world.items, "doing it again changes nothing");
    backfill::run(&app.app, None).await.unwrap();
    assert_healthy(&app).await;
}

#[tokio::test]
async fn of_two_who_point_at_each_other_a_person_says_that_they_are_right_and_their_rivals_are_let_go_of() {
    let (app, _, _) = TestApp::start().await;
    migrated(&app, &CLAIMED).await;
    let ambiguous = |world: &World| world.items.values().filter(|item| item["review"] == "ambiguous").count();
    backfill::run(&app.app, None).await.unwrap();
    assert_eq!(ambiguous(&app.world().await), 2, "the pairs are whole, and decide nothing about their rivals");
    for (user, customer, left) in [("u7", "c", 1), ("u9", "d1", 0)] {
        let of = async || legacy_customer(&app, customer).await;
        let (before, pair) = (app.world().await, of().await);
        assert_eq!(link(&app.app, of().await, user_id(user), true).await.unwrap(), Settled::Would);
        assert_eq!(app.world().await.items, before.items, "a dry run changes nothing");
        let said = link(&app.app, of().await, user_id(user), false).await.unwrap();
        assert_eq!(said, Settled::Done(Box::new(pair)), "the two stay as they were");
        let world = app.world().await;
        assert_eq!((ambiguous(&world), world.of("recheck").len()), (left, 0), "the rival of {customer} is let go of");
        assert_eq!(link(&app.app, of().await, user_id(user), false).await.unwrap(), Settled::Already);
        assert_eq!(app.world().await.items, world.items, "doing it again changes nothing");
    }
    let (world, rival) = (app.world().await, legacy_customer(&app, "d2").await);
    let stray = user(&world, "u8");
    assert_eq!((text(stray, "customer_v2_id"), text(stray, "review")), ("", "due"));
    assert_eq!((rival.user_id, rival.customer_number, rival.review), (None, None, Some(Review::Due)));
    backfill::run(&app.app, None).await.unwrap();
    assert_healthy(&app).await;
}

#[tokio::test]
async fn whom_a_customer_named_until_a_person_said_otherwise_waits_no_longer() {
    for links in [true, false] {
        let (app, _, _) = TestApp::start().await;
        migrated(&app, &CROSSED).await;
        let world = app.world().await;
        assert_eq!(text(user(&world, "named"), "review"), "ambiguous", "it is not the only one");
        let of = legacy_customer(&app, "c").await;
        let said =
            if links { link(&app.app, of, user_id("naming"), false).await } else { unlink(&app.app, of, false).await };
        assert!(matches!(said.unwrap(), Settled::Done(_)), "links: {links}");
        let world = app.world().await;
        assert_eq!(text(user(&world, "named"), "review"), "due", "links: {links}");
        backfill::run(&app.app, None).await.unwrap();
        assert_healthy(&app).await;
    }
}

#[tokio::test]
async fn the_rest_of_a_family_comes_back_once_one_of_them_is_linked() {
    let (app, _, _) = TestApp::start().await;
    migrated(&app, &FAMILY).await;
    link(&app.app, legacy_customer(&app, "c1").await, user_id("u"), false).await.unwrap();
    assert!(app.world().await.of("recheck").is_empty(), "they were looked at at once");
    backfill::run(&app.app, None).await.unwrap();
    assert_healthy(&app).await;
}

#[tokio::test]
async fn a_link_by_the_api_brings_the_rest_of_a_family_back_too() {
    let (app, _, admin) = TestApp::start().await;
    migrated(&app, &FAMILY).await;
    let path = format!("/v1/customers/{}", Source::CustomersV2.id_of("c1"));
    admin.patch(&path, json!({ "user_id": user_id("u") })).await.expect(200);
    backfill::run(&app.app, None).await.unwrap();
    backfill::run(&app.app, None).await.unwrap();
    assert_healthy(&app).await;
}

#[tokio::test]
async fn a_link_that_holds_is_not_broken_by_another() {
    let (app, nobody, admin) = TestApp::start().await;
    let one = admin.post("/v1/customers", json!({ "id": "one", "email": "one@x.io" })).await.expect(201);
    let two = admin.post("/v1/customers", json!({ "id": "two", "email": "two@x.io" })).await.expect(201);
    let lead = nobody.intake("lead@x.io").await.expect(201);
    let staff = app.world().await.of("user").into_iter().find(|user| user["role"] == "admin").cloned().unwrap();
    let staff = UserId(text(&staff, "user_id").parse().unwrap());
    let (login, second) = (UserId(id(&one, "user_id")), id(&two, "internal_id"));
    let refused = async |of: Uuid, user| match link(&app.app, customer(&app, of).await, user, false).await {
        Err(NotUpdated::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let held = Refusal::CustomerLinked(UserId(id(&two, "user_id")));
    assert_eq!(refused(second, login).await, update::Refusal::Linked(held));
    assert_eq!(refused(id(&lead, "client_id"), login).await, update::Refusal::LeadHasNoLogin);
    admin.patch("/v1/customers/two", json!({ "user_id": null })).await.expect(200);
    let held = Refusal::UserLinked(CustomerId(id(&one, "internal_id")));
    assert_eq!(refused(second, login).await, update::Refusal::Linked(held));
    let stranger = get_or_create::Refusal::NotACustomer;
    assert_eq!(refused(second, staff).await, update::Refusal::Login(stranger));
}

#[tokio::test]
async fn whom_a_person_takes_apart_waits_for_the_backfill_on_both_sides() {
    let (app, _, admin) = TestApp::start().await;
    let made = admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    let of = async || customer(&app, id(&made, "internal_id")).await;
    assert_eq!(unlink(&app.app, of().await, true).await.unwrap(), Settled::Would);
    assert!(matches!(unlink(&app.app, of().await, false).await.unwrap(), Settled::Done(_)));
    let world = app.world().await;
    let login = world.at(&format!("USER#{}", made.str("user_id"))).unwrap();
    assert_eq!((text(login, "customer_v2_id"), text(login, "review")), ("", "due"));
    assert_eq!((of().await.user_id, of().await.customer_number), (None, None));
    assert_eq!(unlink(&app.app, of().await, false).await.unwrap(), Settled::Already);
    backfill::run(&app.app, None).await.unwrap();
    assert_healthy(&app).await;
}

#[tokio::test]
async fn an_export_has_every_customer_once_and_no_formula() {
    let (app, nobody, admin) = TestApp::start().await;
    let odd = json!({ "id": "odd", "name": "=1+1", "email": "a@x.io", "phone": "+919876543210",
        "address": "5, \"Hill\" Road\nPune" });
    let odd = admin.post("/v1/customers", odd).await.expect(201);
    for n in 0..101 {
        admin.post("/v1/customers", json!({ "id": format!("c{n}") })).await.expect(201);
    }
    let lead = nobody.intake("lead@x.io").await.expect(201);
    let mut file = Vec::new();
    assert_eq!(export::write(&app.app, &mut file, |_| ()).await.unwrap(), 103);
    let file = String::from_utf8(file).unwrap();
    let lines: Vec<&str> = file.split("\r\n").collect();
    assert_eq!(lines.len(), 105, "a head, the customers, and the end of the last line");
    assert_eq!(lines[0], export::COLUMNS.join(","));
    let line = |internal_id: &str| lines.iter().find(|line| line.starts_with(internal_id)).unwrap();
    let [reference, number, login] = ["customer_reference", "customerId", "user_id"].map(|name| odd.str(name));
    let expected = format!(
        "{},odd,{reference},{number},{login},a@x.io,'=1+1,a@x.io,+919876543210,\"5, \"\"Hill\"\" Road\nPune\",,active,",
        odd.str("internal_id")
    );
    assert!(line(odd.str("internal_id")).starts_with(&expected), "{}", line(odd.str("internal_id")));
    assert!(line(lead.str("client_id")).contains(",pending_payment,"));
}

#[tokio::test]
async fn a_key_is_revoked_whatever_became_of_its_version() {
    let (app, nobody, _) = TestApp::start().await;
    let store = app.raw_store();
    // One was made before keys had a version; one is written between the command's read and its write.
    for (version, update) in [(0, "REMOVE version"), (1, "SET version = version + version")] {
        let (made, text) = store.create_api_key("ci", START).await.unwrap();
        let change = store.client().update_item().table_name(store.table());
        let change = change.set_key(Some(Key::api_key(&made.sha256).attributes())).update_expression(update);
        change.send().await.unwrap();
        let system = nobody.with_token(text.expose());
        system.get("/v1/customers").await.expect(200);
        let read = ApiKey { version, ..made };
        // Whoever says so again, on the same picture, finds it done.
        for _ in 0..2 {
            store.revoke_api_key(&read, START).await.unwrap();
            system.get("/v1/customers").await.refused(401, "unauthorized");
        }
    }
}
