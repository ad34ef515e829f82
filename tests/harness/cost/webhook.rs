//! Stripe's events.

use functions::jobs::backfill::run;
use serde_json::json;

use super::{Case, Meter, customer};
use crate::faults::{CallInfo, Fault, Kind, When};
use crate::stripe::{checkout, invoice, refund, subscription};

const ROUTE: &str = "POST /api/webhooks/stripe";

pub(super) async fn measure(meter: &mut Meter) {
    let (nobody, admin) = (meter.nobody.clone(), meter.admin.clone());
    let lead = nobody.intake("lead@x.io").await.expect(201);
    let paid = checkout("completed", "evt_paid", "cs_paid", lead.str("client_id"));
    meter.request(Case::new(ROUTE, "paid, first").within(4), 200, nobody.stripe(&paid)).await;
    meter.request(Case::new(ROUTE, "paid, duplicate").within(1), 200, nobody.stripe(&paid)).await;
    let failing = nobody.intake("failing@x.io").await.expect(201);
    let failed = checkout("async_payment_failed", "evt_failed", "cs_failed", failing.str("client_id"));
    meter.request(Case::new(ROUTE, "payment failed"), 200, nobody.stripe(&failed)).await;
    let junk = json!({ "id": "evt_junk", "object": "event", "type": "product.created", "created": 1_795_176_000,
                       "data": { "object": { "id": "prod_1", "object": "product" } } });
    meter.request(Case::new(ROUTE, "a type of no concern"), 200, nobody.stripe(&junk)).await;

    let event = subscription("created", "evt_parked", 0, "active");
    meter.request(Case::new(ROUTE, "subscription, parked"), 200, nobody.stripe(&event)).await;
    // Whoever has paid by now has a replay of nothing in the queue: that is not what is measured.
    let app = meter.app.app.clone();
    run(&app, None).await.unwrap();
    let mut billed = customer("billed");
    billed["stripe_id"] = "cus_1".into();
    // What could not be applied at once is left to the schedule.
    let of_the_replay =
        |call: &CallInfo<'_>| call.operation == "GetItem" && String::from_utf8_lossy(call.body).contains("REPLAY#");
    meter.app.connector.inject(Fault { at: When::Every(Box::new(of_the_replay)), kind: Kind::InternalError });
    admin.post("/v1/customers", billed).await.expect(201);
    meter.app.connector.reset();
    let case = Case::new("backfill", "a run that replays one parked event");
    meter.work(case, run(&app, None)).await.unwrap();
    let event = subscription("updated", "evt_subscription", 60, "past_due");
    meter.request(Case::new(ROUTE, "subscription"), 200, nobody.stripe(&event)).await;
    let event = invoice("paid", "evt_invoice", 0);
    meter.request(Case::new(ROUTE, "invoice").within(4), 200, nobody.stripe(&event)).await;
    let event = refund("evt_refund", 0, 100);
    meter.request(Case::new(ROUTE, "refund"), 200, nobody.stripe(&event)).await;
}
