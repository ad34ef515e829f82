//! Reads that may lag behind the table, and what they were answered before.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::faults::CallInfo;

/// A read that is not strongly consistent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    operation: String,
    body: Vec<u8>,
    /// Whether it asks an index.
    index: bool,
}

impl Question {
    /// The question that `call` asks; `None` if its answer cannot lag.
    pub(crate) fn of(call: &CallInfo<'_>) -> Option<Self> {
        if !["GetItem", "Query", "Scan", "BatchGetItem"].contains(&call.operation) {
            return None;
        }
        let body = call.json();
        let index = body["IndexName"].is_string();
        (index || may_lag(call.operation, &body)).then(|| Self {
            operation: call.operation.to_owned(),
            body: call.body.to_owned(),
            index,
        })
    }
}

fn may_lag(operation: &str, body: &Value) -> bool {
    let strong = |read: &Value| read["ConsistentRead"] == true;
    if operation == "BatchGetItem" {
        let tables = body["RequestItems"].as_object();
        return tables.into_iter().flat_map(serde_json::Map::values).any(|read| !strong(read));
    }
    !strong(body)
}

/// The last answer to every such question.
#[derive(Default)]
pub(crate) struct Answers(HashMap<Question, Vec<u8>>);

impl Answers {
    pub(crate) fn keep(&mut self, question: Question, answer: Vec<u8>) {
        self.0.insert(question, answer);
    }

    /// What was answered before: nothing, if an index was never asked; `None` lets it be asked now.
    pub(crate) fn earlier(&self, question: &Question) -> Option<Vec<u8>> {
        let nothing = || json!({ "Items": [], "Count": 0, "ScannedCount": 0 }).to_string().into_bytes();
        self.0.get(question).cloned().or_else(|| question.index.then(nothing))
    }
}
