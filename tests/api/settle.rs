//! Rows that a person settles: who points at somebody that is another's is reported, and never guessed
//! at; once the other is gone, or somebody says whose they are, it is over.

use functions::jobs::backfill::run;
use harness::TestApp;
use harness::app::START;
use harness::world::text;
use serde_json::{Value, json};
use shared::contact::EmailAddress;
use shared::domain::customer::{Customer, Origin, Status};
use shared::domain::legacy::{Legacy, Source};
use shared::domain::matching::Review;
use shared::domain::user::{Role, User};
use shared::ids::{CustomerId, UserId};
use shared::store::Conflict;
use shared::store::members::MemberLists;
use shared::store::pointer::{From, Pointer};

fn legacy(source: Source, id: &str) -> Legacy {
    Legacy { source, id: id.to_owned(), unread: std::collections::BTreeMap::new() }
}

/// Imports the login `name`, which points at `customer`.
async fn user(app: &TestApp, name: &str, customer: CustomerId) -> UserId {
    let email = EmailAddress::parse(&format!("{name}@x.io")).unwrap();
    let mut user = User::new(UserId(START.new_id()), email, Role::Customer, START);
    user.customer_v2_id = Some(customer);
    user.legacy = Some(legacy(Source::Users, name));
    user.review = Some(Review::Due);
    let store = app.raw_store();
    let mut transaction = store.transaction();
    transaction.save_user(None, &user);
    let pointer = Pointer { target: customer.0, from: From::User(user.user_id) };
    transaction.put_anyway(&pointer, Conflict::Changed);
    transaction.commit(&store).await.unwrap();
    user.user_id
}

/// A customer and its login, and another login that points at the customer, too. The backfill has
/// been there.
async fn crowded(app: &TestApp) -> (CustomerId, UserId) {
    let id = CustomerId(START.new_id());
    let login = user(app, "first", id).await;
    let second = user(app, "second", id).await;
    let mut customer = Customer::new(id, Status::Active, Origin::Import, START);
    customer.user_id = Some(login);
    customer.legacy = Some(legacy(Source::CustomersV2, "c"));
    customer.review = Some(Review::Due);
    let store = app.raw_store();
    let mut transaction = store.transaction();
    transaction.save_customer(None, &customer, &MemberLists::default());
    let pointer = Pointer { target: login.0, from: From::Customer(id) };
    transaction.put_anyway(&pointer, Conflict::Changed);
    transaction.commit(&store).await.unwrap();
    run(&app.app, None).await.unwrap();
    assert_eq!(stored(app, second).await["review"], "ambiguous", "whose it is nobody knows");
    assert!(stored(app, login).await["review"].is_null(), "the pair is one");
    (id, second)
}

async fn stored(app: &TestApp, id: UserId) -> Value {
    app.world().await.at(&format!("USER#{id}")).unwrap().clone()
}

#[tokio::test]
async fn who_points_at_a_customer_that_is_deleted_is_looked_at_again() {
    let (app, _, admin) = TestApp::start().await;
    let (id, second) = crowded(&app).await;
    admin.delete(&format!("/v1/customers/{id}")).await.expect(200);
    let summary = run(&app.app, None).await.unwrap();
    let tally = summary.tally;
    assert_eq!((tally.created, tally.total, summary.remaining), (1, 1, 0), "the first run after it: {summary:?}");
    let world = app.world().await;
    world.assert_straight();
    assert!(world.of("recheck").is_empty());
    assert_ne!(text(&stored(&app, second).await, "customer_v2_id"), id.to_string());
}

#[tokio::test]
async fn a_new_customer_may_have_a_login_that_points_where_it_cannot_belong() {
    let (app, _, admin) = TestApp::start().await;
    let (_, second) = crowded(&app).await;
    let made = admin.post("/v1/customers", json!({ "id": "d", "user_id": second })).await.expect(201);
    assert_eq!(stored(&app, second).await["customer_v2_id"], made.json["internal_id"]);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_customer_without_login_may_be_given_one_that_points_where_it_cannot_belong() {
    let (app, _, admin) = TestApp::start().await;
    let (_, second) = crowded(&app).await;
    let made = admin.post("/v1/customers", json!({ "id": "d" })).await.expect(201);
    let given = json!({ "user_id": second });
    admin.patch("/v1/customers/d", given.clone()).await.refused(409, "already_linked");
    admin.patch("/v1/customers/d", json!({ "user_id": null })).await.expect(200);
    admin.patch("/v1/customers/d", given).await.expect(200);
    assert_eq!(stored(&app, second).await["customer_v2_id"], made.json["internal_id"]);
    run(&app.app, None).await.unwrap();
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_login_whose_customer_only_has_to_be_completed_is_nobody_elses() {
    let (app, _, admin) = TestApp::start().await;
    let id = CustomerId(START.new_id());
    let login = user(&app, "half", id).await;
    let customer = Customer { review: Some(Review::Due), ..Customer::new(id, Status::Active, Origin::Import, START) };
    let store = app.raw_store();
    let mut transaction = store.transaction();
    transaction.save_customer(None, &customer, &MemberLists::default());
    transaction.commit(&store).await.unwrap();
    admin.post("/v1/customers", json!({ "id": "d", "user_id": login })).await.refused(409, "already_linked");
    run(&app.app, None).await.unwrap();
    app.world().await.assert_straight();
}
