//! `POST /auth/forgot-password` and `POST /auth/reset-password`.

use futures::future::join_all;
use harness::TestApp;
use harness::app::START;
use harness::world::text;
use serde_json::json;
use shared::domain::message::{Message, MessageKind, MessageState};
use shared::domain::user::Role;
use shared::store::key::Key;

use crate::accounts::{
    NEW_PASSWORD, PASSWORD, api_key, change, change_user, delete_user, fields, forgot, letters_to, register, reset,
    reset_token, reset_tokens, user_of, with_user,
};

#[tokio::test]
async fn whoever_is_asked_for_the_answer_is_the_same_after_the_same_calls() {
    let (app, nobody, admin) = TestApp::start().await;
    for known in ["known@x.io", "locked@x.io"] {
        register(&nobody, known).await.expect(201);
    }
    for _ in 0..10 {
        nobody.login("locked@x.io", "wrong").await.refused(401, "invalid_credentials");
    }
    admin.post("/v1/customers", json!({ "email": "never@x.io" })).await.expect(201);
    admin.post("/v1/customers", json!({ "email": "off@x.io", "status": "inactive" })).await.expect(201);
    with_user(&app, "staff@x.io", Role::DeliveryBoy, None).await;
    nobody.intake("lead@x.io").await.expect(201);
    let asked = [
        "known@x.io",
        "unknown@x.io",
        "locked@x.io",
        "off@x.io",
        "never@x.io",
        "staff@x.io",
        "lead@x.io",
        "KNOWN@x.io",
    ];
    let mut seen = Vec::new();
    for email in asked {
        app.connector.start_recording();
        let answer = forgot(&nobody, email).await.expect(200);
        let recording = app.connector.take_recording();
        let operations: Vec<_> = recording.operations().into_iter().map(str::to_owned).collect();
        assert_eq!(answer.json, json!({ "message": "If that email exists, a reset link has been sent" }));
        seen.push((operations, answer.text, format!("{:?}", answer.headers)));
    }
    for (email, one) in asked.iter().zip(&seen) {
        assert_eq!(*one, seen[0], "{email}");
    }
    for other in ["PL1", "PL999", "9876543210", "no such thing", "x@earlybird.local"] {
        assert_eq!(forgot(&nobody, other).await.expect(200).text, seen[0].1, "{other}");
    }
    assert_eq!(fields(&nobody.post("/auth/forgot-password", json!({})).await), ["email"]);
    app.deliver_mail().await;
    for (email, links) in [("known@x.io", 1), ("locked@x.io", 1), ("off@x.io", 0), ("never@x.io", 1), ("lead@x.io", 0)]
    {
        assert_eq!(reset_tokens(&app, email).len(), links, "{email}");
    }
    assert_eq!(letters_to(&app, "unknown@x.io"), 0);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_link_gives_a_password_and_ends_what_was_before() {
    let (app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let token = reset_token(&app, &nobody, " A@x.io ", "a@x.io").await;
    let old = nobody.with_token(session.str("token"));
    old.get("/auth/me").await.expect(200);
    let answer = reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
    assert_eq!(answer.json, json!({ "message": "Password reset successful" }));
    old.get("/auth/me").await.refused(401, "unauthorized");
    nobody.login("a@x.io", PASSWORD).await.refused(401, "invalid_credentials");
    let session = nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
    nobody.with_token(session.str("token")).get("/auth/me").await.expect(200);
    reset(&nobody, &token, "a third one, as long").await.refused(400, "invalid_token");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_user_is_sent_one_link_in_five_minutes_and_five_an_hour() {
    let (app, nobody, _) = TestApp::start().await;
    let body = json!({ "name": "Ana", "email": "a@x.io", "password": PASSWORD, "phone": "9876543210" });
    nobody.post("/auth/register", body).await.expect(201);
    let ask = async |login: &str, at: i64| {
        app.clock.advance_seconds(at - (app.clock.now().unix_seconds() - START.unix_seconds()));
        forgot(&nobody, login).await.expect(200);
        app.deliver_mail().await;
        reset_tokens(&app, "a@x.io").len()
    };
    assert_eq!(ask("a@x.io", 0).await, 1);
    for (login, at) in [("A@X.io", 0), ("PL1", 1), ("9876543210", 61), ("a@x.io", 299)] {
        assert_eq!(ask(login, at).await, 1, "{login} at {at} s");
    }
    for (sent, at) in [(2, 301), (3, 602), (4, 903), (5, 1_204)] {
        assert_eq!(ask("a@x.io", at).await, sent, "at {at} s");
    }
    for at in [1_505, 2_400, 3_590] {
        assert_eq!(ask("PL1", at).await, 5, "at {at} s");
    }
    assert_eq!(ask("a@x.io", 7_300).await, 6);
}

#[tokio::test]
async fn requests_that_wait_for_delivery_together_become_one_message() {
    let (app, nobody, _) = TestApp::start().await;
    register(&nobody, "a@x.io").await.expect(201);
    for _ in 0..4 {
        for login in ["a@x.io", "PL1"] {
            forgot(&nobody, login).await.expect(200);
        }
        app.clock.advance_seconds(61);
    }
    app.deliver_mail().await;
    app.deliver_mail().await;
    assert_eq!(reset_tokens(&app, "a@x.io").len(), 1);
}

#[tokio::test]
async fn somebody_who_was_never_activated_gets_in_and_the_invitation_is_void() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let temporary = app.temporary_password("a@x.io");
    let invited = nobody.login("a@x.io", &temporary).await.expect(200);
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    nobody.login("a@x.io", &temporary).await.expect(200);
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
    nobody.login("a@x.io", &temporary).await.refused(401, "invalid_credentials");
    nobody.with_token(invited.str("token")).get("/auth/me").await.refused(401, "unauthorized");
    let session = nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
    assert_eq!(session.json["must_change_password"], false);
    // A delivery that comes once more finds the password that its owner has set.
    mark_invitations(&app, MessageState::Pending).await;
    app.deliver_mail().await;
    nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
    let invitations = app.delivered().into_iter().filter(|letter| letter.kind == MessageKind::Invitation);
    assert_eq!(invitations.count(), 1);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_reset_voids_an_invitation_that_is_still_on_its_way() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    mark_invitations(&app, MessageState::Sent).await;
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    mark_invitations(&app, MessageState::Pending).await;
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
    app.deliver_mail().await;
    assert_eq!(letters_to(&app, "a@x.io"), 1, "only the link was sent");
    let world = app.world().await;
    assert_eq!(text(world.messages("invitation")[0], "state"), "void");
    let session = nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
    assert_eq!(session.json["must_change_password"], false);
}

#[tokio::test]
async fn an_invitation_that_was_followed_voids_the_link() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let temporary = app.temporary_password("a@x.io");
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    let session = nobody.login("a@x.io", &temporary).await.expect(200);
    change(&nobody.with_token(session.str("token")), &temporary, NEW_PASSWORD).await.expect(200);
    reset(&nobody, &token, "a third one, as long").await.refused(400, "invalid_token");
    nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn an_expired_invitation_is_no_dead_end() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    app.clock.advance_seconds(8 * 86_400);
    nobody.login("a@x.io", &app.temporary_password("a@x.io")).await.refused(401, "invalid_credentials");
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
    nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_later_link_leaves_the_earlier_one_alone_until_either_is_used() {
    let (app, nobody, _) = TestApp::start().await;
    register(&nobody, "a@x.io").await.expect(201);
    let first = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    app.clock.advance_seconds(301);
    let second = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    assert_ne!(first, second);
    reset(&nobody, &first, NEW_PASSWORD).await.expect(200);
    reset(&nobody, &second, "a third one, as long").await.refused(400, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_resets_at_once_with_one_token_one_succeeds() {
    let (app, nobody, _) = TestApp::start().await;
    register(&nobody, "a@x.io").await.expect(201);
    let token = &reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    let nobody = &nobody;
    let choice = |n: usize| format!("choice {n}, long enough indeed");
    let answers = join_all((0..20).map(|n| async move { reset(nobody, token, &choice(n)).await })).await;
    let made: Vec<_> = (0..20).filter(|n| answers[*n].status == 200).collect();
    assert_eq!(made.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refused(400, "invalid_token");
    }
    nobody.login("a@x.io", &choice(made[0])).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_link_that_was_used_is_dead_though_its_message_is_delivered_once_more() {
    let (app, nobody, _) = TestApp::start().await;
    register(&nobody, "a@x.io").await.expect(201);
    forgot(&nobody, "a@x.io").await.expect(200);
    let store = app.raw_store();
    let id = text(app.world().await.messages("password_reset")[0], "message_id").parse().unwrap();
    let waiting: Message = store.get(&Key::message(id)).await.unwrap().unwrap();
    app.deliver_mail().await;
    let token = reset_tokens(&app, "a@x.io")[0].clone();
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
    // As if the process had died after it sent the message and before it noted that.
    let noted: Message = store.get(&Key::message(id)).await.unwrap().unwrap();
    let mut transaction = store.transaction();
    transaction.save_message(Some(&noted), &waiting);
    transaction.commit(&store).await.unwrap();
    app.deliver_mail().await;
    reset(&nobody, &token, "a third one, as long").await.refused(400, "invalid_token");
    nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_link_works_for_an_hour() {
    let (app, nobody, _) = TestApp::start().await;
    for (email, age, works) in [("young@x.io", 3_590, true), ("old@x.io", 3_601, false)] {
        register(&nobody, email).await.expect(201);
        let token = reset_token(&app, &nobody, email, email).await;
        app.clock.advance_seconds(age);
        let answer = reset(&nobody, &token, NEW_PASSWORD).await;
        if works {
            answer.expect(200);
        } else {
            answer.refused(400, "invalid_token");
            nobody.login(email, PASSWORD).await.expect(200);
        }
    }
}

#[tokio::test]
async fn what_is_no_link_of_ours_is_refused() {
    let (app, nobody, _) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    let other_first = if token.starts_with('a') { "b" } else { "a" };
    let wrong = [
        "x".to_owned(),
        "a".repeat(64),
        token[..token.len() - 1].to_owned(),
        format!("{token}a"),
        format!("{other_first}{}", &token[1..]),
        session.str("token")[..200].to_owned(),
        api_key(&app).await,
        session.str("user_id").to_owned(),
        "../../RESET#".to_owned(),
        String::new(),
        " ".to_owned(),
        "\u{0}".to_owned(),
        "a".repeat(300),
        "ü".repeat(20_000),
    ];
    for wrong in wrong {
        reset(&nobody, &wrong, NEW_PASSWORD).await.refused(400, "invalid_token");
    }
    // Which token is good is said before which password is.
    for wrong in ["", "x", &"a".repeat(300)] {
        reset(&nobody, wrong, "short").await.refused(400, "invalid_token");
    }
    for odd in [json!(7), json!(null), json!([token]), json!({ "token": token })] {
        let answer = nobody.post("/auth/reset-password", json!({ "token": odd, "new_password": NEW_PASSWORD })).await;
        assert_eq!(fields(&answer), ["token"], "{odd}");
    }
    for both in [json!({}), json!({ "token": 7, "new_password": "short" })] {
        assert_eq!(fields(&nobody.post("/auth/reset-password", both).await), ["new_password", "token"]);
    }
    nobody.login("a@x.io", PASSWORD).await.expect(200);
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_weak_password_is_named_and_leaves_the_link_usable() {
    let (app, nobody, _) = TestApp::start().await;
    let email = "somebody.with.a.long.name@x.io";
    register(&nobody, email).await.expect(201);
    let token = reset_token(&app, &nobody, email, email).await;
    let long = "x y".repeat(342);
    for weak in ["", "fourteen chars", "passwordpassword", "SOMEBODY.with.a.long.name", email, &long] {
        assert_eq!(fields(&reset(&nobody, &token, weak).await), ["new_password"], "{weak}");
    }
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
    nobody.login(email, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_reset_opens_a_locked_account_at_once() {
    let (app, nobody, _) = TestApp::start().await;
    register(&nobody, "a@x.io").await.expect(201);
    for _ in 0..10 {
        nobody.login("a@x.io", "wrong").await.refused(401, "invalid_credentials");
    }
    nobody.login("a@x.io", PASSWORD).await.refused(401, "invalid_credentials");
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    nobody.login("a@x.io", PASSWORD).await.refused(401, "invalid_credentials");
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
    nobody.login("a@x.io", NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_link_goes_to_the_login_rather_than_to_a_phone() {
    let (app, nobody, admin) = TestApp::start().await;
    let body = json!({ "name": "Ana", "email": "a@x.io", "password": PASSWORD, "phone": "9876543210" });
    let session = nobody.post("/auth/register", body).await.expect(201);
    let path = format!("/v1/customers/{}", session.str("customer_v2_id"));
    admin.patch(&path, json!({ "email": null })).await.expect(200);
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    assert!(app.delivered().iter().all(|letter| letter.channel == "email"));
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_link_goes_where_its_owner_reads_it() {
    let (app, nobody, admin) = TestApp::start().await;
    // By SMS to somebody without an address.
    admin.post("/v1/customers", json!({ "phone": "9876543210" })).await.expect(201);
    let token = reset_token(&app, &nobody, "98765 43210", "+919876543210").await;
    assert!(app.delivered().iter().any(|letter| letter.channel == "sms" && letter.body.contains(&token)));
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
    nobody.login("PL1", NEW_PASSWORD).await.expect(200);
    // To the contact address of somebody whose login is a placeholder.
    for id in ["one", "two"] {
        admin.post("/v1/customers", json!({ "id": id, "email": "shared@x.io" })).await.expect(201);
    }
    let token = reset_token(&app, &nobody, "pl3", "shared@x.io").await;
    reset(&nobody, &token, NEW_PASSWORD).await.expect(200);
    nobody.login("PL3", NEW_PASSWORD).await.expect(200);
    nobody.login("PL2", NEW_PASSWORD).await.refused(401, "invalid_credentials");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_link_lets_in_nobody_who_was_shut_out_meanwhile() {
    let (app, nobody, _) = TestApp::start().await;
    for email in ["off@x.io", "gone@x.io"] {
        let session = register(&nobody, email).await.expect(201);
        let token = reset_token(&app, &nobody, email, email).await;
        let user = user_of(&app, &session).await;
        if email == "off@x.io" {
            change_user(&app, user.user_id, |user| user.enabled = false).await;
        } else {
            delete_user(&app, user.user_id).await;
        }
        reset(&nobody, &token, NEW_PASSWORD).await.refused(400, "invalid_token");
        nobody.login(email, NEW_PASSWORD).await.refused(401, "invalid_credentials");
        forgot(&nobody, email).await.expect(200);
    }
}

#[tokio::test]
async fn an_address_may_ask_twenty_times_in_ten_minutes() {
    let (_app, nobody, _) = TestApp::start_with(|settings| settings.rate_limits = true).await;
    for n in 0..20 {
        forgot(&nobody, &format!("{n}@x.io")).await.expect(200);
    }
    let refused = forgot(&nobody, "20@x.io").await;
    refused.refused(429, "rate_limited");
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
    forgot(&nobody.from_address([198, 51, 100, 2]), "20@x.io").await.expect(200);
}

/// Sets every invitation to `state` below everything: held back, or on its way once more.
async fn mark_invitations(app: &TestApp, state: MessageState) {
    let (store, world) = (app.raw_store(), app.world().await);
    for invitation in world.messages("invitation") {
        let id = text(invitation, "message_id").parse().unwrap();
        let before: Message = store.get(&Key::message(id)).await.unwrap().unwrap();
        let mut after = before.clone();
        after.state = state;
        let mut transaction = store.transaction();
        transaction.save_message(Some(&before), &after);
        transaction.commit(&store).await.unwrap();
    }
}
