//! `POST /auth/logout`.

use axum::body::Body;
use futures::future::join_all;
use harness::{Actor, Answer, TestApp};

use crate::accounts::{NEW_PASSWORD, PASSWORD, api_key, register, reset, reset_token};

async fn log_out(actor: &Actor) -> Answer {
    actor.send(actor.request("POST", "/auth/logout"), Body::empty()).await
}

#[tokio::test]
async fn logging_out_ends_every_session_of_the_user_and_of_nobody_else() {
    let (app, nobody, _) = TestApp::start().await;
    let first = register(&nobody, "a@x.io").await.expect(201);
    let second = nobody.login("a@x.io", PASSWORD).await.expect(200);
    let other = register(&nobody, "b@x.io").await.expect(201);
    let sessions = [first.str("token"), second.str("token")].map(|token| nobody.with_token(token));
    let answer = log_out(&sessions[0]).await.expect(204);
    assert!(answer.text.is_empty(), "{}", answer.text);
    for session in &sessions {
        session.get("/auth/me").await.refused(401, "unauthorized");
        log_out(session).await.refused(401, "unauthorized");
    }
    nobody.with_token(other.str("token")).get("/auth/me").await.expect(200);
    let fresh = nobody.login("a@x.io", PASSWORD).await.expect(200);
    nobody.with_token(fresh.str("token")).get("/auth/me").await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn logging_out_leaves_passwords_and_reset_links_alone() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", serde_json::json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let password = app.temporary_password("a@x.io");
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    let session = nobody.login("a@x.io", &password).await.expect(200);
    assert_eq!(session.json["must_change_password"], true);
    log_out(&nobody.with_token(session.str("token"))).await.expect(204);
    let session = nobody.login("a@x.io", &password).await.expect(200);
    assert_eq!(session.json["must_change_password"], true, "a temporary password stays one");
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ten_times_at_once_is_no_failure() {
    let (app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let user = nobody.with_token(session.str("token"));
    let answers = join_all((0..10).map(|_| log_out(&user))).await;
    assert!(answers.iter().any(|answer| answer.status == 204));
    for answer in answers.iter().filter(|answer| answer.status != 204) {
        answer.refused(401, "unauthorized");
    }
    user.get("/auth/me").await.refused(401, "unauthorized");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn only_somebody_who_is_signed_in_logs_out() {
    let (app, nobody, _) = TestApp::start().await;
    log_out(&nobody).await.refused(401, "unauthorized");
    log_out(&nobody.with_token(api_key(&app).await)).await.refused(403, "forbidden");
}
