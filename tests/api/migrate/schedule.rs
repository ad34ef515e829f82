//! The schedule beside a migration: it waits for it, and comes back only to what changed.

use std::pin::pin;

use functions::jobs::backfill::{Summary, run};
use functions::jobs::migrate::up;
use harness::app::START;
use harness::faults::When;
use harness::stripe::checkout;
use harness::world::text;
use harness::{Actor, TestApp};
use serde_json::json;
use shared::contact::{Country, Phone};
use shared::domain::customer::{Customer, Origin, Status};
use shared::domain::legacy::Source;
use shared::domain::matching::Review;
use shared::ids::{CustomerId, UserId};
use shared::store::members::MemberLists;

use super::{assert_settled, import_lines, imported, migrate, seeded};

/// How many calls a run of the schedule made, and what it did.
async fn scheduled(app: &TestApp) -> (usize, Summary) {
    app.connector.start_recording();
    let summary = run(&app.app, None).await.unwrap();
    (app.connector.take_recording().calls.len(), summary)
}

/// Runs the schedule until it is idle; answers how many rows it settled on the way.
pub(super) async fn until_idle(app: &TestApp) -> u64 {
    let mut settled = 0;
    for _ in 0..5 {
        let (calls, summary) = scheduled(app).await;
        assert_eq!(summary.tally.errors, 0, "{summary:?}");
        settled += summary.tally.created + summary.tally.linked;
        if calls == 1 {
            return settled;
        }
    }
    panic!("the schedule is never idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_leaves_imported_rows_alone_until_a_migration_has_covered_them() {
    let (app, _, _, _) = imported(61, seeded(41), &[]).await;
    // Somebody under review who shares a phone with an imported user.
    let world = app.world().await;
    let users = world.of("user").into_iter().filter(|it| it["role"] == "customer" && it["phone"].is_string());
    let mut alone = users.filter(|it| it["customer_v2_id"].is_null() && text(it, "email").starts_with("user-"));
    let phone = |user: &serde_json::Value| text(user, "phone").to_owned();
    let taken = |phone: &str| world.items.keys().filter(|(pk, _)| *pk == format!("PHONE#{phone}")).count();
    let user = alone.find(|user| taken(&phone(user)) == 1).unwrap();
    let mut customer = Customer::new(CustomerId(START.new_id()), Status::Active, Origin::Api, START);
    customer.contact.phone = Some(Phone::parse(&phone(user), Country::INDIA).unwrap());
    customer.review = Some(Review::Due);
    let store = app.raw_store();
    let mut transaction = store.transaction();
    transaction.save_customer(None, &customer, &MemberLists::default());
    transaction.commit(&store).await.unwrap();

    let before = app.world().await;
    let (_, summary) = scheduled(&app).await;
    assert_eq!((summary.tally.total, summary.tally.skipped, summary.tally.errors), (1, 1, 0), "{summary:?}");
    let after = app.world().await;
    let changed = after.items.iter().filter(|(at, item)| before.items.get(*at) != Some(*item));
    let changed: Vec<_> = changed.filter(|(_, item)| item["kind"] != "run").collect();
    assert!(changed.is_empty(), "{changed:?}");

    migrate(&app.app).await;
    until_idle(&app).await;
    let world = app.world().await;
    assert_settled(&world);
    let customer = world.at(&format!("CUSTOMER#{}", customer.internal_id)).unwrap();
    assert_eq!(customer["user_id"], user["user_id"], "they go together once both are covered");
}

/// Two customers and a login on one phone, imported.
async fn staged_family() -> (TestApp, Actor, [String; 2]) {
    let (app, _, admin) = TestApp::start().await;
    let user = "{\"_id\":\"u\",\"email\":\"u@x.io\",\"phone\":\"9876543210\",\"role\":\"customer\",\"createdAt\":\"2024-01-01\"}\n";
    let customers = "{\"id\":\"c1\",\"phone\":\"9876543210\",\"status\":\"active\",\"created_at\":\"2024-01-02\"}\n\
                     {\"id\":\"c2\",\"phone\":\"9876543210\",\"status\":\"active\",\"created_at\":\"2024-01-03\"}\n";
    import_lines(&app, &[("users.json", user), ("customers_v2.json", customers)]).await;
    let id = |id| Source::CustomersV2.id_of(id).to_string();
    (app, admin, [id("c1"), id("c2")])
}

/// The same, brought over: all three wait for a person.
pub(super) async fn family() -> (TestApp, Actor, [String; 2]) {
    let (app, admin, customers) = staged_family().await;
    assert_eq!(migrate(&app.app).await.tally.ambiguous, 3);
    (app, admin, customers)
}

/// Checks that the customer `id` is linked with the login of the family.
pub(super) async fn assert_linked(app: &TestApp, id: &str) {
    let world = app.world().await;
    world.assert_straight();
    let user = world.at(&format!("CUSTOMER#{id}")).map(|customer| text(customer, "user_id").to_owned()).unwrap();
    assert_eq!(text(world.at(&format!("USER#{user}")).unwrap(), "email"), "u@x.io");
}

#[tokio::test]
async fn who_waits_for_a_person_costs_an_idle_run_nothing() {
    let (app, admin, [_, second]) = family().await;
    assert_eq!(scheduled(&app).await.0, 1);
    admin.patch(&format!("/v1/customers/{second}"), json!({ "area": "North" })).await.expect(200);
    admin.post("/v1/customers", json!({ "id": "other", "email": "o@x.io" })).await.expect(201);
    assert_eq!(scheduled(&app).await.0, 1, "nothing changed that could tell them apart");
    let waiting = app.world().await.items.into_values().filter(|item| item["review"] == "ambiguous").count();
    assert_eq!(waiting, 3);
}

#[tokio::test]
async fn a_new_phone_of_one_brings_the_others_back() {
    let (app, admin, [first, second]) = family().await;
    admin.patch(&format!("/v1/customers/{second}"), json!({ "phone": "9123456780" })).await.expect(200);
    assert_eq!(until_idle(&app).await, 2, "one pair is linked, and the other gets a login");
    assert_linked(&app, &first).await;
}

#[tokio::test]
async fn the_end_of_one_brings_the_others_back() {
    let (app, admin, [first, second]) = family().await;
    admin.delete(&format!("/v1/customers/{first}")).await.expect(200);
    assert_eq!(until_idle(&app).await, 1);
    assert_linked(&app, &second).await;
}

#[tokio::test]
async fn a_row_from_the_future_is_completed_today() {
    let (app, _, admin) = TestApp::start().await;
    let customer = "{\"id\":\"c\",\"email\":\"c@x.io\",\"status\":\"active\",\"created_at\":\"2062-01-01\"}\n";
    import_lines(&app, &[("customers_v2.json", customer)]).await;
    assert_eq!(migrate(&app.app).await.tally.created, 1);
    let id = shared::domain::legacy::Source::CustomersV2.id_of("c");
    let parted = json!({ "user_id": null, "email": "other@x.io" });
    admin.patch(&format!("/v1/customers/{id}"), parted).await.expect(200);
    let (_, summary) = scheduled(&app).await;
    assert_eq!((summary.tally.created, summary.tally.errors, summary.remaining), (2, 0, 0), "{summary:?}");
    let world = app.world().await;
    world.assert_straight();
    assert!(world.at(&format!("CUSTOMER#{id}")).unwrap()["review"].is_null());
}

#[tokio::test]
async fn a_login_that_a_new_customer_takes_brings_the_others_back() {
    let (app, admin, _) = family().await;
    let login = Source::Users.id_of("u").to_string();
    admin.post("/v1/customers", json!({ "id": "d", "user_id": &login })).await.expect(201);
    assert_eq!(until_idle(&app).await, 2, "nobody is left who could be theirs: each gets a login");
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(text(world.at(&format!("USER#{login}")).unwrap(), "email"), "u@x.io");
}

#[tokio::test]
async fn a_customer_who_pays_brings_the_others_back() {
    let (app, _, [first, second]) = family().await;
    app.nobody().stripe(&checkout("completed", "evt_1", "cs_1", &first)).await.expect(200);
    assert_eq!(until_idle(&app).await, 1, "one pair is left");
    assert_linked(&app, &second).await;
}

#[tokio::test]
async fn who_leaves_while_a_plan_is_made_leaves_nobody_waiting() {
    let (app, admin, [first, second]) = staged_family().await;
    let (other, _) = app.another();
    // The run itself, and now its first row; all three are planned.
    let pause = app.connector.pause(&When::Operation("TransactWriteItems", 2));
    let mut migration = pin!(up(&app.app, false, |_| {}));
    tokio::select! {
        biased;
        _ = &mut migration => panic!("it was never held"),
        () = pause.reached() => {}
    }
    admin.delete(&format!("/v1/customers/{second}")).await.expect(200);
    run(&other, None).await.unwrap();
    assert!(app.world().await.of("recheck").is_empty(), "whoever waited would have been looked at");
    pause.resume();
    assert_eq!(migration.await.unwrap().remaining, 0);
    assert_eq!(until_idle(&app).await, 1);
    assert_linked(&app, &first).await;
}

#[tokio::test]
async fn who_gives_up_a_shared_phone_is_looked_at_again() {
    let (app, _, _) = family().await;
    let login = app.raw_store().user(UserId(Source::Users.id_of("u"))).await.unwrap().unwrap();
    let token = app.app.keys.sign_session(&login, START, 600);
    app.nobody().with_token(token).patch("/auth/me", json!({ "phone": null })).await.expect(200);
    assert_eq!(until_idle(&app).await, 3, "each of the three gets a counterpart of their own");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn nobody_takes_the_customer_of_a_phone_over_by_saying_it_is_theirs() {
    let (app, nobody, _) = TestApp::start().await;
    let eve = "{\"_id\":\"e\",\"email\":\"e@x.io\",\"role\":\"customer\",\"createdAt\":\"2024-01-01\"}\n";
    let ana = "{\"id\":\"c\",\"phone\":\"9876543210\",\"status\":\"active\",\"created_at\":\"2024-01-02\"}\n";
    import_lines(&app, &[("users.json", eve), ("customers_v2.json", ana)]).await;
    let login = app.raw_store().user(UserId(Source::Users.id_of("e"))).await.unwrap().unwrap();
    let eve = nobody.with_token(app.app.keys.sign_session(&login, START, 600));
    let taken = eve.patch("/auth/me", json!({ "name": "Eve", "phone": "98765 43210" })).await;
    taken.refused(400, "invalid_request");
    assert_eq!((taken.fields(), eve.get("/auth/me").await.json["name"].is_null()), (vec!["phone"], true));
    eve.patch("/auth/me", json!({ "name": "Eve", "phone": null })).await.expect(200);
    assert_eq!(migrate(&app.app).await.tally.created, 2, "each gets a counterpart of their own");
    let me = eve.get("/auth/me").await.expect(200);
    let customer = Source::CustomersV2.id_of("c").to_string();
    assert!(me.json["customer"].is_object() && me.str("customer_v2_id") != customer, "{}", me.text);
    // Now that they are somebody, a phone decides nothing about who.
    eve.patch("/auth/me", json!({ "phone": "98765 43210" })).await.expect(200);
    until_idle(&app).await;
    assert_eq!(eve.get("/auth/me").await.str("customer_v2_id"), me.str("customer_v2_id"));
    app.world().await.assert_straight();
}

#[tokio::test]
async fn who_waits_for_a_person_or_for_the_schedule_says_no_other_phone() {
    let (app, admin, _) = family().await;
    let login = app.raw_store().user(UserId(Source::Users.id_of("u"))).await.unwrap().unwrap();
    let waiting = app.nobody().with_token(app.app.keys.sign_session(&login, START, 600));
    let say = async |actor: &Actor, phone: &str| actor.patch("/auth/me", json!({ "phone": phone })).await;
    assert_eq!(say(&waiting, "9123456780").await.fields(), ["phone"]);
    say(&waiting, "98765 43210").await.expect(200);
    admin.post("/v1/customers", json!({ "id": "d", "user_id": login.user_id.to_string() })).await.expect(201);
    until_idle(&app).await;
    say(&waiting, "9123456780").await.expect(200);
    admin.patch("/v1/customers/d", json!({ "user_id": null })).await.expect(200);
    assert_eq!(say(&waiting, "9123456781").await.fields(), ["phone"]);
    until_idle(&app).await;
    say(&waiting, "9123456781").await.expect(200);
    app.world().await.assert_straight();
}
