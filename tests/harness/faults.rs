//! What can go wrong between the SDK and `DynamoDB`, and when.
//!
//! This module only decides and words the answers; `connector` carries them out. What must
//! stay true: a refusal looks to the SDK like the real one (status, `__type`, one cancellation
//! reason per item and in the order of the items), and every attempt advances every counter,
//! so that "the third call" means the third HTTP attempt whatever happened to the first two.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// What happens to one HTTP attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The connection fails; nothing is sent. To the SDK as ambiguous as a lost answer.
    Before,
    /// The request is carried out, its answer lost: a read timeout, which the SDK retries.
    LostAnswer,
    /// As `LostAnswer`, and so is every later attempt with the same bytes, until
    /// `Connector::heal`. Each is sent: a transaction applies once thanks to its token, a bare
    /// `ADD` applies again, as on AWS.
    LostAnswerUntilGivenUp,
    /// 400 `ProvisionedThroughputExceededException`, nothing sent. The SDK retries.
    Throttle,
    /// A transaction cancelled because one of its items is throttled, which the SDK does not
    /// retry; for other operations the same as `Throttle`. Nothing sent.
    TransactionThrottled,
    /// A transaction cancelled because one of its items is in another transaction (the item at
    /// `sequence` modulo their number); for other operations `TransactionConflictException`.
    /// Nothing sent; the SDK retries neither.
    TransactionConflict,
    /// 400 `TransactionInProgressException`: the token's first request still runs. Nothing
    /// sent. The SDK retries.
    TransactionInProgress,
    /// 500 `InternalServerError`, nothing sent. The SDK retries.
    InternalError,
    /// The request is carried out and then answered with a 500.
    InternalErrorAfter,
    /// The request is carried out at once and its answer held back, so that an attempt timeout
    /// shorter than this makes it ambiguous.
    Slow(Duration),
    /// The request reaches the table twice, as when something on the way sends it again. The first
    /// answer counts; the second request is carried out before that is given.
    Twice,
    /// What `DynamoDB` may do to any read that is not strongly consistent: it answers what was
    /// there the last time somebody asked the same. An index that was never asked so is empty.
    /// Strongly consistent reads, and writes, pass unharmed, and do not count as a fault.
    Stale,
    /// What `DynamoDB` may do to a read of several keys, which this must be: it reads the first one and
    /// leaves the others to be asked for again.
    Unprocessed,
    /// The process dies at this call: the attempt never returns. See `run_until_killed`.
    Kill {
        /// Whether the request is carried out before the death, or never sent.
        after: bool,
    },
}

impl Kind {
    /// What can happen to any call, and is over with it.
    pub const EACH: [Self; 11] = [
        Self::Kill { after: false },
        Self::Kill { after: true },
        Self::Before,
        Self::LostAnswer,
        Self::InternalError,
        Self::InternalErrorAfter,
        Self::Throttle,
        Self::TransactionConflict,
        Self::TransactionInProgress,
        Self::Twice,
        Self::Stale,
    ];
}

/// Which attempts a fault is for. Counted from 1, from the moment of `Connector::inject`.
pub enum When {
    /// The n-th attempt, once.
    Call(u64),
    /// The n-th attempt of the named operation (`"TransactWriteItems"`), once.
    Operation(&'static str, u64),
    /// Every attempt for which this holds, until `Connector::reset`. Must not call the
    /// connector, which is locked meanwhile.
    Every(Box<dyn Fn(&CallInfo<'_>) -> bool + Send + Sync>),
}

/// A fault to inject. Where two meet in one call, the one injected first happens and the
/// other is spent.
pub struct Fault {
    /// The attempts it is for.
    pub at: When,
    /// What happens to them.
    pub kind: Kind,
}

/// One attempt as a predicate sees it, after any rewriting.
#[derive(Clone, Copy, Debug)]
pub struct CallInfo<'a> {
    /// Its number since the connector was made, from 1.
    pub sequence: u64,
    /// The operation, as in `TransactWriteItems`.
    pub operation: &'a str,
    /// The bytes of the request.
    pub body: &'a [u8],
}

impl CallInfo<'_> {
    /// The request as JSON; `Null` if it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }
}

/// Decides on an attempt by itself; what `Connector::inject_with` takes.
type Decide = Box<dyn Fn(&CallInfo<'_>) -> Option<Kind> + Send + Sync>;

/// The faults of one test, with their counters.
#[derive(Default)]
pub(crate) struct Plan {
    armed: Vec<Armed>,
    /// Operation and bytes of requests whose answers are lost until the network heals.
    unanswered: Vec<(String, Vec<u8>)>,
    fired: Vec<Kind>,
}

enum Armed {
    Once { operation: Option<&'static str>, left: u64, kind: Kind },
    Always(Decide),
}

impl Plan {
    pub(crate) fn arm(&mut self, Fault { at, kind }: Fault) {
        let (operation, n) = match at {
            When::Call(n) => (None, n),
            When::Operation(name, n) => (Some(name), n),
            When::Every(holds) => {
                return self.arm_with(Box::new(move |call| holds(call).then_some(kind)));
            }
        };
        assert!(n > 0, "calls are counted from 1");
        self.armed.push(Armed::Once { operation, left: n, kind });
    }

    pub(crate) fn arm_with(&mut self, decide: Decide) {
        self.armed.push(Armed::Always(decide));
    }

    pub(crate) fn heal(&mut self) {
        self.unanswered.clear();
    }

    /// What came to pass. An answer that stays lost is one fault, however often it is asked for.
    pub(crate) fn fired(&self) -> &[Kind] {
        &self.fired
    }

    /// Takes back that the last fault of `kind` came to pass: there was nothing for it to harm.
    pub(crate) fn spare(&mut self, kind: Kind) {
        if let Some(last) = self.fired.iter().rposition(|fired| *fired == kind) {
            self.fired.remove(last);
        }
    }

    /// The fate of this attempt. To be asked exactly once for each.
    pub(crate) fn decide(&mut self, call: &CallInfo<'_>) -> Option<Kind> {
        let mut decided = None;
        self.armed.retain_mut(|armed| {
            let (hit, keep) = match armed {
                Armed::Always(decide) => (decide(call), true),
                Armed::Once { operation, .. } if operation.is_some_and(|o| o != call.operation) => (None, true),
                Armed::Once { left, kind, .. } => {
                    *left -= 1;
                    ((*left == 0).then_some(*kind), *left > 0)
                }
            };
            decided = decided.or(hit);
            keep
        });
        self.fired.extend(decided);

        let unanswered = self.unanswered.iter().any(|(o, body)| o == call.operation && body == call.body);
        if unanswered {
            decided = decided.or(Some(Kind::LostAnswer));
        } else if decided == Some(Kind::LostAnswerUntilGivenUp) {
            self.unanswered.push((call.operation.to_owned(), call.body.to_owned()));
        }
        decided
    }
}

/// 200 with this body.
pub(crate) fn answered(body: Vec<u8>) -> HttpResponse {
    respond(200, SdkBody::from(body))
}

/// 400 `ProvisionedThroughputExceededException`.
pub(crate) fn throttled() -> HttpResponse {
    answer(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "message": "The level of configured provisioned throughput for the table was exceeded.",
        }),
    )
}

/// 400 `TransactionInProgressException`.
pub(crate) fn in_progress() -> HttpResponse {
    answer(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionInProgressException",
            "Message": "The transaction with the given request token is already in progress.",
        }),
    )
}

/// 500 `InternalServerError`.
pub(crate) fn internal_error() -> HttpResponse {
    answer(
        500,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
            "message": "The request processing has failed because of an unknown error.",
        }),
    )
}

/// A transaction cancelled with `ThrottlingError` for one item; else as `throttled`.
pub(crate) fn transaction_throttled(call: &CallInfo<'_>) -> HttpResponse {
    cancelled(call, "ThrottlingError", "Throughput exceeds the current capacity of your table.")
        .unwrap_or_else(throttled)
}

/// A transaction cancelled with `TransactionConflict` for one item; else
/// `TransactionConflictException`.
pub(crate) fn conflict(call: &CallInfo<'_>) -> HttpResponse {
    let message = "Transaction is ongoing for the item";
    cancelled(call, "TransactionConflict", message).unwrap_or_else(|| {
        answer(
            400,
            &json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
                "message": message,
            }),
        )
    })
}

/// `TransactionCanceledException` with this reason for one item of the transaction and none for
/// the others; `None` if the call is no transaction.
fn cancelled(call: &CallInfo<'_>, code: &str, message: &str) -> Option<HttpResponse> {
    let items = call.json()["TransactItems"].as_array().map(Vec::len).filter(|n| *n > 0)?;
    let refused = usize::try_from(call.sequence).unwrap_or_default() % items;
    let code_of = |item| if item == refused { code } else { "None" };
    let codes: Vec<&str> = (0..items).map(code_of).collect();
    let reasons: Vec<Value> = codes
        .iter()
        .map(|&c| if c == "None" { json!({"Code": c}) } else { json!({"Code": c, "Message": message}) })
        .collect();
    Some(answer(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": format!(
                "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
                codes.join(", "),
            ),
            "CancellationReasons": reasons,
        }),
    ))
}

/// No `x-amz-crc32`: it is optional, and a wrong one makes some SDKs discard the answer.
fn answer(status: u16, body: &Value) -> HttpResponse {
    respond(status, SdkBody::from(body.to_string()))
}

#[expect(clippy::expect_used, reason = "called with 200, 400 and 500 only")]
fn respond(status: u16, body: SdkBody) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status code");
    let mut response = HttpResponse::new(status, body);
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
