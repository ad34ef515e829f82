//! `POST /auth/login`.

use harness::app::START;
use harness::{Answer, TestApp};
use serde_json::json;
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::ids::UserId;
use shared::secret::Secret;

const PASSWORD: &str = "a long enough password";

async fn with_user(app: &TestApp, email: &str, change: impl FnOnce(&mut User)) -> User {
    let email = EmailAddress::parse(email).unwrap();
    let mut user = User::new(UserId(START.new_id()), email, Role::Admin, START);
    user.password_hash = Some(app.app.passwords.hash(&Secret::new(PASSWORD)).await.unwrap());
    change(&mut user);
    app.save(&user).await;
    user
}

#[tokio::test]
async fn the_right_password_signs_in() {
    let (app, nobody, _) = TestApp::start().await;
    let user = with_user(&app, "a@x.io", |_| {}).await;
    let session = nobody.login(" A@x.io ", PASSWORD).await.expect(200);
    assert_eq!((session.str("_id"), session.str("user_id")), (&*user.user_id.to_string(), &*user.user_id.to_string()));
    assert_eq!((session.str("token_type"), session.json["expires_in"].as_i64()), ("Bearer", Some(43_200)));
    assert_eq!(session.json["must_change_password"], false);
    assert_eq!(session.header("cache-control"), Some("no-store"));
    nobody.with_token(session.str("token")).get("/auth/me").await.expect(200);
}

#[tokio::test]
async fn whatever_is_wrong_the_answer_is_the_same() {
    let (app, nobody, _) = TestApp::start().await;
    with_user(&app, "known@x.io", |_| {}).await;
    with_user(&app, "disabled@x.io", |user| user.enabled = false).await;
    with_user(&app, "never@x.io", |user| user.password_hash = None).await;
    let attempts = [
        ("known@x.io", "wrong"),
        ("unknown@x.io", PASSWORD),
        ("disabled@x.io", PASSWORD),
        ("never@x.io", PASSWORD),
        ("PL999", PASSWORD),
        ("+14155550100", PASSWORD),
        ("no such thing", PASSWORD),
    ];
    let mut answers: Vec<Answer> = Vec::new();
    let mut calls = Vec::new();
    for (email, password) in &attempts {
        app.connector.start_recording();
        let answer = nobody.login(email, password).await;
        calls.push(app.connector.take_recording().calls.len());
        answer.refused(401, "invalid_credentials");
        answers.push(answer);
    }
    for answer in &answers[1..] {
        assert_eq!(answer.text, answers[0].text);
        assert_eq!(answer.headers, answers[0].headers);
    }
    assert_eq!(calls[..4], [calls[0]; 4], "every e-mail takes the same calls");
}

#[tokio::test]
async fn a_temporary_password_works_until_it_expires() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let password = app.temporary_password("a@x.io");
    assert_eq!(nobody.login("a@x.io", &password).await.expect(200).json["must_change_password"], true);
    app.clock.advance_seconds(7 * 86_400 - 1);
    nobody.login("a@x.io", &password).await.expect(200);
    app.clock.advance_seconds(1);
    nobody.login("a@x.io", &password).await.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn a_number_and_a_phone_of_one_sign_in_and_a_shared_phone_does_not() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io", "phone": "9876543210" })).await.expect(201);
    app.deliver_mail().await;
    let password = app.temporary_password("a@x.io");
    for login in ["a@x.io", "PL1", "pl1", "98765 43210", "+919876543210"] {
        nobody.login(login, &password).await.expect(200);
    }
    admin.post("/v1/customers", json!({ "email": "b@x.io", "phone": "9876543210" })).await.expect(201);
    nobody.login("9876543210", &password).await.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn guessing_locks_the_account_but_not_its_owner() {
    let (app, nobody, _) = TestApp::start().await;
    with_user(&app, "a@x.io", |_| {}).await;
    for _ in 0..10 {
        nobody.login_from([203, 0, 113, 9], "a@x.io", "wrong").await.refused(401, "invalid_credentials");
    }
    let guesser = [203, 0, 113, 9];
    nobody.login_from(guesser, "a@x.io", PASSWORD).await.refused(401, "invalid_credentials");
    nobody.login_from([192, 0, 2, 1], "a@x.io", PASSWORD).await.expect(200);
    nobody.login_from(guesser, "a@x.io", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_lock_ends_by_itself() {
    let (app, nobody, _) = TestApp::start().await;
    with_user(&app, "a@x.io", |_| {}).await;
    for _ in 0..10 {
        nobody.login("a@x.io", "wrong").await.refused(401, "invalid_credentials");
    }
    nobody.login("a@x.io", PASSWORD).await.refused(401, "invalid_credentials");
    app.clock.advance_seconds(2);
    nobody.login("a@x.io", PASSWORD).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_guesses_are_all_charged() {
    let (app, nobody, _) = TestApp::start().await;
    with_user(&app, "a@x.io", |_| {}).await;
    let guesses = (0..40).map(|_| nobody.login("a@x.io", "wrong"));
    for answer in futures::future::join_all(guesses).await {
        answer.refused(401, "invalid_credentials");
    }
    let world = app.world().await;
    let attempts = world.of("login_attempts")[0];
    assert!(attempts["comparisons"].as_u64().unwrap() <= 10, "{attempts}");
}

#[tokio::test]
async fn a_password_beyond_the_limit_is_refused_without_work() {
    let (app, nobody, _) = TestApp::start().await;
    let calls = app.connector.calls_of(async {
        nobody.login("a@x.io", &"x".repeat(60 * 1_024)).await.refused(400, "invalid_request");
    });
    assert_eq!(calls.await, 0);
    let answer = nobody.post("/auth/login", json!({ "email": 7 })).await;
    answer.refused(400, "invalid_request");
    assert_eq!(answer.fields(), ["email", "password"]);
}

/// A bcrypt hash of "correct horse" that another system made, and two of PBKDF2 in passlib's form.
const IMPORTED: [&str; 3] = [
    "$2b$04$GbPe7W.VNQ6LePxuLmxUHeqbzk/1DWt4VHIYEOaTUCtX5hxiZhM2q",
    "$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$BBs.1.PaslLtBPULUr8/lQicvVuHiEPMz0i8MjLCbzM",
    "$pbkdf2-sha512$5000$c2FsdHNhbHRzYWx0c2FsdA$uU./MGtxyyn2e3INAN2V6UwbmYu3eyAorziJE.T7YiJ5EOdMX9RL3oRUhucF7rMjREOPAEHiUAOThZElbS3MjA",
];

#[tokio::test]
async fn an_imported_hash_works_once_and_is_then_our_own() {
    for imported in IMPORTED {
        let (app, nobody, _) = TestApp::start().await;
        let user = with_user(&app, "old@x.io", |user| user.password_hash = Some(imported.into())).await;
        nobody.login("old@x.io", "wrong horse").await.refused(401, "invalid_credentials");
        nobody.login("old@x.io", "correct horse").await.expect(200);
        let world = app.world().await;
        let stored = world.at(&format!("USER#{}", user.user_id)).unwrap()["password_hash"].as_str().unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        nobody.login("old@x.io", "correct horse").await.expect(200);
    }
}

/// What a caller could measure: the same calls, and for a login the same hash, for everybody. The
/// medians are printed for a person to look at; no assertion depends on time.
#[tokio::test]
async fn a_known_and_an_unknown_login_cost_the_same() {
    const PAIRS: usize = 300;
    let (app, nobody, _) = TestApp::start().await;
    with_user(&app, "known@x.io", |_| {}).await;
    for route in ["/auth/login", "/auth/forgot-password"] {
        let (mut times, mut calls) = ([Vec::new(), Vec::new()], [0, 0]);
        for n in 0..PAIRS {
            for (at, email) in ["known@x.io", "unknown@x.io"].into_iter().enumerate() {
                let caller =
                    nobody.from_address([10, 0, u8::try_from(n / 200).unwrap(), u8::try_from(n % 200).unwrap()]);
                let body = json!({ "email": email, "password": "wrong password here" });
                let started = std::time::Instant::now();
                calls[at] += app.connector.calls_of(caller.post(route, body)).await;
                times[at].push(started.elapsed());
            }
            // Out of the reach of lock and window, so that every attempt is compared.
            app.clock.advance_seconds(4_000);
        }
        for times in &mut times {
            times.sort();
        }
        println!("{route}, {PAIRS} pairs, medians: known {:?}, unknown {:?}", times[0][PAIRS / 2], times[1][PAIRS / 2]);
        assert_eq!(calls[0], calls[1], "{route}");
    }
}
