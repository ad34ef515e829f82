//! `POST /auth/change-password`.

use std::collections::BTreeSet;

use futures::future::join_all;
use harness::TestApp;
use serde_json::json;

use crate::accounts::{NEW_PASSWORD, PASSWORD, api_key, change, fields, register, reset, reset_token};

#[tokio::test]
async fn a_new_password_comes_with_a_new_session_and_ends_the_old_ones() {
    let (app, nobody, _) = TestApp::start().await;
    let registered = register(&nobody, "a@x.io").await.expect(201);
    let login = nobody.login("a@x.io", PASSWORD).await.expect(200);
    let old = [registered.str("token"), login.str("token")].map(|token| nobody.with_token(token));
    let changed = change(&old[0], PASSWORD, NEW_PASSWORD).await.expect(200);
    let keys = |json: &serde_json::Value| -> BTreeSet<_> { json.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&changed.json), keys(&login.json), "the shape of login");
    assert_eq!(changed.header("cache-control"), Some("no-store"));
    assert_eq!((changed.str("user_id"), changed.str("token_type")), (login.str("user_id"), "Bearer"));
    assert_eq!((&changed.json["must_change_password"], &changed.json["expires_in"]), (&json!(false), &json!(43_200)));
    nobody.with_token(changed.str("token")).get("/auth/me").await.expect(200);
    for session in &old {
        session.get("/auth/me").await.refused(401, "unauthorized");
        change(session, NEW_PASSWORD, PASSWORD).await.refused(401, "unauthorized");
    }
    nobody.login("a@x.io", PASSWORD).await.refused(401, "invalid_credentials");
    nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_temporary_password_opens_this_door_and_then_no_other() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let password = app.temporary_password("a@x.io");
    let session = nobody.login("a@x.io", &password).await.expect(200);
    let changed = change(&nobody.with_token(session.str("token")), &password, NEW_PASSWORD).await.expect(200);
    assert_eq!(changed.json["must_change_password"], false);
    let me = nobody.with_token(changed.str("token")).get("/auth/me").await.expect(200);
    assert_eq!(me.json["must_change_password"], false);
    nobody.login("a@x.io", &password).await.refused(401, "invalid_credentials");
    // Seven days later the temporary password would have expired; the chosen one does not.
    app.clock.advance_seconds(8 * 86_400);
    nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_wrong_current_password_counts_like_a_wrong_login() {
    let (app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let user = nobody.with_token(session.str("token"));
    for _ in 0..5 {
        change(&user, "not the password", NEW_PASSWORD).await.refused(401, "invalid_credentials");
        nobody.login("a@x.io", "not the password").await.refused(401, "invalid_credentials");
    }
    // Ten in a row: locked for a second, for both doors.
    nobody.login("a@x.io", PASSWORD).await.refused(401, "invalid_credentials");
    change(&user, PASSWORD, NEW_PASSWORD).await.refused(401, "invalid_credentials");
    user.get("/auth/me").await.expect(200);
    app.clock.advance_seconds(2);
    change(&user, PASSWORD, NEW_PASSWORD).await.expect(200);
    nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_right_current_password_forgets_the_wrong_ones() {
    let (_app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let mut user = nobody.with_token(session.str("token"));
    for (current, new) in [(PASSWORD, NEW_PASSWORD), (NEW_PASSWORD, PASSWORD)] {
        for _ in 0..9 {
            change(&user, "not the password", new).await.refused(401, "invalid_credentials");
        }
        let changed = change(&user, current, new).await.expect(200);
        user = nobody.with_token(changed.str("token"));
    }
    nobody.login("a@x.io", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_weak_new_password_is_named_and_changes_nothing() {
    let (app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "somebody.with.a.long.name@x.io").await.expect(201);
    let user = nobody.with_token(session.str("token"));
    let long = "x y".repeat(342);
    for weak in ["fourteen chars", "passwordpassword", "SOMEBODY.with.a.long.name", &long] {
        let answer = change(&user, PASSWORD, weak).await;
        assert_eq!(fields(&answer), ["new_password"], "{weak}");
    }
    let answer = user.post("/auth/change-password", json!({})).await;
    assert_eq!(fields(&answer), ["current_password", "new_password"]);
    let answer = user.post("/auth/change-password", json!({ "current_password": 7, "new_password": "short" })).await;
    assert_eq!(fields(&answer), ["current_password", "new_password"]);
    user.get("/auth/me").await.expect(200);
    nobody.login("somebody.with.a.long.name@x.io", PASSWORD).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_change_voids_the_links_that_were_sent_before() {
    let (app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    change(&nobody.with_token(session.str("token")), PASSWORD, NEW_PASSWORD).await.expect(200);
    reset(&nobody, &token, "a third one, as long").await.refused(400, "invalid_token");
    nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_changes_at_once_one_is_made() {
    let (app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let user = &nobody.with_token(session.str("token"));
    let changes =
        (0..8).map(|n| async move { change(user, PASSWORD, &format!("choice {n}, long enough indeed")).await });
    let answers = join_all(changes).await;
    let made: Vec<_> = (0..8).filter(|n| answers[*n].status == 200).collect();
    assert_eq!(made.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.status, 401, "{}", answer.text);
    }
    nobody.with_token(answers[made[0]].str("token")).get("/auth/me").await.expect(200);
    app.clock.advance_seconds(3_600);
    let chosen = format!("choice {}, long enough indeed", made[0]);
    nobody.login("a@x.io", &chosen).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn only_a_person_changes_a_password() {
    let (app, nobody, _) = TestApp::start().await;
    change(&nobody, PASSWORD, NEW_PASSWORD).await.refused(401, "unauthorized");
    change(&nobody.with_token(api_key(&app).await), PASSWORD, NEW_PASSWORD).await.refused(403, "forbidden");
}
