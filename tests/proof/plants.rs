//! Bugs, planted below the code under test: its requests lose a guard, a condition, a marker, a
//! token on their way to the table.

use std::sync::atomic::{AtomicU64, Ordering};

use harness::connector::Rewrite;
use serde_json::{Value, json};

use crate::probes::{
    APART, CHANGES, DELETION, EVENT, FORGOTTEN_TOKEN, GIVEN, GUESSES, IN_ORDER, KEYED_CREATE, KEYED_TRACK, LOST_TRACK,
    OWN_CHANGE, OWNER, PURGED, SAME_ID, SESSION, STAFF, TAKEN_ADDRESS, TRACKS,
};

/// A bug.
pub(crate) struct Plant {
    pub(crate) name: &'static str,
    /// The probe that is made for it.
    pub(crate) probe: usize,
    what: What,
}

/// Attempts with a token of their own, of every process: no two share one.
static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

/// What a request loses.
enum What {
    /// What a transaction puts at these places, by `pk` and `sk`.
    Write(fn(&str, &str) -> bool),
    /// The conditions on these places, where it is this that carries them: a `Put`, `Delete` or
    /// `ConditionCheck` of a transaction, or a `PutItem` or `DeleteItem` alone.
    Condition(&'static str, fn(&str, &str) -> bool),
    /// The token by which a repeated transaction is known.
    Token,
    /// The mark by which a transaction knows its own items.
    OpId,
    /// Every second draw goes back.
    Counter,
    /// Reads that must be strongly consistent are not.
    Strength,
}

pub(crate) const PLANTS: &[Plant] = &[
    Plant { name: "no guard of a login", probe: SAME_ID, what: What::Write(|pk, _| pk.starts_with("EMAIL#")) },
    Plant { name: "no guard of a reference", probe: SAME_ID, what: What::Write(|pk, _| pk.starts_with("CRN#")) },
    Plant { name: "no guard of a number", probe: SAME_ID, what: What::Write(|pk, _| pk.starts_with("NUMBER#")) },
    Plant { name: "no guard of an id", probe: SAME_ID, what: What::Write(|pk, _| pk.starts_with("CUSTOMER_ID#")) },
    Plant { name: "no user", probe: SAME_ID, what: What::Write(|pk, _| pk.starts_with("USER#")) },
    Plant { name: "no message", probe: SAME_ID, what: What::Write(|pk, _| pk.starts_with("OUTBOX#")) },
    Plant { name: "no list of an address", probe: SAME_ID, what: What::Write(is_list) },
    Plant {
        name: "an id is taken twice",
        probe: APART,
        what: What::Condition("Put", |pk, _| pk.starts_with("CUSTOMER_ID#")),
    },
    Plant {
        name: "a login is taken twice",
        probe: STAFF,
        what: What::Condition("Put", |pk, _| pk.starts_with("EMAIL#")),
    },
    Plant { name: "a list is not compared", probe: TAKEN_ADDRESS, what: What::Condition("Put", is_list) },
    Plant { name: "a version is not compared", probe: CHANGES, what: What::Condition("Put", is_customer) },
    Plant { name: "a deletion compares nothing", probe: DELETION, what: What::Condition("Delete", is_customer) },
    Plant { name: "nobody looks for the owner", probe: PURGED, what: What::Condition("ConditionCheck", is_customer) },
    Plant { name: "an attempt is not compared", probe: GUESSES, what: What::Condition("PutItem", is_attempts) },
    Plant { name: "attempts go, whatever came", probe: OWNER, what: What::Condition("DeleteItem", is_attempts) },
    Plant {
        name: "a balance is not compared",
        probe: TRACKS,
        what: What::Condition("Put", |_, sk| sk.starts_with("BALANCE#")),
    },
    Plant { name: "a token for each attempt", probe: LOST_TRACK, what: What::Token },
    Plant { name: "no op_id", probe: FORGOTTEN_TOKEN, what: What::OpId },
    Plant {
        name: "no idempotency marker",
        probe: KEYED_CREATE,
        what: What::Write(|pk, _| pk.starts_with("IDEMPOTENCY#")),
    },
    Plant { name: "no usage marker", probe: KEYED_TRACK, what: What::Write(|_, sk| sk.starts_with("USAGE#")) },
    Plant { name: "no event marker", probe: EVENT, what: What::Write(|pk, _| pk.starts_with("STRIPE_EVENT#")) },
    Plant { name: "no checkout marker", probe: SESSION, what: What::Write(|pk, _| pk.starts_with("CHECKOUT#")) },
    Plant { name: "no replay", probe: GIVEN, what: What::Write(|pk, _| pk.starts_with("REPLAY#")) },
    Plant {
        name: "an event waits for whoever is there",
        probe: GIVEN,
        what: What::Condition("ConditionCheck", |pk, _| pk.starts_with("STRIPE_CUSTOMER#")),
    },
    Plant { name: "a counter goes back", probe: IN_ORDER, what: What::Counter },
    Plant { name: "reads lag", probe: OWN_CHANGE, what: What::Strength },
];

fn is_list(pk: &str, _: &str) -> bool {
    pk.starts_with("CUSTOMER_EMAIL#")
}

fn is_customer(pk: &str, sk: &str) -> bool {
    pk.starts_with("CUSTOMER#") && sk == "#"
}

fn is_attempts(pk: &str, _: &str) -> bool {
    pk.starts_with("LOGIN#")
}

impl Plant {
    /// What to do to every request.
    pub(crate) fn rewrite(&self) -> Rewrite {
        match self.what {
            What::Write(of) => Box::new(move |_, body| {
                let Some(writes) = writes(body) else { return };
                if writes.iter().all(|write| concerns(&write["Put"], of)) {
                    // A transaction without writes is refused: these go where nobody looks.
                    writes.iter_mut().for_each(lose);
                } else {
                    writes.retain(|write| !concerns(&write["Put"], of));
                }
            }),
            What::Condition(wanted, of) => Box::new(move |operation, body| {
                for (kind, part) in parts(operation, body) {
                    if kind == wanted && concerns(part, of) {
                        overrule_condition(part);
                    }
                }
            }),
            What::Token => forget_tokens(),
            What::OpId => Box::new(|_, body| {
                for write in writes(body).into_iter().flatten() {
                    if let Some(item) = write.pointer_mut("/Put/Item").and_then(Value::as_object_mut) {
                        item.remove("op_id");
                    }
                }
            }),
            What::Counter => go_back(),
            What::Strength => Box::new(weaken),
        }
    }
}

/// Gives every attempt a token of its own: the table has forgotten the earlier one.
pub(crate) fn forget_tokens() -> Rewrite {
    Box::new(|operation, body| {
        if operation == "TransactWriteItems" {
            let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
            body["ClientRequestToken"] = json!(format!("attempt-{attempt}"));
        }
    })
}

fn go_back() -> Rewrite {
    let draws = AtomicU64::new(0);
    Box::new(move |operation, body| {
        let counter = body["Key"]["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("COUNTER#crn"));
        if operation == "UpdateItem" && counter && draws.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            body["ExpressionAttributeValues"][":one"] = json!({ "N": "-1" });
        }
    })
}

fn weaken(operation: &str, body: &mut Value) {
    match operation {
        "GetItem" | "Query" => body["ConsistentRead"] = json!(false),
        "BatchGetItem" => {
            let tables = body.get_mut("RequestItems").and_then(Value::as_object_mut);
            for read in tables.into_iter().flat_map(serde_json::Map::values_mut) {
                read["ConsistentRead"] = json!(false);
            }
        }
        _ => {}
    }
}

fn writes(body: &mut Value) -> Option<&mut Vec<Value>> {
    body.get_mut("TransactItems").and_then(Value::as_array_mut)
}

/// What a request does, each with its kind: the parts of a transaction, or all that it is.
fn parts<'a>(operation: &'a str, body: &'a mut Value) -> Vec<(&'a str, &'a mut Value)> {
    if operation != "TransactWriteItems" {
        return vec![(operation, body)];
    }
    let items = writes(body).into_iter().flatten().filter_map(Value::as_object_mut);
    items.flat_map(serde_json::Map::iter_mut).map(|(kind, part)| (kind.as_str(), part)).collect()
}

/// Whether `part` is about a place that `of` holds for.
fn concerns(part: &Value, of: fn(&str, &str) -> bool) -> bool {
    let place = part.get("Item").unwrap_or(&part["Key"]);
    let text = |name: &str| place[name]["S"].as_str();
    text("pk").zip(text("sk")).is_some_and(|(pk, sk)| of(pk, sk))
}

fn lose(write: &mut Value) {
    let nowhere = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
    write["Put"]["Item"]["pk"] = json!({ "S": format!("NOWHERE#{nowhere}") });
}

/// Makes the condition hold whatever it says. It stays in the request: a check cannot be without one,
/// nor may names and values stand there that nothing uses.
fn overrule_condition(part: &mut Value) {
    if let Some(condition) = part["ConditionExpression"].as_str() {
        let always = format!("({condition}) OR attribute_exists(pk) OR attribute_not_exists(pk)");
        part["ConditionExpression"] = json!(always);
    }
}
