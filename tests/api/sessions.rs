//! Forged and stale sessions: whatever is shown, it is no session.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use harness::app::START;
use harness::{Actor, TestApp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};
use shared::domain::user::{Role, User};
use shared::token::KeyRing;

use crate::accounts::{change_user, delete_user, register, reset_token, revoked_key, user_of, with_user};

/// The bytes of `test-1` and `test-2` in `harness::app::JWT_KEYS`.
const SIGNING_KEY: [u8; 32] = [1; 32];
const OTHER_KEY: [u8; 32] = [2; 32];

/// What is wrong, and the token.
type Forged = (String, String);

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A JWS of any header and payload, however odd, with an HS256 signature.
fn sign(header: &str, payload: &str, key: &[u8]) -> String {
    let message = format!("{}.{}", base64(header), base64(payload));
    let signature = base64(mac::<Hmac<Sha256>>(key, &message));
    format!("{message}.{signature}")
}

fn header() -> Value {
    json!({ "typ": "JWT", "alg": "HS256", "kid": "test-1" })
}

fn claims(user: &User) -> Value {
    let now = START.unix_seconds();
    json!({
        "sub": user.user_id.to_string(), "email": user.email.as_str(), "role": "admin", "ver": user.token_version,
        "iss": "rollcall", "aud": "rollcall", "iat": now, "exp": now + 3_600,
    })
}

/// `object` with one value replaced; with none, it is left out.
fn with(object: &Value, name: &str, value: Option<Value>) -> Value {
    let mut object = object.clone();
    let fields = object.as_object_mut().unwrap();
    match value {
        Some(value) => fields.insert(name.into(), value),
        None => fields.remove(name),
    };
    object
}

fn jwt(header: &Value, claims: &Value) -> String {
    sign(&header.to_string(), &claims.to_string(), &SIGNING_KEY)
}

/// Headers that the signing key has signed and that we never write.
fn odd_headers(claims: &Value) -> Vec<Forged> {
    let mut odd = Vec::new();
    let algorithms = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!(""),
        json!("hs256"),
        json!("HS256 "),
        json!("HS384"),
        json!("HS512"),
        json!("RS256"),
        json!("RS512"),
        json!("PS256"),
        json!("ES256"),
        json!("EdDSA"),
        json!(256),
        json!(["HS256"]),
        Value::Null,
    ];
    let algorithms = algorithms.into_iter().map(Some).chain([None]);
    odd.extend(algorithms.map(|value| ("alg", value)));
    let kids = [
        json!("test-9"),
        json!("retired-1"),
        json!("TEST-1"),
        json!("test-1 "),
        json!("test-2"),
        json!("../../../../dev/null"),
        json!("/dev/null"),
        json!("test-1' OR '1'='1"),
        json!("test-1\u{0}"),
        json!(""),
        json!(1),
        json!(["test-1"]),
        Value::Null,
    ];
    odd.extend(kids.into_iter().map(Some).chain([None]).map(|value| ("kid", value)));
    let types = [json!("reset"), json!("at+jwt"), json!("JOSE"), json!(""), json!(7)];
    odd.extend(types.map(|value| ("typ", Some(value))));
    odd.push(("crit", Some(json!(["exp"]))));
    let odd = odd.into_iter().map(|(name, value)| {
        let shown = value.as_ref().map_or_else(|| "missing".into(), Value::to_string);
        (format!("header {name} {shown}"), jwt(&with(&header(), name, value), claims))
    });
    odd.collect()
}

/// Claims that the signing key has signed and that we never write.
fn odd_claims(claims: &Value) -> Vec<Forged> {
    let now = START.unix_seconds();
    let exp = [
        json!((now + 3_600).to_string()),
        json!(f64::from(i32::MAX) + 0.5),
        json!(f64::from(i32::MAX)),
        json!(1e30),
        json!(u64::MAX),
        json!(-1),
        json!(i64::MIN),
        json!(0),
        json!(now),
        json!(true),
        json!([now + 3_600]),
    ];
    let issuers =
        [json!("evil"), json!(""), json!("Rollcall"), json!(["rollcall"]), json!(["evil", "rollcall"]), json!(7)];
    let subjects = [
        json!(""),
        json!("nobody"),
        json!(7),
        json!([claims["sub"]]),
        json!(format!("{} ", claims["sub"].as_str().unwrap())),
        json!("../USER#1"),
        json!("00000000-0000-0000-0000-00000000000"),
    ];
    let versions = [json!("1"), json!(-1), json!(1.5), json!(1.0), json!(true)];
    let mut odd: Vec<(&str, Option<Value>)> = Vec::new();
    odd.extend(exp.map(|value| ("exp", Some(value))));
    odd.extend(issuers.clone().map(|value| ("iss", Some(value))));
    odd.extend(issuers.map(|value| ("aud", Some(value))));
    odd.extend(subjects.map(|value| ("sub", Some(value))));
    odd.extend(versions.map(|value| ("ver", Some(value))));
    odd.push(("role", Some(json!("root"))));
    for name in ["exp", "iss", "aud", "sub", "ver"] {
        odd.extend([(name, Some(Value::Null)), (name, None)]);
    }
    let odd = odd.into_iter().map(|(name, value)| {
        let shown = value.as_ref().map_or_else(|| "missing".into(), Value::to_string);
        (format!("claim {name} {shown}"), jwt(&header(), &with(claims, name, value)))
    });
    odd.collect()
}

/// A good token, damaged.
fn damaged(good: &str) -> Vec<Forged> {
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let flipped = |at: usize, bit: u8| {
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[at] ^= 1 << bit;
        format!("{header}.{payload}.{}", base64(bytes))
    };
    // 32 bytes leave two spare bits in the last of 43 characters; a lenient decoder ignores them.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(&signature[42..]).unwrap();
    let spare = format!("{header}.{payload}.{}{}", &signature[..42], &alphabet[last + 1..last + 2]);
    let padded = |part: &str| URL_SAFE.encode(URL_SAFE_NO_PAD.decode(part).unwrap());
    let all: Vec<(&str, String)> = vec![
        ("dot behind", format!("{good}.")),
        ("part behind", format!("{good}.{signature}")),
        ("dot in front", format!(".{good}")),
        ("five parts", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
        ("dots alone", "..".into()),
        ("no signature", format!("{header}.{payload}.")),
        ("two parts", format!("{header}.{payload}")),
        ("one part", header.into()),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("signature short by a character", good[..good.len() - 1].into()),
        ("half a signature", format!("{header}.{payload}.{}", &signature[..20])),
        ("signature twice", format!("{good}{signature}")),
        ("first bit flipped", flipped(0, 0)),
        ("middle bit flipped", flipped(16, 3)),
        ("last bit flipped", flipped(31, 7)),
        ("spare bits set", spare),
        ("padded signature", format!("{header}.{payload}.{}", padded(signature))),
        ("padded with ==", format!("{good}==")),
        ("percent-encoded", good.replace('.', "%2E")),
        ("space within", good.replace('.', " .")),
        ("quoted", format!("\"{good}\"")),
        ("twice", format!("{good}, {good}")),
    ];
    all.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}

/// Good claims, signed by whom we do not know or not signed at all.
fn unsigned(user: &User, good: &str) -> Vec<Forged> {
    let (claims, header) = (claims(user).to_string(), header().to_string());
    let none = json!({ "typ": "JWT", "alg": "none" }).to_string();
    let signature = good.rsplit('.').next().unwrap();
    let message = |header: &str, claims: &str| format!("{}.{}", base64(header), base64(claims));
    let keyed =
        |kid: &str, key: &[u8]| sign(&json!({ "typ": "JWT", "alg": "HS256", "kid": kid }).to_string(), &claims, key);
    let carried = json!({ "kty": "oct", "alg": "HS256", "k": base64([7_u8; 32]) });
    let carrying = |kid: &str| json!({ "typ": "JWT", "alg": "HS256", "kid": kid, "jwk": carried }).to_string();
    let elsewhere = json!({ "typ": "JWT", "alg": "HS256", "kid": "evil", "jku": "https://evil.example/jwks.json" });
    let long = |algorithm: &str, signed: fn(&[u8], &str) -> Vec<u8>| {
        let message = message(&with(&self::header(), "alg", Some(json!(algorithm))).to_string(), &claims);
        format!("{message}.{}", base64(signed(&SIGNING_KEY, &message)))
    };
    let retired = format!("retired-1:{}", STANDARD.encode([3_u8; 32]));
    let (stranger, _) = KeyRing::generate();
    let all: Vec<(&str, String)> = vec![
        ("alg none, no signature", format!("{}.", message(&none, &claims))),
        ("alg none, our signature", format!("{}.{signature}", message(&none, &claims))),
        ("HS384 under our key", long("HS384", mac::<Hmac<Sha384>>)),
        ("HS512 under our key", long("HS512", mac::<Hmac<Sha512>>)),
        ("empty key", keyed("test-1", b"")),
        ("guessable key", keyed("test-1", b"secret")),
        ("key as base64", keyed("test-1", STANDARD.encode(SIGNING_KEY).as_bytes())),
        ("null key of a path", keyed("../../../../dev/null", b"")),
        ("key of the other kid", keyed("test-1", &OTHER_KEY)),
        ("kid of the other key", keyed("test-2", &SIGNING_KEY)),
        ("stranger's key under our kid", keyed("test-1", &[9; 32])),
        ("stranger's ring", stranger.sign_session(user, START, 3_600)),
        ("key of a retired kid", KeyRing::parse(&retired).unwrap().sign_session(user, START, 3_600)),
        ("key in the header", sign(&carrying("test-1"), &claims, &[7; 32])),
        ("key in the header, kid unknown", sign(&carrying("evil"), &claims, &[7; 32])),
        ("key elsewhere", sign(&elsewhere.to_string(), &claims, &[7; 32])),
        ("header changed", format!("{}.{signature}", message(&none.replace("none", "HS256"), &claims))),
        ("claims changed", format!("{}.{signature}", message(&header, &claims.replace("\"exp\":", "\"exp\": ")))),
        ("alg twice", sign(r#"{"typ":"JWT","alg":"HS256","alg":"none","kid":"test-1"}"#, &claims, &SIGNING_KEY)),
        ("header is no JSON", sign("HS256", &claims, &SIGNING_KEY)),
        ("header is a list", sign("[]", &claims, &SIGNING_KEY)),
        ("claims are no JSON", sign(&header, "sub", &SIGNING_KEY)),
        ("claims are a list", sign(&header, "[]", &SIGNING_KEY)),
        ("claims are null", sign(&header, "null", &SIGNING_KEY)),
        ("no claims", sign(&header, "{}", &SIGNING_KEY)),
        ("claims cut short", sign(&header, &claims[..claims.len() - 1], &SIGNING_KEY)),
        ("padded header", format!("{}=.{}.{signature}", base64(&header), base64(&claims))),
        ("words", "let me in".into()),
        ("null", "null".into()),
    ];
    all.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}

async fn assert_all_refused(nobody: &Actor, tokens: &[Forged]) {
    let mut accepted = Vec::new();
    for (what, token) in tokens {
        let answer = nobody.with_token(token).get("/auth/me").await;
        let refused = (answer.status, answer.str("code")) == (401, "unauthorized");
        if !refused || answer.header("www-authenticate") != Some("Bearer") {
            accepted.push(format!("{what}: {} {}", answer.status, answer.text));
        }
    }
    assert!(accepted.is_empty(), "{} of {}:\n{}", accepted.len(), tokens.len(), accepted.join("\n"));
}

#[tokio::test]
async fn a_forged_token_is_no_session_and_costs_no_call() {
    let (app, nobody, _) = TestApp::start().await;
    let user = with_user(&app, "a@x.io", Role::Admin, None).await;
    let good = jwt(&header(), &claims(&user));
    // What the forgeries are made of is good, or they would prove nothing.
    let second =
        sign(&with(&header(), "kid", Some(json!("test-2"))).to_string(), &claims(&user).to_string(), &OTHER_KEY);
    for good in [&good, &second] {
        nobody.with_token(good).get("/auth/me").await.expect(200);
    }
    let claims = claims(&user);
    let forged = [odd_headers(&claims), odd_claims(&claims), damaged(&good), unsigned(&user, &good)].concat();
    println!("{} forged tokens", forged.len());
    assert!(forged.len() >= 100, "{}", forged.len());
    let calls = app.connector.calls_of(assert_all_refused(&nobody, &forged)).await;
    assert_eq!(calls, 0, "a forged token is told by itself");
}

#[tokio::test]
async fn a_good_token_for_what_is_no_longer_so_is_no_session() {
    let (app, nobody, _) = TestApp::start().await;
    let user = with_user(&app, "a@x.io", Role::Admin, None).await;
    change_user(&app, user.user_id, |user| user.token_version = 5).await;
    let good = with(&claims(&user), "ver", Some(json!(5)));
    nobody.with_token(jwt(&header(), &good)).get("/auth/me").await.expect(200);
    let mut stale: Vec<Forged> = Vec::new();
    for ver in [0, 1, 4, 6, i64::MAX] {
        stale.push((format!("version {ver}"), jwt(&header(), &with(&good, "ver", Some(json!(ver))))));
    }
    for sub in ["00000000-0000-0000-0000-000000000000", &START.new_id().to_string()] {
        stale.push((format!("user {sub}"), jwt(&header(), &with(&good, "sub", Some(json!(sub))))));
    }
    for (what, email) in [("disabled", "off@x.io"), ("deleted", "gone@x.io")] {
        let user = with_user(&app, email, Role::Admin, None).await;
        let token = jwt(&header(), &claims(&user));
        nobody.with_token(&token).get("/auth/me").await.expect(200);
        if what == "disabled" {
            change_user(&app, user.user_id, |user| user.enabled = false).await;
        } else {
            delete_user(&app, user.user_id).await;
        }
        stale.push((what.into(), token));
    }
    let key = format!("rk_{}", "0".repeat(48));
    stale.extend([
        ("an API key's shape".to_owned(), key),
        ("its prefix alone".to_owned(), "rk_".into()),
        ("its prefix before a token".to_owned(), format!("rk_{}", jwt(&header(), &good))),
        ("a revoked API key".to_owned(), revoked_key(&app).await),
    ]);
    assert_all_refused(&nobody, &stale).await;
}

#[tokio::test]
async fn what_opens_another_door_is_no_session() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "new@x.io" })).await.expect(201);
    let session = register(&nobody, "a@x.io").await.expect(201);
    let token = reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    let user = user_of(&app, &session).await;
    let doors = [
        ("a reset token", token.clone()),
        ("a reset token as the signature", format!("{}.{}.{token}", base64(header().to_string()), base64("{}"))),
        ("a temporary password", app.temporary_password("new@x.io")),
        ("a user id", user.user_id.to_string()),
        ("a hash", user.password_hash.unwrap()),
    ];
    let doors: Vec<Forged> = doors.map(|(what, token)| (what.to_owned(), token)).into();
    assert_all_refused(&nobody, &doors).await;
}

#[tokio::test]
async fn a_session_is_shown_in_its_header_and_nowhere_else() {
    let (app, nobody, _) = TestApp::start().await;
    let user = with_user(&app, "a@x.io", Role::Admin, None).await;
    let good = jwt(&header(), &claims(&user));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let request = nobody.request("GET", "/auth/me").header("authorization", format!("{scheme} {good}"));
        nobody.send(request, Body::empty()).await.expect(200);
    }
    let nowhere = [
        ("authorization", good.clone()),
        ("authorization", "Bearer".into()),
        ("authorization", "Bearer ".into()),
        ("authorization", format!("Basic {good}")),
        ("authorization", format!("Token {good}")),
        ("authorization", format!("Basic {}", STANDARD.encode("a@x.io:password"))),
        ("x-authorization", format!("Bearer {good}")),
        ("proxy-authorization", format!("Bearer {good}")),
        ("cookie", format!("token={good}; Authorization=Bearer {good}")),
    ];
    for (name, value) in nowhere {
        let request = nobody.request("GET", "/auth/me").header(name, &value);
        nobody.send(request, Body::empty()).await.refused(401, "unauthorized");
    }
    for parameter in ["token", "access_token"] {
        nobody.get(&format!("/auth/me?{parameter}={good}")).await.refused(401, "unauthorized");
    }
}

/// What `owner` is answered to bodies that are no good, where a body is taken.
async fn answers_to_bad_bodies(owner: &Actor) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    for (method, path) in [("PATCH", "/auth/me"), ("POST", "/auth/change-password")] {
        let fields = json!({ "name": 7, "current_password": 7 }).to_string();
        for (kind, body) in
            [("application/json", "{".to_owned()), ("application/json", fields), ("text/plain", "{}".into())]
        {
            let request = owner.request(method, path).header("content-type", kind);
            let answer = owner.send(request, Body::from(body)).await;
            answers.push((answer.status, answer.str("code").to_owned()));
        }
    }
    answers
}

#[tokio::test]
async fn a_session_is_judged_before_the_body_is() {
    let (app, nobody, admin) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let owner = nobody.with_token(session.str("token"));
    let bad = [(400, "invalid_json"), (400, "invalid_request"), (415, "unsupported_media_type")];
    let told = bad.map(|(status, code)| (status, code.to_owned()));
    assert_eq!(answers_to_bad_bodies(&owner).await, [told.clone(), told.clone()].concat(), "a good one is told");
    owner.post("/auth/logout", json!({})).await.expect(204);
    assert_eq!(answers_to_bad_bodies(&owner).await, vec![(401, "unauthorized".to_owned()); 6]);
    admin.post("/v1/customers", json!({ "email": "new@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let session = nobody.login("new@x.io", &app.temporary_password("new@x.io")).await.expect(200);
    let owner = nobody.with_token(session.str("token"));
    let refused = vec![(403, "password_change_required".to_owned()); 3];
    assert_eq!(answers_to_bad_bodies(&owner).await, [refused, told.to_vec()].concat(), "it opens the second door");
    app.world().await.assert_straight();
}
