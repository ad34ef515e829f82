//! `POST /admin/delivery-assignments`.

use futures::future::join_all;
use harness::app::START;
use harness::{Actor, Answer, TestApp};
use serde_json::{Value, json};
use shared::contact::{Country, EmailAddress, Phone};
use shared::domain::user::{Role, User};
use shared::ids::UserId;
use shared::text::Name;

/// Somebody who works here.
async fn staff(app: &TestApp, role: Role, name: &str, email: &str, phone: Option<&str>) -> User {
    let mut user = User::new(UserId(START.new_id()), EmailAddress::parse(email).unwrap(), role, START);
    user.name = Name::parse(name).ok();
    user.phone = phone.map(|phone| Phone::parse(phone, Country::INDIA).unwrap());
    app.save(&user).await;
    user
}

async fn assign(admin: &Actor, customer: &str, delivery_boy: Value) -> Answer {
    let body = json!({ "customer": customer, "delivery_boy": delivery_boy });
    admin.post("/admin/delivery-assignments", body).await
}

/// The customer `a` and the delivery boy Ravi.
async fn pair() -> (TestApp, Actor, Answer, User) {
    let (app, _, admin) = TestApp::start().await;
    let body = json!({ "id": "a", "name": "Ana Ruiz", "email": "a@x.io", "phone": "9876543210" });
    let customer = admin.post("/v1/customers", body).await.expect(201);
    let boy = staff(&app, Role::DeliveryBoy, "Ravi Iyer", "ravi@x.io", Some("9123456789")).await;
    (app, admin, customer, boy)
}

#[tokio::test]
async fn a_customer_is_found_by_whatever_names_them() {
    let (app, admin, customer, boy) = pair().await;
    // Whose name only begins like hers, up to what ends a name in the index, is somebody else.
    admin.post("/v1/customers", json!({ "id": "b", "name": "Ana Ruiz#2" })).await.expect(201);
    let ways = ["customer_reference", "customerId", "id", "internal_id", "email", "phone", "name"];
    let ways = ways.map(|field| customer.str(field).to_owned()).into_iter();
    for way in ways.chain(["pl1", " ANA ruiz ", "A@X.io", "98765 43210"].map(str::to_owned)) {
        let answer = assign(&admin, &way, json!("ravi@x.io")).await.expect(200);
        assert_eq!(answer.json["customer"]["internal_id"], customer.json["internal_id"], "{way}");
        assert_eq!(answer.json["customer"]["delivery_boy_id"], boy.user_id.to_string());
        let expected = json!({ "user_id": boy.user_id.to_string(), "name": "Ravi Iyer", "phone": "+919123456789" });
        assert_eq!(answer.json["delivery_boy"], expected);
        let stored = admin.get("/v1/customers/a").await.expect(200);
        assert_eq!(stored.json["delivery_boy_id"], boy.user_id.to_string());
        let answer = assign(&admin, &way, json!(null)).await.expect(200);
        assert!(answer.json["delivery_boy"].is_null() && answer.json["customer"]["delivery_boy_id"].is_null());
    }
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_delivery_boy_is_found_by_whatever_names_them() {
    let (app, admin, _, boy) = pair().await;
    let id = boy.user_id.to_string();
    for way in [id.as_str(), "RAVI@x.io", "+91 91234 56789", "Ravi Iyer", " ravi IYER "] {
        let answer = assign(&admin, "a", json!(way)).await.expect(200);
        assert_eq!(answer.json["delivery_boy"]["user_id"], id, "{way}");
        assign(&admin, "a", json!(null)).await.expect(200);
    }
    // Whoever shares the phone and does not deliver is not meant.
    staff(&app, Role::Admin, "Asha Rao", "asha@x.io", Some("9123456789")).await;
    assert_eq!(assign(&admin, "a", json!("9123456789")).await.expect(200).json["delivery_boy"]["user_id"], id);
}

#[tokio::test]
async fn several_are_named_and_never_guessed() {
    let (app, admin, first, _) = pair().await;
    app.clock.advance_seconds(1);
    let body = json!({ "id": "b", "name": "ana ruiz", "email": "a@x.io", "phone": "9876543210" });
    let second = admin.post("/v1/customers", body).await.expect(201);
    for way in ["a@x.io", "9876543210", "Ana Ruiz"] {
        let answer = assign(&admin, way, json!(null)).await;
        answer.refused(409, "ambiguous");
        let found: Vec<_> = answer.json["candidates"].as_array().unwrap().iter().collect();
        let ids: Vec<_> = found.iter().map(|candidate| &candidate["internal_id"]).collect();
        assert_eq!(ids, [&first.json["internal_id"], &second.json["internal_id"]], "{way}");
        assert_eq!(found[1]["name"], "ana ruiz");
        assert_eq!(found[0]["customer_reference"], first.json["customer_reference"]);
    }
    staff(&app, Role::DeliveryBoy, "ravi iyer", "other@x.io", Some("9123456789")).await;
    for way in ["Ravi Iyer", "9123456789"] {
        let answer = assign(&admin, "a", json!(way)).await;
        answer.refused(409, "ambiguous");
        assert_eq!(answer.json["candidates"].as_array().unwrap().len(), 2, "{way}");
        assert!(answer.json["candidates"][0]["user_id"].is_string());
    }
    let stored = admin.get("/v1/customers/a").await.expect(200);
    assert!(stored.json["delivery_boy_id"].is_null());
    // An id says more than a name: who has it is meant, whatever others are called.
    admin.post("/v1/customers", json!({ "id": "c", "name": "a" })).await.expect(201);
    let answer = assign(&admin, "a", json!("ravi@x.io")).await.expect(200);
    assert_eq!(answer.json["customer"]["internal_id"], first.json["internal_id"]);
}

#[tokio::test]
async fn nobody_and_whoever_does_not_deliver_are_refused() {
    let (app, admin, customer, _) = pair().await;
    staff(&app, Role::Admin, "Asha Rao", "asha@x.io", None).await;
    for nobody in ["zoe", "PL99", "Zoe Q", "z@x.io", "9000000000", "0190a1c2-0000-7000-8000-000000000000"] {
        assign(&admin, nobody, json!(null)).await.refused(404, "customer_not_found");
        assign(&admin, "a", json!(nobody)).await.refused(404, "user_not_found");
    }
    for other in ["asha@x.io", "Asha Rao", "a@x.io", "Ana Ruiz", "9876543210", customer.str("user_id")] {
        assign(&admin, "a", json!(other)).await.refused(409, "not_a_delivery_boy");
    }
    for (body, field) in [
        (json!({ "customer": "a" }), "delivery_boy"),
        (json!({ "delivery_boy": null }), "customer"),
        (json!({ "customer": 7, "delivery_boy": null }), "customer"),
        (json!({ "customer": " ", "delivery_boy": null }), "customer"),
        (json!({ "customer": "a", "delivery_boy": "" }), "delivery_boy"),
    ] {
        let answer = admin.post("/admin/delivery-assignments", body).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.fields(), [field]);
    }
}

#[tokio::test]
async fn the_same_key_assigns_once_and_answers_the_same() {
    let (app, admin, _, boy) = pair().await;
    let other = staff(&app, Role::DeliveryBoy, "Noor", "noor@x.io", None).await;
    let key = [("idempotency-key", "k1")];
    let send = async |boy: Value| {
        let body = json!({ "customer": "a", "delivery_boy": boy });
        admin.post_with("/admin/delivery-assignments", body, &key).await
    };
    let first = send(json!("ravi@x.io")).await.expect(200);
    assert_eq!(first.header("idempotency-replayed"), None);
    assign(&admin, "a", json!("noor@x.io")).await.expect(200);
    let again = send(json!("ravi@x.io")).await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json["delivery_boy"]["user_id"], boy.user_id.to_string());
    assert_eq!(again.json["customer"]["delivery_boy_id"], boy.user_id.to_string());
    let stored = admin.get("/v1/customers/a").await.expect(200);
    assert_eq!(stored.json["delivery_boy_id"], other.user_id.to_string(), "a replay assigns nobody");
    send(json!(null)).await.refused(422, "idempotency_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_assignments_at_once_the_last_stands_and_none_fails() {
    let (app, admin, _, _) = pair().await;
    let answers = join_all((0..12).map(|n| {
        let boy = if n % 2 == 0 { json!("ravi@x.io") } else { json!(null) };
        assign(&admin, "a", boy)
    }))
    .await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    app.world().await.assert_straight();
}
