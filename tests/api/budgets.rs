//! How many round trips each endpoint takes, one after another, authentication included.

use harness::app::START;
use harness::stripe::checkout;
use harness::{Answer, TestApp};
use serde_json::json;
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::ids::UserId;

/// The sequential round trips of `call`, which must answer `status`.
async fn trips(app: &TestApp, status: u16, call: impl Future<Output = Answer>) -> usize {
    app.connector.start_recording();
    let answer = call.await;
    let recording = app.connector.take_recording();
    answer.expect(status);
    recording.sequential_round_trips()
}

#[tokio::test]
async fn every_endpoint_stays_within_its_budget() {
    let (app, nobody, admin) = TestApp::start().await;
    let create = |body| admin.post("/v1/customers", body);
    let lead = nobody.intake("lead@x.io").await.expect(201);
    let event = checkout("completed", "evt_1", "cs_1", lead.str("client_id"));

    let mut free = User::new(UserId(START.new_id()), EmailAddress::parse("free@x.io").unwrap(), Role::Customer, START);
    free.customer_number = None;
    app.save(&free).await;
    let new = json!({ "id": "a", "email": "a@x.io" });

    let card = [
        ("intake-submit, new", 3, trips(&app, 201, nobody.intake("new@x.io")).await),
        ("stripe-webhook, first", 4, trips(&app, 200, nobody.stripe(&event)).await),
        ("stripe-webhook, duplicate", 1, trips(&app, 200, nobody.stripe(&event)).await),
        ("create-customer, new", 4, trips(&app, 201, create(new.clone())).await),
        ("create-customer, existing", 3, trips(&app, 200, create(new)).await),
        ("create-customer, fill", 4, trips(&app, 200, create(json!({ "id": "a", "name": "Ana" }))).await),
        ("create-customer, unlinked user", 5, trips(&app, 201, create(json!({ "email": "free@x.io" }))).await),
    ];
    app.deliver_mail().await;
    let password = app.temporary_password("a@x.io");
    let login = trips(&app, 200, nobody.login("a@x.io", &password)).await;
    let session = nobody.login("a@x.io", &password).await;
    let customer = nobody.with_token(session.str("token"));
    let me = trips(&app, 200, customer.get("/auth/me")).await;
    let card = card.into_iter().chain([("login", 3, login), ("me", 1, me)]);
    for (endpoint, budget, taken) in card {
        println!("{endpoint}: {taken} of {budget}");
        assert!((1..=budget).contains(&taken), "{endpoint} takes {taken} round trips, not {budget}");
    }
}
