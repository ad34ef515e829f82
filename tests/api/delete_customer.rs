//! `DELETE /v1/customers/{id}`.

use functions::jobs::backfill::run;
use futures::future::join_all;
use harness::app::START;
use harness::faults::When;
use harness::stripe::checkout;
use harness::{TestApp, World};
use serde_json::json;
use shared::ids::CustomerId;
use shared::store::Conflict;
use shared::store::purge::Purge;

/// Leaves a purge of `id`, as an undo does that dies before it.
async fn leave_purge(app: &TestApp, id: CustomerId) {
    let store = app.raw_store();
    let mut transaction = store.transaction();
    transaction.create(&Purge::new(id, START), Conflict::Exists);
    transaction.commit(&store).await.unwrap();
}

#[tokio::test]
async fn what_can_be_had_again_is_free_and_numbers_are_not() {
    let (app, nobody, admin) = TestApp::start().await;
    let body = json!({ "id": "a", "email": "a@x.io", "phone": "9876543210", "stripe_id": "cus_1" });
    admin.post("/v1/customers", body.clone()).await.expect(201);
    app.deliver_mail().await;
    let session = nobody.login("a@x.io", &app.temporary_password("a@x.io")).await.expect(200);
    let gone = admin.delete("/v1/customers/a?cancel_subscriptions=true").await.expect(200);
    assert_eq!(gone.json, json!({ "success": true }));
    admin.delete("/v1/customers/a").await.refused(404, "customer_not_found");
    nobody.with_token(session.str("token")).get("/auth/me").await.refused(401, "unauthorized");
    for name in ["a", "PL1", "PLE-CVP-2026-000001"] {
        admin.get(&format!("/v1/customers/{name}")).await.refused(404, "customer_not_found");
    }
    let again = admin.post("/v1/customers", body).await.expect(201);
    assert_eq!((again.str("customerId"), again.str("customer_reference")), ("PL2", "PLE-CVP-2026-000002"));
    app.world().await.assert_straight();
    run(&app.app, None).await.unwrap();
    let world = app.world().await;
    world.assert_straight();
    assert!(world.of("purge").is_empty());
}

#[tokio::test]
async fn a_second_stripe_customer_is_free_once_what_was_left_is_removed() {
    let (app, nobody, admin) = TestApp::start().await;
    let body = json!({ "id": "a", "email": "a@x.io", "stripe_id": "cus_1" });
    let made = admin.post("/v1/customers", body.clone()).await.expect(201);
    nobody.stripe(&checkout("completed", "evt_1", "cs_1", made.str("internal_id"))).await.expect(200);
    let second = json!({ "id": "b", "stripe_id": "cus_cs_1" });
    admin.post("/v1/customers", second.clone()).await.refused(409, "stripe_id_taken");
    admin.delete("/v1/customers/a").await.expect(200);
    admin.post("/v1/customers", body).await.expect(201);
    app.world().await.assert_straight();
    run(&app.app, None).await.unwrap();
    admin.post("/v1/customers", second).await.expect(201);
    let world = app.world().await;
    world.assert_straight();
    assert!(world.of("purge").is_empty());
}

#[tokio::test]
async fn what_is_more_than_one_transaction_takes_is_removed_in_one_run() {
    let (app, nobody, admin) = TestApp::start().await;
    let body = json!({ "id": "a", "email": "a@x.io", "stripe_id": "cus_1" });
    let made = admin.post("/v1/customers", body).await.expect(201);
    // Three transactions' worth: who was reached by their address has the run look at its queue twice.
    for n in 0..110 {
        let paid = checkout("completed", &format!("evt_{n}"), &format!("cs_{n}"), made.str("internal_id"));
        nobody.stripe(&paid).await.expect(200);
    }
    let aliases = |world: &World| world.items.keys().filter(|(_, sk)| sk.starts_with("STRIPE_CUSTOMER#")).count();
    assert_eq!(aliases(&app.world().await), 110);
    admin.delete("/v1/customers/a").await.expect(200);
    app.connector.start_recording();
    run(&app.app, None).await.unwrap();
    let calls = app.connector.take_recording().calls;
    let writes = calls.iter().filter(|call| call.operation == "TransactWriteItems");
    let last = writes.filter(|call| call.json().to_string().contains("PURGE#"));
    assert_eq!(last.count(), 1, "with the last piece it is over");
    let world = app.world().await;
    world.assert_straight();
    assert!(world.of("purge").is_empty() && aliases(&world) == 0);
    assert!(world.items.keys().all(|(pk, _)| !pk.starts_with("STRIPE_CUSTOMER#")), "each may be somebody else's");
}

#[tokio::test]
async fn an_address_then_means_the_next_who_has_it() {
    let (app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(201);
    let second = admin.post("/v1/customers", json!({ "id": "b", "email": "a@x.io" })).await.expect(201);
    admin.delete("/v1/customers/a").await.expect(200);
    let found = admin.post("/v1/customers", json!({ "id": null, "email": "a@x.io" })).await.expect(200);
    assert_eq!(found.json["internal_id"], second.json["internal_id"]);
    app.world().await.assert_straight();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_races_claims_and_creates_leaves_nothing_half() {
    let (app, _, admin) = TestApp::start().await;
    let first = admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    let path = format!("/v1/customers/{}", first.str("internal_id"));
    let claims =
        join_all((0..4).map(|n| admin.post("/v1/customers", json!({ "id": format!("c{n}"), "email": "a@x.io" }))));
    let creates = join_all((0..4).map(|_| admin.post("/v1/customers", json!({ "email": "a@x.io" }))));
    let deletes = join_all((0..2).map(|_| admin.delete(&path)));
    let (claims, creates, deletes) = tokio::join!(claims, creates, deletes);
    assert!(claims.iter().chain(&creates).all(|answer| answer.status < 300));
    assert_eq!(deletes.iter().filter(|answer| answer.status == 200).count(), 1);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_list_that_came_again_is_not_taken_for_the_one_that_was_read() {
    let (app, _, admin) = TestApp::start().await;
    let create = |id: &str| admin.post("/v1/customers", json!({ "id": id, "email": "a@x.io" }));
    create("first").await.expect(201);
    let pause = app.connector.pause(&When::Operation("TransactWriteItems", 1));
    let meanwhile = async {
        pause.reached().await;
        admin.delete("/v1/customers/first").await.expect(200);
        create("second").await.expect(201);
        pause.resume();
    };
    let (late, ()) = tokio::join!(create("late"), meanwhile);
    late.expect(201);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_purge_leaves_alone_who_is_there_again() {
    let (app, _, admin) = TestApp::start().await;
    let made = admin.post("/v1/customers", json!({ "id": "a", "entity_id": "seat-1" })).await.expect(201);
    let id: CustomerId = made.str("internal_id").parse().unwrap();
    leave_purge(&app, id).await;
    run(&app.app, None).await.unwrap();
    let found = admin.get("/v1/customers/a?expand=entities").await.expect(200);
    assert_eq!(found.json["entities"].as_array().map(Vec::len), Some(1));
    assert!(app.world().await.of("purge").is_empty());
    // Nor does it keep anybody from being deleted.
    leave_purge(&app, id).await;
    admin.delete("/v1/customers/a").await.expect(200);
    run(&app.app, None).await.unwrap();
    let world = app.world().await;
    world.assert_straight();
    assert!(world.of("purge").is_empty() && world.of("entity").is_empty());
}
