//! The reader of the raw table, checked: whatever is taken from a straight table, or garbled in it, it
//! finds that something is not in order.

use std::collections::{BTreeMap, BTreeSet};

use harness::stripe::{checkout, invoice, subscription};
use harness::world::text;
use harness::{Actor, TestApp, World};
use serde_json::{Value, json};

use crate::PASSWORD;

/// Where an item lies.
type Place = (String, String);

/// The item itself, where the name of an attribute is expected.
const ALL: &str = "";

/// Any kind, where one is expected.
const ANY: &str = "*";

/// What nobody misses: of which kind, what, and why.
const UNNOTICED: &[(&str, &[&str], &str)] = &[
    (ANY, &["op_id"], "only its own transaction asks for it"),
    (ANY, &["expires_at"], "it says what may be forgotten, and whoever reads the item judges that"),
    (ANY, &["created_at", "updated_at"], "no other item repeats a time; it counts where a list or the queue has it"),
    ("customer", &["fingerprint", "checkout_session_id", "products"], "what they came with, and nobody else has"),
    ("user", &["name", "password_hash", "temporary"], "what they came with, and nobody else has"),
    ("user", &["enabled"], "anybody's login may be off; only that of an inactive customer must be"),
    ("user", &["token_version", "credential_epoch"], "any number will do: what is older is void"),
    ("outbox", &[ALL, "identifier", "nonce", "redrives"], "one that was sent is forgotten in time, and says it all"),
    ("outbox", &["customer_id", "epoch", "due_at"], "not all are for a customer, or of an epoch, or still due"),
    ("usage", &[ALL, "fingerprint", "deducted"], "a use without a key leaves as much; histories count the answers"),
    (
        "product",
        &[ALL, "name", "group", "is_default", "force_paid_default", "free_trial", "items"],
        "holders have a copy",
    ),
    ("entity", &[ALL, "name", "feature_id"], "nothing is counted by entity yet"),
    (
        "invoice",
        &[ALL, "status", "currency", "total", "amount_refunded", "hosted_invoice_url", "last_event"],
        "Stripe's",
    ),
    ("trial", &[ALL, "fingerprint", "started_at"], "having tried something changes nothing until it is tried again"),
    ("checkout", &[ALL, "paid_at"], "who paid may have been made a customer without that"),
    ("idempotency", &[ALL, "fingerprint", "status"], "a key leaves nothing else; the programme asks twice"),
    ("stripe_event", &[ALL, "event_type", "outcome", "handled_at"], "not all change something; Stripe asks twice"),
    ("parked_event", &[ALL, "created", "change"], "that something waited is no promise that it still does"),
    ("replay", &[ALL], "only with something parked there is something to do"),
    ("recheck", &[ALL, "shared"], "only with somebody who waits there is something to look at"),
];

/// The same of kinds that are about one asker alone.
const OF_THE_ASKER: &[(&str, &[&str], &str)] = &[
    ("stripe_intent", &[ALL, "parameters", "attempt", "look_up", "failures", "due_at"], "who asked, asks again"),
    (
        "login_attempts",
        &[ALL, "failures", "locked_until_ms", "window_start", "comparisons", "addresses"],
        "nobody need have failed",
    ),
    ("reset_ticket", &[ALL, "epoch"], "whoever has lost their link asks for another"),
    ("recovery_log", &[ALL, "sent"], "it only bounds how often they ask"),
    ("notice", &[ALL, "subject", "day"], "it only bounds how often they are told"),
];

/// Stands in for everything that a table may hold, made by those who make it.
async fn straight() -> World {
    // What is to be made at Stripe is written down, and nobody is there to make it.
    let (app, nobody, admin) = TestApp::start_with(|settings| settings.stripe_configured = true).await;
    let items = json!([{ "feature_id": "seats", "included_usage": 100 }]);
    admin.put("/v1/products/pro", json!({ "name": "Pro", "is_default": true, "items": items })).await.expect(201);
    let tea = json!({ "name": "Tea", "group": "tea", "is_default": true, "items": [], "free_trial": { "days": 14 } });
    admin.put("/v1/products/tea", tea).await.expect(201);
    made(&admin).await;
    came(&nobody).await;
    app.deliver_mail().await;
    // Messages that wait.
    admin.post("/v1/customers", json!({ "id": "late", "email": "late@x.io" })).await.expect(201);
    nobody.post("/auth/forgot-password", json!({ "email": "late@x.io" })).await.expect(200);
    app.world().await
}

/// Customers whom a system made, and one whom it deleted again.
async fn made(admin: &Actor) {
    let acme = json!({
        "id": "acme", "name": "Acme", "email": "ops@acme.io", "phone": "9876543210", "fingerprint": "f",
        "stripe_id": "cus_acme", "entity_id": "desk", "entity_data": { "name": "Desk", "feature_id": "seats" },
    });
    admin.post_with("/v1/customers", acme, &[("idempotency-key", "k")]).await.expect(201);
    let used = json!({ "customer_id": "acme", "feature_id": "seats", "value": 5, "idempotency_key": "k" });
    admin.post("/v1/track", used).await.expect(200);
    let asked = json!({ "id": "asked", "email": "asked@x.io", "create_in_stripe": true });
    admin.post("/v1/customers", asked).await.expect(201);
    let quiet = json!({ "id": "quiet", "email": "quiet@x.io", "status": "inactive" });
    admin.post("/v1/customers", quiet).await.expect(201);
    let gone = json!({ "id": "gone", "email": "gone@x.io", "entity_id": "chair" });
    admin.post("/v1/customers", gone).await.expect(201);
    admin.delete("/v1/customers/gone").await.expect(200);
}

/// Leads, one of whom pays as two Stripe customers; somebody who registers, and forgets; and what Stripe
/// says of somebody who is there and of somebody who is not.
async fn came(nobody: &Actor) {
    nobody.intake("lead@x.io").await.expect(201);
    nobody.intake("ops@acme.io").await;
    let payer = nobody.intake("payer@x.io").await.expect(201);
    for n in [1, 2] {
        let event = checkout("completed", &format!("evt_{n}"), &format!("cs_{n}"), payer.str("client_id"));
        nobody.stripe(&event).await.expect(200);
    }
    nobody.stripe(&subscription("created", "evt_3", 0, "active")).await.expect(200);
    let mut bill = invoice("paid", "evt_4", 0);
    bill["data"]["object"]["customer"] = json!("cus_acme");
    nobody.stripe(&bill).await.expect(200);
    let own = json!({ "name": "Rosa", "email": "own@x.io", "password": PASSWORD, "phone": "9876543211" });
    nobody.post("/auth/register", own).await.expect(201);
    nobody.login("own@x.io", "none of theirs at all").await.expect(401);
    nobody.post("/auth/forgot-password", json!({ "email": "own@x.io" })).await.expect(200);
}

/// Everything that the reader has a rule for.
fn found(world: &World) -> Vec<String> {
    [world.broken(), world.ahead_of_counters(), world.leads_that_paid()].concat()
}

/// Whether nothing is found with `item`, or nothing, at `place`. Afterwards the table is as it was.
fn unnoticed(world: &mut World, place: &Place, item: Option<Value>) -> bool {
    let before = world.items.remove(place).unwrap();
    if let Some(item) = item {
        world.items.insert(place.clone(), item);
    }
    let nothing = found(world).is_empty();
    world.items.insert(place.clone(), before);
    nothing
}

/// Another value of the same type; none where this is the only one that tells nothing.
fn garbled(value: &Value) -> Option<Value> {
    let other = match value {
        Value::String(text) => json!(format!("{text}x")),
        Value::Bool(is) => json!(!is),
        Value::Number(_) => json!(0),
        Value::Array(_) => json!([]),
        Value::Object(_) => json!({}),
        Value::Null => return None,
    };
    (other != *value).then_some(other)
}

/// `item` without its attribute `name`, and with a garbled one.
fn crooked(item: &Value, name: &str) -> Vec<Value> {
    let mut without = item.clone();
    let had = without.as_object_mut().unwrap().remove(name).unwrap();
    let with = garbled(&had).map(|other| {
        let mut with = item.clone();
        with[name] = other;
        with
    });
    [without].into_iter().chain(with).collect()
}

/// What goes unnoticed at `place`, by attribute.
fn missed_at(world: &mut World, place: &Place) -> Vec<String> {
    let item = world.items[place].clone();
    let mut missed = Vec::new();
    if unnoticed(world, place, None) {
        missed.push(ALL.to_owned());
    }
    // No item is without its key.
    let names = item.as_object().unwrap().keys().filter(|name| !["pk", "sk"].contains(&name.as_str()));
    for name in names {
        if crooked(&item, name).into_iter().any(|item| unnoticed(world, place, Some(item))) {
            missed.push(name.clone());
        }
    }
    missed
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_taken_from_a_straight_table_or_garbled_in_it_is_noticed() {
    let mut world = straight().await;
    assert_eq!(found(&world), Vec::<String>::new());
    let listed: BTreeSet<(&str, &str)> = UNNOTICED
        .iter()
        .chain(OF_THE_ASKER)
        .flat_map(|(kind, names, _)| names.iter().map(move |name| (*kind, *name)))
        .collect();
    let (mut missed, mut excused) = (BTreeMap::<(String, String), Place>::new(), BTreeSet::new());
    let places: Vec<Place> = world.items.keys().cloned().collect();
    for place in &places {
        let kind = text(&world.items[place], "kind").to_owned();
        for name in missed_at(&mut world, place) {
            match listed.iter().find(|(of, what)| (*of == kind || *of == ANY) && *what == name) {
                Some(excuse) => {
                    excused.insert(*excuse);
                }
                None => {
                    missed.insert((kind.clone(), name), place.clone());
                }
            }
        }
    }
    let kinds: BTreeSet<&str> = world.items.values().map(|item| text(item, "kind")).collect();
    println!("{} items of {} kinds: {kinds:?}", places.len(), kinds.len());
    let needless: Vec<_> = listed.difference(&excused).collect();
    assert!(missed.is_empty() && needless.is_empty(), "unnoticed: {missed:#?}\nlisted, and noticed: {needless:#?}");
    assert!(kinds.len() >= 22, "the table is not rich: {kinds:?}");
}
