//! What was used of what is counted: exactly what was acknowledged, but for what nobody knows of.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use harness::world::text;
use harness::{Answer, World};
use serde_json::Value;

use crate::operations::{Op, keyed_track, tracked_id};

/// What is known at the moment.
#[derive(Default)]
pub(crate) struct Uses {
    /// Under a key, by phase, id and key: whether they were acknowledged.
    keyed: BTreeMap<(u64, u64, u64), bool>,
    /// Without a key: the sum of those acknowledged, and of those that nobody knows of.
    counted: BTreeMap<u64, u64>,
    unknown: BTreeMap<u64, u64>,
    /// What was used at least when a check was asked for, by the moment of that.
    checks: BTreeMap<u64, u64>,
}

impl Uses {
    /// Says what is asked at the moment `at`.
    pub(crate) fn asked(&mut self, op: Op, phase: u64, at: u64) {
        match op {
            Op::TrackKeyed { id, key } => {
                self.keyed.entry((phase, id, key)).or_default();
            }
            Op::Track { id, value } => *self.unknown.entry(id).or_default() += value,
            Op::Check(id) => {
                let least = *self.of(id).start();
                self.checks.insert(at, least);
            }
            _ => {}
        }
    }

    /// Says that there is an answer, and which it is where it is good; answers what is wrong with it.
    pub(crate) fn answered(&mut self, op: Op, phase: u64, at: u64, good: Option<&Answer>) -> Option<String> {
        if let Op::Track { id, value } = op {
            *self.unknown.entry(id).or_default() -= value;
        }
        let answer = good?;
        match op {
            Op::Track { id, value } => {
                *self.counted.entry(id).or_default() += value;
                deducted(answer, value)
            }
            Op::TrackKeyed { id, key } => {
                self.keyed.insert((phase, id, key), true);
                deducted(answer, key + 1)
            }
            Op::Check(id) => {
                let (least, most) = (self.checks.remove(&at).unwrap_or_default(), *self.of(id).end());
                let used = answer.json["balance"]["usage"].as_u64().unwrap_or(u64::MAX);
                let right = answer.json["allowed"] == true && (least..=most).contains(&used);
                (!right).then(|| format!("{} had used {least} to {most}: {}", tracked_id(id), answer.text))
            }
            _ => None,
        }
    }

    /// The uses under a key that nobody has acknowledged yet, with their phases and bodies.
    pub(crate) fn open(&self) -> Vec<(Op, u64, Value)> {
        let open = self.keyed.iter().filter(|(_, known)| !**known).map(|(place, _)| *place);
        open.map(|(phase, id, key)| (Op::TrackKeyed { id, key }, phase, keyed_track(phase, id, key))).collect()
    }

    /// What is not counted as it was acknowledged.
    pub(crate) fn miscounted(&self, world: &World) -> Vec<String> {
        let found = (0..2).map(|id| (tracked_id(id), self.of(id))).map(|(id, known)| (used_by(world, &id), id, known));
        let wrong = found.filter(|(used, _, known)| !known.contains(used));
        wrong.map(|(used, id, known)| format!("{id} used {used}, acknowledged were {known:?}")).collect()
    }

    /// What was used at least, and at most, of what was asked for until now.
    fn of(&self, id: u64) -> RangeInclusive<u64> {
        let of = |sums: &BTreeMap<u64, u64>| sums.get(&id).copied().unwrap_or_default();
        let keyed = |known: bool| {
            let uses = self.keyed.iter().filter(|((_, of, _), answered)| *of == id && **answered == known);
            uses.map(|((_, _, key), _)| key + 1).sum::<u64>()
        };
        let least = of(&self.counted) + keyed(true);
        least..=least + of(&self.unknown) + keyed(false)
    }
}

fn deducted(answer: &Answer, value: u64) -> Option<String> {
    (answer.json["deducted"] != value).then(|| format!("{value} was asked for: {}", answer.text))
}

/// What the customer with the caller's `id` has used.
fn used_by(world: &World, id: &str) -> u64 {
    let owner = world.at(&format!("CUSTOMER_ID#{id}")).map(|guard| text(guard, "owner"));
    let balances = world.of("balance").into_iter().filter(|balance| balance["customer_id"].as_str() == owner);
    let buckets = balances.flat_map(|balance| balance["buckets"].as_array().cloned().unwrap_or_default());
    buckets.filter_map(|bucket| bucket["used"].as_u64()).sum()
}
