//! What was acknowledged: every good answer of a schedule says something that must be in the table
//! at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use harness::world::text;
use harness::{Answer, World};
use serde_json::Value;

use crate::operations::{Op, event_id, keyed_create, keyed_intake, keyed_track, tracked_id};

/// What is known at the moment.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Facts>);

#[derive(Default)]
struct Facts {
    /// Of each reference, number and key: the customer that it was acknowledged for.
    references: BTreeMap<String, String>,
    numbers: BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
    /// The customers that were acknowledged under each id of the caller.
    ids: BTreeMap<u64, BTreeSet<String>>,
    events: BTreeSet<String>,
    /// How often somebody tried to delete, and whom.
    deletes: usize,
    deleted_ids: BTreeSet<u64>,
    /// Uses under a key, by phase, id and key: whether they were acknowledged.
    keyed_uses: BTreeMap<(u64, u64, u64), bool>,
    /// Uses without a key: the sum of those acknowledged, and of those that nobody knows of.
    counted: BTreeMap<u64, u64>,
    unknown: BTreeMap<u64, u64>,
    broken: Vec<String>,
}

impl Ledger {
    /// Says what is going to be asked: it may happen though nobody ever says so.
    pub(crate) fn asked(&self, op: Op, phase: u64) {
        let mut facts = self.lock();
        match op {
            Op::Delete(id) => {
                facts.deletes += 1;
                facts.deleted_ids.insert(id);
            }
            Op::TrackKeyed { id, key } => {
                facts.keyed_uses.entry((phase, id, key)).or_default();
            }
            Op::Track { id, value } => *facts.unknown.entry(id).or_default() += value,
            _ => {}
        }
    }

    /// Says what was answered.
    pub(crate) fn answered(&self, op: Op, phase: u64, answer: &Answer) {
        let mut facts = self.lock();
        if answer.status >= 300 {
            // A refusal changed nothing; after a failure nobody knows.
            if let (Op::Track { id, value }, 300..500) = (op, answer.status) {
                *facts.unknown.entry(id).or_default() -= value;
            }
            return;
        }
        match op {
            Op::Intake { email, keyed } => facts.customer(answer, keyed.then(|| keyed_intake(phase, email))),
            Op::CreateKeyed(n) => facts.customer(answer, Some(keyed_create(phase, n))),
            Op::Create { id, .. } => {
                facts.customer(answer, None);
                if let Some(id) = id {
                    facts.ids.entry(id).or_default().insert(answer.str("internal_id").to_owned());
                }
            }
            Op::Register(_) | Op::Change { .. } => facts.customer(answer, None),
            Op::Event(n) => {
                facts.events.insert(event_id(n));
            }
            Op::Track { id, value } => {
                facts.deducted(answer, value);
                *facts.unknown.entry(id).or_default() -= value;
                *facts.counted.entry(id).or_default() += value;
            }
            Op::TrackKeyed { id, key } => {
                facts.deducted(answer, key + 1);
                facts.keyed_uses.insert((phase, id, key), true);
            }
            _ => {}
        }
    }

    /// The bodies of the uses under a key that nobody has acknowledged yet: their callers ask again.
    pub(crate) fn open_uses(&self) -> Vec<(Op, u64, Value)> {
        let facts = self.lock();
        let open = facts.keyed_uses.iter().filter(|(_, known)| !**known);
        open.map(|((phase, id, key), _)| {
            (Op::TrackKeyed { id: *id, key: *key }, *phase, keyed_track(*phase, *id, *key))
        })
        .collect()
    }

    /// Everything that was acknowledged and is not so.
    pub(crate) fn broken(&self, world: &World) -> Vec<String> {
        let facts = self.lock();
        let mut broken = facts.broken.clone();
        let mut missing = BTreeSet::new();
        for (reference, id) in &facts.references {
            if world.at(&format!("CRN#{reference}")).is_none_or(|guard| text(guard, "owner") != id) {
                broken.push(format!("{reference} was acknowledged for {id}, which does not own it"));
            }
            match world.at(&format!("CUSTOMER#{id}")) {
                Some(customer) if text(customer, "customer_reference") == reference => {}
                Some(_) => broken.push(format!("{id} was acknowledged as {reference} and has another")),
                None => {
                    missing.insert(id);
                }
            }
        }
        if missing.len() > facts.deletes {
            broken.push(format!("{missing:?} are gone, with {} attempts to delete somebody", facts.deletes));
        }
        for number in facts.numbers.keys() {
            if world.at(&format!("NUMBER#{number}")).is_none() {
                broken.push(format!("{number} was acknowledged and is nobody's"));
            }
        }
        for event in &facts.events {
            if world.at(&format!("STRIPE_EVENT#{event}")).is_none() {
                broken.push(format!("{event} was acknowledged and is not recorded"));
            }
        }
        for (id, owners) in facts.ids.iter().filter(|(id, _)| !facts.deleted_ids.contains(*id)) {
            if owners.len() > 1 {
                broken.push(format!("the id i{id} was acknowledged for {owners:?}"));
            }
        }
        broken.extend((0..2).filter_map(|id| facts.miscounted(id, world)));
        broken
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn customer(&mut self, answer: &Answer, key: Option<String>) {
        let names = ["internal_id", "client_id", "customer_v2_id"];
        let id = names.map(|name| answer.str(name)).into_iter().find(|id| !id.is_empty()).unwrap_or_default();
        if id.is_empty() {
            self.broken.push(format!("an answer names no customer: {}", answer.text));
        }
        let reference = Some(answer.str("customer_reference")).filter(|text| !text.is_empty());
        let number = Some(answer.str("customerId")).filter(|text| !text.is_empty());
        let facts = [
            (&mut self.references, reference.map(str::to_owned)),
            (&mut self.numbers, number.map(str::to_owned)),
            (&mut self.keys, key),
        ];
        for (owners, name) in facts {
            let Some(name) = name else { continue };
            let owner = owners.entry(name.clone()).or_insert_with(|| id.to_owned());
            if owner != id {
                self.broken.push(format!("{name} was acknowledged for {owner} and for {id}"));
            }
        }
    }

    fn deducted(&mut self, answer: &Answer, value: u64) {
        if answer.json["deducted"] != value {
            self.broken.push(format!("{value} was asked for: {}", answer.text));
        }
    }

    /// Usage is the exact sum of what was acknowledged, but for what nobody knows of.
    fn miscounted(&self, id: u64, world: &World) -> Option<String> {
        let keyed: u64 = self.keyed_uses.keys().filter(|(_, of, _)| *of == id).map(|(_, _, key)| key + 1).sum();
        let of = |sums: &BTreeMap<u64, u64>| sums.get(&id).copied().unwrap_or_default();
        let least = keyed + of(&self.counted);
        let most = least + of(&self.unknown);
        let used = used_by(world, &tracked_id(id));
        let exact = (least..=most).contains(&used);
        (!exact).then(|| format!("{} used {used}, acknowledged were {least} to {most}", tracked_id(id)))
    }
}

/// What the customer with the caller's `id` has used.
fn used_by(world: &World, id: &str) -> u64 {
    let owner = world.at(&format!("CUSTOMER_ID#{id}")).map(|guard| text(guard, "owner"));
    let balances = world.of("balance").into_iter().filter(|balance| balance["customer_id"].as_str() == owner);
    let buckets = balances.flat_map(|balance| balance["buckets"].as_array().cloned().unwrap_or_default());
    buckets.filter_map(|bucket| bucket["used"].as_u64()).sum()
}
