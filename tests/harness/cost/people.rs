//! What people call: the form, the account, their own page.

use serde_json::json;

use super::{Case, Meter, customer, post_nothing};
use crate::actor::{Actor, Answer};

const PASSWORD: &str = "a long enough password";
const NEW_PASSWORD: &str = "another password, and longer";
const NEWEST_PASSWORD: &str = "one more password, the longest";

pub(super) async fn measure(meter: &mut Meter) {
    intake(meter).await;
    account(meter).await;
    reset(meter).await;
}

async fn intake(meter: &mut Meter) {
    const ROUTE: &str = "POST /api/intake/submit";
    let (nobody, admin) = (meter.nobody.clone(), meter.admin.clone());
    meter.request(Case::new(ROUTE, "new").within(3), 201, nobody.intake("form@x.io")).await;
    meter.request(Case::new(ROUTE, "the same lead again"), 200, nobody.intake("form@x.io")).await;
    admin.post("/v1/customers", customer("known")).await.expect(201);
    meter.request(Case::new(ROUTE, "the address of a customer"), 409, nobody.intake("known@x.io")).await;
}

async fn account(meter: &mut Meter) {
    const LOGIN: &str = "POST /auth/login";
    let nobody = meter.nobody.clone();
    let case = Case::new("POST /auth/register", "new").within(3).hashing(1);
    let registered = meter.request(case, 201, register(&nobody, "ana@x.io")).await;
    let case = Case::new("POST /auth/register", "an address that is taken");
    meter.request(case, 409, register(&nobody, "ana@x.io")).await;

    let case = Case::new(LOGIN, "by e-mail").within(3).verifying(1);
    let session = meter.request(case, 200, nobody.login("ana@x.io", PASSWORD)).await;
    let case = Case::new(LOGIN, "by customer number").verifying(1);
    meter.request(case, 200, nobody.login(registered.str("customerId"), PASSWORD)).await;
    let case = Case::new(LOGIN, "a wrong password").within(3).verifying(1);
    meter.request(case, 401, nobody.login("ana@x.io", "wrong")).await;
    let case = Case::new(LOGIN, "nobody's address").within(3).verifying(1);
    meter.request(case, 401, nobody.login("unknown@x.io", PASSWORD)).await;

    let ana = meter.signed_in(&session);
    meter.request(Case::new("GET /auth/me", "").within(1), 200, ana.get("/auth/me")).await;
    let change = ana.patch("/auth/me", json!({ "area": "North" }));
    meter.request(Case::new("PATCH /auth/me", "area"), 200, change).await;
    let change = ana.patch("/auth/me", json!({ "phone": "98765 43210" }));
    meter.request(Case::new("PATCH /auth/me", "phone"), 200, change).await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    let case = Case::new("POST /auth/change-password", "").verifying(1).hashing(1);
    let session = meter.request(case, 200, ana.post("/auth/change-password", body)).await;
    let ana = meter.signed_in(&session);
    meter.request(Case::new("POST /auth/logout", ""), 204, post_nothing(&ana, "/auth/logout")).await;
}

async fn reset(meter: &mut Meter) {
    let nobody = meter.nobody.clone();
    let forgot = nobody.post("/auth/forgot-password", json!({ "email": "ana@x.io" }));
    meter.request(Case::new("POST /auth/forgot-password", ""), 200, forgot).await;
    meter.app.deliver_mail().await;
    let letters = meter.app.delivered();
    let letter = letters.iter().find(|letter| letter.to == "ana@x.io" && letter.body.contains("?token="));
    let (_, rest) = letter.expect("a reset link").body.split_once("?token=").unwrap();
    let token = rest.split_whitespace().next().unwrap();
    let reset = nobody.post("/auth/reset-password", json!({ "token": token, "new_password": NEWEST_PASSWORD }));
    meter.request(Case::new("POST /auth/reset-password", "").hashing(1), 200, reset).await;
    let bad = nobody.post("/auth/reset-password", json!({ "token": "unknown", "new_password": NEWEST_PASSWORD }));
    meter.request(Case::new("POST /auth/reset-password", "an unknown token"), 400, bad).await;
}

async fn register(nobody: &Actor, email: &str) -> Answer {
    nobody.post("/auth/register", json!({ "name": "Ana Ruiz", "email": email, "password": PASSWORD })).await
}
