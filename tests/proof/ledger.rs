//! What was acknowledged: every good answer of a schedule says something that must be in the table
//! at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use harness::world::text;
use harness::{Answer, World};
use serde_json::Value;

use crate::events::{Tells, event_id, not_applied, payment, reference, tells};
use crate::operations::{Change, Op, is_own_id, keyed_create, keyed_intake, keyed_track, tracked_id};

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
    /// The ids of the caller under which somebody was, or may have been, created without an answer:
    /// how often.
    unknown_ids: BTreeMap<u64, usize>,
    /// Those whose holder was deleted, or may have been: how often.
    deletes: BTreeMap<u64, usize>,
    /// Those whose holder somebody tried to shut out.
    shut_out: BTreeSet<u64>,
    /// The events that were acknowledged.
    events: BTreeSet<u64>,
    /// Whom the reference that an event names was known to be of before anybody sent it.
    named: BTreeMap<u64, Option<String>>,
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
            Op::Delete(id) => *facts.deletes.entry(id).or_default() += 1,
            Op::Create { id: Some(id), .. } => *facts.unknown_ids.entry(id).or_default() += 1,
            Op::Change { id, what: Change::Inactive } => {
                facts.shut_out.insert(id);
            }
            Op::Event(n) => {
                let known = facts.references.get(&reference(n)).cloned();
                facts.named.entry(n).or_insert(known);
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
        // After a failure nobody knows; a refusal changed nothing.
        match (op, answer.status) {
            (_, 500..) => return,
            (Op::Track { id, value }, _) => *facts.unknown.entry(id).or_default() -= value,
            (Op::Create { id: Some(id), .. }, _) => *facts.unknown_ids.entry(id).or_default() -= 1,
            (Op::Delete(id), 300..) => *facts.deletes.entry(id).or_default() -= 1,
            _ => {}
        }
        if answer.status >= 300 {
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
                facts.events.insert(n);
            }
            Op::Track { id, value } => {
                facts.deducted(answer, value);
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
        let deletes: usize = facts.deletes.values().sum();
        if missing.len() > deletes {
            broken.push(format!("{missing:?} are gone, with {deletes} attempts to delete somebody"));
        }
        for id in missing.into_iter().filter(|id| !facts.may_be_deleted(id)) {
            broken.push(format!("{id} is gone, and nobody tried to delete them"));
        }
        for number in facts.numbers.keys() {
            if world.at(&format!("NUMBER#{number}")).is_none() {
                broken.push(format!("{number} was acknowledged and is nobody's"));
            }
        }
        broken.extend(facts.events.iter().filter_map(|event| facts.lost(*event, world)));
        for (id, owners) in &facts.ids {
            if owners.len() > 1 && facts.deletes.get(id).is_none_or(|times| *times == 0) {
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

    /// Whether a request that was acknowledged, or of which nobody knows, may have deleted the customer
    /// `id`. Whom it meant is known unless some creation under that name was never answered.
    fn may_be_deleted(&self, id: &str) -> bool {
        let mut names = self.deletes.iter().filter(|(_, times)| **times > 0).map(|(name, _)| name);
        names.any(|name| {
            let known = self.ids.get(name).is_some_and(|owners| owners.contains(id));
            known || self.unknown_ids.get(name).is_some_and(|times| *times > 0)
        })
    }

    /// What is not so though the event `n` was acknowledged.
    fn lost(&self, n: u64, world: &World) -> Option<String> {
        let id = event_id(n);
        let Some(marker) = world.at(&format!("STRIPE_EVENT#{id}")) else {
            return Some(format!("{id} was acknowledged and is not recorded"));
        };
        match tells(n) {
            Tells::Expired => None,
            Tells::Paid => self.not_counted(n, text(marker, "outcome"), world),
            _ => not_applied(n, world),
        }
    }

    /// Whoever has paid is a customer and can sign in, unless they were shut out or deleted. Only a
    /// reference that nobody had yet, or has any more, excuses that a payment was not counted.
    fn not_counted(&self, n: u64, outcome: &str, world: &World) -> Option<String> {
        let event = event_id(n);
        let Some(payment) = payment(n, world) else {
            let known = self.named.get(&n).and_then(Option::as_deref);
            let nobody = outcome == "no such customer" && known.is_none_or(|id| self.may_be_deleted(id));
            return (!nobody).then(|| format!("{event} was acknowledged ({outcome}) and its payment is not counted"));
        };
        let id = text(payment, "customer_id");
        let Some(customer) = world.at(&format!("CUSTOMER#{id}")) else {
            let deleted = self.may_be_deleted(id);
            return (!deleted)
                .then(|| format!("{event} was paid by {id}, who is gone, and nobody tried to delete them"));
        };
        let shut_out = self.shut_out.iter().any(|name| is_own_id(*name, text(customer, "id")));
        let active = match text(customer, "status") {
            "active" => true,
            "inactive" => shut_out,
            _ => false,
        };
        let served = active && customer["user_id"].is_string() && text(customer, "customer_reference") == reference(n);
        (!served).then(|| format!("{event} was acknowledged, and this is who paid: {customer}"))
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
