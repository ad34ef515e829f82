//! What a recording tells: how long somebody waits, and what the calls consume, as `DynamoDB` says
//! itself when it is asked.
//!
//! The embedded `DynamoDB` counts by the rules of the real one: a strongly consistent read is a
//! unit for each 4 KiB of an item and one for an item that is not there, an eventually consistent
//! one half of that; a write is a unit for each KiB of the larger of the two pictures, twice that
//! in a transaction, condition checks included; an index whose entry is written costs a unit for
//! each KiB of the entry, two where the entry moves, and is not doubled.

use serde_json::Value;

use crate::connector::{Call, Recording};

/// Makes a request ask what it consumes, indexes included.
pub(crate) fn ask(request: &mut Value) {
    request["ReturnConsumedCapacity"] = "TOTAL".into();
}

/// The units that an answer says were consumed.
pub(crate) fn consumed(answer: &[u8]) -> f64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let units = |table: &Value| table["CapacityUnits"].as_f64().unwrap_or(0.0);
    match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().map(units).sum(),
        table => units(table),
    }
}

impl Recording {
    /// The length of the longest chain of calls each of which started after the one before had
    /// finished: what a person waits for. Calls that overlap count once.
    #[must_use]
    pub fn sequential_round_trips(&self) -> usize {
        let mut by_end: Vec<&Call> = self.calls.iter().collect();
        by_end.sort_by_key(|call| call.finished);
        // Taking the earliest end each time gives the longest chain.
        let (mut length, mut end) = (0, 0);
        for call in by_end {
            if call.started > end {
                length += 1;
                end = call.finished;
            }
        }
        length
    }

    /// The names of the operations, in the order they started.
    #[must_use]
    pub fn operations(&self) -> Vec<&str> {
        self.calls.iter().map(|call| call.operation.as_str()).collect()
    }

    /// The read capacity units of all calls.
    pub fn read_units(&self) -> f64 {
        self.units_of(reads)
    }

    /// The write capacity units of all calls.
    pub fn write_units(&self) -> f64 {
        self.units_of(|operation| !reads(operation))
    }

    fn units_of(&self, wanted: impl Fn(&str) -> bool) -> f64 {
        // The sum of nothing is a negative zero.
        self.calls.iter().filter(|call| wanted(&call.operation)).map(|call| call.units).sum::<f64>() + 0.0
    }
}

fn reads(operation: &str) -> bool {
    matches!(operation, "GetItem" | "BatchGetItem" | "Query" | "Scan" | "TransactGetItems")
}
