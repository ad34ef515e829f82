//! What an item says of itself: what it is, whose, and where it is listed. The other rules go by these
//! attributes, and would pass by an item in silence if one of them had another name.

use serde_json::Value;

use super::{World, text};

/// What an item is by its key, and the attributes that repeat parts of that.
type Row<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// Kinds that are written over the version that was read.
const VERSIONED: [&str; 13] = [
    "balance",
    "customer",
    "email_members",
    "invoice",
    "login_attempts",
    "outbox",
    "product",
    "recheck",
    "recovery_log",
    "replay",
    "reset_ticket",
    "stripe_intent",
    "user",
];

/// The words that an attribute of a kind is one of.
const WORDS: [(&str, &str, &[&str]); 6] = [
    ("customer", "status", &["pending_payment", "payment_failed", "trial", "active", "inactive"]),
    ("customer", "origin", &["intake", "api", "registration", "import"]),
    ("user", "role", &["admin", "delivery_boy", "customer"]),
    ("outbox", "message_kind", &["invitation", "already_customer", "checkout_link", "password_reset"]),
    ("outbox", "state", &["pending", "sent", "void"]),
    ("stripe_intent", "state", &["pending", "done", "orphaned", "refused", "void"]),
];

/// Kinds that name a customer or a user who may be gone by now, and whether they always do.
const NAMING: [(&str, &str, bool); 6] = [
    ("checkout", "customer_id", true),
    ("idempotency", "customer_id", true),
    ("trial", "customer_id", true),
    ("reset_ticket", "user_id", true),
    ("outbox", "customer_id", false),
    ("outbox", "user_id", false),
];

impl World {
    /// An item is what its key says, and is one that can be written again.
    pub(super) fn check_rows(&self, broken: &mut Vec<String>) {
        for ((pk, sk), item) in &self.items {
            let kind = text(item, "kind");
            let (wanted, attributes) = row_of(pk, sk, kind).unwrap_or((kind, Vec::new()));
            if kind.is_empty() || kind != wanted {
                broken.push(format!("{pk} {sk} is a `{kind}` and should be a `{wanted}`"));
            }
            for (name, value) in attributes.into_iter().filter(|(name, value)| text(item, name) != *value) {
                broken.push(format!("{pk} {sk} says that its `{name}` is {} and not `{value}`", item[name]));
            }
            if VERSIONED.contains(&wanted) && item["version"].as_u64().unwrap_or(0) == 0 {
                broken.push(format!("{pk} {sk} has no version"));
            }
            let words = WORDS.iter().filter(|(of, name, words)| *of == wanted && !words.contains(&text(item, name)));
            broken.extend(words.map(|(_, name, _)| format!("{pk} {sk}: its `{name}` is {}", item[*name])));
        }
    }

    /// Customers and users are in the list of their kind, and in that of the names if they have one.
    pub(super) fn check_lists(&self, broken: &mut Vec<String>) {
        for (kind, id) in [("customer", "internal_id"), ("user", "user_id")] {
            for item in self.of(kind) {
                let (id, name) = (text(item, id), text(item, "name").to_lowercase());
                let position = format!("{}#{id}", text(item, "created_at"));
                // A customer is found by the name of their customer record.
                let names = match (kind, text(item, "role")) {
                    _ if name.is_empty() => "",
                    ("customer", _) => "NAME",
                    (_, "customer") => "",
                    _ => "NAME#staff",
                };
                let name = if names.is_empty() { String::new() } else { format!("{name}#{id}") };
                let wanted = [format!("LIST#{kind}"), position, names.to_owned(), name];
                let found = ["gsi1pk", "gsi1sk", "gsi3pk", "gsi3sk"].map(|index| text(item, index));
                if found != wanted.each_ref().map(String::as_str) {
                    broken.push(format!("{kind} {id} is listed under {found:?} and belongs under {wanted:?}"));
                }
            }
        }
    }

    /// Whoever is named is there, or was once: a reference or a number outlives its owner.
    pub(super) fn check_names(&self, broken: &mut Vec<String>) {
        let issued = |kind: &str, id: &str| {
            let names = |guard: &Value| text(guard, "pk").starts_with(kind) && text(guard, "owner") == id;
            self.of("guard").into_iter().any(names)
        };
        for (kind, name, always) in NAMING {
            let (head, guard) = if name == "user_id" { ("USER", "NUMBER#") } else { ("CUSTOMER", "CRN#") };
            for item in self.of(kind).into_iter().filter(|item| always || item[name].is_string()) {
                let id = text(item, name);
                if self.at(&format!("{head}#{id}")).is_none() && !issued(guard, id) {
                    broken.push(format!("{} names `{id}`, whom there never was", text(item, "pk")));
                }
            }
        }
    }

    /// A Stripe customer beside somebody's own, and what points from it, know of each other: by the one a
    /// purge finds the other.
    pub(super) fn check_aliases(&self, broken: &mut Vec<String>) {
        for (pk, sk) in self.items.keys() {
            let (Some(id), Some(stripe)) = (pk.strip_prefix("CUSTOMER#"), sk.strip_prefix("STRIPE_CUSTOMER#")) else {
                continue;
            };
            if self.owner(&format!("STRIPE_CUSTOMER#{stripe}")) != Some(id) {
                broken.push(format!("the pointer of `{stripe}` does not name customer {id}, who has it, too"));
            }
        }
        for pointer in self.of("guard") {
            let Some(stripe) = text(pointer, "pk").strip_prefix("STRIPE_CUSTOMER#") else { continue };
            let head = format!("CUSTOMER#{}", text(pointer, "owner"));
            let own = self.at(&head).is_some_and(|customer| text(customer, "stripe_id") == stripe);
            if !own && !self.items.contains_key(&(head, format!("STRIPE_CUSTOMER#{stripe}"))) {
                broken.push(format!("`{stripe}` points to a customer who does not know of it"));
            }
        }
    }

    /// What a product has is known as a feature, and what somebody used under a key is counted.
    pub(super) fn check_features(&self, broken: &mut Vec<String>) {
        for product in self.of("product") {
            for item in product["items"].as_array().into_iter().flatten() {
                let feature = text(item, "feature_id");
                if self.at(&format!("FEATURE#{feature}")).is_none() {
                    broken.push(format!("nobody knows of the feature `{feature}` of {}", text(product, "id")));
                }
            }
        }
        for usage in self.of("usage").into_iter().filter(|usage| usage["deducted"] != 0) {
            let (customer, feature) = (text(usage, "pk"), text(&usage["balance"], "feature_id"));
            let balance = self.items.get(&(customer.to_owned(), format!("BALANCE#{feature}")));
            let counted = balance.is_some_and(|it| it["buckets"].as_array().is_some_and(|buckets| !buckets.is_empty()));
            // A purge takes one after the other; a key of the header is no customer's.
            if !counted && self.at(customer).is_some_and(|it| text(it, "kind") == "customer") {
                broken.push(format!("a use of `{feature}` by {customer} is not counted"));
            }
        }
    }
}

/// What lies at `pk` and `sk`, which says that it is a `kind`; `None` where nothing else goes by its kind.
fn row_of<'a>(pk: &'a str, sk: &'a str, kind: &str) -> Option<Row<'a>> {
    let (head, id) = pk.split_once('#').unwrap_or((pk, ""));
    let (child, name) = sk.split_once('#').unwrap_or((sk, ""));
    Some(match (head, child) {
        ("USER", "") => ("user", vec![("user_id", id)]),
        ("CUSTOMER", "") => ("customer", vec![("internal_id", id)]),
        ("CUSTOMER", "BALANCE") => ("balance", vec![("customer_id", id), ("feature_id", name)]),
        ("CUSTOMER", "ENTITY") => ("entity", vec![("customer_id", id), ("id", name)]),
        ("CUSTOMER", "INVOICE") => ("invoice", vec![("customer_id", id), ("stripe_id", name)]),
        ("CUSTOMER", "TRIAL") => ("trial", vec![("customer_id", id), ("product_id", name)]),
        ("CUSTOMER", "STRIPE_CUSTOMER") => ("guard", vec![("owner", id)]),
        ("CUSTOMER", "USAGE") => ("usage", Vec::new()),
        ("PHONE", _) => ("guard", vec![("owner", name)]),
        ("EMAIL" | "CUSTOMER_ID" | "CRN" | "NUMBER" | "STRIPE_CUSTOMER", "") => ("guard", Vec::new()),
        ("CUSTOMER_EMAIL", "") => ("email_members", vec![("email", id)]),
        ("COUNTER", "") => ("counter", Vec::new()),
        ("OUTBOX", "") => ("outbox", vec![("message_id", id)]),
        ("STRIPE_CUSTOMER", "EVENT") => {
            ("parked_event", vec![("stripe_customer", id), ("event_id", name.split_once('#')?.1)])
        }
        ("STRIPE_CUSTOMER", "PARKING") => ("parking", vec![("stripe_customer", id)]),
        ("REPLAY", "") => ("replay", vec![("stripe_customer", id)]),
        ("STRIPE_EVENT", "") => ("stripe_event", vec![("event_id", id)]),
        ("STRIPE_INTENT", "") => ("stripe_intent", vec![("customer_id", id)]),
        ("CHECKOUT", "") => ("checkout", vec![("session_id", id)]),
        ("PURGE", "") => ("purge", vec![("customer_id", id)]),
        ("PRODUCTS", _) => ("product", vec![("id", sk)]),
        ("FEATURE", "") => ("feature", vec![("feature_id", id)]),
        ("TRIAL", "") => ("trial", vec![("product_id", id.split_once('#')?.0)]),
        // A use under a key of the header, which is no customer's, is the answer to it, too.
        ("IDEMPOTENCY", "") if kind == "usage" => return None,
        ("IDEMPOTENCY", "") => ("idempotency", vec![("hash", id)]),
        ("LOGIN", "") => ("login_attempts", vec![("identifier", id)]),
        ("RESET", "") => ("reset_ticket", vec![("sha256", id)]),
        ("RECOVERY", "") => ("recovery_log", vec![("user_id", id)]),
        ("NOTICE", "") => ("notice", vec![("notice", id.split_once('#')?.0)]),
        ("RECHECK", "") => ("recheck", Vec::new()),
        _ => return None,
    })
}

/// Whether the place of `item` in the work queue is one of its own times, and its own key.
pub(super) fn is_in_place(pk: &str, item: &Value) -> bool {
    let times = ["due_at", "created_at", "updated_at"].into_iter().filter_map(|name| item[name].as_str());
    times.map(|time| format!("{time}#{pk}")).any(|place| place == text(item, "gsi2sk"))
}
