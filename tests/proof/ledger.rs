//! What was acknowledged: every good answer of a schedule says something that must be in the table
//! at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use harness::world::text;
use harness::{Answer, TestApp, World};
use serde_json::Value;

use crate::accounts::{Accounts, Pass, link, may_enter};
use crate::events::{Tells, event_id, not_applied, payment, pays, reference, tells};
use crate::operations::{Change, Op, is_own_id, keyed_create, keyed_intake};
use crate::process::Process;
use crate::uses::Uses;
use crate::words::{What, Words};

/// What is known at the moment.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Facts>);

/// A step that is asked for.
pub(crate) struct Asked {
    op: Op,
    phase: u64,
    pub(crate) pass: Option<Pass>,
    /// When.
    at: u64,
}

#[derive(Default)]
struct Facts {
    /// Every customer that was acknowledged.
    customers: BTreeSet<String>,
    /// Of each reference, number and key: the customer that it was acknowledged for.
    references: BTreeMap<String, String>,
    numbers: BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
    /// The customers that were acknowledged under each id of the caller, and since when.
    ids: BTreeMap<u64, BTreeMap<String, u64>>,
    /// The ids of the caller under which somebody was, or may have been, created without an answer:
    /// how often.
    unknown_ids: BTreeMap<u64, usize>,
    /// Those whose holder was deleted, or may have been: how often.
    deletes: BTreeMap<u64, usize>,
    /// How many deletions were acknowledged, and of whom it is known.
    deleted: usize,
    gone: BTreeSet<String>,
    /// Those whose holder somebody tried to shut out.
    shut_out: BTreeSet<u64>,
    /// The events that were acknowledged.
    events: BTreeSet<u64>,
    /// Whom the reference that an event names was known to be of before anybody sent it.
    named: BTreeMap<u64, Option<String>>,
    uses: Uses,
    /// What was set, and to what.
    words: Words,
    accounts: Accounts,
    broken: Vec<String>,
}

impl Ledger {
    /// Says what is going to be asked: it may happen though nobody ever says so.
    pub(crate) async fn asked(&self, op: Op, phase: u64, app: &TestApp) -> Asked {
        let pass = match op {
            Op::Reset(person) => link(app, person).await,
            Op::Login { person, .. }
            | Op::Forgot(person)
            | Op::Password(person)
            | Op::Details { person, .. }
            | Op::Logout(person) => self.lock().accounts.session(person),
            _ => None,
        };
        let at = self.lock().asked(op, phase, pass.as_ref());
        Asked { op, phase, pass, at }
    }

    /// Says what was answered.
    pub(crate) fn answered(&self, asked: &Asked, answer: &Answer) {
        self.lock().answered(asked, answer);
    }

    /// The uses under a key that nobody has acknowledged yet: their callers ask again.
    pub(crate) fn open_uses(&self) -> Vec<(Op, u64, Value)> {
        self.lock().uses.open()
    }

    /// Everything that was acknowledged and is not so.
    pub(crate) fn broken(&self, world: &World) -> Vec<String> {
        let facts = self.lock();
        let mut broken = facts.broken.clone();
        broken.extend(facts.misnamed(world));
        broken.extend(facts.misdeleted(world));
        broken.extend(facts.events.iter().filter_map(|event| facts.lost(*event, world)));
        broken.extend(facts.uses.miscounted(world));
        broken.extend(facts.overruled(world));
        broken.extend(facts.barred(world));
        broken.extend(facts.accounts.broken(world));
        broken
    }

    /// Whoever has chosen a password and cannot sign in with it, nor with another that may have been set.
    pub(crate) async fn locked_out(&self, process: &Process, world: &World) -> Vec<String> {
        let mut broken = Vec::new();
        for (user, passwords) in self.passwords() {
            let login = world.at(&format!("USER#{user}")).filter(|login| login["enabled"] == true);
            let Some(login) = login else { continue };
            let mut lets_in = false;
            // Each from an address of its own, which has not failed: nobody locks an owner out.
            for (host, password) in (1_u8..).zip(&passwords) {
                let answer = process.nobody.login_from([203, 0, 113, host], text(login, "email"), password).await;
                lets_in |= answer.status == 200;
            }
            if !lets_in {
                broken.push(format!("{passwords:?} was acknowledged as a password, and does not let in: {login}"));
            }
        }
        broken
    }

    /// By user: the passwords of which one has to let them in.
    fn passwords(&self) -> Vec<(String, Vec<String>)> {
        let facts = self.lock();
        let standing = |user| facts.words.standing(What::Password, user).into_iter().map(str::to_owned).collect();
        let users = facts.words.known(What::Password).into_iter();
        users.map(|user| (user.to_owned(), standing(user))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn asked(&mut self, op: Op, phase: u64, pass: Option<&Pass>) -> u64 {
        let at = self.words.tick();
        if let Some((what, of, value)) = op.word(pass) {
            self.words.ask(what, of, value, at);
        }
        self.uses.asked(op, phase, at);
        match op {
            Op::Delete(id) => *self.deletes.entry(id).or_default() += 1,
            Op::Create { id: Some(id), .. } => *self.unknown_ids.entry(id).or_default() += 1,
            Op::Change { id, what: Change::Inactive } => {
                self.shut_out.insert(id);
            }
            Op::Event(n) => {
                let known = self.references.get(&reference(n)).cloned();
                self.named.entry(n).or_insert(known);
            }
            _ => {}
        }
        at
    }

    fn answered(&mut self, asked: &Asked, answer: &Answer) {
        // After a failure nobody knows; a refusal changed nothing.
        match (asked.op, answer.status) {
            (_, 500..) => return,
            (Op::Create { id: Some(id), .. }, _) => *self.unknown_ids.entry(id).or_default() -= 1,
            (Op::Delete(id), 300..) => *self.deletes.entry(id).or_default() -= 1,
            _ => {}
        }
        let good = Some(answer).filter(|answer| answer.status < 300);
        self.broken.extend(self.uses.answered(asked.op, asked.phase, asked.at, good));
        match good {
            Some(answer) => self.acknowledged(asked, answer),
            None => self.words.refuse(asked.at),
        }
    }

    fn acknowledged(&mut self, asked: &Asked, answer: &Answer) {
        let (op, phase, at) = (asked.op, asked.phase, asked.at);
        match op {
            Op::Intake { email, keyed } => self.customer(answer, keyed.then(|| keyed_intake(phase, email))),
            Op::CreateKeyed(n) => self.customer(answer, Some(keyed_create(phase, n))),
            Op::Create { id: None, .. } | Op::Register(_) => self.customer(answer, None),
            Op::Create { id: Some(id), .. } | Op::Change { id, .. } => {
                self.customer(answer, None);
                let now = self.words.tick();
                self.ids.entry(id).or_default().entry(answer.str("internal_id").to_owned()).or_insert(now);
            }
            Op::Delete(id) => {
                self.deleted += 1;
                // Whoever had the id before is gone: by this deletion or by an earlier one.
                let known = self.ids.get(&id).into_iter().flatten().filter(|(_, since)| **since < at);
                self.gone.extend(known.map(|(customer, _)| customer.clone()));
            }
            Op::Event(n) => {
                self.events.insert(n);
            }
            _ => {}
        }
        if let Some((_, of, _)) = op.word(asked.pass.as_ref()) {
            let whose = if matches!(op, Op::Change { .. }) { answer.str("internal_id") } else { of.as_str() };
            self.words.hear(at, whose);
        }
        self.let_in(asked, answer);
    }

    /// Whoever is let in shows which password is theirs.
    fn let_in(&mut self, asked: &Asked, answer: &Answer) {
        let Some((user, password)) = self.accounts.answered(asked.op, asked.pass.as_ref(), answer) else { return };
        self.words.ask(What::Password, user.clone(), password.into(), asked.at);
        self.words.hear(asked.at, &user);
    }

    fn customer(&mut self, answer: &Answer, key: Option<String>) {
        let names = ["internal_id", "client_id", "customer_v2_id"];
        let id = names.map(|name| answer.str(name)).into_iter().find(|id| !id.is_empty()).unwrap_or_default();
        if id.is_empty() {
            self.broken.push(format!("an answer names no customer: {}", answer.text));
        }
        self.customers.insert(id.to_owned());
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

    /// Names that are not whose they were acknowledged to be.
    fn misnamed(&self, world: &World) -> Vec<String> {
        let mut broken = Vec::new();
        for (reference, id) in &self.references {
            if world.at(&format!("CRN#{reference}")).is_none_or(|guard| text(guard, "owner") != id) {
                broken.push(format!("{reference} was acknowledged for {id}, which does not own it"));
            }
            let customer = world.at(&format!("CUSTOMER#{id}"));
            if customer.is_some_and(|customer| text(customer, "customer_reference") != reference) {
                broken.push(format!("{id} was acknowledged as {reference} and has another"));
            }
        }
        let numbers = self.numbers.keys().filter(|number| world.at(&format!("NUMBER#{number}")).is_none());
        broken.extend(numbers.map(|number| format!("{number} was acknowledged and is nobody's")));
        for (id, owners) in &self.ids {
            if owners.len() > 1 && self.deletes.get(id).is_none_or(|times| *times == 0) {
                broken.push(format!("the id i{id} was acknowledged for {owners:?}"));
            }
        }
        broken
    }

    /// Customers who are gone without a deletion, and deletions that left their customer there. A
    /// reference outlives its owner, so that every customer who is gone has left one.
    fn misdeleted(&self, world: &World) -> Vec<String> {
        let is_there = |id: &str| world.at(&format!("CUSTOMER#{id}")).is_some();
        let left = self.gone.iter().filter(|id| is_there(id));
        let mut broken: Vec<String> = left.map(|id| format!("{id} was acknowledged as deleted and is there")).collect();
        let lost = self.customers.iter().filter(|id| !is_there(id) && !self.may_be_deleted(id));
        broken.extend(lost.map(|id| format!("{id} is gone, and nobody tried to delete them")));
        let references = world.of("guard").into_iter().filter(|guard| text(guard, "pk").starts_with("CRN#"));
        let gone = references.filter(|guard| !is_there(text(guard, "owner"))).count();
        let (least, most) = (self.deleted, self.deletes.values().sum());
        if !(least..=most).contains(&gone) {
            broken.push(format!("{gone} customers are gone; {least} to {most} were deleted"));
        }
        broken
    }

    /// Records that say what nobody was the last to ask for.
    fn overruled(&self, world: &World) -> Vec<String> {
        let mut broken = Vec::new();
        for what in What::READABLE {
            for whose in self.words.known(what) {
                // Whoever is gone was deleted, or that is found elsewhere.
                let Some(found) = what.found(world, whose) else { continue };
                let standing = self.words.standing(what, whose);
                let paid = || self.may_have_paid(world, whose);
                let by_payment = || what == What::Status && found == "active" && paid();
                if !standing.contains(found) && !by_payment() {
                    broken.push(format!("{what:?} of {whose} is `{found}`; acknowledged was {standing:?}"));
                }
            }
        }
        broken
    }

    /// Whether the customer `id` may have become active because they paid.
    fn may_have_paid(&self, world: &World, id: &str) -> bool {
        let customer = world.at(&format!("CUSTOMER#{id}"));
        customer
            .is_some_and(|customer| self.named.keys().any(|event| pays(*event, text(customer, "customer_reference"))))
    }

    /// Users who chose a password and may not sign in, though nobody tried to shut them out.
    fn barred(&self, world: &World) -> Vec<String> {
        let users = self.words.known(What::Password).into_iter();
        let logins = users.filter_map(|user| world.at(&format!("USER#{user}")));
        let disabled = logins.filter(|login| login["enabled"] != true);
        let unexcused = disabled.filter(|login| {
            let customer = world.at(&format!("CUSTOMER#{}", text(login, "customer_v2_id")));
            customer.is_none_or(|customer| !self.may_be_shut_out(customer))
        });
        unexcused.map(|login| format!("nobody tried to shut them out: {login}")).collect()
    }

    fn may_be_shut_out(&self, customer: &Value) -> bool {
        self.shut_out.iter().any(|name| is_own_id(*name, text(customer, "id")))
    }

    /// Whether a request that was acknowledged, or of which nobody knows, may have deleted the customer
    /// `id`. Whom it meant is known unless some creation under that name was never answered.
    fn may_be_deleted(&self, id: &str) -> bool {
        let mut names = self.deletes.iter().filter(|(_, times)| **times > 0).map(|(name, _)| name);
        names.any(|name| {
            let known = self.ids.get(name).is_some_and(|owners| owners.contains_key(id));
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
        let shut_out = self.may_be_shut_out(customer);
        let active = match text(customer, "status") {
            "active" => true,
            "inactive" => shut_out,
            _ => false,
        };
        let served = active && customer["user_id"].is_string() && text(customer, "customer_reference") == reference(n);
        // Whoever came by the form was invited when they paid, unless somebody had shut them out before.
        let enters = text(customer, "origin") != "intake" || shut_out || may_enter(world, text(customer, "user_id"));
        (!served || !enters).then(|| format!("{event} was acknowledged, and this is who paid: {customer}"))
    }
}
