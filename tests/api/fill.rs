//! `POST /v1/customers` with what a customer who is there still lacks: the login follows, as it follows
//! a `PATCH`.

use futures::future::join_all;
use harness::TestApp;
use harness::world::text;
use serde_json::{Value, json};

use crate::accounts::{NEW_PASSWORD, PASSWORD, change, register, reset_token};

/// The login of the customer number `number`, as stored.
async fn login_of(app: &TestApp, number: &str) -> Value {
    let world = app.world().await;
    world.assert_straight();
    let users = world.of("user");
    (*users.iter().find(|user| user["customer_number"] == number).unwrap()).clone()
}

#[tokio::test]
async fn whoever_gets_an_address_signs_in_with_it_and_is_invited() {
    let (app, nobody, admin) = TestApp::start().await;
    let bare = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    assert!(app.world().await.messages("invitation").is_empty(), "nobody can be reached");
    let body = json!({ "id": "a", "name": "Ana", "email": "a@x.io", "phone": "9876543210" });
    admin.post("/v1/customers", body.clone()).await.expect(200);
    admin.post("/v1/customers", body).await.expect(200);
    let login = login_of(&app, "PL1").await;
    assert_eq!((text(&login, "email"), text(&login, "name")), ("a@x.io", "Ana"));
    assert_eq!(text(&login, "phone"), "+919876543210");
    assert_eq!(app.world().await.messages("invitation").len(), 1);
    app.deliver_mail().await;
    let password = app.temporary_password("a@x.io");
    let session = nobody.login("a@x.io", &password).await.expect(200);
    assert_eq!(session.json["customer_v2_id"], bare.json["internal_id"]);
    change(&nobody.with_token(session.str("token")), &password, NEW_PASSWORD).await.expect(200);
    nobody.login("98765 43210", NEW_PASSWORD).await.expect(200);
    register(&nobody, "a@x.io").await.refused(409, "email_taken");
    reset_token(&app, &nobody, "a@x.io", "a@x.io").await;
    app.world().await.assert_straight();
}

#[tokio::test]
async fn a_phone_alone_reaches_them_too_and_what_comes_later_invites_nobody_again() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "a", "name": "Ana" })).await.expect(200);
    assert!(app.world().await.messages("invitation").is_empty(), "a name reaches nobody");
    admin.post("/v1/customers", json!({ "id": "a", "phone": "9876543210" })).await.expect(200);
    app.deliver_mail().await;
    let sms = app.delivered().into_iter().find(|letter| letter.channel == "sms").unwrap();
    let password = sms.body.lines().find(|line| line.len() == 16).unwrap();
    admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(200);
    nobody.login("a@x.io", password).await.expect(200);
    assert_eq!(app.world().await.messages("invitation").len(), 1);
    assert_eq!(text(&login_of(&app, "PL1").await, "email"), "a@x.io");
}

#[tokio::test]
async fn a_claim_and_a_find_by_address_fill_the_login_too() {
    let (app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io", "name": "Ana" })).await.expect(200);
    assert_eq!(text(&login_of(&app, "PL1").await, "name"), "Ana");
    admin.post("/v1/customers", json!({ "email": "a@x.io", "phone": "9876543210" })).await.expect(200);
    let login = login_of(&app, "PL1").await;
    assert_eq!((text(&login, "phone"), text(&login, "email")), ("+919876543210", "a@x.io"));
    assert_eq!(app.world().await.messages("invitation").len(), 1, "the one of the creation");
}

#[tokio::test]
async fn what_is_set_stays_on_the_login_too() {
    let (app, nobody, admin) = TestApp::start().await;
    let session = register(&nobody, "a@x.io").await.expect(201);
    let path = format!("/v1/customers/{}", session.str("customerId"));
    admin.patch(&path, json!({ "id": "a" })).await.expect(200);
    let owner = nobody.with_token(session.str("token"));
    owner.patch("/auth/me", json!({ "phone": "+14155550100" })).await.expect(200);
    let kept = json!({ "id": "a", "name": "Bea", "email": "b@x.io", "phone": "9876543210" });
    admin.post("/v1/customers", kept).await.expect(200);
    let login = login_of(&app, "PL1").await;
    assert_eq!((text(&login, "name"), text(&login, "email")), ("Ana Ruiz", "a@x.io"));
    assert_eq!(text(&login, "phone"), "+14155550100");
    nobody.login("a@x.io", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn an_address_that_somebody_else_signs_in_with_is_no_login_and_no_error() {
    let (app, nobody, admin) = TestApp::start().await;
    let bare = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "b", "email": "b@x.io" })).await.expect(201);
    app.deliver_mail().await;
    let filled = admin.post("/v1/customers", json!({ "id": "a", "email": "b@x.io" })).await.expect(200);
    assert_eq!(filled.str("email"), "b@x.io");
    let placeholder = format!("customer-{}@earlybird.local", bare.str("internal_id"));
    assert_eq!(text(&login_of(&app, "PL1").await, "email"), placeholder);
    app.deliver_mail().await;
    let letter = app.delivered().into_iter().find(|letter| letter.body.contains("PL1")).unwrap();
    assert_eq!(letter.to, "b@x.io", "who is reached there now is told their number");
    let password = letter.body.lines().find(|line| line.len() == 16).unwrap();
    let session = nobody.login("PL1", password).await.expect(200);
    assert_eq!(session.json["customer_v2_id"], bare.json["internal_id"]);
}

#[tokio::test]
async fn a_password_that_was_handed_over_goes_on_working() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    let handed = admin.post("/v1/customers/a/credentials", json!({ "deliver": false })).await.expect(200);
    admin.post("/v1/customers", json!({ "id": "a", "email": "a@x.io" })).await.expect(200);
    assert!(app.world().await.messages("invitation").is_empty());
    nobody.login("a@x.io", handed.str("temporary_password")).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_who_fill_at_once_and_a_patch_leave_login_and_customer_in_step_and_one_invitation() {
    let (app, nobody, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    let fills = join_all((0..30).map(|n| {
        let body = json!({ "id": "a", "name": format!("Name {n}"), "email": format!("a{n}@x.io"),
                           "phone": format!("+141555501{n:02}") });
        admin.post("/v1/customers", body)
    }));
    let patch = admin.patch("/v1/customers/a", json!({ "name": "Ana" }));
    let (fills, patch) = tokio::join!(fills, patch);
    patch.expect(200);
    for fill in fills {
        fill.expect(200);
    }
    let customer = admin.get("/v1/customers/a").await.expect(200);
    let login = login_of(&app, "PL1").await;
    for field in ["name", "email", "phone"] {
        assert_eq!(customer.json[field], login[field], "{field}");
    }
    assert_eq!(customer.str("name"), "Ana");
    assert_eq!(app.world().await.messages("invitation").len(), 1);
    app.deliver_mail().await;
    let address = customer.str("email");
    nobody.login(address, &app.temporary_password(address)).await.expect(200);
}
