//! `POST /api/intake/submit`.

use std::collections::BTreeSet;

use futures::future::join_all;
use harness::app::{START, actor};
use harness::world::text;
use harness::{Actor, TestApp};
use serde_json::{Value, json};
use shared::clock::Time;
use shared::store::key::Key;

#[tokio::test]
async fn a_submission_makes_a_lead_with_a_reference_and_somewhere_to_pay() {
    let (app, nobody, _) = TestApp::start().await;
    let body = json!({ "name": " Ana Ruiz ", "email": " Ana@X.io ", "phone": "98765 43210", "address": "1 Main St",
                       "area": "North", "metadata": { "source": "web" }, "unknown": 1 });
    let answer = nobody.post("/api/intake/submit", body).await.expect(201);
    assert_eq!(answer.str("customer_reference"), "PLE-CVP-2026-000001");
    assert_eq!((answer.str("status"), answer.str("created_at")), ("pending_payment", "2026-11-20T12:00:00Z"));
    assert!(answer.str("checkout_url").starts_with("https://rollcall.test/dev/checkout/cs_dev_"));
    let world = app.world().await;
    world.assert_straight();
    let lead = world.of("customer")[0];
    assert_eq!(text(lead, "internal_id"), answer.str("client_id"));
    assert_eq!((text(lead, "name"), text(lead, "email")), ("Ana Ruiz", "ana@x.io"));
    assert_eq!((text(lead, "phone"), text(lead, "area")), ("+919876543210", "North"));
    assert!(world.of("user").iter().all(|user| user["role"] == "admin"), "a lead has no login");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_submissions_at_once_from_several_processes_get_as_many_references() {
    let (app, _, _) = TestApp::start().await;
    let processes: Vec<_> = (0..4).map(|_| app.another()).collect();
    let calls = (0..200).map(|n| {
        let process = actor(&processes[n % 4].0);
        async move { process.intake(&format!("lead-{n}@x.io")).await.expect(201) }
    });
    let answers = join_all(calls).await;
    let references: BTreeSet<_> = answers.iter().map(|answer| answer.str("customer_reference").to_owned()).collect();
    assert_eq!(references.len(), 200);
    assert!(references.iter().all(|crn| crn.len() == 19 && crn.starts_with("PLE-CVP-2026-")), "{references:?}");
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.of("customer").len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_submissions_of_one_address_at_once_are_one_lead() {
    let (app, nobody, _) = TestApp::start().await;
    let emails = (0..40).map(|n| if n % 2 == 0 { "one@x.io" } else { "ONE@X.io" });
    let answers = join_all(emails.map(|email| nobody.intake(email))).await;
    let statuses = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((statuses(201), statuses(200)), (1, 39));
    let leads: BTreeSet<_> = answers.iter().map(|a| (a.str("client_id"), a.str("customer_reference"))).collect();
    assert_eq!(leads.len(), 1);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_lead_that_comes_back_keeps_its_reference_and_gives_its_latest_details() {
    let (app, nobody, _) = TestApp::start().await;
    let first = nobody.intake("a@x.io").await.expect(201);
    let body = json!({ "name": "Ana Maria", "email": "A@x.io", "phone": "+14155550100" });
    let again = nobody.post("/api/intake/submit", body).await.expect(200);
    for same in ["client_id", "customer_reference", "created_at"] {
        assert_eq!(again.str(same), first.str(same), "{same}");
    }
    assert_ne!(again.str("checkout_url"), first.str("checkout_url"));
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(text(world.of("customer")[0], "name"), "Ana Maria");
    assert_eq!(text(world.of("customer")[0], "phone"), "+14155550100");
}

#[tokio::test]
async fn the_address_of_a_customer_is_refused_without_a_word_about_them_and_they_are_told_once_a_day() {
    let (app, nobody, admin) = TestApp::start().await;
    let customer = admin.post("/v1/customers", json!({ "email": "a@x.io", "name": "Secret Name" })).await.expect(201);
    let refused = nobody.intake("A@x.io").await;
    refused.refused(409, "customer_exists");
    for secret in ["Secret", customer.str("internal_id"), customer.str("customer_reference"), "a@x.io"] {
        assert!(!refused.text.contains(secret), "{secret} leaks: {}", refused.text);
    }
    nobody.intake("a@x.io").await.refused(409, "customer_exists");
    app.deliver_mail().await;
    let subjects = || app.delivered().into_iter().filter_map(|letter| letter.subject);
    let notices = || subjects().filter(|subject| subject.contains("already")).count();
    assert_eq!(notices(), 1);
    app.clock.advance_seconds(86_400);
    nobody.intake("a@x.io").await.refused(409, "customer_exists");
    app.deliver_mail().await;
    assert_eq!(notices(), 2);
}

#[tokio::test]
async fn the_year_of_a_reference_is_the_year_of_its_timestamp() {
    let (app, nobody, _) = TestApp::start().await;
    // 2026-12-31T23:59:59Z
    app.clock.advance_seconds(1_798_761_599 - START.unix_seconds());
    let old = nobody.intake("old@x.io").await.expect(201);
    app.clock.advance_seconds(1);
    let new = nobody.intake("new@x.io").await.expect(201);
    assert_eq!((old.str("created_at"), old.str("customer_reference")), ("2026-12-31T23:59:59Z", "PLE-CVP-2026-000001"));
    assert_eq!((new.str("created_at"), new.str("customer_reference")), ("2027-01-01T00:00:00Z", "PLE-CVP-2027-000001"));
}

#[tokio::test]
async fn references_grow_past_six_digits() {
    let (app, nobody, _) = TestApp::start().await;
    app.raw_store().advance_counter(&Key::crn_counter(2026), 999_998).await.unwrap();
    assert_eq!(nobody.intake("a@x.io").await.str("customer_reference"), "PLE-CVP-2026-999999");
    assert_eq!(nobody.intake("b@x.io").await.str("customer_reference"), "PLE-CVP-2026-1000000");
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let (app, nobody, _) = TestApp::start().await;
    let body = json!({ "name": "", "email": "nobody", "phone": "12", "address": 7, "area": "a".repeat(101),
                       "product_id": "a b", "metadata": [] });
    let answer = nobody.post("/api/intake/submit", body).await;
    answer.refused(400, "invalid_request");
    assert_eq!(answer.fields(), ["name", "email", "phone", "address", "area", "product_id", "metadata"]);
    for (email, name) in [("x@earlybird.local", "Ana"), ("a\u{0}@x.io", "Ana"), ("ä@x.io", "Ana"), ("a@x.io", "a\u{0}")]
    {
        let answer = nobody.post("/api/intake/submit", json!({ "name": name, "email": email })).await;
        answer.refused(400, "invalid_request");
    }
    nobody
        .post("/api/intake/submit", json!({ "name": "Ana", "email": "a@x.io", "product_id": "none" }))
        .await
        .refused(404, "product_not_found");
    assert!(app.world().await.of("customer").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_makes_a_retry_one_submission() {
    let (app, nobody, _) = TestApp::start().await;
    let send = |key: &'static str, name: &'static str, actor: Actor| async move {
        let body = json!({ "name": name, "email": "a@x.io" });
        actor.post_with("/api/intake/submit", body, &[("idempotency-key", key)]).await
    };
    let answers = join_all((0..10).map(|_| send("k1", "Ana", nobody.clone()))).await;
    let bodies: BTreeSet<_> = answers.iter().map(|answer| (answer.status, answer.text.clone())).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let replays = answers.iter().filter(|answer| answer.header("idempotency-replayed") == Some("true")).count();
    assert_eq!(replays, 9);
    send("k1", "Bea", nobody.clone()).await.refused(422, "idempotency_mismatch");
    send("k2", "Bea", nobody.clone()).await.expect(200);
    app.clock.advance_seconds(86_401);
    send("k1", "Cleo", nobody.clone()).await.expect(200);
    let long = "k".repeat(256);
    let body = json!({ "name": "Ana", "email": "a@x.io" });
    nobody.post_with("/api/intake/submit", body, &[("idempotency-key", &long)]).await.refused(400, "invalid_request");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_refusal_keeps_no_idempotency_key() {
    let (_app, nobody, _) = TestApp::start().await;
    let send = async |body: Value| nobody.post_with("/api/intake/submit", body, &[("idempotency-key", "k")]).await;
    send(json!({ "name": "Ana", "email": "wrong" })).await.refused(400, "invalid_request");
    send(json!({ "name": "Ana", "email": "a@x.io" })).await.expect(201);
}

#[tokio::test]
async fn an_address_may_submit_thirty_times_in_ten_minutes() {
    let (app, nobody, _) = TestApp::start_with(|settings| settings.rate_limits = true).await;
    for n in 0..30 {
        nobody.intake(&format!("{n}@x.io")).await.expect(201);
    }
    let refused = nobody.intake("31@x.io").await;
    refused.refused(429, "rate_limited");
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
    nobody.from_address([198, 51, 100, 2]).intake("31@x.io").await.expect(201);
    let six = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
    for n in 0..30 {
        nobody.from_address(six(&format!("2001:db8::{n:x}"))).intake(&format!("six{n}@x.io")).await.expect(201);
    }
    nobody.from_address(six("2001:db8::ffff")).intake("six@x.io").await.refused(429, "rate_limited");
    app.clock.advance_seconds(wait);
    assert!(app.app.clock.now() > Time::from_unix_seconds(0));
    nobody.intake("31@x.io").await.expect(200);
}
