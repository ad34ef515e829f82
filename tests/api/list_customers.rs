//! `GET /v1/customers`.

use std::collections::BTreeSet;

use futures::future::join_all;
use harness::app::{START, TABLE};
use harness::faults::{CallInfo, Fault, Kind, When};
use harness::{Actor, TestApp};
use serde_json::{Value, json};
use shared::domain::customer::{Customer, Origin, Status};
use shared::ids::CustomerId;
use shared::store::members::MemberLists;

/// Every page of `query`, one after another; `between` runs after each.
async fn pages(admin: &Actor, query: &str, mut between: impl AsyncFnMut(usize)) -> Vec<Value> {
    let (mut rows, mut cursor, mut page) = (Vec::new(), String::new(), 0);
    loop {
        let answer = admin.get(&format!("/v1/customers?{query}{cursor}")).await.expect(200);
        let data = answer.json["data"].as_array().unwrap();
        assert_eq!((&answer.json["success"], &answer.json["count"]), (&json!(true), &json!(data.len())));
        rows.extend(data.iter().cloned());
        between(page).await;
        page += 1;
        match answer.json["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_customer_comes_once_while_others_come_and_go() {
    let (app, _, admin) = TestApp::start().await;
    let mut made = Vec::new();
    for n in 0..200 {
        admin.post("/v1/customers", json!({ "id": format!("c{n:03}") })).await.expect(201);
        made.push(format!("c{n:03}"));
        app.clock.advance_seconds(1);
    }
    let rows = pages(&admin, "limit=17", async |page| {
        admin.post("/v1/customers", json!({ "id": format!("new{page}") })).await;
        // One that was shown, and one that may not have been: both ends of the list.
        admin.delete(&format!("/v1/customers/c{page:03}")).await.expect(200);
        admin.delete(&format!("/v1/customers/c{:03}", 199 - page)).await;
        app.clock.advance_seconds(1);
    })
    .await;
    let shown = ids(&rows);
    let once: BTreeSet<_> = shown.iter().copied().collect();
    assert_eq!(once.len(), shown.len(), "nobody comes twice");
    let kept: Vec<_> = made[20..180].iter().map(String::as_str).collect();
    assert!(kept.iter().all(|id| once.contains(id)), "nobody who stayed is missing");
    let old: Vec<_> = shown.iter().filter(|id| id.starts_with('c')).collect();
    assert!(old.is_sorted(), "in order of creation");
    app.world().await.assert_straight();
}

/// Customers that are there already, the bare records of them: ten a second.
async fn fill(app: &TestApp, count: i64) -> BTreeSet<String> {
    const AT_ONCE: usize = 16;
    const PIECE: usize = 20;
    let store = app.raw_store();
    let customer = |n: i64| {
        let at = START.plus_seconds(n / 10);
        Customer::new(CustomerId(at.new_id()), Status::Active, Origin::Api, at)
    };
    let customers: Vec<Customer> = (0..count).map(customer).collect();
    for pieces in customers.chunks(AT_ONCE * PIECE) {
        let writes = pieces.chunks(PIECE).map(|piece| {
            let mut transaction = store.transaction();
            for customer in piece {
                transaction.save_customer(None, customer, &MemberLists::default());
            }
            transaction.commit(&store)
        });
        for written in join_all(writes).await {
            written.unwrap();
        }
    }
    app.clock.advance_seconds(count / 10);
    customers.into_iter().map(|customer| customer.internal_id.to_string()).collect()
}

/// Who was acknowledged 5 s before the first page, and stays, is on exactly one page; with other
/// people coming and going on every page.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_customers_come_exactly_once_while_others_come_and_go() {
    let (app, _, admin) = TestApp::start().await;
    let mut stay = fill(&app, 5_000).await;
    let mut leave = Vec::new();
    for n in 0..120 {
        // Of one second, and spread over it: each is an order of its own.
        let made = admin.post("/v1/customers", json!({ "id": format!("leaves-{n:03}") })).await.expect(201);
        leave.push(made.str("internal_id").to_owned());
    }
    let late = admin.post("/v1/customers", json!({ "id": "stays" })).await.expect(201);
    stay.insert(late.str("internal_id").to_owned());
    // Some of the old ones leave as well: in front of the page, and behind it.
    let old: Vec<String> = stay.iter().step_by(50).filter(|id| *id != late.str("internal_id")).cloned().collect();
    stay.retain(|id| !old.contains(id));
    leave.extend(old);
    app.clock.advance_seconds(5);
    let rows = pages(&admin, "limit=100", async |page| {
        admin.post("/v1/customers", json!({ "id": format!("new-{page:03}") })).await.expect(201);
        for gone in leave.iter().skip(page).step_by(60) {
            admin.delete(&format!("/v1/customers/{gone}")).await;
        }
        app.clock.advance_seconds(1);
    })
    .await;
    let shown: Vec<&str> = rows.iter().map(|row| row["internal_id"].as_str().unwrap()).collect();
    let once: BTreeSet<&str> = shown.iter().copied().collect();
    assert_eq!(once.len(), shown.len(), "nobody comes twice");
    let missing: Vec<_> = stay.iter().filter(|id| !once.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "{} who stayed are missing", missing.len());
    let times: Vec<_> = rows.iter().map(|row| row["created_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "in order of creation");
    println!("{} of {} rows, {} who stayed", shown.len(), stay.len() + leave.len(), stay.len());
}

#[tokio::test]
async fn a_row_is_the_customer_with_its_older_names() {
    let (_app, _, admin) = TestApp::start().await;
    let made = admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(201);
    let answer = admin.get("/v1/customers").await.expect(200);
    let row = &answer.json["data"][0];
    assert_eq!((&row["_id"], &row["role"]), (&made.json["internal_id"], &json!("customer")));
    for field in ["id", "internal_id", "customer_reference", "customerId", "user_id", "email", "status", "created_at"] {
        assert_eq!(row[field], made.json[field], "{field}");
    }
    assert!(answer.json["next_cursor"].is_null());
}

#[tokio::test]
async fn a_page_is_whole_though_the_table_reads_a_row_at_a_time() {
    let (app, _, admin) = TestApp::start().await;
    for n in 0..4 {
        admin.post("/v1/customers", json!({ "id": format!("c{n}") })).await.expect(201);
        app.clock.advance_seconds(1);
    }
    let whole = admin.get("/v1/customers").await.expect(200);
    let several = |call: &CallInfo<'_>| {
        let keys = &call.json()["RequestItems"][TABLE]["Keys"];
        keys.as_array().is_some_and(|keys| keys.len() > 1)
    };
    app.connector.inject(Fault { at: When::Every(Box::new(several)), kind: Kind::Unprocessed });
    assert_eq!(admin.get("/v1/customers").await.expect(200).json, whole.json);
    assert!(app.connector.faults_fired() >= 3, "four rows in four reads");
}

#[tokio::test]
async fn a_status_filters_the_list() {
    let (app, nobody, admin) = TestApp::start().await;
    for n in 0..6 {
        let status = if n % 2 == 0 { "active" } else { "trial" };
        admin.post("/v1/customers", json!({ "id": format!("c{n}"), "status": status })).await.expect(201);
        app.clock.advance_seconds(1);
    }
    nobody.intake("lead@x.io").await.expect(201);
    assert_eq!(ids(&pages(&admin, "status=trial&limit=1", async |_| {}).await), ["c1", "c3", "c5"]);
    assert_eq!(pages(&admin, "status=pending_payment", async |_| {}).await.len(), 1);
    assert!(pages(&admin, "status=inactive", async |_| {}).await.is_empty());
}

#[tokio::test]
async fn a_search_finds_by_everything_that_names_a_customer() {
    let (app, _, admin) = TestApp::start().await;
    let body = json!({ "id": "acme", "name": "Ana Ruiz", "email": "a@x.io", "phone": "9876543210" });
    let made = admin.post("/v1/customers", body).await.expect(201);
    app.clock.advance_seconds(1);
    let body = json!({ "id": "bravo", "name": "Anand Rao", "email": "a@x.io", "phone": "9876543210" });
    admin.post("/v1/customers", body).await.expect(201);
    let search = async |text: &str| {
        let rows = pages(&admin, &format!("search={text}"), async |_| {}).await;
        ids(&rows).join(" ")
    };
    for field in ["customer_reference", "customerId", "id", "internal_id"] {
        assert_eq!(search(made.str(field)).await, "acme", "{field}");
    }
    for both in ["A%40x.io", "%2B919876543210", "98765%2043210", "ana", "AN"] {
        assert_eq!(search(both).await, "acme bravo", "{both}");
    }
    assert_eq!(search("ana%20r").await, "acme");
    assert_eq!(search("pl1").await, "acme");
    assert_eq!(search("ruiz").await, "");
    assert_eq!(ids(&pages(&admin, "search=an&limit=1", async |_| {}).await), ["acme", "bravo"]);
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_named() {
    let (app, _, admin) = TestApp::start().await;
    for n in 0..2 {
        admin.post("/v1/customers", json!({ "id": format!("c{n}") })).await.expect(201);
        app.clock.advance_seconds(1);
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=%2B5", "limit"),
        ("status=gone", "status"),
    ] {
        let answer = admin.get(&format!("/v1/customers?{query}")).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.fields(), [field]);
    }
    admin.get("/v1/customers?cursor=junk").await.refused(400, "invalid_cursor");
    let cursor = admin.get("/v1/customers?limit=1").await.expect(200).str("next_cursor").to_owned();
    admin.get(&format!("/v1/customers?cursor={cursor}&status=active")).await.refused(400, "invalid_cursor");
    admin.get(&format!("/v1/customers?cursor={cursor}")).await.expect(200);
}
