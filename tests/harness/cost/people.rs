//! What people call: the form, the account, their own page.

use serde_json::json;
use shared::app::{App, Parts};
use shared::contact::EmailAddress;
use shared::ids::CustomerId;
use shared::stripe::checkout::Checkout;
use shared::stripe::client::StripeClient;

use super::{Case, Meter, customer, post_nothing};
use crate::actor::{Actor, Answer};
use crate::app::{START, actor, stripe_config};
use crate::stripe_api::StripeApi;

const INTAKE: &str = "POST /api/intake/submit";

const PASSWORD: &str = "a long enough password";
const NEW_PASSWORD: &str = "another password, and longer";
const NEWEST_PASSWORD: &str = "one more password, the longest";

/// How long a session lasts that is signed here: the clock stands still.
const SESSION_SECONDS: i64 = 600;

pub(super) async fn measure(meter: &mut Meter) {
    intake(meter).await;
    account(meter).await;
    reset(meter).await;
}

async fn intake(meter: &mut Meter) {
    let (nobody, admin) = (meter.nobody.clone(), meter.admin.clone());
    meter.request(Case::new(INTAKE, "new").within(3), 201, nobody.intake("form@x.io")).await;
    meter.request(Case::new(INTAKE, "the same lead again"), 200, nobody.intake("form@x.io")).await;
    admin.post("/v1/customers", customer("known")).await.expect(201);
    meter.request(Case::new(INTAKE, "the address of a customer"), 409, nobody.intake("known@x.io")).await;
    let stripe = StripeApi::start().await;
    let nobody = actor(&with_stripe(&meter.app.app, stripe.url()));
    let case = Case::new(INTAKE, "new, to pay at Stripe").within(5);
    meter.request(case, 201, nobody.intake("checkout@x.io")).await;
}

/// `app`, with the Stripe at `url`.
fn with_stripe(app: &App, url: &str) -> App {
    let client = StripeClient::new(&stripe_config(url));
    let base_url = "https://rollcall.test".to_owned();
    App::new(Parts {
        settings: app.settings.clone(),
        store: app.store.clone(),
        clock: app.clock.clone(),
        keys: app.keys.clone(),
        passwords: app.passwords.clone(),
        webhook_secrets: app.webhook_secrets.clone(),
        checkout: Checkout::Stripe { client: client.clone(), price_id: Some("price_default".into()), base_url },
        stripe: Some(client),
        mailer: app.mailer.clone(),
    })
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
    me(meter, &ana).await;
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

async fn me(meter: &mut Meter, ana: &Actor) {
    const ROUTE: &str = "GET /auth/me";
    meter.request(Case::new(ROUTE, "").within(1), 200, ana.get("/auth/me")).await;
    let email = EmailAddress::parse("ana@x.io").unwrap();
    let mut user = meter.app.raw_store().user_by_login(&email).await.unwrap().unwrap();
    // As it is with a session from before they were linked with somebody else.
    user.customer_v2_id = Some(CustomerId(START.new_id()));
    let token = meter.app.app.keys.sign_session(&user, meter.app.clock.now(), SESSION_SECONDS);
    let before = meter.nobody.with_token(token);
    let case = Case::new(ROUTE, "with a session that names another customer").within(2);
    meter.request(case, 200, before.get("/auth/me")).await;
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
