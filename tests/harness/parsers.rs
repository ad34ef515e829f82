//! What must hold for whatever bytes a parser is given: the fuzz targets of `tests/fuzz`, callable
//! without them.
//!
//! Each takes any bytes and panics if a property breaks; a parser that panics breaks all of them.
//! Nothing here may depend on the rest of the harness: the fuzz package includes this file by path.

use std::sync::OnceLock;

use axum::body::Body;
use axum::extract::FromRequest;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use functions::endpoints::assign_delivery::AssignDeliveryRequest;
use functions::endpoints::change_password::ChangePasswordRequest;
use functions::endpoints::check::CheckRequest;
use functions::endpoints::create_customer::CreateCustomerRequest;
use functions::endpoints::forgot_password::ForgotPasswordRequest;
use functions::endpoints::intake_submit::IntakeRequest;
use functions::endpoints::issue_credentials::IssueCredentialsRequest;
use functions::endpoints::login::LoginRequest;
use functions::endpoints::put_product::PutProductRequest;
use functions::endpoints::register::RegisterRequest;
use functions::endpoints::reset_password::ResetPasswordRequest;
use functions::endpoints::track::TrackRequest;
use functions::endpoints::update_customer::UpdateCustomerRequest;
use functions::endpoints::update_me::UpdateMeRequest;
use futures::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use shared::app::{App, Parts};
use shared::clock::{Clock, ManualClock, Time};
use shared::config::Settings;
use shared::contact::{Country, EmailAddress, MAX_EMAIL_CHARS, Phone};
use shared::domain::billing::Change;
use shared::domain::product::ProductId;
use shared::http::body::MAX_JSON_BYTES;
use shared::http::fields::FromFields;
use shared::http::{ApiError, FieldError, JsonBody};
use shared::ids::{Crn, CustomerNumber, ExternalId, Identifier, MAX_ID_CHARS};
use shared::notify::Mailer;
use shared::notify::mailbox::Mailbox;
use shared::password::Passwords;
use shared::secret::Secret;
use shared::store::Store;
use shared::store::connect::{Endpoint, client};
use shared::stripe::checkout::Checkout;
use shared::stripe::event::Event;
use shared::stripe::signature::{TOLERANCE_SECONDS, sign, verify};
use shared::token::{ISSUER, KeyRing};

/// When whatever is parsed arrives: 2026-11-20T12:00:00Z.
const NOW: Time = Time::from_unix_seconds(1_795_176_000);

/// The secrets that sign webhooks.
const SECRETS: [&str; 2] = ["whsec_new", "whsec_old"];

/// The key `fuzz-1` of sessions, and how it is configured.
const JWT_KEY: [u8; 32] = [1; 32];
const JWT_KEYS: &str = "fuzz-1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Longer ids of Stripe's are hashed.
const MAX_EVENT_ID_BYTES: usize = 255;

/// A parser's properties, checked for some bytes.
pub type Check = fn(&[u8]);

/// Every fuzz target, by the name of its binary and its corpus.
pub const TARGETS: &[(&str, Check)] = &[
    ("signature", signature),
    ("event", event),
    ("ids", ids),
    ("email", email),
    ("phone", phone),
    ("token", token),
    ("bodies", bodies),
];

/// The `Stripe-Signature` header: `data` is a header, a line feed, and the body it signs.
pub fn signature(data: &[u8]) {
    let (header, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, data),
    };
    let header = String::from_utf8_lossy(header);
    let secrets = SECRETS.map(Secret::new);
    if verify(&header, body, &secrets, NOW).is_ok() {
        assert!(is_genuine(&header, body), "accepted without a signature: {header:?}");
    }
    assert!(verify(&header, body, &[], NOW).is_err(), "accepted without a secret");
    for secret in &secrets {
        let good = sign(body, secret, NOW);
        assert!(verify(&good, body, &secrets, NOW).is_ok(), "our own signature is refused: {good}");
        let longer = [body, &[0]].concat();
        assert!(verify(&good, &longer, &secrets, NOW).is_err(), "it signs a longer body, too");
        let late = NOW.plus_seconds(301);
        assert!(verify(&good, body, &secrets, late).is_err(), "it never grows old");
    }
    let foreign = sign(body, &Secret::new("whsec_of_somebody_else"), NOW);
    assert!(verify(&foreign, body, &secrets, NOW).is_err(), "anybody can sign");
}

/// The rule of Stripe's documentation, written once more.
fn is_genuine(header: &str, body: &[u8]) -> bool {
    let pairs: Vec<(&str, &str)> = header.split(',').filter_map(|pair| pair.trim().split_once('=')).collect();
    let Some((_, timestamp)) = pairs.iter().find(|(name, _)| *name == "t") else { return false };
    let fresh = timestamp.parse::<i64>().is_ok_and(|then| then.abs_diff(NOW.unix_seconds()) <= TOLERANCE_SECONDS);
    let signed = [timestamp.as_bytes(), b".", body].concat();
    let wanted = SECRETS.map(|secret| hex::encode(hmac_sha256(secret.as_bytes(), &signed)));
    let mut given = pairs.iter().filter(|(name, _)| *name == "v1").map(|(_, value)| value.trim().to_ascii_lowercase());
    fresh && given.any(|given| wanted.contains(&given))
}

/// A webhook event.
pub fn event(data: &[u8]) {
    let event = Event::parse(data);
    assert!(!event.id.is_empty() && event.id.len() <= MAX_EVENT_ID_BYTES, "an id that makes no key: {}", event.id);
    assert_eq!(event.id, Event::parse(data).id, "an event has one id");
    assert!(event.kind.as_deref().is_none_or(|kind| kind.chars().count() <= MAX_EVENT_ID_BYTES));
    let (checkout, account) = (event.checkout(), event.account());
    assert!(checkout.is_none() || account.is_none(), "an event of two kinds");
    if let Some(checkout) = checkout {
        assert!(!checkout.session.id.is_empty() && checkout.session.id.len() <= MAX_EVENT_ID_BYTES);
    }
    if let Some(account) = account {
        // As it is parked.
        let text = serde_json::to_string(&account.change).unwrap();
        let back: Change = serde_json::from_str(&text).unwrap();
        assert_eq!(back, account.change, "parking changes an event");
        let created = serde_json::to_value(account.created).unwrap();
        assert_eq!(serde_json::from_value::<Time>(created).unwrap(), account.created);
    }
}

/// Whatever names a customer, a product or an entity.
pub fn ids(data: &[u8]) {
    let (text, settings) = (String::from_utf8_lossy(data), Settings::default());
    let identifier = Identifier::parse(&text, &settings);
    if let Some(identifier) = &identifier {
        assert!(text.len() <= MAX_ID_CHARS, "an identifier that makes no key: {} bytes", text.len());
        let shown = shown(identifier);
        assert_eq!(Identifier::parse(&shown, &settings).as_ref(), Some(identifier), "{shown}");
    }
    match ExternalId::parse(&text, &settings) {
        Ok(id) => {
            assert_eq!(id.as_str(), text);
            assert_eq!(identifier, Some(Identifier::External(id)), "one id, two readings");
        }
        Err(message) => {
            assert!(!message.is_empty());
            assert!(!matches!(identifier, Some(Identifier::External(_))), "refused as an id and taken as a name");
        }
    }
    if let Some(crn) = Crn::parse(&text, &settings.crn_prefix) {
        assert_eq!(crn.as_str(), text);
        assert!(!matches!(identifier, Some(Identifier::External(_) | Identifier::Number(_))));
    }
    if let Some(number) = CustomerNumber::parse_in_any_case(&text, &settings.customer_number_prefix) {
        let again = CustomerNumber::parse(number.as_str(), &settings.customer_number_prefix);
        assert_eq!(again.as_ref(), Some(&number), "the normal form is not normal");
        let lower = number.as_str().to_ascii_lowercase();
        assert_eq!(CustomerNumber::parse_in_any_case(&lower, &settings.customer_number_prefix), Some(number));
    }
    if let Ok(id) = ProductId::parse(&text) {
        assert!(id.as_str() == text && text.len() <= MAX_ID_CHARS);
    }
}

fn shown(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Internal(id) => id.to_string(),
        Identifier::Crn(crn) => crn.to_string(),
        Identifier::Number(number) => number.to_string(),
        Identifier::External(id) => id.to_string(),
    }
}

/// An e-mail address.
pub fn email(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(email) = EmailAddress::parse(&text) else { return };
    let normal = email.as_str();
    assert!(normal.len() <= MAX_EMAIL_CHARS && normal.bytes().all(|byte| byte.is_ascii_graphic()), "{normal:?}");
    assert!(!normal.bytes().any(|byte| byte.is_ascii_uppercase()), "{normal:?}");
    assert_eq!(normal.matches('@').count(), 1, "{normal:?}");
    assert_eq!(EmailAddress::parse(normal).as_ref(), Ok(&email), "the normal form is not normal");
    let other = format!(" \t{}\n", normal.to_ascii_uppercase());
    assert_eq!(EmailAddress::parse(&other).as_ref(), Ok(&email), "case or blanks make another person");
    let domain = normal.rsplit_once('@').map_or("", |(_, domain)| domain);
    assert!(email.is_placeholder(domain), "{normal:?}");
}

/// A phone number, of several countries.
pub fn phone(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let countries = ["IN", "DE", "ES", "CA"].map(|iso| Country::find(iso).unwrap());
    for country in countries {
        let Ok(phone) = Phone::parse(&text, country) else { continue };
        let digits = phone.as_str().strip_prefix('+').expect("E.164 begins with a plus");
        assert!((8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
        assert!(!digits.starts_with('0'), "{digits}");
        for other in countries {
            assert_eq!(Phone::parse(phone.as_str(), other).as_ref(), Ok(&phone), "E.164 depends on the country");
        }
    }
}

/// A session: `data` as a token, as the claims of one that we signed, and as those of one that we
/// did not.
pub fn token(data: &[u8]) {
    let keys = KeyRing::parse(JWT_KEYS).unwrap();
    let text = String::from_utf8_lossy(data);
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": "fuzz-1" }).to_string();
    let genuine = claims(NOW);
    for (header, body) in [(header.as_bytes(), data), (data, genuine.as_bytes())] {
        let signed = signed(header, body, &JWT_KEY);
        for token in [&*text, signed.as_str()] {
            if let Ok(claims) = keys.verify_session(token, NOW) {
                assert!(is_signed(token), "accepted without a signature: {token}");
                assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (ISSUER, ISSUER));
                assert!(claims.exp > NOW.unix_seconds(), "accepted after its end");
            }
        }
        let foreign = self::signed(header, body, &[2; 32]);
        assert!(keys.verify_session(&foreign, NOW).is_err(), "anybody can sign");
    }
    let good = signed(header.as_bytes(), genuine.as_bytes(), &JWT_KEY);
    assert!(keys.verify_session(&good, NOW).is_ok(), "a good session is refused");
    assert!(keys.verify_session(&good, NOW.plus_seconds(3_700)).is_err(), "a session never ends");
}

fn claims(now: Time) -> String {
    let at = now.unix_seconds();
    json!({
        "sub": "0190a1c2-0000-7000-8000-000000000001", "email": "a@x.io", "role": "customer", "ver": 0,
        "iss": ISSUER, "aud": ISSUER, "iat": at, "exp": at + 3_600,
    })
    .to_string()
}

fn signed(header: &[u8], body: &[u8], key: &[u8]) -> String {
    let parts = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(body));
    let signature = URL_SAFE_NO_PAD.encode(hmac_sha256(key, parts.as_bytes()));
    format!("{parts}.{signature}")
}

fn is_signed(token: &str) -> bool {
    let Some((parts, signature)) = token.rsplit_once('.') else { return false };
    let header = parts.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let header: Value = header.and_then(|header| serde_json::from_slice(&header).ok()).unwrap_or_default();
    let right = URL_SAFE_NO_PAD.encode(hmac_sha256(&JWT_KEY, parts.as_bytes()));
    header["alg"] == "HS256" && header["kid"] == "fuzz-1" && signature == right
}

/// The outcome of a body, without what it says.
type Verdict = Result<(), ApiError>;

/// Reads a body as a request of one type.
type Reading = fn(&[u8]) -> Verdict;

/// Every request type, by its name.
pub const BODIES: &[(&str, Reading)] = &[
    ("AssignDeliveryRequest", read::<AssignDeliveryRequest>),
    ("ChangePasswordRequest", read::<ChangePasswordRequest>),
    ("CheckRequest", read::<CheckRequest>),
    ("CreateCustomerRequest", read::<CreateCustomerRequest>),
    ("ForgotPasswordRequest", read::<ForgotPasswordRequest>),
    ("IntakeRequest", read::<IntakeRequest>),
    ("IssueCredentialsRequest", read::<IssueCredentialsRequest>),
    ("LoginRequest", read::<LoginRequest>),
    ("PutProductRequest", read::<PutProductRequest>),
    ("RegisterRequest", read::<RegisterRequest>),
    ("ResetPasswordRequest", read::<ResetPasswordRequest>),
    ("TrackRequest", read::<TrackRequest>),
    ("UpdateCustomerRequest", read::<UpdateCustomerRequest>),
    ("UpdateMeRequest", read::<UpdateMeRequest>),
];

/// A request body, as every request type.
pub fn bodies(data: &[u8]) {
    let object: Option<Value> = serde_json::from_slice(data).ok().filter(Value::is_object);
    let mut retold = Vec::new();
    if let Some(mut object) = object {
        retold.push(object.to_string());
        object["nobody knows this field"] = Value::Null;
        retold.push(object.to_string());
    }
    retold.retain(|text| text.len() <= MAX_JSON_BYTES);
    for (name, read) in BODIES {
        let verdict = complaints(name, read(data));
        for text in &retold {
            assert_eq!(verdict, complaints(name, read(text.as_bytes())), "{name}: told otherwise it is another");
        }
    }
}

/// What is wrong with a body, in a form that can be compared: fields, or the code.
fn complaints(name: &str, verdict: Verdict) -> Option<(&'static str, Vec<FieldError>)> {
    let error = verdict.err()?;
    let (status, code) = error.code();
    assert!(status.is_client_error(), "{name}: {error:?}");
    match error {
        ApiError::InvalidRequest(errors) => {
            let told = errors.iter().all(|error| !error.field.is_empty() && !error.message.is_empty());
            assert!(told && !errors.is_empty(), "{name}: refused without a reason");
            Some((code, errors))
        }
        ApiError::InvalidJson(_) | ApiError::PayloadTooLarge => Some((code, Vec::new())),
        other => panic!("{name}: {other:?}"),
    }
}

/// Reads `data` as a handler is given it.
fn read<T: FromFields>(data: &[u8]) -> Verdict {
    let request = Request::builder().method("POST").header("content-type", "application/json");
    let request = request.body(Body::from(data.to_vec())).unwrap();
    let read = JsonBody::<T>::from_request(request, app()).now_or_never();
    read.expect("a body in memory is read at once").map(drop)
}

/// An app for its settings; nobody calls its store.
fn app() -> &'static App {
    static APP: OnceLock<App> = OnceLock::new();
    APP.get_or_init(|| {
        let clock = Clock::Manual(ManualClock::at(NOW));
        App::new(Parts {
            settings: Settings::default(),
            store: Store::new(client(&Endpoint::local("http://127.0.0.1:9")), "nobody"),
            keys: KeyRing::parse(JWT_KEYS).unwrap(),
            passwords: Passwords::new(1),
            webhook_secrets: Vec::new(),
            checkout: Checkout::None,
            stripe: None,
            mailer: Mailer::Mailbox(Mailbox::in_memory(clock.clone())),
            clock,
        })
    })
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().into()
}
