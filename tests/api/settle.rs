//! Rows that a person settles: who points at somebody that is another's is reported, and never guessed
//! at; once the other is gone, or somebody says whose they are, it is over.

use functions::jobs::backfill::run;
use harness::TestApp;
use harness::app::START;
use harness::stripe::checkout;
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

use crate::accounts::{change_user, forgot, letters_to, register, reset_tokens};

fn legacy(source: Source, id: &str) -> Legacy {
    Legacy { source, id: id.to_owned(), unread: std::collections::BTreeMap::new() }
}

/// Imports the login `name`, which points at `customer`.
async fn user(app: &TestApp, name: &str, customer: CustomerId) -> UserId {
    let email = EmailAddress::parse(&format!("{name}@x.io")).unwrap();
    let mut user = User::new(UserId(Source::Users.id_of(name)), email, Role::Customer, START);
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

/// Imports `customer`, and what it points at.
async fn save(app: &TestApp, customer: &Customer) {
    let store = app.raw_store();
    let mut transaction = store.transaction();
    transaction.save_customer(None, customer, &MemberLists::default());
    if let Some(user) = customer.user_id {
        let pointer = Pointer { target: user.0, from: From::Customer(customer.internal_id) };
        transaction.put_anyway(&pointer, Conflict::Changed);
    }
    transaction.commit(&store).await.unwrap();
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
    save(app, &customer).await;
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
    save(&app, &customer).await;
    admin.post("/v1/customers", json!({ "id": "d", "user_id": login })).await.refused(409, "already_linked");
    run(&app.app, None).await.unwrap();
    app.world().await.assert_straight();
}

#[tokio::test]
async fn who_points_at_somebody_elses_customer_neither_sees_nor_changes_it_nor_has_mail_sent_there() {
    let (app, nobody, admin) = TestApp::start().await;
    let (id, second) = crowded(&app).await;
    let path = format!("/v1/customers/{id}");
    let theirs = json!({ "email": "theirs@x.io", "name": "Ana Ruiz" });
    admin.patch(&path, theirs).await.expect(200);
    let before = admin.get(&path).await.expect(200);

    // Their own page, with a session that still says whose customer it is.
    let user = app.raw_store().user(second).await.unwrap().unwrap();
    let eve = nobody.with_token(app.app.keys.sign_session(&user, START, 600));
    let me = eve.get("/auth/me").await.expect(200);
    assert!(me.json["customer"].is_null() && me.json["customer_v2_id"].is_null(), "{}", me.text);
    let me = eve.patch("/auth/me", json!({ "name": "Eve", "area": "South" })).await.expect(200);
    assert!(me.str("name") == "Eve" && me.json["customer"].is_null(), "{}", me.text);
    assert_eq!(admin.get(&path).await.expect(200).json, before.json);

    // Whatever sets the password of that login goes to its owner.
    forgot(&nobody, "second@x.io").await.expect(200);
    app.deliver_mail().await;
    assert_eq!((reset_tokens(&app, "second@x.io").len(), letters_to(&app, "theirs@x.io")), (1, 0));
    register(&nobody, "second@x.io").await.refused(409, "email_taken");
    app.deliver_mail().await;
    assert_eq!(letters_to(&app, "theirs@x.io"), 0);
    let session = nobody.login("second@x.io", &app.temporary_password("second@x.io")).await.expect(200);
    let claims = app.app.keys.verify_session(session.str("token"), START).unwrap();
    assert_eq!((&session.json["customer_v2_id"], claims.customer_v2_id), (&Value::Null, None));

    // Their number means nobody's customer.
    let number = text(&stored(&app, second).await, "customer_number").to_owned();
    let items = json!([{ "feature_id": "litres", "included_usage": 9 }]);
    admin.put("/v1/products/plan", json!({ "name": "Plan", "items": items })).await.expect(201);
    let use_of = json!({ "customer_id": &number, "feature_id": "litres" });
    admin.post("/v1/track", use_of.clone()).await.refused(404, "customer_not_found");
    admin.post("/v1/check", use_of).await.refused(404, "customer_not_found");
    for customer in [number.as_str(), "second"] {
        let assigned = admin.post("/admin/delivery-assignments", json!({ "customer": customer, "delivery_boy": null }));
        assigned.await.refused(404, "customer_not_found");
    }
    let by_number = format!("/v1/customers/{number}");
    admin.patch(&by_number, json!({ "user_id": null })).await.refused(404, "customer_not_found");
    admin.delete(&by_number).await.refused(404, "customer_not_found");
    assert_eq!(admin.get(&path).await.expect(200).json, before.json);
}

#[tokio::test]
async fn who_pays_lets_nobody_in_who_is_somebody_elses_login() {
    let (app, nobody, admin) = TestApp::start().await;
    let (id, _) = crowded(&app).await;
    admin.patch(&format!("/v1/customers/{id}"), json!({ "status": "inactive" })).await.expect(200);
    let login = app.raw_store().customer(id).await.unwrap().unwrap().user_id.unwrap();
    assert_eq!(stored(&app, login).await["enabled"], false);
    let mut stray = Customer::new(CustomerId(START.new_id()), Status::Inactive, Origin::Import, START);
    (stray.user_id, stray.review) = (Some(login), Some(Review::Ambiguous));
    save(&app, &stray).await;
    let paid = checkout("completed", "evt_1", "cs_1", &stray.internal_id.to_string());
    nobody.stripe(&paid).await.expect(200);
    let paid = app.raw_store().customer(stray.internal_id).await.unwrap().unwrap();
    assert_eq!(paid.status, Status::Active);
    assert_eq!(stored(&app, login).await["enabled"], false);
}

#[tokio::test]
async fn staff_that_a_customer_points_at_stay_when_it_is_shut_out_and_when_it_goes() {
    let (app, _, admin) = TestApp::start().await;
    let id = CustomerId(START.new_id());
    let boy = user(&app, "boy", id).await;
    change_user(&app, boy, |boy| boy.role = Role::DeliveryBoy).await;
    let mut customer = Customer::new(id, Status::Active, Origin::Import, START);
    (customer.user_id, customer.review) = (Some(boy), Some(Review::Ambiguous));
    save(&app, &customer).await;
    let before = stored(&app, boy).await;
    let path = format!("/v1/customers/{id}");
    admin.patch(&path, json!({ "status": "inactive", "name": "Ana Ruiz" })).await.expect(200);
    admin.post(&format!("{path}/credentials"), json!({})).await.refused(404, "user_not_found");
    admin.delete(&path).await.expect(200);
    assert_eq!(stored(&app, boy).await, before);
}

#[tokio::test]
async fn who_is_parted_from_a_login_with_their_placeholder_gets_another() {
    let (app, _, admin) = TestApp::start().await;
    let made = admin.post("/v1/customers", json!({ "id": "d" })).await.expect(201);
    let login: UserId = made.str("user_id").parse().unwrap();
    let of_customer = format!("customer-{}@earlybird.local", made.str("internal_id"));
    assert_eq!(stored(&app, login).await["email"], of_customer);
    admin.patch("/v1/customers/d", json!({ "user_id": null })).await.expect(200);
    let tally = run(&app.app, None).await.unwrap().tally;
    assert_eq!((tally.created, tally.errors), (2, 0), "{tally:?}");
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(stored(&app, login).await["email"], format!("user-{login}@earlybird.local"));
    let customer = app.raw_store().customer(made.str("internal_id").parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(stored(&app, customer.user_id.unwrap()).await["email"], of_customer);
}

#[tokio::test]
async fn who_pays_after_the_parting_gets_a_login_at_once() {
    let (app, nobody, admin) = TestApp::start().await;
    let made = admin.post("/v1/customers", json!({ "id": "d" })).await.expect(201);
    admin.patch("/v1/customers/d", json!({ "user_id": null })).await.expect(200);
    nobody.stripe(&checkout("completed", "evt_1", "cs_1", made.str("internal_id"))).await.expect(200);
    assert_ne!(admin.get("/v1/customers/d").await.json["user_id"], made.json["user_id"]);
    assert_eq!(run(&app.app, None).await.unwrap().tally.created, 1, "a customer for the login that was left");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_placeholder_that_somebody_else_signs_in_with_stands_in_nobodys_way() {
    for pays in [false, true] {
        let (app, nobody, _) = TestApp::start().await;
        let id = CustomerId(START.new_id());
        let email = EmailAddress::placeholder(&format!("customer-{id}"), "earlybird.local");
        let holder = User::new(UserId(START.new_id()), email.clone(), Role::DeliveryBoy, START);
        app.save(&holder).await;
        let customer = Customer::new(id, Status::Active, Origin::Import, START);
        save(&app, &Customer { review: Some(Review::Due), ..customer }).await;
        if pays {
            nobody.stripe(&checkout("completed", "evt_1", "cs_1", &id.to_string())).await.expect(200);
        }
        let tally = run(&app.app, None).await.unwrap().tally;
        assert_eq!((tally.created, tally.errors), (u64::from(!pays), 0), "pays: {pays}");
        app.world().await.assert_straight();
        let login = app.raw_store().customer(id).await.unwrap().unwrap().user_id.unwrap();
        assert_eq!(stored(&app, login).await["email"].as_str().unwrap().split_once('-').unwrap().0, "user");
    }
}

#[tokio::test]
async fn the_end_of_one_does_not_decide_about_another() {
    let (app, _, admin) = TestApp::start().await;
    let [pair, one, other] = [(); 3].map(|()| CustomerId(START.new_id()));
    let login = user(&app, "u", pair).await;
    for id in [pair, one, other] {
        let mut customer = Customer::new(id, Status::Active, Origin::Import, START);
        (customer.user_id, customer.review) = (Some(login), Some(Review::Due));
        customer.legacy = Some(legacy(Source::CustomersV2, &id.to_string()));
        save(&app, &customer).await;
    }
    assert_eq!(run(&app.app, None).await.unwrap().tally.ambiguous, 2);
    admin.delete(&format!("/v1/customers/{one}")).await.expect(200);
    for _ in 0..2 {
        assert_eq!(run(&app.app, None).await.unwrap().tally.created, 0);
    }
    let other = app.raw_store().customer(other).await.unwrap().unwrap();
    assert_eq!((other.user_id, other.review), (Some(login), Some(Review::Ambiguous)));
    assert!(app.world().await.of("recheck").is_empty());
}
