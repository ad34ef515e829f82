//! What Stripe tells in a random schedule, and what must have come of it in the end, in whatever
//! order it was told. There are few sessions, so that what belongs together meets.

use harness::stripe::{checkout, invoice, refund, subscription};
use harness::world::text;
use harness::{TestApp, World};
use serde_json::{Value, json};

/// Checkout sessions, each with a Stripe customer, a subscription and an invoice of its own.
const SESSIONS: u64 = 6;

/// Who pays, by the number of their reference: each in two sessions. The first is there from the
/// beginning, and nobody deletes or changes them.
const FIRST_PAYER: u64 = 2;
const PAYERS: u64 = 3;

/// How many events there are: seven of each session.
pub(crate) const EVENTS: u64 = 7 * SESSIONS;

/// What is subscribed to. The catalogue does not have it, and nobody uses anything of it.
const PRODUCT: &str = "box";

/// What is given back of an invoice, in minor units.
const REFUND: u64 = 4_900;

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tells {
    /// A session was paid, in one of two ways.
    Paid,
    /// The session that its customer was given last has expired.
    Expired,
    /// A subscription was made, and nobody has paid for it yet.
    Subscribed,
    /// The subscription runs.
    Runs,
    /// An invoice was paid.
    Billed,
    /// A part of what the invoice came to was given back.
    GivenBack,
}

/// What the event `n` tells.
pub(crate) fn tells(n: u64) -> Tells {
    match n / SESSIONS {
        0 | 1 => Tells::Paid,
        2 => Tells::Expired,
        3 => Tells::Subscribed,
        4 => Tells::Runs,
        5 => Tells::Billed,
        _ => Tells::GivenBack,
    }
}

/// The id of an event.
pub(crate) fn event_id(n: u64) -> String {
    format!("evt_{n}")
}

/// The reference that the session of the event `n` names.
pub(crate) fn reference(n: u64) -> String {
    format!("PLE-CVP-2026-{:06}", n % SESSIONS % PAYERS + FIRST_PAYER)
}

/// Whether the event `n` is a payment of whoever has the reference `of`.
pub(crate) fn pays(n: u64, of: &str) -> bool {
    tells(n) == Tells::Paid && reference(n) == of
}

/// The marker of the payment in the session of the event `n`.
pub(crate) fn payment(n: u64, world: &World) -> Option<&Value> {
    world.at(&format!("CHECKOUT#cs_{}", n % SESSIONS))
}

/// The event `n`. What expires is the latest session of the customer, as others do not count.
pub(crate) async fn event(n: u64, app: &TestApp) -> Value {
    let (id, session) = (event_id(n), n % SESSIONS);
    let event = match tells(n) {
        Tells::Paid => {
            let kind = if n < SESSIONS { "completed" } else { "async_payment_succeeded" };
            return naming(checkout(kind, &id, &format!("cs_{session}"), ""), n);
        }
        Tells::Expired => {
            let latest = latest_session(app, &reference(n)).await.unwrap_or_else(|| format!("cs_{session}"));
            return naming(checkout("expired", &id, &latest, ""), n);
        }
        Tells::Subscribed => subscription("created", &id, 0, "incomplete"),
        Tells::Runs => subscription("updated", &id, 60, "active"),
        Tells::Billed => invoice("paid", &id, 0),
        Tells::GivenBack => refund(&id, 60, REFUND),
    };
    of_session(event, tells(n), session)
}

/// `event` of a checkout that names its customer by reference alone.
fn naming(mut event: Value, n: u64) -> Value {
    let object = &mut event["data"]["object"];
    object["metadata"] = json!({ "customer_reference": reference(n) });
    object["client_reference_id"] = Value::Null;
    event
}

/// `event` of an account, about what belongs to `session`.
fn of_session(mut event: Value, tells: Tells, session: u64) -> Value {
    let object = &mut event["data"]["object"];
    object["customer"] = json!(format!("cus_cs_{session}"));
    match tells {
        Tells::Subscribed | Tells::Runs => {
            object["id"] = json!(format!("sub_{session}"));
            object["metadata"]["product_id"] = json!(PRODUCT);
        }
        Tells::GivenBack => {
            object["id"] = json!(format!("ch_{session}"));
            object["invoice"] = json!(format!("in_{session}"));
        }
        _ => object["id"] = json!(format!("in_{session}")),
    }
    event
}

async fn latest_session(app: &TestApp, reference: &str) -> Option<String> {
    let world = app.world().await;
    let customer = world.of("customer").into_iter().find(|it| text(it, "customer_reference") == reference)?;
    customer["checkout_session_id"].as_str().map(str::to_owned)
}

/// What is not so though the event `n` of an account was acknowledged: it is applied to whoever paid in
/// its session, unless they are gone, and waits as long as nobody has.
pub(crate) fn not_applied(n: u64, world: &World) -> Option<String> {
    let id = event_id(n);
    let Some(payment) = payment(n, world) else {
        let waits = world.of("parked_event").into_iter().any(|event| text(event, "event_id") == id);
        return (!waits).then(|| format!("{id} was acknowledged and does not wait for its customer"));
    };
    let customer = world.at(&format!("CUSTOMER#{}", text(payment, "customer_id")))?;
    let session = n % SESSIONS;
    let applied = match tells(n) {
        Tells::Paid | Tells::Expired => true,
        Tells::Subscribed => last_word(customer, session).is_some(),
        Tells::Runs => last_word(customer, session).is_some_and(|word| word["status"] == "active"),
        Tells::Billed => bill(world, customer, session).is_some_and(|bill| bill["status"] == "paid"),
        Tells::GivenBack => bill(world, customer, session).is_some_and(|bill| bill["amount_refunded"] == REFUND),
    };
    (!applied).then(|| format!("{id} ({:?}) was acknowledged and did nothing to {customer}", tells(n)))
}

/// The last word on the subscription of `session`.
fn last_word(customer: &Value, session: u64) -> Option<&Value> {
    let id = format!("sub_{session}");
    let held = customer["products"].as_array()?.iter().find(|held| held["id"] == PRODUCT)?;
    held["subscriptions"].as_array()?.iter().find(|word| word["id"] == id.as_str())
}

/// The invoice of `session`.
fn bill<'a>(world: &'a World, customer: &Value, session: u64) -> Option<&'a Value> {
    let pk = format!("CUSTOMER#{}", text(customer, "internal_id"));
    world.items.get(&(pk, format!("INVOICE#in_{session}")))
}
