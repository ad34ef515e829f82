//! Canaries: what a person types or is sent in confidence is at rest nowhere, and in no log.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use harness::faults::Kind;
use harness::{Actor, TestApp};
use serde_json::json;
use shared::token::sha256_hex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::accounts::{api_key, change, forgot, reset, reset_token};

const EMAIL: &str = "canary.person@x.io";
const NAME: &str = "Canaryname Ruiz";
const PHONE: &str = "9876543210";

/// What it is, and the text that must not be found.
type Canary = (&'static str, String);

/// A customer's whole life; answers everything secret in it.
async fn live(app: &TestApp, nobody: &Actor, admin: &Actor) -> Vec<Canary> {
    let (first, second, third) = ("canary-registered-kM2", "canary-changed-pR9ww", "canary-reset-tW5zzzz");
    let body = json!({ "name": NAME, "email": EMAIL, "password": first, "phone": PHONE });
    let key = [("idempotency-key", "canary")];
    let registered = nobody.post_with("/auth/register", body.clone(), &key).await.expect(201);
    let replayed = nobody.post_with("/auth/register", body, &key).await.expect(201);
    nobody.login(EMAIL, "canary-mistyped-qq1").await.refused(401, "invalid_credentials");
    nobody.login("canary-in-the-wrong-field", "x").await.refused(401, "invalid_credentials");
    forgot(nobody, "canary-forgot-field").await.expect(200);
    let session = nobody.login(EMAIL, first).await.expect(200);
    let changed = change(&nobody.with_token(session.str("token")), first, second).await.expect(200);
    let token = reset_token(app, nobody, EMAIL, EMAIL).await;
    app.clock.advance_seconds(301);
    let unused = reset_token(app, nobody, EMAIL, EMAIL).await;
    reset(nobody, &unused, "canary-weak").await.refused(400, "invalid_request");
    reset(nobody, &token, third).await.expect(200);
    nobody.login(EMAIL, third).await.expect(200);

    admin.post("/v1/customers", json!({ "email": "canary.guest@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let temporary = app.temporary_password("canary.guest@x.io");
    let guest = nobody.login("canary.guest@x.io", &temporary).await.expect(200);
    nobody.with_token(guest.str("token")).get("/auth/me").await.expect(200);
    let handed = admin.post("/v1/customers", json!({ "id": "handed", "phone": "9876543211" })).await.expect(201);
    let path = format!("/v1/customers/{}/credentials", handed.str("internal_id"));
    let handed = admin.post(&path, json!({ "deliver": false })).await.expect(200);
    let api_key = api_key(app).await;
    nobody.with_token(&api_key).get("/v1/customers/handed").await.expect(200);
    nobody.with_token("rk_canary-no-such-key").get("/auth/me").await.refused(401, "unauthorized");

    // A failure is logged, and with it nothing of the request.
    app.connector.inject_with(|_| Some(Kind::Before));
    nobody.login(EMAIL, "canary-in-a-failure").await.refused(503, "unavailable");
    app.connector.reset();

    vec![
        ("the first password", first.into()),
        ("the second password", second.into()),
        ("the third password", third.into()),
        ("a mistyped password", "canary-mistyped-qq1".into()),
        ("a password typed as the login", "canary-in-the-wrong-field".into()),
        ("a password typed to forgot-password", "canary-forgot-field".into()),
        ("a weak password", "canary-weak".into()),
        ("a password of a request that failed", "canary-in-a-failure".into()),
        ("a temporary password", temporary),
        ("a password handed over", handed.str("temporary_password").into()),
        ("a session of register", registered.str("token").into()),
        ("a session of a replay", replayed.str("token").into()),
        ("a session of login", session.str("token").into()),
        ("a session of change-password", changed.str("token").into()),
        ("a guest's session", guest.str("token").into()),
        ("a used reset token", token),
        ("an unused reset token", unused),
        ("an API key", api_key),
        ("an unknown API key", "rk_canary-no-such-key".into()),
    ]
}

/// Every reading of a canary that a thief could do without a key.
fn readings(secret: &str) -> Vec<String> {
    assert!(secret.len() >= 10, "a canary is long enough to be told from chance");
    let mut readings: Vec<String> = secret.split('.').filter(|part| part.len() >= 40).map(str::to_owned).collect();
    readings.extend([
        secret.to_owned(),
        secret.chars().rev().collect(),
        hex(secret.as_bytes()),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ]);
    readings
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The canaries that `text` gives away.
fn found<'a>(canaries: &'a [Canary], text: &str) -> Vec<&'a str> {
    let text = text.to_lowercase();
    let leaks = |secret: &str| readings(secret).iter().any(|reading| text.contains(&reading.to_lowercase()));
    canaries.iter().filter(|(_, secret)| leaks(secret)).map(|(what, _)| *what).collect()
}

#[tokio::test]
async fn nothing_secret_is_readable_at_rest() {
    let (app, nobody, admin) = TestApp::start().await;
    let canaries = live(&app, &nobody, &admin).await;
    let world = app.world().await;
    let items = world.items.iter().map(|((pk, sk), item)| format!("{pk} {sk} {item}\n"));
    let dump: String = items.collect();
    assert!(dump.contains(EMAIL) && dump.len() > 5_000, "the dump is a dump");
    assert_eq!(found(&canaries, &dump), Vec::<&str>::new());
    // A plain hash of a password is as good as the password; of random tokens it is what is kept.
    for (what, secret) in canaries.iter().filter(|(what, _)| what.contains("password")) {
        assert!(!dump.contains(&sha256_hex(secret)), "a plain hash of {what} is at rest");
    }
    let hashes: Vec<_> = world.of("user").into_iter().filter_map(|user| user["password_hash"].as_str()).collect();
    assert!(!hashes.is_empty() && hashes.iter().all(|hash| hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$")));
}

#[tokio::test]
async fn nothing_secret_and_nobody_is_in_the_logs() {
    let log = Log::default();
    let writer = log.clone();
    // Ours down to the last detail, everybody else's as in production.
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::new("warn,shared=trace,functions=trace"))
        .with_writer(move || writer.clone());
    // With a single subscriber in the process, whichever thread meets a log line first decides
    // whether anybody wants it, and a thread of another test would say no. With two, all are asked.
    let _second = tracing_subscriber::registry().set_default();
    let logging = subscriber.finish().set_default();
    let (app, nobody, admin) = TestApp::start().await;
    let mut canaries = live(&app, &nobody, &admin).await;
    drop(logging);
    canaries.extend([
        ("an e-mail address", EMAIL.to_owned()),
        ("a name", NAME.to_owned()),
        ("a phone number", PHONE.to_owned()),
        ("an invited address", "canary.guest@x.io".to_owned()),
    ]);
    let text = log.text();
    for wanted in ["/auth/register", "/auth/reset-password", "request failed"] {
        assert!(text.contains(wanted), "{wanted} is not in the log: {text}");
    }
    assert_eq!(found(&canaries, &text), Vec::<&str>::new(), "{text}");
    assert!(!text.to_lowercase().contains("canary"), "{text}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
