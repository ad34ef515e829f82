//! The raw table, read as a whole, and every invariant that must hold in it.

mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use self::rows::is_in_place;

/// Everything in the table.
pub struct World {
    /// The items, by `pk` and `sk`.
    pub items: BTreeMap<(String, String), Value>,
}

impl World {
    /// Reads the whole of `table`.
    pub async fn read(client: &Client, table: &str) -> Self {
        let mut items = BTreeMap::new();
        let mut start: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let page = client.scan().table_name(table).consistent_read(true).set_exclusive_start_key(start);
            let page = page.send().await.unwrap();
            for item in page.items() {
                let item: Value = serde_dynamo::from_item(item.clone()).unwrap();
                items.insert((text(&item, "pk").to_owned(), text(&item, "sk").to_owned()), item);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Self { items };
            }
        }
    }

    /// The items of a kind.
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.items.values().filter(|item| item["kind"] == kind).collect()
    }

    /// The item at `pk`, alone or at the head of its partition.
    pub fn at(&self, pk: &str) -> Option<&Value> {
        self.items.get(&(pk.to_owned(), "#".to_owned()))
    }

    /// Messages of a kind in the outbox, in any state.
    pub fn messages(&self, kind: &str) -> Vec<&Value> {
        self.of("outbox").into_iter().filter(|message| message["message_kind"] == kind).collect()
    }

    /// Checks every invariant.
    #[track_caller]
    pub fn assert_straight(&self) {
        let broken = self.broken();
        assert!(broken.is_empty(), "the table is not straight:\n{}", broken.join("\n"));
    }

    /// Every invariant that does not hold, in words.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        self.check_rows(&mut broken);
        self.check_lists(&mut broken);
        self.check_names(&mut broken);
        self.check_aliases(&mut broken);
        self.check_features(&mut broken);
        self.check_customers(&mut broken);
        self.check_users(&mut broken);
        self.check_guards(&mut broken);
        self.check_members(&mut broken);
        self.check_messages(&mut broken);
        self.check_parked(&mut broken);
        self.check_children(&mut broken);
        self.check_queue(&mut broken);
        broken
    }

    /// Numbers that were issued and that their counter has not reached: it would draw them once more. It
    /// is no part of [`World::broken`], as a story that stores numbers by hand draws none.
    pub fn ahead_of_counters(&self) -> Vec<String> {
        let guards = self.of("guard").into_iter().map(|guard| text(guard, "pk"));
        let issued = guards.filter_map(|pk| Some((pk, issue(pk)?)));
        let drawn = |counter: &str| self.at(counter).and_then(|counter| counter["value"].as_u64()).unwrap_or(0);
        let ahead = issued.filter(|(_, (counter, n))| *n > drawn(counter));
        ahead.map(|(pk, (counter, _))| format!("{pk} is issued, and {counter} has yet to get there")).collect()
    }

    /// Payments that were counted for somebody who is a lead nevertheless. It is no part of
    /// [`World::broken`], as a person may take a customer's login away and make a lead of them.
    pub fn leads_that_paid(&self) -> Vec<String> {
        let of = |checkout: &Value| self.at(&format!("CUSTOMER#{}", text(checkout, "customer_id")));
        let counted = self.of("checkout").into_iter().filter_map(|checkout| Some((checkout, of(checkout)?)));
        let leads = counted.filter(|(_, customer)| is_lead(customer));
        leads.map(|(checkout, customer)| format!("{} was paid by a lead: {customer}", text(checkout, "pk"))).collect()
    }

    /// What is still to be done, and waits for no person and no migration.
    pub fn undone(&self) -> Vec<String> {
        let queued = self.items.iter().filter(|(_, item)| item["gsi2pk"] == "WORK");
        queued.map(|((pk, _), item)| format!("{pk} is due at {} and not done", text(item, "gsi2sk"))).collect()
    }

    fn check_customers(&self, broken: &mut Vec<String>) {
        let mut references = BTreeSet::new();
        for customer in self.of("customer") {
            let id = text(customer, "internal_id");
            let crn = text(customer, "customer_reference");
            if crn.is_empty() || !references.insert(crn) {
                broken.push(format!("customer {id} has no reference of its own: `{crn}`"));
            }
            if self.owner(&format!("CRN#{crn}")) != Some(id) {
                broken.push(format!("the guard of {crn} does not name customer {id}"));
            }
            let lead = is_lead(customer);
            match customer["user_id"].as_str() {
                None if lead => {}
                None => broken.push(format!("customer {id} has no login")),
                Some(_) if lead => broken.push(format!("lead {id} has a login")),
                Some(user) => self.check_link(customer, user, broken),
            }
        }
    }

    fn check_link(&self, customer: &Value, user_id: &str, broken: &mut Vec<String>) {
        let id = text(customer, "internal_id");
        let Some(user) = self.at(&format!("USER#{user_id}")) else {
            broken.push(format!("customer {id} points to no user"));
            return;
        };
        if text(user, "customer_v2_id") != id {
            broken.push(format!("customer {id} points to user {user_id}, which does not point back"));
        }
        if customer["customer_number"] != user["customer_number"] {
            broken.push(format!("customer {id} and its user disagree about the number"));
        }
        if text(customer, "status") == "inactive" && user["enabled"] == true {
            broken.push(format!("customer {id} is inactive and its login is not"));
        }
    }

    fn check_users(&self, broken: &mut Vec<String>) {
        let mut numbers = BTreeSet::new();
        for user in self.of("user") {
            let (id, number) = (text(user, "user_id"), text(user, "customer_number"));
            if self.owner(&format!("EMAIL#{}", text(user, "email"))) != Some(id) {
                broken.push(format!("the guard of user {id}'s e-mail does not name them"));
            }
            if user["role"] != "customer" {
                continue;
            }
            if number.is_empty() || !numbers.insert(number) {
                broken.push(format!("user {id} has no number of their own: `{number}`"));
            }
            if self.owner(&format!("NUMBER#{number}")) != Some(id) {
                broken.push(format!("the guard of {number} does not name user {id}"));
            }
            let customer = self.at(&format!("CUSTOMER#{}", text(user, "customer_v2_id")));
            if customer.is_none_or(|customer| text(customer, "user_id") != id) {
                broken.push(format!("user {id} has no customer that points back"));
            }
        }
    }

    /// A guard of something that can be taken back must name somebody who has it.
    fn check_guards(&self, broken: &mut Vec<String>) {
        for guard in self.of("guard") {
            let (pk, owner) = (text(guard, "pk"), text(guard, "owner"));
            let (kind, value) = pk.split_once('#').unwrap();
            let (head, field) = match kind {
                "EMAIL" => ("USER", "email"),
                "CUSTOMER_ID" => ("CUSTOMER", "id"),
                "STRIPE_CUSTOMER" => {
                    if self.is_gone(owner) {
                        broken.push(format!("`{value}` points to {owner}, who is gone for good"));
                    }
                    continue;
                }
                _ => continue,
            };
            let holder = self.at(&format!("{head}#{owner}"));
            if holder.is_none_or(|holder| text(holder, field) != value) {
                broken.push(format!("the guard {kind} of {owner} guards nothing"));
            }
        }
        for customer in self.of("customer") {
            let (id, own) = (text(customer, "internal_id"), text(customer, "id"));
            if !own.is_empty() && self.owner(&format!("CUSTOMER_ID#{own}")) != Some(id) {
                broken.push(format!("the guard of the id `{own}` does not name customer {id}"));
            }
            let stripe = text(customer, "stripe_id");
            if !stripe.is_empty() && self.owner(&format!("STRIPE_CUSTOMER#{stripe}")) != Some(id) {
                broken.push(format!("the pointer of `{stripe}` does not name customer {id}"));
            }
        }
    }

    fn check_members(&self, broken: &mut Vec<String>) {
        let mut listed = BTreeSet::new();
        for list in self.of("email_members") {
            for member in list["members"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !listed.insert((text(list, "email").to_owned(), member.to_owned())) {
                    broken.push(format!("customer {member} is twice in a list of an e-mail address"));
                }
            }
        }
        let held = |field: &str| -> BTreeSet<(String, String)> {
            let customers = self.of("customer").into_iter().filter(|customer| customer[field].is_string());
            customers.map(|c| (text(c, field).to_owned(), text(c, "internal_id").to_owned())).collect()
        };
        if listed != held("email") {
            broken.push("the lists of e-mail addresses and the customers disagree".into());
        }
        let phones: BTreeSet<_> = self.items.keys().filter(|(pk, _)| pk.starts_with("PHONE#")).cloned().collect();
        let mut wanted = BTreeSet::new();
        for (kind, field) in [("customer", "internal_id"), ("user", "user_id")] {
            for item in self.of(kind).into_iter().filter(|item| item["phone"].is_string()) {
                let pk = format!("PHONE#{}", text(item, "phone"));
                wanted.insert((pk, format!("{}#{}", kind.to_uppercase(), text(item, field))));
            }
        }
        if phones != wanted {
            broken.push(format!("the members of phone numbers and their holders disagree: {phones:?} {wanted:?}"));
        }
    }

    /// Nobody is invited twice for one credential epoch.
    fn check_messages(&self, broken: &mut Vec<String>) {
        let mut invited = BTreeSet::new();
        for message in self.messages("invitation") {
            let whom = (text(message, "user_id"), message["epoch"].as_u64());
            if !invited.insert(whom) {
                broken.push(format!("user {} was invited twice", whom.0));
            }
            // A number outlives its user: whoever had one was deleted.
            let guards = self.of("guard").into_iter().filter(|guard| text(guard, "pk").starts_with("NUMBER#"));
            let deleted = guards.filter(|guard| text(guard, "owner") == whom.0).count() > 0;
            if !deleted && self.at(&format!("USER#{}", whom.0)).is_none() {
                broken.push(format!("an invitation is for user {}, who does not exist", whom.0));
            }
        }
    }

    /// What is parked was counted, and once its Stripe customer is somebody's its replay is queued.
    fn check_parked(&self, broken: &mut Vec<String>) {
        for event in self.of("parked_event") {
            let (id, whose) = (text(event, "event_id"), text(event, "stripe_customer"));
            if self.at(&format!("STRIPE_EVENT#{id}")).is_none() {
                broken.push(format!("the event {id} is parked and has no marker"));
            }
            if !self.items.contains_key(&(format!("STRIPE_CUSTOMER#{whose}"), "PARKING".to_owned())) {
                broken.push(format!("whoever becomes `{whose}` does not know that the event {id} waits"));
            }
            let pointed = self.at(&format!("STRIPE_CUSTOMER#{whose}")).is_some();
            if pointed && self.at(&format!("REPLAY#{whose}")).is_none() {
                broken.push(format!("the event {id} waits for somebody who is there"));
            }
        }
    }

    /// What lies under a customer's key is theirs, or is about to be purged.
    fn check_children(&self, broken: &mut Vec<String>) {
        for (pk, sk) in self.items.keys().filter(|(_, sk)| sk != "#") {
            if let Some(id) = pk.strip_prefix("CUSTOMER#").filter(|id| self.is_gone(id)) {
                broken.push(format!("{sk} is left of customer {id}, who is gone for good"));
            }
        }
    }

    /// Whatever is to be done is in the work queue, where it belongs, and nothing else is.
    fn check_queue(&self, broken: &mut Vec<String>) {
        for ((pk, sk), item) in &self.items {
            let (found, wanted) = (text(item, "gsi2pk"), queue_of(item));
            let in_place = if wanted.is_empty() { item["gsi2sk"].is_null() } else { is_in_place(pk, item) };
            if found != wanted || !in_place {
                broken.push(format!("{pk} {sk} is in the queue `{found}` and belongs into `{wanted}`"));
            }
        }
    }

    /// Whether there is neither the customer `id` nor anybody who removes what they left.
    fn is_gone(&self, id: &str) -> bool {
        ["CUSTOMER", "PURGE"].iter().all(|head| self.at(&format!("{head}#{id}")).is_none())
    }

    fn owner(&self, pk: &str) -> Option<&str> {
        self.at(pk).map(|guard| text(guard, "owner"))
    }
}

/// Whether `customer` would be a lead if they had no login.
fn is_lead(customer: &Value) -> bool {
    customer["origin"] == "intake" && ["pending_payment", "payment_failed"].contains(&text(customer, "status"))
}

/// The partition of the work queue that `item` belongs into; empty if nothing is to be done about it.
fn queue_of(item: &Value) -> &'static str {
    match (text(item, "kind"), text(item, "state"), text(item, "review")) {
        ("purge" | "replay" | "recheck", _, _)
        | ("outbox" | "stripe_intent", "pending", _)
        | ("customer" | "user", _, "due") => "WORK",
        ("customer" | "user", _, "staged") => "WORK#staged",
        ("customer" | "user", _, "ambiguous") => "WORK#ambiguous",
        ("report", _, _) if item["due_at"].is_string() => "WORK",
        _ => "",
    }
}

/// The counter behind the reference or number that the guard at `pk` is of, and which one of it that is.
fn issue(pk: &str) -> Option<(String, u64)> {
    match pk.split_once('#')? {
        ("CRN", crn) => {
            let (head, n) = crn.rsplit_once('-')?;
            let (_, year) = head.rsplit_once('-')?;
            Some((format!("COUNTER#crn#{year}"), n.parse().ok()?))
        }
        ("NUMBER", number) => {
            let digits = number.trim_start_matches(|c: char| !c.is_ascii_digit());
            Some(("COUNTER#customer_number".into(), digits.parse().ok()?))
        }
        _ => None,
    }
}

/// A string of an item; empty if it is none.
pub fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap_or_default()
}
