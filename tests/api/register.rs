//! `POST /auth/register`.

use std::collections::BTreeSet;

use futures::future::join_all;
use harness::TestApp;
use harness::world::text;
use serde_json::{Value, json};
use shared::domain::user::Role;

use crate::accounts::{PASSWORD, fields, letters_to, register, with_user};

#[tokio::test]
async fn a_registration_is_a_user_a_customer_and_a_session() {
    let (app, nobody, admin) = TestApp::start().await;
    let body = json!({ "name": " Ana Ruiz ", "email": " Ana@X.io ", "password": PASSWORD, "phone": "98765 43210",
                       "unknown": 1 });
    let answer = nobody.post("/auth/register", body).await.expect(201);
    let keys: BTreeSet<_> = answer.json.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = [
        "_id",
        "user_id",
        "customerId",
        "customer_v2_id",
        "name",
        "email",
        "phone",
        "role",
        "token",
        "token_type",
        "expires_in",
    ];
    assert_eq!(keys, BTreeSet::from(wanted));
    assert_eq!(answer.str("_id"), answer.str("user_id"));
    assert_eq!((answer.str("name"), answer.str("email")), ("Ana Ruiz", "ana@x.io"));
    assert_eq!((answer.str("customerId"), answer.str("phone")), ("PL1", "+919876543210"));
    assert_eq!((answer.str("role"), answer.str("token_type")), ("customer", "Bearer"));
    assert_eq!(answer.json["expires_in"], 43_200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let me = nobody.with_token(answer.str("token")).get("/auth/me").await.expect(200);
    assert_eq!((me.str("user_id"), &me.json["must_change_password"]), (answer.str("user_id"), &json!(false)));
    let path = format!("/v1/customers/{}", answer.str("customer_v2_id"));
    let customer = admin.get(&path).await.expect(200);
    assert_eq!(customer.json, me.json["customer"]);
    assert_eq!((customer.str("status"), customer.str("customer_reference")), ("active", "PLE-CVP-2026-000001"));
    assert_eq!((customer.str("name"), customer.str("email")), ("Ana Ruiz", "ana@x.io"));
    assert_eq!((customer.str("customerId"), customer.str("phone")), ("PL1", "+919876543210"));
    assert_eq!(customer.str("user_id"), answer.str("user_id"));

    app.world().await.assert_straight();
    app.deliver_mail().await;
    assert_eq!(letters_to(&app, "ana@x.io"), 0, "whoever chose a password needs no invitation");
    for login in ["ana@x.io", "pl1", "+91 98765 43210"] {
        nobody.login(login, PASSWORD).await.expect(200);
    }
}

#[tokio::test]
async fn nobody_registers_as_more_than_a_customer() {
    let (app, nobody, _) = TestApp::start().await;
    let body = json!({ "name": "Eve", "email": "eve@x.io", "password": PASSWORD, "role": "admin", "enabled": true,
                       "user_id": "00000000-0000-0000-0000-000000000000", "customerId": "PL77", "status": "inactive",
                       "token_version": 9, "stripe_id": "cus_1", "customer_v2_id": null });
    let answer = nobody.post("/auth/register", body).await.expect(201);
    assert_eq!((answer.str("role"), answer.str("customerId")), ("customer", "PL1"));
    let eve = nobody.with_token(answer.str("token"));
    eve.get("/v1/customers/PL1").await.refused(403, "forbidden");
    let me = eve.get("/auth/me").await.expect(200);
    assert_eq!(me.json["customer"]["status"], "active");
    assert!(me.json["customer"]["stripe_id"].is_null());
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_taken_address_is_refused_in_the_same_words_and_whoever_has_it_is_told() {
    let (app, nobody, admin) = TestApp::start().await;
    register(&nobody, "active@x.io").await.expect(201);
    let invited = json!({ "email": "invited@x.io", "name": "Secret Name" });
    admin.post("/v1/customers", invited).await.expect(201);
    nobody.intake("lead@x.io").await.expect(201);
    with_user(&app, "staff@x.io", Role::DeliveryBoy, Some(PASSWORD)).await;
    let free = with_user(&app, "login@x.io", Role::Customer, Some(PASSWORD)).await;
    let linked = json!({ "email": "contact@x.io", "user_id": free.user_id.to_string() });
    admin.post("/v1/customers", linked).await.expect(201);
    app.deliver_mail().await;

    let taken = ["active@x.io", "invited@x.io", "lead@x.io", "staff@x.io", "contact@x.io"];
    let told_before = taken.map(|email| letters_to(&app, email));
    let mut answers = Vec::new();
    for email in taken {
        let answer = register(&nobody, &format!(" {} ", email.to_uppercase())).await;
        answer.refused(409, "email_taken");
        for secret in ["Secret", "x.io", "PLE-CVP"] {
            assert!(!answer.text.contains(secret), "{secret} leaks: {}", answer.text);
        }
        answers.push(answer);
    }
    for answer in &answers[1..] {
        assert_eq!((&answer.text, &answer.headers), (&answers[0].text, &answers[0].headers));
    }
    app.deliver_mail().await;
    for (email, before) in taken.into_iter().zip(told_before) {
        assert_eq!(letters_to(&app, email), before + 1, "{email} is told once");
    }
    let world = app.world().await;
    world.assert_straight();
    assert_eq!((world.of("customer").len(), world.of("user").len()), (4, 5));
}

#[tokio::test]
async fn a_person_who_was_invited_and_tried_to_register_still_gets_in() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    register(&nobody, "a@x.io").await.refused(409, "email_taken");
    nobody.login("a@x.io", PASSWORD).await.refused(401, "invalid_credentials");
    app.deliver_mail().await;
    let session = nobody.login("a@x.io", &app.temporary_password("a@x.io")).await.expect(200);
    assert_eq!(session.json["must_change_password"], true);
}

#[tokio::test]
async fn a_person_whose_invitation_expired_is_invited_anew() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let old = app.temporary_password("a@x.io");
    app.clock.advance_seconds(8 * 86_400);
    register(&nobody, "a@x.io").await.refused(409, "email_taken");
    app.deliver_mail().await;
    nobody.login("a@x.io", &app.temporary_password("a@x.io")).await.expect(200);
    nobody.login("a@x.io", &old).await.refused(401, "invalid_credentials");
    app.world().await.assert_straight();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twelve_registrations_of_one_address_at_once_one_is_made() {
    let (app, nobody, _) = TestApp::start().await;
    let spellings = ["one@x.io", "ONE@x.io", " One@X.io "];
    let answers = join_all((0..12).map(|n| register(&nobody, spellings[n % 3]))).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.refused(409, "email_taken");
    }
    nobody.with_token(made[0].str("token")).get("/auth/me").await.expect(200);
    let world = app.world().await;
    world.assert_straight();
    assert_eq!((world.of("customer").len(), world.of("user").len()), (1, 2));
    let guards = |prefix| world.of("guard").iter().filter(|guard| text(guard, "pk").starts_with(prefix)).count();
    assert_eq!((guards("NUMBER#"), guards("CRN#")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_with_the_form_and_with_an_administrator_leaves_one_customer() {
    let (app, nobody, admin) = TestApp::start().await;
    for round in 0..4 {
        let email = format!("race-{round}@x.io");
        let create = admin.post("/v1/customers", json!({ "email": email }));
        let (registered, created, submitted) = tokio::join!(register(&nobody, &email), create, nobody.intake(&email));
        assert!([201, 409].contains(&registered.status), "{}", registered.text);
        assert!([200, 201].contains(&created.status), "{}", created.text);
        assert!([200, 201, 409].contains(&submitted.status), "{}", submitted.text);
        let made = [&registered, &created, &submitted].iter().filter(|answer| answer.status == 201).count();
        assert_eq!(made, 1, "one of the three makes a customer, the others find it");
        if registered.status == 201 {
            nobody.login(&email, PASSWORD).await.expect(200);
        }
    }
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.of("customer").len(), 4);
}

#[tokio::test]
async fn a_retry_under_its_key_gets_the_same_account_and_a_fresh_session() {
    let (app, nobody, _) = TestApp::start().await;
    let body = |name: &str| json!({ "name": name, "email": "a@x.io", "password": PASSWORD });
    let send = async |body: Value| nobody.post_with("/auth/register", body, &[("idempotency-key", "k")]).await;
    let first = send(body("Ana")).await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    app.clock.advance_seconds(60);
    let again = send(body("Ana")).await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("cache-control"), Some("no-store"));
    assert_ne!(again.str("token"), first.str("token"), "signed afresh");
    let (mut left, mut right) = (first.json.clone(), again.json.clone());
    (left["token"], right["token"]) = (Value::Null, Value::Null);
    assert_eq!(left, right);
    // Past the end of the first session, within the second.
    app.clock.advance_seconds(43_200 - 30);
    nobody.with_token(first.str("token")).get("/auth/me").await.refused(401, "unauthorized");
    nobody.with_token(again.str("token")).get("/auth/me").await.expect(200);
    send(body("Bea")).await.refused(422, "idempotency_mismatch");
    register(&nobody, "a@x.io").await.refused(409, "email_taken");
    app.world().await.assert_straight();
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_at_once_under_one_key_make_one_account() {
    let (app, nobody, _) = TestApp::start().await;
    let send = || {
        let body = json!({ "name": "Ana", "email": "a@x.io", "password": PASSWORD });
        let nobody = nobody.clone();
        async move { nobody.post_with("/auth/register", body, &[("idempotency-key", "k")]).await }
    };
    let answers = join_all((0..6).map(|_| send())).await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed") == Some("true")).count();
    assert_eq!(answers.len() - replayed, 1);
    let users: BTreeSet<_> = answers.iter().map(|answer| answer.str("user_id")).collect();
    assert_eq!(users.len(), 1);
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.of("customer").len(), 1);
}

#[tokio::test]
async fn a_refused_registration_keeps_no_key() {
    let (_app, nobody, _) = TestApp::start().await;
    let send = async |password: &str| {
        let body = json!({ "name": "Ana", "email": "a@x.io", "password": password });
        nobody.post_with("/auth/register", body, &[("idempotency-key", "k")]).await
    };
    send("short").await.refused(400, "invalid_request");
    send(PASSWORD).await.expect(201);
}

#[tokio::test]
async fn a_weak_password_is_named_and_nothing_is_made() {
    let (app, nobody, _) = TestApp::start().await;
    let long = "x y".repeat(342);
    let weak = [
        "",
        "short",
        "fourteen chars",
        "aaaaaaaaaaaaaaaaaaaa",
        "passwordpassword",
        "123456789123456",
        "123456789012345",
        "passwordpasswor",
        "qwertyuiopasdfgh",
        "Some.Body.With.A.Long.Name@x.io",
        "some.body.with.a.long.name",
        "ANA MARÍA de los Ángeles",
        &long,
    ];
    let send = async |password: Value| {
        let name = "Ana María de los Ángeles";
        let body = json!({ "name": name, "email": "some.body.with.a.long.name@x.io", "password": password });
        nobody.post("/auth/register", body).await
    };
    for password in weak.map(Value::from).into_iter().chain([json!(123_456_789_012_345_u64), Value::Null]) {
        let answer = send(password.clone()).await;
        assert_eq!(fields(&answer), ["password"], "{password}");
        let told = password.as_str().is_some_and(|text| text.len() > 5 && answer.text.contains(text));
        assert!(!told, "the password comes back: {}", answer.text);
    }
    assert!(app.world().await.of("customer").is_empty());
    send(json!("ünïcödé cöünts!")).await.expect(201);
}

#[tokio::test]
async fn a_password_is_used_exactly_as_it_was_received() {
    let (_app, nobody, _) = TestApp::start().await;
    let password = " spaces at both ends, Ünïcödé and 🗝 ";
    let body = json!({ "name": "Ana", "email": "a@x.io", "password": password });
    nobody.post("/auth/register", body).await.expect(201);
    nobody.login("a@x.io", password).await.expect(200);
    for other in [password.trim(), &password.to_lowercase(), &password[..password.len() - 1]] {
        nobody.login("a@x.io", other).await.refused(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let (app, nobody, _) = TestApp::start().await;
    let answer = nobody.post("/auth/register", json!({})).await;
    assert_eq!(fields(&answer), ["email", "name", "password"]);
    let body = json!({ "name": "a".repeat(201), "email": "x@earlybird.local", "password": PASSWORD, "phone": "12" });
    let answer = nobody.post("/auth/register", body).await;
    assert_eq!(fields(&answer), ["email", "name", "phone"]);
    for (name, email) in [("", "x"), ("Ana", "x"), ("", "a@x.io")] {
        let answer = nobody.post("/auth/register", json!({ "name": name, "email": email, "password": "short" })).await;
        let wrong = [("email", email == "x"), ("name", name.is_empty()), ("password", true)];
        let wrong: Vec<_> = wrong.into_iter().filter(|(_, wrong)| *wrong).map(|(field, _)| field).collect();
        assert_eq!(fields(&answer), wrong);
    }
    assert!(app.world().await.of("customer").is_empty());
}

#[tokio::test]
async fn an_address_may_register_twenty_times_in_ten_minutes() {
    let (_app, nobody, _) = TestApp::start_with(|settings| settings.rate_limits = true).await;
    register(&nobody, "a@x.io").await.expect(201);
    for _ in 1..20 {
        register(&nobody, "a@x.io").await.refused(409, "email_taken");
    }
    let refused = register(&nobody, "b@x.io").await;
    refused.refused(429, "rate_limited");
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
    register(&nobody.from_address([198, 51, 100, 2]), "b@x.io").await.expect(201);
}

#[tokio::test]
async fn whoever_registers_gets_the_default_products() {
    let (_app, nobody, admin) = TestApp::start().await;
    let product =
        json!({ "name": "Free", "is_default": true, "items": [{ "feature_id": "seats", "included_usage": 3 }] });
    admin.put("/v1/products/free", product).await.expect(201);
    let body = json!({ "name": "Ana", "email": "a@x.io", "password": "a long enough password" });
    let session = nobody.post("/auth/register", body).await.expect(201);
    let me = nobody.with_token(session.str("token")).get("/auth/me").await.expect(200);
    assert_eq!(me.json["customer"]["products"][0]["id"], "free");
    assert_eq!(me.json["customer"]["balances"]["seats"]["remaining"], 3);
}
