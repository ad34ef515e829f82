//! Requests near a good one, as proptest makes them up and cuts them down.

use std::fmt;

use proptest::arbitrary::any;
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::option;
use proptest::prop_oneof;
use proptest::sample::{Index, select};
use proptest::strategy::{Just, Strategy};
use serde_json::{Value, json};

/// A request to a route.
#[derive(Clone)]
pub(super) struct Attempt {
    /// What stands for a parameter of the path, percent-encoded.
    pub(super) segment: String,
    /// The query with its `?`, or nothing.
    pub(super) query: String,
    /// Who sends it.
    pub(super) who: Who,
    /// What the body is said to be.
    pub(super) content_type: Option<Vec<u8>>,
    /// Further headers.
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    /// Whether a body that must be signed is.
    pub(super) signed: bool,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Attempt {
    /// The request that everything else is near to: of an administrator, with `body`.
    pub(super) fn good(body: &Value) -> Self {
        Self {
            segment: "acme".into(),
            query: String::new(),
            who: Who::Admin,
            content_type: Some(b"application/json".to_vec()),
            headers: Vec::new(),
            signed: true,
            body: body.to_string().into_bytes(),
        }
    }
}

/// As it can be read, and not byte by byte.
impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, text(value))).collect();
        f.debug_struct("Attempt")
            .field("segment", &self.segment)
            .field("query", &self.query)
            .field("who", &self.who)
            .field("content_type", &self.content_type.as_deref().map(text))
            .field("headers", &headers)
            .field("signed", &self.signed)
            .field("body", &text(&self.body))
            .finish()
    }
}

/// Who sends a request.
#[derive(Clone, Debug)]
pub(super) enum Who {
    Nobody,
    Admin,
    /// Somebody with this `Authorization`.
    Garbage(Vec<u8>),
}

/// Texts that have broken parsers before, and some that are good for one field and not for another.
const TEXTS: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "\u{feff}a",
    "\u{202e}live",
    "👩‍👩‍👧",
    "\u{10ffff}",
    "a@x.io",
    "ANA@X.IO ",
    "a@x.io\r\nBcc: b@x.io",
    "customer-1@earlybird.local",
    "PL1",
    "PL0",
    "pl1",
    "PLE-CVP-2026-000001",
    "0190a1c2-0000-7000-8000-000000000001",
    "acme",
    "pro",
    "seats",
    "9876543210",
    "+",
    "-1",
    "1e999",
    "true",
    "active",
    "pending_payment",
    "inactive",
    "' OR 1=1 --",
    "../../etc/passwd",
];

const HEADERS: &[&str] = &[
    "idempotency-key",
    "origin",
    "accept",
    "x-forwarded-for",
    "cookie",
    "stripe-signature",
    "content-encoding",
    "if-none-match",
    "access-control-request-method",
];

const PARAMETERS: &[&str] = &["limit", "cursor", "status", "search", "expand", "cancel_subscriptions", "nonsense"];

/// Requests whose body is near one of `templates`.
pub(super) fn attempts(templates: Vec<Value>) -> impl Strategy<Value = Attempt> {
    let headers = vec((select(HEADERS), header_value()), 0..3);
    let bodies = select(templates).prop_flat_map(bodies);
    let parts = (segments(), queries(), callers(), content_types(), headers, weighted(0.8), bodies);
    parts.prop_map(|(segment, query, who, content_type, headers, signed, body)| Attempt {
        segment,
        query,
        who,
        content_type,
        headers,
        signed,
        body,
    })
}

fn texts() -> impl Strategy<Value = String> {
    let long = ["x".repeat(129), "x".repeat(300), "ü".repeat(1_000), format!("PL{}", "9".repeat(3_000))];
    prop_oneof![
        6 => select(TEXTS).prop_map(str::to_owned),
        2 => select(long.to_vec()),
        2 => vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect::<String>()),
    ]
}

fn segments() -> impl Strategy<Value = String> {
    let reference = format!("PLE-CVP-2026-{}", "0".repeat(3_000));
    let raw = ["..", ".", "%", "%zz", "%ff", "%C0%AF", "%2F", "%00", "", "a/b", ";", reference.as_str()];
    prop_oneof![
        5 => Just("acme".to_owned()),
        2 => select(raw.map(str::to_owned).to_vec()),
        3 => texts().prop_map(|text| encoded(text.as_bytes())),
        1 => vec(any::<u8>(), 1..64).prop_map(|bytes| encoded(&bytes)),
    ]
}

fn queries() -> impl Strategy<Value = String> {
    let raw =
        ["?", "?&&&", "?=", "?%", "?limit", "?limit=%ff", "?limit=1&limit=x", "?cursor=%00", "?expand=invoices,x"];
    let pairs = vec((select(PARAMETERS), texts()), 1..4).prop_map(|pairs| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value.as_bytes()))).collect();
        format!("?{}", pairs.join("&"))
    });
    prop_oneof![
        4 => Just(String::new()),
        3 => pairs,
        1 => select(raw.to_vec()).prop_map(str::to_owned),
    ]
}

fn callers() -> impl Strategy<Value = Who> {
    let token = |bytes: Vec<u8>| Who::Garbage([b"Bearer ".as_slice(), &bytes].concat());
    prop_oneof![
        8 => Just(Who::Admin),
        1 => Just(Who::Nobody),
        1 => header_value().prop_map(Who::Garbage),
        1 => header_value().prop_map(token),
    ]
}

fn content_types() -> impl Strategy<Value = Option<Vec<u8>>> {
    let odd =
        ["", "text/plain", "application/xml", "application/jsonp", "application/json; charset=utf-16", "json", "*/*"];
    prop_oneof![
        9 => Just(Some(b"application/json".to_vec())),
        1 => Just(None),
        1 => select(odd.to_vec()).prop_map(|kind| Some(kind.as_bytes().to_vec())),
        1 => header_value().prop_map(Some),
    ]
}

/// Whatever a header may hold: visible ASCII, tabs, and bytes that are no ASCII.
fn header_value() -> impl Strategy<Value = Vec<u8>> {
    let long = "k".repeat(256).into_bytes();
    let known =
        [b"".to_vec(), b"k".to_vec(), b" ".to_vec(), b"\xff\xfe".to_vec(), b"rk_x".to_vec(), b"a.b.c".to_vec(), long];
    prop_oneof![
        2 => select(known.to_vec()),
        1 => vec(prop_oneof![4 => 0x20_u8..=0x7e, 1 => 0x80_u8..=0xff, 1 => Just(b'\t')], 0..40),
    ]
}

fn bodies(template: Value) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), option::weighted(0.7, values())), 0..4);
    let text = template.to_string().into_bytes();
    let too_long = format!("{{\"name\":\"{}\"}}", "a".repeat(65_536));
    let raw = [
        b"".to_vec(),
        b"null".to_vec(),
        b"[1]".to_vec(),
        b"{".to_vec(),
        b"\0".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"name\":\"\\ud800\"}".to_vec(),
        b"{\"name\":\"\xc0\xaf\"}".to_vec(),
        b"{\"value\":1e999}".to_vec(),
        b"[".repeat(10_000),
        too_long.into_bytes(),
    ];
    prop_oneof![
        12 => changes.prop_map(move |changes| changed(&template, &changes).to_string().into_bytes()),
        1 => any::<Index>().prop_map(move |end| text[..end.index(text.len() + 1)].to_vec()),
        1 => vec(any::<u8>(), 0..200),
        2 => select(raw.to_vec()),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    let known = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e308),
        json!(u64::MAX),
        json!(i64::MIN),
        json!([]),
        json!({}),
        json!([null]),
        json!({ "": { "\0": [] } }),
        nested(15),
        nested(17),
        nested(100),
    ];
    prop_oneof![
        4 => select(known.to_vec()),
        5 => texts().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
    ]
}

/// `template` with some of its values dropped or replaced.
fn changed(template: &Value, changes: &[(Index, Option<Value>)]) -> Value {
    let mut value = template.clone();
    for (index, change) in changes {
        let mut places = Vec::new();
        list_places(&value, String::new(), &mut places);
        let place = index.get(&places);
        match change {
            Some(new) => {
                if let Some(slot) = value.pointer_mut(place) {
                    *slot = new.clone();
                }
            }
            None => drop_place(&mut value, place),
        }
    }
    value
}

fn list_places(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                list_places(value, format!("{place}/{name}"), places);
            }
        }
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                list_places(value, format!("{place}/{n}"), places);
            }
        }
        _ => {}
    }
    places.push(place);
}

fn drop_place(value: &mut Value, place: &str) {
    let Some((parent, name)) = place.rsplit_once('/') else { return };
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(name)),
        Some(Value::Array(values)) => drop(name.parse().ok().map(|n: usize| values.remove(n))),
        _ => {}
    }
}

/// `bytes` as they stand in a path or a query.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            text.push_str(&hex::encode_upper([*byte]));
        }
    }
    text
}
