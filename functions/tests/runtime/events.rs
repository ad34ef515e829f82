//! Events in the form in which AWS sends them: an HTTP API's (payload 2.0), a schedule's, a
//! stream's.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::store::item::Item;

/// Where a request comes from unless it says otherwise.
const SOURCE_IP: &str = "198.51.100.7";

/// A request that API Gateway passes on.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    base64: bool,
    routed: bool,
    source_ip: String,
}

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        let headers = [("host", "api.example.com"), ("user-agent", "test/1"), ("x-forwarded-proto", "https")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let (path, query, source_ip) = (path.into(), String::new(), SOURCE_IP.into());
        Self { method, path, query, headers, body: None, base64: false, routed: true, source_ip }
    }

    /// `GET`.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// `POST` of a JSON body.
    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::post_text(path, body.to_string())
    }

    /// `PATCH` of a JSON body.
    pub(crate) fn patch(path: impl Into<String>, body: &Value) -> Self {
        Self { method: "PATCH", ..Self::post(path, body) }
    }

    /// `PUT` of a JSON body.
    pub(crate) fn put(path: impl Into<String>, body: &Value) -> Self {
        Self { method: "PUT", ..Self::post(path, body) }
    }

    /// `POST` of a body that says it is JSON.
    pub(crate) fn post_text(path: impl Into<String>, body: String) -> Self {
        let request = Self::new("POST", path).header("content-type", "application/json");
        Self { body: Some(body), ..request }
    }

    /// The same with a header, its name in the letters given here.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    /// The same with a session or an API key.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// The same with a query, which is encoded already.
    pub(crate) fn query(self, query: impl Into<String>) -> Self {
        Self { query: query.into(), ..self }
    }

    /// The same as API Gateway passes on what none of its routes takes.
    pub(crate) fn unrouted(self) -> Self {
        Self { routed: false, ..self }
    }

    /// The same from the address `source_ip`.
    pub(crate) fn from(self, source_ip: impl Into<String>) -> Self {
        Self { source_ip: source_ip.into(), ..self }
    }

    /// The same with its body in Base64, as API Gateway sends what it does not take for text.
    pub(crate) fn in_base64(self) -> Self {
        Self { base64: true, ..self }
    }

    /// The event.
    pub(crate) fn event(&self) -> Value {
        let Self { method, path, query, headers, body, base64, routed, source_ip } = self;
        let route_key = if *routed { format!("{method} {path}") } else { "$default".into() };
        let body = body.as_ref().map(|text| if *base64 { STANDARD.encode(text) } else { text.clone() });
        let mut event = json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "abcdefghij",
                "domainName": "api.example.com",
                "domainPrefix": "api",
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": source_ip,
                    "userAgent": "test/1",
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": route_key,
                "stage": "$default",
                "time": "20/Nov/2026:12:00:00 +0000",
                "timeEpoch": 1_795_176_000_000_i64,
            },
            "isBase64Encoded": base64,
        });
        if let Some(body) = body {
            event["body"] = body.into();
        }
        event
    }
}

/// What `EventBridge` sends on a schedule.
pub(crate) fn schedule() -> Value {
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-11-20T12:00:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:events:eu-central-1:123456789012:rule/backfill"],
        "detail": {},
    })
}

/// What the table's stream sends when `items` were inserted.
pub(crate) fn inserted(items: &[Item]) -> Value {
    json!({ "Records": items.iter().enumerate().map(|(n, item)| record(n, item)).collect::<Vec<_>>() })
}

/// The sequence number of the `n`-th record of [`inserted`].
pub(crate) fn sequence_number(n: usize) -> String {
    format!("{}", 100_000_000_000_000_001_u64 + n as u64)
}

fn record(n: usize, item: &Item) -> Value {
    let keys: Item = item.clone().into_iter().filter(|(name, _)| name == "pk" || name == "sk").collect();
    json!({
        "eventID": format!("{n:032x}"),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_795_176_000,
            "Keys": wire(&keys),
            "NewImage": wire(item),
            "SequenceNumber": sequence_number(n),
            "SizeBytes": 512,
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN":
            "arn:aws:dynamodb:eu-central-1:123456789012:table/rollcall/stream/2026-11-20T00:00:00.000",
    })
}

fn wire(item: &Item) -> Value {
    item.iter().map(|(name, value)| (name.clone(), wire_value(value))).collect::<serde_json::Map<_, _>>().into()
}

fn wire_value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(bit) => json!({ "BOOL": bit }),
        AttributeValue::Null(is_null) => json!({ "NULL": is_null }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(wire_value).collect::<Vec<_>>() }),
        AttributeValue::M(fields) => json!({ "M": wire(fields) }),
        other => panic!("our items have no {other:?}"),
    }
}
