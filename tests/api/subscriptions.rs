//! Events of subscriptions, invoices and refunds at `POST /api/webhooks/stripe`.

use harness::connector::run_until_killed;
use harness::faults::{CallInfo, Fault, Kind, When};
use harness::stripe::{checkout, invoice, refund, subscription};
use harness::stripe_api::StripeApi;
use harness::{Actor, Answer, TestApp};
use serde_json::{Value, json};

async fn pro(admin: &Actor) {
    admin.put("/v1/products/pro", json!({ "name": "Pro", "items": [] })).await.expect(201);
}

/// An app with the product `pro` and the customer `a`, who is `cus_1` at Stripe.
async fn subscriber() -> (TestApp, Actor, Actor) {
    let (app, nobody, admin) = TestApp::start().await;
    pro(&admin).await;
    admin.post("/v1/customers", json!({ "id": "a", "stripe_id": "cus_1", "phone": "9876543210" })).await.expect(201);
    (app, nobody, admin)
}

/// The payment of `lead` by `cus_1`.
fn payment(lead: &Answer) -> Value {
    let mut event = checkout("completed", "evt_paid", "cs_1", lead.str("client_id"));
    event["data"]["object"]["customer"] = json!("cus_1");
    event
}

async fn send(nobody: &Actor, events: &[Value]) {
    for event in events {
        nobody.stripe(event).await.expect(200);
    }
}

async fn status(admin: &Actor) -> Value {
    let customer = admin.get("/v1/customers/a").await.expect(200);
    customer.json["products"][0]["status"].clone()
}

async fn invoices(admin: &Actor, id: &str) -> Value {
    admin.get(&format!("/v1/customers/{id}?expand=invoices")).await.expect(200).json["invoices"].clone()
}

#[tokio::test]
async fn events_ahead_of_their_customer_wait_and_are_applied_with_the_payment() {
    let (app, nobody, admin) = TestApp::start().await;
    pro(&admin).await;
    let form = json!({ "name": "Ana", "email": "a@x.io", "product_id": "pro" });
    let lead = nobody.post("/api/intake/submit", form).await.expect(201);
    let early = [invoice("paid", "evt_2", 1), subscription("created", "evt_1", 0, "active"), refund("evt_3", 2, 5)];
    send(&nobody, &early).await;
    let world = app.world().await;
    world.assert_straight();
    assert_eq!((world.of("parked_event").len(), world.of("invoice").len()), (3, 0));
    send(&nobody, &[payment(&lead)]).await;
    let world = app.world().await;
    world.assert_straight();
    assert_eq!((world.of("parked_event").len(), world.of("replay").len()), (0, 0));
    let id = lead.str("client_id");
    let customer = admin.get(&format!("/v1/customers/{id}")).await.expect(200);
    let product = &customer.json["products"][0];
    assert_eq!((&product["id"], &product["status"]), (&json!("pro"), &json!("active")));
    assert_eq!(product["current_period_end"], "2026-12-20T12:00:00Z");
    let expected = json!([{
        "stripe_id": "in_1", "status": "paid", "currency": "inr", "total": 49_900, "amount_refunded": 5,
        "hosted_invoice_url": "https://invoice.stripe.com/i/1", "created_at": "2026-11-20T12:00:00Z",
    }]);
    assert_eq!(invoices(&admin, id).await, expected);
    for event in early {
        assert_eq!(nobody.stripe(&event).await.expect(200).json["duplicate"], true);
    }
}

#[tokio::test]
async fn what_waits_for_its_customer_waits_for_ninety_days() {
    let (app, nobody, _) = TestApp::start().await;
    send(&nobody, &[subscription("created", "evt_1", 0, "active")]).await;
    let (world, until) = (app.world().await, app.clock.now().plus_seconds(90 * 86_400).unix_seconds());
    // Without the second a payment would not look for the first.
    for kind in ["parked_event", "parking"] {
        assert_eq!(world.of(kind)[0]["expires_at"], until, "{kind}");
    }
}

#[tokio::test]
async fn a_replay_that_was_killed_is_finished_by_the_backfill() {
    let early = [subscription("created", "evt_1", 0, "active"), invoice("paid", "evt_2", 1)];
    let prepare = async || {
        let (app, nobody, admin) = TestApp::start().await;
        pro(&admin).await;
        let lead = nobody.intake("a@x.io").await.expect(201);
        send(&nobody, &early).await;
        (app, nobody, admin, lead)
    };
    let (app, nobody, _, lead) = prepare().await;
    let calls = app.connector.calls_of(nobody.stripe(&payment(&lead))).await;
    for call in 1..=calls {
        for after in [false, true] {
            let (app, nobody, admin, lead) = prepare().await;
            app.connector.inject(Fault { at: When::Call(call), kind: Kind::Kill { after } });
            run_until_killed(&app.connector, nobody.stripe(&payment(&lead))).await;
            app.connector.reset();
            app.world().await.assert_straight();
            send(&nobody, &[payment(&lead)]).await;
            functions::jobs::backfill::run(&app.app, None).await.unwrap();
            let world = app.world().await;
            world.assert_straight();
            assert_eq!((world.of("parked_event").len(), world.of("replay").len()), (0, 0), "call {call}");
            let id = lead.str("client_id");
            assert_eq!(invoices(&admin, id).await.as_array().map(Vec::len), Some(1), "call {call}");
            let customer = admin.get(&format!("/v1/customers/{id}")).await.expect(200);
            assert_eq!(customer.json["products"][0]["status"], "active", "call {call}");
        }
    }
}

#[tokio::test]
async fn a_stripe_id_that_is_given_by_hand_brings_what_waited_for_it() {
    for by_patch in [true, false] {
        let (app, nobody, admin) = TestApp::start().await;
        pro(&admin).await;
        admin.post("/v1/customers", json!({ "id": "a", "phone": "9876543210" })).await.expect(201);
        let early = [subscription("updated", "evt_2", 5, "active"), subscription("created", "evt_1", 0, "trialing")];
        send(&nobody, &early).await;
        let given = if by_patch {
            admin.patch("/v1/customers/a", json!({ "stripe_id": "cus_1" })).await
        } else {
            admin.post("/v1/customers", json!({ "id": "a", "stripe_id": "cus_1" })).await
        };
        let given = given.expect(200);
        assert_eq!(given.json["products"][0]["status"], "active", "{}", given.text);
        assert_eq!(status(&admin).await, "active");
        let world = app.world().await;
        world.assert_straight();
        assert_eq!((world.of("parked_event").len(), world.of("replay").len()), (0, 0));
    }
}

#[tokio::test]
async fn a_customer_who_begins_with_a_stripe_id_begins_with_what_waited_for_it() {
    let known = json!({ "stripe_id": "cus_1", "phone": "9876543210" });
    let calls = [
        ("/v1/customers?expand=invoices", json!({ "id": "a", "stripe_id": "cus_1", "phone": "9876543210" })),
        ("/v1/check", json!({ "customer_id": "a", "product_id": "pro", "customer_data": known })),
        ("/v1/track", json!({ "customer_id": "a", "feature_id": "f", "customer_data": known })),
    ];
    for (path, body) in calls {
        let (app, nobody, admin) = TestApp::start().await;
        let items = json!([{ "feature_id": "f", "included_usage": 10 }]);
        admin.put("/v1/products/pro", json!({ "name": "Pro", "items": items })).await.expect(201);
        send(&nobody, &[invoice("paid", "evt_2", 1), subscription("created", "evt_1", 0, "active")]).await;
        let answer = admin.post(path, body).await;
        match path {
            "/v1/check" => assert_eq!(answer.expect(200).json["allowed"], true),
            "/v1/track" => assert_eq!(answer.expect(200).json["deducted"], 1),
            _ => {
                let created = answer.expect(201);
                assert_eq!(created.json["products"][0]["status"], "active", "{}", created.text);
                assert_eq!(created.json["invoices"][0]["stripe_id"], "in_1", "{}", created.text);
            }
        }
        assert_eq!(status(&admin).await, "active", "{path}");
        let world = app.world().await;
        world.assert_straight();
        assert_eq!((world.of("parked_event").len(), world.of("replay").len()), (0, 0), "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_applied_at_once_is_left_to_the_schedule() {
    let (app, nobody, admin) = TestApp::start().await;
    pro(&admin).await;
    admin.post("/v1/customers", json!({ "id": "a", "phone": "9876543210" })).await.expect(201);
    send(&nobody, &[subscription("created", "evt_1", 0, "active")]).await;
    let of_the_replay =
        |call: &CallInfo<'_>| call.operation == "GetItem" && String::from_utf8_lossy(call.body).contains("REPLAY#");
    app.connector.inject(Fault { at: When::Every(Box::new(of_the_replay)), kind: Kind::InternalError });
    let patched = admin.patch("/v1/customers/a", json!({ "stripe_id": "cus_1" })).await.expect(200);
    assert_eq!((patched.str("stripe_id"), &patched.json["products"]), ("cus_1", &json!([])));
    app.connector.reset();
    app.world().await.assert_straight();
    functions::jobs::backfill::run(&app.app, None).await.unwrap();
    assert_eq!(status(&admin).await, "active");
    assert!(app.world().await.of("replay").is_empty());
}

#[tokio::test]
async fn events_out_of_order_end_canceled() {
    let (app, nobody, admin) = subscriber().await;
    let events = [
        subscription("updated", "evt_2", 10, "active"),
        subscription("created", "evt_1", 0, "incomplete"),
        subscription("deleted", "evt_4", 20, "canceled"),
        subscription("updated", "evt_3", 5, "past_due"),
    ];
    send(&nobody, &events[..2]).await;
    assert_eq!(status(&admin).await, "active");
    send(&nobody, &events[2..]).await;
    assert_eq!(status(&admin).await, "canceled");
    send(&nobody, &[subscription("updated", "evt_5", 30, "active")]).await;
    assert_eq!(status(&admin).await, "canceled");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn events_of_one_second_settle_the_same_in_both_orders() {
    let pairs = [
        (subscription("created", "evt_1", 0, "incomplete"), subscription("updated", "evt_2", 0, "active")),
        (subscription("updated", "evt_1", 0, "active"), subscription("deleted", "evt_2", 0, "canceled")),
        (subscription("updated", "evt_1", 0, "active"), subscription("updated", "evt_2", 0, "past_due")),
    ];
    for ((first, second), end) in pairs.into_iter().zip(["active", "canceled", "past_due"]) {
        for order in [[&first, &second], [&second, &first]] {
            let (_app, nobody, admin) = subscriber().await;
            send(&nobody, &order.map(Clone::clone)).await;
            assert_eq!(status(&admin).await, end);
        }
    }
}

#[tokio::test]
async fn an_invoice_is_one_and_the_highest_refund_counts() {
    let (app, nobody, admin) = subscriber().await;
    let events = [
        invoice("payment_failed", "evt_1", 0),
        invoice("paid", "evt_2", 1),
        invoice("paid", "evt_3", 1),
        invoice("payment_failed", "evt_4", 9),
        refund("evt_5", 3, 500),
        refund("evt_6", 2, 100),
    ];
    send(&nobody, &events).await;
    let invoices = invoices(&admin, "a").await;
    assert_eq!(invoices.as_array().map(Vec::len), Some(1));
    assert_eq!((&invoices[0]["status"], &invoices[0]["amount_refunded"]), (&json!("paid"), &json!(500)));
    app.world().await.assert_straight();
}

/// A refund of `amount` whose charge names no invoice.
fn newer_refund(event: &str, amount: u64) -> Value {
    let mut event = refund(event, 9, amount);
    event["data"]["object"]["invoice"] = Value::Null;
    event["data"]["object"]["payment_intent"] = json!("pi_1");
    event
}

/// The payment of `in_1`, in each of the ways in which Stripe tells of it.
fn payments() -> [Vec<Value>; 4] {
    let (mut by_intent, mut by_charge, mut by_list) =
        (invoice("paid", "evt_1", 0), invoice("paid", "evt_1", 0), invoice("paid", "evt_1", 0));
    by_intent["data"]["object"]["payment_intent"] = json!({ "id": "pi_1" });
    by_charge["data"]["object"]["charge"] = json!("ch_1");
    let payment = json!({ "payment": { "type": "payment_intent", "payment_intent": "pi_1" } });
    by_list["data"]["object"]["payments"] = json!({ "data": [payment] });
    let object =
        json!({ "id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "payment": payment["payment"] });
    let by_event = json!({ "id": "evt_0", "type": "invoice_payment.paid", "data": { "object": object } });
    [vec![by_intent], vec![by_charge], vec![by_list], vec![invoice("paid", "evt_1", 0), by_event]]
}

#[tokio::test]
async fn a_refund_that_names_no_invoice_finds_it_by_its_payment_whichever_comes_first() {
    for (way, paid) in payments().into_iter().enumerate() {
        for refund_first in [false, true] {
            let (app, nobody, admin) = subscriber().await;
            let refunds = [newer_refund("evt_5", 500), newer_refund("evt_6", 100)];
            if refund_first {
                send(&nobody, &refunds).await;
                assert_eq!(invoices(&admin, "a").await, json!([]), "it waits for its invoice");
                let world = app.world().await;
                let waiting = world.of("stripe_payment");
                assert!(waiting.iter().all(|payment| payment["refund"]["amount_refunded"] == 500));
                assert_eq!(waiting.len(), 2, "by intent and by charge");
                let until = app.clock.now().plus_seconds(400 * 86_400).unix_seconds();
                assert!(waiting.iter().all(|payment| payment["expires_at"] == until), "not for good");
                send(&nobody, &paid).await;
            } else {
                send(&nobody, &paid).await;
                send(&nobody, &refunds).await;
            }
            let invoices = invoices(&admin, "a").await;
            assert_eq!(invoices.as_array().map(Vec::len), Some(1), "way {way}, refund first: {refund_first}");
            let (status, refunded) = (&invoices[0]["status"], &invoices[0]["amount_refunded"]);
            assert_eq!((status, refunded), (&json!("paid"), &json!(500)), "way {way}, refund first: {refund_first}");
            app.world().await.assert_straight();
        }
    }
}

#[tokio::test]
async fn a_refund_ahead_of_its_customer_and_invoice_is_not_lost() {
    let (app, nobody, admin) = TestApp::start().await;
    let lead = nobody.intake("a@x.io").await.expect(201);
    let [by_intent, ..] = payments();
    send(&nobody, &[newer_refund("evt_5", 500)]).await;
    send(&nobody, &by_intent).await;
    assert_eq!(app.world().await.of("parked_event").len(), 2);
    send(&nobody, &[payment(&lead)]).await;
    assert_eq!(invoices(&admin, lead.str("client_id")).await[0]["amount_refunded"], 500);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn events_that_name_somebody_elses_ids_are_recorded_without_effect() {
    let (app, nobody, admin) = subscriber().await;
    let other = admin.post("/v1/customers", json!({ "id": "b", "email": "b@x.io" })).await.expect(201);
    let before = app.world().await;
    let mut disputed = subscription("created", "evt_1", 0, "active");
    disputed["data"]["object"]["metadata"]["client_id"] = other.json["internal_id"].clone();
    send(&nobody, &[disputed]).await;
    let after = app.world().await;
    after.assert_straight();
    assert_eq!(before.of("customer"), after.of("customer"));
    assert_eq!((after.of("stripe_event").len(), after.of("parked_event").len()), (1, 0));
}

#[tokio::test]
async fn a_subscription_to_what_the_catalogue_does_not_have_is_not_lost() {
    let (app, nobody, admin) = subscriber().await;
    let event = |id: &str, seconds: i64, status: &str| {
        let mut event = subscription("updated", id, seconds, status);
        event["data"]["object"]["metadata"]["product_id"] = json!("later");
        event
    };
    send(&nobody, &[event("evt_1", 0, "active")]).await;
    let product = async || admin.get("/v1/customers/a").await.expect(200).json["products"][0].clone();
    let held = product().await;
    assert_eq!((&held["id"], &held["name"], &held["status"]), (&json!("later"), &json!("later"), &json!("active")));
    assert!(held.get("unlisted").is_none(), "that is nobody's business");
    admin.delete("/v1/customers/a").await.refused(409, "has_subscription");
    // Once the catalogue has it, the next event brings what it includes.
    let items = json!([{ "feature_id": "litres", "included_usage": 10 }]);
    admin.put("/v1/products/later", json!({ "name": "Later", "items": items })).await.expect(201);
    send(&nobody, &[event("evt_2", 5, "past_due")]).await;
    let held = product().await;
    assert_eq!((&held["name"], &held["status"]), (&json!("Later"), &json!("past_due")));
    let customer = admin.get("/v1/customers/a").await.expect(200);
    assert_eq!(customer.json["balances"]["litres"]["granted"], 10);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_subscription_may_name_its_customer_before_stripes_id_is_known() {
    let (app, nobody, admin) = TestApp::start().await;
    pro(&admin).await;
    let customer = admin.post("/v1/customers", json!({ "id": "a", "phone": "9876543210" })).await.expect(201);
    let mut event = subscription("created", "evt_1", 0, "active");
    event["data"]["object"]["metadata"]["customer_reference"] = customer.json["customer_reference"].clone();
    send(&nobody, &[event]).await;
    assert_eq!(status(&admin).await, "active");
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_customer_with_a_live_subscription_is_deleted_only_on_purpose() {
    let (app, nobody, admin) = subscriber().await;
    send(&nobody, &[subscription("created", "evt_1", 0, "past_due")]).await;
    admin.delete("/v1/customers/a").await.refused(409, "has_subscription");
    admin.delete("/v1/customers/a?cancel_subscriptions=maybe").await.refused(400, "invalid_request");
    admin.delete("/v1/customers/a?cancel_subscriptions=true").await.expect(200);
    app.world().await.assert_straight();
    let (_app, nobody, admin) = subscriber().await;
    send(&nobody, &[subscription("deleted", "evt_1", 0, "canceled")]).await;
    admin.delete("/v1/customers/a").await.expect(200);
}

#[tokio::test]
async fn a_delete_on_purpose_cancels_at_stripe_first_and_waits_for_it() {
    let stripe = StripeApi::start().await;
    let (app, nobody, admin) = TestApp::start_with_stripe(stripe.url()).await;
    pro(&admin).await;
    let body = json!({ "id": "a", "stripe_id": "cus_1", "phone": "9876543210" });
    admin.post("/v1/customers", body).await.expect(201);
    let event = subscription("created", "evt_1", 0, "active");
    let id = event["data"]["object"]["id"].as_str().unwrap().to_owned();
    send(&nobody, &[event]).await;
    admin.delete("/v1/customers/a").await.refused(409, "has_subscription");
    assert!(stripe.canceled().is_empty());
    admin.delete("/v1/customers/a?cancel_subscriptions=true").await.expect(200);
    assert_eq!(stripe.canceled(), [id]);
    app.world().await.assert_straight();
    // A Stripe that does not answer keeps the customer.
    let body = json!({ "id": "b", "stripe_id": "cus_2", "phone": "9876543210" });
    admin.post("/v1/customers", body).await.expect(201);
    let mut event = subscription("created", "evt_2", 0, "active");
    event["data"]["object"]["customer"] = json!("cus_2");
    event["data"]["object"]["id"] = json!("sub_2");
    send(&nobody, &[event]).await;
    drop(stripe);
    admin.delete("/v1/customers/b?cancel_subscriptions=true").await.refused(503, "unavailable");
    admin.get("/v1/customers/b").await.expect(200);
}
