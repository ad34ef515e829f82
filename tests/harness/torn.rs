//! A batch read that is no snapshot: some of its keys are read before something happens, and the rest
//! after it.
//!
//! The embedded `DynamoDB` carries out a batch as one request, and nothing ever comes in between. AWS says
//! of `BatchGetItem` that each item is consistent by itself, and no more. What must stay true: the SDK gets
//! one answer, as if there had been one request.

use serde_json::{Value, json};

/// Where a batch is torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tear {
    /// How many keys are on the one side of it.
    at: usize,
    /// Whether these are read after the others.
    backwards: bool,
}

impl Tear {
    /// Only the first key is read at once.
    pub(crate) const AFTER_THE_FIRST: Self = Self { at: 1, backwards: false };

    /// Every tear of a batch of so many keys: of any two, each is the older one in some of them.
    pub fn every(keys: usize) -> impl Iterator<Item = Self> {
        (1..keys).flat_map(|at| [false, true].map(|backwards| Self { at, backwards }))
    }

    /// The two requests that the batch `request` becomes, in the order in which they are sent.
    pub(crate) fn parts(self, request: &[u8]) -> [String; 2] {
        let mut front: Value = serde_json::from_slice(request).expect("a request is JSON");
        let mut back = front.clone();
        let keys = keys_of(&mut front);
        assert!((1..keys.len()).contains(&self.at), "{self:?} of {} keys", keys.len());
        *keys_of(&mut back) = keys.split_off(self.at);
        let parts = if self.backwards { [back, front] } else { [front, back] };
        parts.map(|part| part.to_string())
    }
}

/// The keys of a batch; there is one table.
fn keys_of(request: &mut Value) -> &mut Vec<Value> {
    let tables = request["RequestItems"].as_object_mut().expect("a batch names its tables");
    assert_eq!(tables.len(), 1, "whoever reads from several tables has to be torn otherwise");
    let table = tables.values_mut().next().expect("a table");
    table["Keys"].as_array_mut().expect("a batch names its keys")
}

/// The answers to both parts as the answer to the whole: the items and what is left to read are those of
/// both, what they consumed is added up.
pub(crate) fn merged(first: &[u8], second: &[u8]) -> Vec<u8> {
    let read = |answer: &[u8]| -> Value {
        let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
        assert!(answer["Responses"].is_object(), "a part of a torn batch was refused: {answer}");
        answer
    };
    let (mut all, more) = (read(first), read(second));
    for (table, items) in fields(&more["Responses"]) {
        append(&mut all["Responses"][table], items);
    }
    for (table, left) in fields(&more["UnprocessedKeys"]) {
        let waiting = &mut all["UnprocessedKeys"][table];
        if waiting.is_null() {
            *waiting = left.clone();
        } else {
            append(&mut waiting["Keys"], &left["Keys"]);
        }
    }
    let tables = all.get_mut("ConsumedCapacity").and_then(Value::as_array_mut).into_iter().flatten();
    for (table, again) in tables.zip(more["ConsumedCapacity"].as_array().into_iter().flatten()) {
        let units = [&*table, again].map(|table| table["CapacityUnits"].as_f64().unwrap_or_default());
        table["CapacityUnits"] = json!(units.iter().sum::<f64>());
    }
    all.to_string().into_bytes()
}

/// The answer to a part of a batch as one to the whole that leaves the keys of the request `rest`
/// unprocessed.
pub(crate) fn leaving(part: &[u8], rest: &str) -> Vec<u8> {
    let mut answer: Value = serde_json::from_slice(part).expect("an answer is JSON");
    let rest: Value = serde_json::from_str(rest).expect("a request is JSON");
    answer["UnprocessedKeys"] = rest["RequestItems"].clone();
    answer.to_string().into_bytes()
}

fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn append(all: &mut Value, more: &Value) {
    let more = more.as_array().cloned().unwrap_or_default();
    match all {
        Value::Array(all) => all.extend(more),
        none => *none = Value::Array(more),
    }
}
