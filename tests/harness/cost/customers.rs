//! What administrators and their systems call about customers.

use serde_json::json;
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::ids::UserId;

use super::{Case, Meter, customer};
use crate::app::START;

const CREATE: &str = "POST /v1/customers";
const GET: &str = "GET /v1/customers/{id}";
const LIST: &str = "GET /v1/customers";
const LIST_PATH: &str = "/v1/customers";
const UPDATE: &str = "PATCH /v1/customers/{id}";

pub(super) async fn measure(meter: &mut Meter) {
    create(meter).await;
    aliases(meter).await;
    read(meter).await;
    list(meter).await;
    change(meter).await;
    credentials(meter).await;
    products(meter).await;
    operations(meter).await;
    delete(meter).await;
}

async fn create(meter: &mut Meter) {
    let admin = meter.admin.clone();
    let create = |body| admin.post("/v1/customers", body);
    let bare = json!({ "id": "bare", "email": "bare@x.io" });
    meter.request(Case::new(CREATE, "new").within(4), 201, create(bare.clone())).await;
    meter.request(Case::new(CREATE, "existing").within(3), 200, create(bare)).await;
    let fill = json!({ "id": "bare", "name": "Ana Ruiz" });
    meter.request(Case::new(CREATE, "fill").within(4), 200, create(fill)).await;
    let email = EmailAddress::parse("free@x.io").unwrap();
    let free = User::new(UserId(START.new_id()), email, Role::Customer, START);
    meter.app.save(&free).await;
    let unlinked = json!({ "email": "free@x.io" });
    meter.request(Case::new(CREATE, "unlinked user").within(5), 201, create(unlinked)).await;
    create(json!({ "email": "claimed@x.io" })).await.expect(201);
    let claim = json!({ "id": "claimed", "email": "claimed@x.io" });
    meter.request(Case::new(CREATE, "an id for a customer without"), 200, create(claim)).await;
    let key = [("idempotency-key", "once")];
    let keyed = || admin.post_with("/v1/customers", customer("keyed"), &key);
    meter.request(Case::new(CREATE, "new, Idempotency-Key").within(4), 201, keyed()).await;
    meter.request(Case::new(CREATE, "the same key again"), 201, keyed()).await;
}

async fn aliases(meter: &mut Meter) {
    let admin = meter.admin.clone();
    let new = admin.post("/phase0-v2/customers", json!({ "email": "older@x.io" }));
    meter.request(Case::new("POST /phase0-v2/customers", "new").within(4), 201, new).await;
    let body = json!({ "email": "subscribed@x.io", "subscription": { "product_id": "pro" } });
    let new = admin.post("/phase0-v2/customers-with-subscription", body);
    let case = Case::new("POST /phase0-v2/customers-with-subscription", "new").within(4);
    meter.request(case, 201, new).await;
}

async fn read(meter: &mut Meter) {
    let admin = meter.admin.clone();
    let made = admin.post("/v1/customers", customer("read")).await.expect(201);
    let path = |identifier: &str| format!("/v1/customers/{identifier}");
    let by_id = path("read");
    meter.request(Case::new(GET, "by id"), 200, admin.get(&by_id)).await;
    let internal = path(made.str("internal_id"));
    meter.request(Case::new(GET, "by internal id"), 200, admin.get(&internal)).await;
    let number = path(made.str("customerId"));
    meter.request(Case::new(GET, "by number"), 200, admin.get(&number)).await;
    let expanded = path("read?expand=invoices,trials_used,entities");
    meter.request(Case::new(GET, "by id, expanded"), 200, admin.get(&expanded)).await;
}

async fn list(meter: &mut Meter) {
    let admin = meter.admin.clone();
    meter.request(Case::new(LIST, "a page of 20"), 200, admin.get(LIST_PATH)).await;
    let pages = [
        ("a page of 100", "?limit=100"),
        ("search by e-mail", "?search=read@x.io"),
        ("search by reference, of nobody", "?search=PLE-CVP-2026-999999"),
        ("search by the beginning of a name that ten have", "?search=crowd%20200012"),
        ("search by the beginning of a name that many have", "?search=crowd"),
        ("by a status that nobody has", "?status=payment_failed"),
    ];
    for (way, query) in pages {
        let path = format!("{LIST_PATH}{query}");
        meter.request(Case::new(LIST, way), 200, admin.get(&path)).await;
    }
}

async fn change(meter: &mut Meter) {
    let admin = meter.admin.clone();
    admin.post("/v1/customers", customer("changed")).await.expect(201);
    let change = |body| admin.patch("/v1/customers/changed", body);
    meter.request(Case::new(UPDATE, "area"), 200, change(json!({ "area": "North" }))).await;
    let moved = json!({ "email": "moved@x.io" });
    meter.request(Case::new(UPDATE, "e-mail, with the login"), 200, change(moved)).await;
    meter.request(Case::new(UPDATE, "id"), 200, change(json!({ "id": "renamed" }))).await;
}

async fn credentials(meter: &mut Meter) {
    const ROUTE: &str = "POST /v1/customers/{id}/credentials";
    const PATH: &str = "/v1/customers/handed/credentials";
    let admin = meter.admin.clone();
    admin.post("/v1/customers", customer("handed")).await.expect(201);
    meter.request(Case::new(ROUTE, "sent"), 202, admin.post(PATH, json!({}))).await;
    let handed = admin.post(PATH, json!({ "deliver": false }));
    meter.request(Case::new(ROUTE, "handed over").hashing(1), 200, handed).await;
}

async fn products(meter: &mut Meter) {
    const PUT: &str = "PUT /v1/products/{id}";
    const PATH: &str = "/v1/products/extra";
    let admin = meter.admin.clone();
    let body = json!({ "name": "Extra", "items": [{ "feature_id": "bread", "included_usage": 10 }] });
    meter.request(Case::new(PUT, "new"), 201, admin.put(PATH, body.clone())).await;
    meter.request(Case::new(PUT, "again"), 200, admin.put(PATH, body)).await;
    meter.request(Case::new("GET /v1/products", "three"), 200, admin.get("/v1/products")).await;
}

async fn operations(meter: &mut Meter) {
    const ASSIGN: &str = "POST /admin/delivery-assignments";
    let admin = meter.admin.clone();
    let billing = admin.get("/admin/billing/customers");
    meter.request(Case::new("GET /admin/billing/customers", "a page of 20"), 200, billing).await;
    let email = EmailAddress::parse("dev@x.io").unwrap();
    let boy = User::new(UserId(START.new_id()), email, Role::DeliveryBoy, START);
    meter.app.save(&boy).await;
    admin.post("/v1/customers", customer("served")).await.expect(201);
    let assign = |body| admin.post("/admin/delivery-assignments", body);
    let by_id = json!({ "customer": "served", "delivery_boy": boy.user_id.to_string() });
    meter.request(Case::new(ASSIGN, "by id"), 200, assign(by_id)).await;
    meter
        .request(Case::new(ASSIGN, "nobody"), 200, assign(json!({ "customer": "served", "delivery_boy": null })))
        .await;
}

async fn delete(meter: &mut Meter) {
    let admin = meter.admin.clone();
    admin.post("/v1/customers", customer("gone")).await.expect(201);
    let case = Case::new("DELETE /v1/customers/{id}", "with the login");
    meter.request(case, 200, admin.delete("/v1/customers/gone")).await;
}
