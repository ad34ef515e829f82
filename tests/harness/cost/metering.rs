//! check and track.

use serde_json::{Value, json};

use super::{Case, Meter, customer};

const CHECK: &str = "POST /v1/check";
const TRACK: &str = "POST /v1/track";

pub(super) async fn measure(meter: &mut Meter) {
    let admin = meter.admin.clone();
    let made = admin.post("/v1/customers", customer("metered")).await.expect(201);
    let check = |body: Value| admin.post("/v1/check", body);
    let track = |body: Value| admin.post("/v1/track", body);
    let of = |id: &str| json!({ "customer_id": id, "feature_id": "litres" });

    meter.request(Case::new(CHECK, "known customer").within(2), 200, check(of("metered"))).await;
    let number = of(made.str("customerId"));
    meter.request(Case::new(CHECK, "known customer, by number"), 200, check(number)).await;
    let product = json!({ "customer_id": "metered", "product_id": "plan" });
    meter.request(Case::new(CHECK, "product").within(2), 200, check(product)).await;
    meter.request(Case::new(CHECK, "a new customer"), 200, check(of("checked"))).await;

    meter.request(Case::new(TRACK, "known customer, first use").within(3), 200, track(of("metered"))).await;
    meter.request(Case::new(TRACK, "known customer").within(3), 200, track(of("metered"))).await;
    let mut keyed = of("metered");
    keyed["idempotency_key"] = "once".into();
    let case = Case::new(TRACK, "known customer, with a key").within(3);
    meter.request(case, 200, track(keyed.clone())).await;
    meter.request(Case::new(TRACK, "the same key again").within(3), 200, track(keyed)).await;
    meter.request(Case::new(TRACK, "a new customer"), 200, track(of("tracked"))).await;
}
