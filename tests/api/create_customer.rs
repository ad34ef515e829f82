//! `POST /v1/customers`.

use std::collections::BTreeSet;

use futures::future::join_all;
use harness::app::START;
use harness::world::text;
use harness::{Answer, TestApp};
use serde_json::json;
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::ids::UserId;

const ONLY: &str = "Use only letters, numbers, underscores, and hyphens.";

#[tokio::test]
async fn a_new_customer_comes_whole() {
    let (app, nobody, admin) = TestApp::start().await;
    let body = json!({ "id": "acme_1", "name": "Acme", "email": "Ops@Acme.io", "phone": "9876543210",
                       "metadata": { "plan": "gold" }, "fingerprint": "fp", "stripe_id": "cus_1" });
    let answer = admin.post("/v1/customers", body.clone()).await.expect(201);
    assert_eq!((answer.str("id"), answer.str("email"), answer.str("status")), ("acme_1", "ops@acme.io", "active"));
    assert_eq!((answer.str("customer_reference"), answer.str("customerId")), ("PLE-CVP-2026-000001", "PL1"));
    assert!(!answer.str("message").is_empty() && !answer.str("temp_password_note").is_empty());
    for field in ["address", "area", "delivery_boy_id"] {
        assert!(answer.json[field].is_null() && answer.json.get(field).is_some(), "{field} is null, not absent");
    }
    let again = admin.post("/v1/customers", body).await.expect(200);
    assert_eq!(again.json["internal_id"], answer.json["internal_id"]);
    assert!(again.json.get("message").is_none());
    app.world().await.assert_straight();
    app.deliver_mail().await;
    let session = nobody.login("ops@acme.io", &app.temporary_password("ops@acme.io")).await.expect(200);
    assert_eq!(session.json["customer_v2_id"], answer.json["internal_id"]);
    assert_eq!(session.json["must_change_password"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_creates_of_one_id_at_once_are_one_customer_and_no_reader_sees_half_of_it() {
    let (app, _, admin) = TestApp::start().await;
    let creates = join_all((0..100).map(|n| {
        let body = json!({ "id": "one", "name": format!("Name {n}"), "email": "one@x.io" });
        admin.post("/v1/customers", body)
    }));
    let reads = join_all((0..100).map(|_| admin.get("/v1/customers/one")));
    let (created, read) = tokio::join!(creates, reads);
    assert_eq!(created.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(created.iter().filter(|answer| answer.status == 200).count(), 99);
    let ids: BTreeSet<_> = created.iter().map(|answer| answer.str("internal_id")).collect();
    assert_eq!(ids.len(), 1);
    for answer in read.iter().filter(|answer| answer.status == 200).chain(&created) {
        for field in ["customer_reference", "customerId", "user_id", "email", "name"] {
            assert!(answer.json[field].is_string(), "{field} is missing: {}", answer.text);
        }
    }
    let world = app.world().await;
    world.assert_straight();
    assert_eq!((world.of("customer").len(), world.of("user").len()), (1, 2));
    assert_eq!(world.of("guard").iter().filter(|guard| text(guard, "pk").starts_with("NUMBER#")).count(), 1);
}

#[tokio::test]
async fn without_an_id_an_address_means_one_customer_also_after_a_claim() {
    let (app, _, admin) = TestApp::start().await;
    let post = async |body| admin.post("/v1/customers", body).await;
    let first = post(json!({ "id": null, "email": "A@x.io" })).await.expect(201);
    let same = post(json!({ "id": null, "email": "a@X.io" })).await.expect(200);
    assert_eq!(same.json["internal_id"], first.json["internal_id"]);
    let claimed = post(json!({ "id": "mine", "email": "a@x.io", "name": "Ana" })).await.expect(200);
    assert_eq!((claimed.str("id"), claimed.str("name")), ("mine", "Ana"));
    assert_eq!(claimed.json["internal_id"], first.json["internal_id"]);
    let late = post(json!({ "id": null, "email": "a@x.io" })).await.expect(200);
    assert_eq!(late.json["internal_id"], first.json["internal_id"]);
    let other = post(json!({ "id": "other", "email": "a@x.io" })).await.expect(201);
    assert_ne!(other.json["internal_id"], first.json["internal_id"]);
    let oldest = post(json!({ "email": "a@x.io" })).await.expect(200);
    assert_eq!(oldest.json["internal_id"], first.json["internal_id"]);
    let world = app.world().await;
    world.assert_straight();
    let logins: BTreeSet<_> = world.of("user").into_iter().map(|user| text(user, "email")).collect();
    let placeholder = format!("customer-{}@earlybird.local", other.str("internal_id"));
    assert!(logins.contains("a@x.io") && logins.contains(placeholder.as_str()), "{logins:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_claims_leave_one_claim_and_customers_of_their_own() {
    let (app, _, admin) = TestApp::start().await;
    let first = admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    let claims =
        join_all((0..8).map(|n| admin.post("/v1/customers", json!({ "id": format!("id-{n}"), "email": "a@x.io" }))))
            .await;
    let claimed: Vec<_> = claims.iter().filter(|c| c.json["internal_id"] == first.json["internal_id"]).collect();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].status, 200);
    assert_eq!(claims.iter().filter(|claim| claim.status == 201).count(), 7);
    for (n, claim) in claims.iter().enumerate() {
        assert_eq!(claim.str("id"), format!("id-{n}"));
    }
    app.world().await.assert_straight();
}

#[tokio::test(flavor = "multi_thread")]
async fn null_id_requests_at_once_are_one_customer() {
    let (app, _, admin) = TestApp::start().await;
    let answers =
        join_all((0..30).map(|n| admin.post("/v1/customers", json!({ "email": "a@x.io", "name": format!("{n}") }))))
            .await;
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer.str("internal_id")).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn blanks_are_filled_and_what_is_set_stays() {
    let (app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    let filled = admin
        .post("/v1/customers", json!({ "id": "a", "name": "Ana", "email": "a@x.io", "phone": "9876543210" }))
        .await;
    assert_eq!((filled.status, filled.str("name"), filled.str("email")), (200, "Ana", "a@x.io"));
    let kept =
        admin.post("/v1/customers", json!({ "id": "a", "name": "Bea", "email": "b@x.io", "status": "inactive" })).await;
    assert_eq!((kept.str("name"), kept.str("email"), kept.str("status")), ("Ana", "a@x.io", "active"));
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_bad_id_is_refused_in_the_words_that_are_documented() {
    let (app, _, admin) = TestApp::start().await;
    let message = async |id: &str| {
        let answer = admin.post("/v1/customers", json!({ "id": id })).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.fields(), ["id"]);
        answer.json["errors"][0]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(message("").await, "can't be an empty string");
    assert_eq!(message("a@b.c d").await, format!("cannot contain @ symbol. {ONLY}"));
    assert_eq!(message("a b").await, format!("cannot contain spaces. {ONLY}"));
    assert_eq!(message("a.b").await, format!("cannot contain periods. {ONLY}"));
    assert_eq!(message("a/b").await, format!("cannot contain '/'. {ONLY}"));
    for issued in ["PL7", "PLE-CVP-2026-000001", "0190a1c2-0000-7000-8000-000000000000"] {
        assert_eq!(message(issued).await, "cannot have the form of an identifier that Rollcall issues");
    }
    let answer = admin.post("/v1/customers", json!({ "name": "Ana" })).await;
    answer.refused(400, "invalid_request");
    assert_eq!(answer.str("detail"), "Either customer ID or email is required");
    assert!(app.world().await.of("customer").is_empty());
}

#[tokio::test]
async fn a_phone_alone_always_makes_a_new_customer_who_is_told_by_sms() {
    let (app, nobody, admin) = TestApp::start().await;
    let post = async || admin.post("/v1/customers", json!({ "phone": "98765 43210", "name": "Ana" })).await.expect(201);
    let (one, two) = (post().await, post().await);
    assert_ne!(one.json["internal_id"], two.json["internal_id"]);
    app.world().await.assert_straight();
    app.deliver_mail().await;
    let sms = app.delivered().into_iter().find(|letter| letter.body.contains(" PL1 ")).unwrap();
    assert_eq!((sms.channel.as_str(), sms.to.as_str()), ("sms", "+919876543210"));
    assert!(json!(sms)["subject"].is_null());
    let password = sms.body.lines().find(|line| line.len() == 16).unwrap();
    let session = nobody.login("PL1", password).await.expect(200);
    assert_eq!(session.json["customer_v2_id"], one.json["internal_id"]);
}

#[tokio::test]
async fn a_lead_stays_a_lead_until_the_request_says_active() {
    let (app, nobody, admin) = TestApp::start().await;
    let lead = nobody.intake("a@x.io").await.expect(201);
    let claimed = admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(200);
    assert_eq!((claimed.str("status"), claimed.str("internal_id")), ("pending_payment", lead.str("client_id")));
    assert!(claimed.json["user_id"].is_null() && claimed.json["customerId"].is_null());
    app.world().await.assert_straight();
    let active = admin.post("/v1/customers", json!({ "id": "a", "status": "active" })).await.expect(200);
    assert_eq!((active.str("status"), active.str("customerId")), ("active", "PL1"));
    assert_eq!(active.json["customer_reference"], lead.json["customer_reference"]);
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.messages("invitation").len(), 1);
}

#[tokio::test]
async fn a_login_that_nobody_holds_is_linked_instead_of_made() {
    let (app, _, admin) = TestApp::start().await;
    let mut free = user("free@x.io", Role::Customer);
    free.customer_number = Some(app.app.store.draw_number(&app.app.settings, START).await.unwrap());
    app.save(&free).await;
    let customer = admin.post("/v1/customers", json!({ "email": "free@x.io" })).await.expect(201);
    assert_eq!(customer.str("user_id"), free.user_id.to_string());
    assert_eq!(customer.str("customerId"), "PL1", "the number it had stays");
    let world = app.world().await;
    world.assert_straight();
    assert!(world.messages("invitation").is_empty(), "a login that exists is not invited");
}

#[tokio::test]
async fn a_named_login_is_checked() {
    let (app, _, admin) = TestApp::start().await;
    let (driver, free) = (user("driver@x.io", Role::DeliveryBoy), user("free@x.io", Role::Customer));
    app.save(&driver).await;
    app.save(&free).await;
    let post = async |user_id: String, id: &str| -> Answer {
        admin.post("/v1/customers", json!({ "id": id, "user_id": user_id })).await
    };
    post(START.new_id().to_string(), "a").await.refused(404, "user_not_found");
    post(driver.user_id.to_string(), "a").await.refused(409, "not_a_customer");
    let linked = post(free.user_id.to_string(), "a").await.expect(201);
    assert_eq!(linked.str("user_id"), free.user_id.to_string());
    post(free.user_id.to_string(), "a").await.expect(200);
    post(free.user_id.to_string(), "b").await.refused(409, "already_linked");
    admin.post("/v1/customers", json!({ "id": "c" })).await.expect(201);
    post(free.user_id.to_string(), "c").await.refused(409, "already_linked");
    post("nobody".into(), "d").await.refused(400, "invalid_request");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_stripe_customer_is_one_customers() {
    let (app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a", "stripe_id": "cus_1" })).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "b", "stripe_id": "cus_1" })).await.refused(409, "stripe_id_taken");
    let bare = admin.post("/v1/customers", json!({ "id": "b", "email": "b@x.io" })).await.expect(201);
    for who in [json!({ "id": "b", "stripe_id": "cus_1" }), json!({ "email": "b@x.io", "stripe_id": "cus_1" })] {
        admin.post("/v1/customers", who).await.refused(409, "stripe_id_taken");
    }
    let filled = admin.post("/v1/customers", json!({ "email": "b@x.io", "stripe_id": "cus_2" })).await.expect(200);
    assert_eq!((filled.str("stripe_id"), filled.str("internal_id")), ("cus_2", bare.str("internal_id")));
    let kept = admin.post("/v1/customers", json!({ "id": "b", "stripe_id": "cus_3" })).await.expect(200);
    assert_eq!(kept.str("stripe_id"), "cus_2", "what is set stays");
    admin.post("/v1/customers", json!({ "id": "c", "stripe_id": "cus_3" })).await.expect(201);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_stripe_id_is_what_stripe_would_issue() {
    let (app, _, admin) = TestApp::start().await;
    admin.put("/v1/products/p", json!({ "name": "P", "items": [] })).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    let longest = "c".repeat(255);
    for bad in [json!("💳".repeat(255)), json!("cüs_1"), json!("cus 1"), json!(""), json!(format!("{longest}c"))] {
        let created = admin.post("/v1/customers", json!({ "id": "b", "stripe_id": bad })).await;
        let changed = admin.patch("/v1/customers/a", json!({ "stripe_id": bad })).await;
        let data = json!({ "stripe_id": bad });
        let checked = json!({ "customer_id": "b", "product_id": "p", "customer_data": data });
        let checked = admin.post("/v1/check", checked).await;
        for (answer, field) in [(created, "stripe_id"), (changed, "stripe_id"), (checked, "customer_data.stripe_id")] {
            answer.refused(400, "invalid_request");
            assert_eq!(answer.fields(), [field], "{bad}");
        }
    }
    admin.post("/v1/customers", json!({ "id": "b", "stripe_id": longest })).await.expect(201);
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.of("customer").len(), 2);
}

#[tokio::test]
async fn the_older_names_answer_with_customer_id() {
    let (_app, _, admin) = TestApp::start().await;
    let first = admin.post("/phase0-v2/customers", json!({ "phone": "9876543210" })).await.expect(201);
    assert_eq!(first.str("customer_id"), first.str("internal_id"));
    assert_eq!(first.str("id"), first.str("internal_id"));
    let second = admin.post("/phase0-v2/customers-with-subscription", json!({ "id": "mine" })).await.expect(201);
    assert_eq!((second.str("customer_id"), second.str("id")), ("mine", "mine"));
    let third = admin.post("/v1/customers", json!({ "phone": "9876543210" })).await.expect(201);
    assert!(third.json["id"].is_null() && third.json.get("customer_id").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_makes_a_retry_one_customer() {
    let (app, _, admin) = TestApp::start().await;
    let send = async |phone: &str, path: &str| {
        admin.post_with(path, json!({ "phone": phone }), &[("idempotency-key", "k")]).await
    };
    let answers = join_all((0..10).map(|_| send("9876543210", "/v1/customers"))).await;
    let bodies: BTreeSet<_> = answers.iter().map(|answer| (answer.status, answer.text.clone())).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_some()).count(), 9);
    send("9876543211", "/v1/customers").await.refused(422, "idempotency_mismatch");
    send("9876543210", "/phase0-v2/customers").await.expect(201);
    let (_, key) = app.app.store.create_api_key("other", START).await.unwrap();
    let other = admin.with_token(key.expose());
    other.post_with("/v1/customers", json!({ "phone": "9876543210" }), &[("idempotency-key", "k")]).await.expect(201);
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.of("customer").len(), 3);
}

#[tokio::test]
async fn an_inactive_customer_has_a_login_that_is_off() {
    let (app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io", "status": "inactive" })).await.expect(201);
    let world = app.world().await;
    world.assert_straight();
    assert!(world.messages("invitation").is_empty());
}

fn user(email: &str, role: Role) -> User {
    User::new(UserId(START.new_id()), EmailAddress::parse(email).unwrap(), role, START)
}

#[tokio::test]
async fn what_is_asked_for_beside_the_customer_is_answered_on_creation_too() {
    let (_app, _, admin) = TestApp::start().await;
    let post = async |query: &str| admin.post(&format!("/v1/customers{query}"), json!({ "id": "a" })).await;
    let answer = post("?expand=invoices,entities").await.expect(201);
    assert_eq!((&answer.json["invoices"], &answer.json["entities"]), (&json!([]), &json!([])));
    assert!(answer.json.get("trials_used").is_none());
    assert!(post("").await.expect(200).json.get("invoices").is_none());
    let refused = post("?expand=everything").await;
    refused.refused(400, "invalid_request");
    assert_eq!(refused.fields(), ["expand"]);
}

#[tokio::test]
async fn an_entity_is_named_once() {
    let (app, _, admin) = TestApp::start().await;
    let body = json!({ "id": "a", "entity_id": "seat-1", "entity_data": { "name": "Ana", "feature_id": "seats" } });
    admin.post("/v1/customers", body.clone()).await.expect(201);
    let again = admin.post("/v1/customers?expand=entities", body).await.expect(200);
    let entity = json!({ "id": "seat-1", "name": "Ana", "feature_id": "seats", "created_at": "2026-11-20T12:00:00Z" });
    assert_eq!(again.json["entities"], json!([entity]));
    let bad = json!({ "id": "a", "entity_id": "no spaces", "entity_data": { "name": "" } });
    let refused = admin.post("/v1/customers", bad).await;
    refused.refused(400, "invalid_request");
    assert_eq!(refused.fields(), ["entity_id", "entity_data.name"]);
    app.world().await.assert_straight();
}
