//! `GET /admin/billing/customers`.

use std::time::Duration;

use functions::jobs::backfill::run;
use harness::app::START;
use harness::faults::When;
use harness::stripe::{invoice, refund};
use harness::{Actor, TestApp};
use serde_json::{Value, json};
use shared::contact::{Country, EmailAddress, Phone};
use shared::domain::customer::{Customer, Origin, Status};
use shared::domain::matching::Review;
use shared::domain::user::{Role, User};
use shared::ids::{CustomerId, UserId};
use shared::store::members::MemberLists;

/// Every page, one after another; `between` runs after each.
async fn pages(admin: &Actor, limit: usize, mut between: impl AsyncFnMut(usize)) -> Vec<Value> {
    let (mut rows, mut cursor, mut page) = (Vec::new(), String::new(), 0);
    loop {
        let answer = admin.get(&format!("/admin/billing/customers?limit={limit}{cursor}")).await.expect(200);
        let data = answer.json["data"].as_array().unwrap();
        assert_eq!((&answer.json["success"], &answer.json["count"]), (&json!(true), &json!(data.len())));
        assert!(data.len() <= limit);
        rows.extend(data.iter().cloned());
        between(page).await;
        page += 1;
        match answer.json["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

/// How many rows name this customer or this user.
fn times(rows: &[Value], customer: Option<CustomerId>, user: Option<UserId>) -> usize {
    let customer = customer.map(|id| json!(id.to_string()));
    let user = user.map(|id| json!(id.to_string()));
    let named = |row: &Value| customer.as_ref() == Some(&row["internal_id"]) || user.as_ref() == Some(&row["user_id"]);
    rows.iter().filter(|row| named(row)).count()
}

fn email(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@x.io")).unwrap()
}

/// A login that nobody made with us.
async fn user(app: &TestApp, name: &str, change: impl FnOnce(&mut User)) -> UserId {
    let mut user = User::new(UserId(START.new_id()), email(name), Role::Customer, START);
    change(&mut user);
    app.save(&user).await;
    user.user_id
}

/// A customer that nobody made with us.
async fn customer(app: &TestApp, change: impl FnOnce(&mut Customer)) -> CustomerId {
    let mut customer = Customer::new(CustomerId(START.new_id()), Status::Active, Origin::Import, START);
    change(&mut customer);
    let store = app.raw_store();
    let mut transaction = store.transaction();
    transaction.save_customer(None, &customer, &MemberLists::default());
    transaction.commit(&store).await.unwrap();
    customer.internal_id
}

#[tokio::test]
async fn every_person_comes_once_while_others_come() {
    let (app, nobody, admin) = TestApp::start().await;
    let mut pairs: Vec<(CustomerId, UserId)> = Vec::new();
    for n in 0..30 {
        let made = admin.post("/v1/customers", json!({ "id": format!("c{n}") })).await.expect(201);
        pairs.push((made.str("internal_id").parse().unwrap(), made.str("user_id").parse().unwrap()));
        app.clock.advance_seconds(1);
    }
    let lead: CustomerId = nobody.intake("lead@x.io").await.expect(201).str("client_id").parse().unwrap();
    let alone = user(&app, "alone", |_| {}).await;
    let loner = customer(&app, |_| {}).await;
    let staff = user(&app, "boy", |user| user.role = Role::DeliveryBoy).await;
    // Two who do not point back, one who points to nobody, and a second login of one customer.
    let passed_by = user(&app, "passed-by", |_| {}).await;
    let one_way = customer(&app, |it| it.user_id = Some(passed_by)).await;
    let dangling = user(&app, "dangling", |user| user.customer_v2_id = Some(CustomerId(START.new_id()))).await;
    let second = user(&app, "second", |user| user.customer_v2_id = Some(pairs[0].0)).await;
    for limit in [3, 100] {
        let rows = pages(&admin, limit, async |page| {
            admin.post("/v1/customers", json!({ "id": format!("new{limit}-{page}") })).await.expect(201);
            app.clock.advance_seconds(1);
        })
        .await;
        for (customer, user) in &pairs {
            assert_eq!(times(&rows, Some(*customer), Some(*user)), 1, "a pair is one row");
        }
        for customer in [loner, one_way] {
            assert_eq!(times(&rows, Some(customer), None), 1, "a customer without a login is a row");
        }
        for user in [alone, passed_by, dangling, second] {
            assert_eq!(times(&rows, None, Some(user)), 1, "a login without a customer is a row");
        }
        assert_eq!((times(&rows, Some(lead), None), times(&rows, None, Some(staff))), (0, 0));
        let row = rows.iter().find(|row| row["user_id"] == second.to_string()).unwrap();
        assert_eq!(
            (&row["source"], &row["internal_id"], &row["status"]),
            (&json!("user"), &json!(null), &json!("active"))
        );
        let row = rows.iter().find(|row| row["internal_id"] == one_way.to_string()).unwrap();
        assert_eq!((&row["source"], &row["user_id"]), (&json!("customer"), &json!(null)));
    }
}

#[tokio::test]
async fn whoever_is_linked_while_the_list_is_read_comes_once() {
    for linked_after in 0..4 {
        let (app, _, admin) = TestApp::start().await;
        let phone = Phone::parse("9876543210", Country::INDIA).unwrap();
        let known = customer(&app, |it| {
            it.contact.phone = Some(phone.clone());
            it.review = Some(Review::Due);
        })
        .await;
        let other = customer(&app, |_| {}).await;
        let theirs = user(&app, "theirs", |user| {
            user.phone = Some(phone.clone());
            user.review = Some(Review::Due);
        })
        .await;
        let new = user(&app, "new", |user| user.review = Some(Review::Due)).await;
        app.clock.advance_seconds(1);
        let rows = pages(&admin, 1, async |page| {
            if page == linked_after {
                let summary = run(&app.app, None).await.unwrap();
                assert_eq!(
                    (summary.tally.linked, summary.tally.created, summary.tally.errors),
                    (1, 1, 0),
                    "{summary:?}"
                );
            }
        })
        .await;
        assert_eq!(times(&rows, Some(other), None), 1);
        assert_eq!(times(&rows, None, Some(new)), 1, "after page {linked_after}: {rows:?}");
        let both = times(&rows, Some(known), Some(theirs));
        // Whoever was shown apart before they were linked has been shown.
        let apart = linked_after >= 2 && both == 2;
        assert!(both == 1 || apart, "after page {linked_after}: {rows:?}");
    }
}

#[tokio::test]
async fn a_row_says_who_it_is_and_what_they_pay() {
    let (_app, nobody, admin) = TestApp::start().await;
    let price = json!({ "amount": 5_000, "currency": "INR", "interval": "month" });
    admin.put("/v1/products/milk", json!({ "name": "Milk", "price": price, "items": [] })).await.expect(201);
    let body = json!({ "id": "a", "name": "Ana", "email": "a@x.io", "phone": "9876543210", "address": "7 Row",
                       "area": "North", "stripe_id": "cus_1", "subscription": { "product_id": "milk", "quantity": 2 } });
    let made = admin.post("/v1/customers", body).await.expect(201);
    for event in [invoice("paid", "evt_1", 0), refund("evt_2", 1, 5)] {
        nobody.stripe(&event).await.expect(200);
    }
    let answer = admin.get("/admin/billing/customers").await.expect(200);
    let row = &answer.json["data"][0];
    let same = ["internal_id", "user_id", "customer_reference", "customerId", "name", "email", "phone", "address"];
    for field in same.into_iter().chain(["area", "status", "products"]) {
        assert_eq!(row[field], made.json[field], "{field}");
    }
    assert_eq!(row["source"], "customer");
    let amounts = json!({ "currency": "inr", "recurring": 10_000, "paid": 49_900, "refunded": 5 });
    assert_eq!(row["amounts"], amounts);
    assert!(answer.json["next_cursor"].is_null());
}

#[tokio::test]
async fn the_invoices_of_a_page_are_read_at_once_and_its_rows_stay_in_order() {
    let (app, _, admin) = TestApp::start().await;
    for id in ["a", "b", "c"] {
        admin.post("/v1/customers", json!({ "id": id, "name": id })).await.expect(201);
        app.clock.advance_seconds(1);
    }
    // First the customers, the users and the products; then the invoices of each row.
    let [first, second, third] = [4, 5, 6].map(|n| app.connector.pause(&When::Operation("Query", n)));
    let (answer, ()) = tokio::join!(admin.get("/admin/billing/customers"), async {
        for pause in [&first, &second, &third] {
            let held = tokio::time::timeout(Duration::from_secs(20), pause.reached()).await;
            assert!(held.is_ok(), "a row waits for the one before it");
        }
        // The last comes first.
        for pause in [&third, &second, &first] {
            pause.resume();
        }
    });
    let rows = answer.expect(200).json["data"].as_array().cloned().unwrap();
    assert_eq!(rows.iter().map(|row| &row["name"]).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let (app, _, admin) = TestApp::start().await;
    for n in 0..2 {
        admin.post("/v1/customers", json!({ "id": format!("c{n}") })).await.expect(201);
        app.clock.advance_seconds(1);
    }
    let cursor = admin.get("/v1/customers?limit=1").await.expect(200).str("next_cursor").to_owned();
    for cursor in [cursor.as_str(), "junk", ""] {
        let path = format!("/admin/billing/customers?cursor={cursor}");
        admin.get(&path).await.refused(400, "invalid_cursor");
    }
    let refused = admin.get("/admin/billing/customers?limit=0").await;
    refused.refused(400, "invalid_request");
    assert_eq!(refused.fields(), ["limit"]);
}
