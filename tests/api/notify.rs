//! The delivery of messages.

use harness::TestApp;
use harness::world::text;
use serde_json::json;

#[tokio::test]
async fn a_redelivered_invitation_sends_the_same_password_and_a_sent_one_is_not_sent_again() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    app.deliver_mail().await;
    assert_eq!(app.delivered().len(), 1);
    let first = app.temporary_password("a@x.io");
    reopen(&app).await;
    app.deliver_mail().await;
    assert_eq!(app.delivered().len(), 2);
    assert_eq!(app.temporary_password("a@x.io"), first);
    nobody.login("a@x.io", &first).await.expect(200);
}

#[tokio::test]
async fn an_invitation_for_an_older_epoch_is_void() {
    let (app, _, admin) = TestApp::start().await;
    let customer = admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    let store = app.raw_store();
    let before = store.user(customer.str("user_id").parse().unwrap()).await.unwrap().unwrap();
    let mut after = before.clone();
    after.credential_epoch += 1;
    after.password_hash = Some("set by its owner".into());
    let mut transaction = store.transaction();
    transaction.save_user(Some(&before), &after);
    transaction.commit(&store).await.unwrap();
    app.deliver_mail().await;
    assert!(app.delivered().is_empty());
    let world = app.world().await;
    assert_eq!(text(world.messages("invitation")[0], "state"), "void");
    assert_eq!(text(world.at(&format!("USER#{}", before.user_id)).unwrap(), "password_hash"), "set by its owner");
}

#[tokio::test]
async fn no_password_is_readable_at_rest() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let password = app.temporary_password("a@x.io");
    let session = nobody.login("a@x.io", &password).await.expect(200);
    let dump: String = app.world().await.items.values().map(ToString::to_string).collect();
    for secret in [password.as_str(), session.str("token")] {
        assert!(!dump.contains(secret), "a secret is at rest");
    }
}

/// As if the process had died between sending and noting that it had.
async fn reopen(app: &TestApp) {
    let store = app.raw_store();
    let world = app.world().await;
    let id = text(world.messages("invitation")[0], "message_id").parse().unwrap();
    let sent: shared::domain::message::Message =
        store.get(&shared::store::key::Key::message(id)).await.unwrap().unwrap();
    let mut pending = sent.clone();
    pending.state = shared::domain::message::MessageState::Pending;
    let mut transaction = store.transaction();
    transaction.save_message(Some(&sent), &pending);
    transaction.commit(&store).await.unwrap();
}

#[tokio::test]
async fn nobody_is_sent_a_strangers_text_in_our_name() {
    let (app, nobody, admin) = TestApp::start().await;
    let name = "Your parcel is held. Confirm now: https://evil.example/pay";
    let body = json!({ "name": name, "email": "victim@x.io", "password": "a long enough password" });
    nobody.post("/auth/register", body).await.expect(201);
    nobody.post("/auth/forgot-password", json!({ "email": "victim@x.io" })).await.expect(200);
    admin.post("/v1/customers", json!({ "name": name, "email": "other@x.io" })).await.expect(201);
    nobody
        .post("/api/intake/submit", json!({ "name": name, "email": "other@x.io" }))
        .await
        .refused(409, "customer_exists");
    app.deliver_mail().await;
    let letters = app.delivered();
    assert_eq!(letters.len(), 3);
    for letter in letters {
        assert!(letter.body.starts_with("Hello,\n"), "{}", letter.body);
        assert!(!letter.body.contains("evil"), "{}", letter.body);
    }
}
