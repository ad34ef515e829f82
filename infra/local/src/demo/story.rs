//! The walk itself.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::clock::{Clock, Time};
use shared::secret::Secret;
use shared::stripe::signature::sign;

use super::http::{Answer, Ask};
use super::teller::Teller;
use super::{ADMIN_EMAIL, ADMIN_PASSWORD, WEBHOOK_SECRET};
use crate::LocalError;

const EMAIL: &str = "asha@example.com";
const OTHER_EMAIL: &str = "binu@example.com";

/// How often to look for a message, and how long to wait in between.
const MAX_LOOKS: u32 = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A temporary password has so many characters.
const PASSWORD_CHARS: usize = 16;

/// Tells it; the error is a request without an answer.
pub(super) async fn tell(teller: &mut Teller) -> Result<(), LocalError> {
    let lead = intake(teller).await?;
    let payment = payment(&lead, Clock::System.now());
    let paid = teller.step("Stripe says, signed, that the lead has paid", &webhook(&payment)).await?;
    teller.verdict(
        paid.is(StatusCode::OK) && paid.body == json!({ "received": true }),
        "a payment is acknowledged once the customer, the login and the invitation are stored",
    );
    let password = invitation(teller).await?;
    sign_in(teller, &lead, &password).await?;
    create_twice(teller).await?;
    let again = teller.step("Stripe delivers the same event again", &webhook(&payment)).await?;
    teller.verdict(
        again.is(StatusCode::OK) && again.body["duplicate"] == true,
        "an event that comes twice is recognised",
    );
    backfill_twice(teller).await
}

async fn intake(teller: &mut Teller) -> Result<Answer, LocalError> {
    let form = json!({ "name": "Asha Rao", "email": EMAIL, "phone": "98765 43210" });
    let lead = teller.step("Somebody fills in the public form", &Ask::post("/api/intake/submit", form)).await?;
    let named = lead.text("/customer_reference").ends_with("-000001");
    let payable = lead.text("/checkout_url").contains("/dev/checkout/");
    teller.verdict(
        lead.is(StatusCode::CREATED) && named && payable && lead.body["status"] == "pending_payment",
        "a lead has its reference from birth, and somewhere to pay",
    );
    Ok(lead)
}

fn payment(lead: &Answer, now: Time) -> Value {
    let client_id = lead.text("/client_id");
    json!({
        "id": "evt_demo_1",
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": false,
        "created": now.unix_seconds(),
        "data": { "object": {
            "id": "cs_demo_1",
            "object": "checkout.session",
            "payment_status": "paid",
            "client_reference_id": client_id,
            "customer": "cus_demo_1",
            "metadata": { "client_id": client_id, "customer_reference": lead.text("/customer_reference") },
        } },
    })
}

/// The body is sent as [`Value`] prints it, which is what is signed.
fn webhook(event: &Value) -> Ask {
    let signature = sign(event.to_string().as_bytes(), &Secret::new(WEBHOOK_SECRET), Clock::System.now());
    Ask::post("/api/webhooks/stripe", event.clone()).signed(signature)
}

async fn invitation(teller: &mut Teller) -> Result<String, LocalError> {
    let (ask, outbox) = look_for_mail(teller, EMAIL).await?;
    teller.show("The invitation arrives", &ask, &outbox);
    let letters = letters_to(&outbox, EMAIL);
    let body = letters.first().and_then(|letter| letter["body"].as_str()).unwrap_or_default();
    let is_password = |line: &&str| line.len() == PASSWORD_CHARS && line.bytes().all(|b| b.is_ascii_alphanumeric());
    let password = body.lines().find(is_password).unwrap_or_default().to_owned();
    teller.verdict(
        letters.len() == 1 && !password.is_empty(),
        "one message went out, with a temporary password made on delivery",
    );
    Ok(password)
}

async fn sign_in(teller: &mut Teller, lead: &Answer, password: &str) -> Result<(), LocalError> {
    let credentials = json!({ "email": EMAIL, "password": password });
    let login = teller.step("The customer signs in", &Ask::post("/auth/login", credentials)).await?;
    let token = login.text("/token");
    teller.verdict(
        login.is(StatusCode::OK) && !token.is_empty() && login.body["must_change_password"] == true,
        "the temporary password works, and must be changed",
    );
    let me = teller.step("The customer looks at their page", &Ask::get("/auth/me").with_token(&token)).await?;
    let same = me.text("/customer/customer_reference") == lead.text("/customer_reference")
        && me.text("/customer/internal_id") == lead.text("/client_id")
        && me.text("/customer_v2_id") == lead.text("/client_id");
    teller.verdict(
        me.is(StatusCode::OK) && same && me.body["customer"]["status"] == "active",
        "login and customer are linked, with the reference that the form gave",
    );
    Ok(())
}

async fn create_twice(teller: &mut Teller) -> Result<(), LocalError> {
    let credentials = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
    let login = teller.step("The administrator signs in", &Ask::post("/auth/login", credentials)).await?;
    let token = login.text("/token");
    teller.verdict(login.is(StatusCode::OK) && login.body["role"] == "admin", "an administrator may go on");
    let customer = json!({ "id": "demo-1", "name": "Binu Das", "email": OTHER_EMAIL });
    let create = Ask::post("/v1/customers", customer).with_token(&token);
    let first = teller.step("A customer is created", &create).await?;
    teller.verdict(
        first.is(StatusCode::CREATED) && !first.text("/user_id").is_empty() && !first.text("/customerId").is_empty(),
        "a customer is born with login, number and reference",
    );
    let second = teller.step("The same customer is created again", &create).await?;
    let same = !first.text("/internal_id").is_empty() && second.text("/internal_id") == first.text("/internal_id");
    teller.verdict(second.is(StatusCode::OK) && same, "the same id is the same customer, not a second one");
    Ok(())
}

async fn backfill_twice(teller: &mut Teller) -> Result<(), LocalError> {
    // Nothing may be on its way any more when the messages are counted.
    look_for_mail(teller, OTHER_EMAIL).await?;
    let backfill = Ask { method: "POST", path: "/dev/backfill".into(), ..Ask::default() };
    let first = teller.step("The schedule runs the backfill", &backfill).await?;
    teller.verdict(first.is(StatusCode::OK) && first.body["errors"] == 0, "the backfill finds nothing it cannot do");
    let second = teller.step("It runs again", &backfill).await?;
    let changes = ["created", "linked", "numbered", "crns", "ambiguous", "errors", "remaining"];
    teller.verdict(
        second.is(StatusCode::OK) && changes.iter().all(|change| second.body[*change] == 0),
        "a second run changes nothing",
    );
    let outbox = teller.step("What was delivered in all", &Ask::get("/dev/outbox")).await?;
    let counts = [EMAIL, OTHER_EMAIL].map(|to| letters_to(&outbox, to).len());
    teller.verdict(counts == [1, 1], "nobody was invited twice");
    Ok(())
}

/// Looks into the outbox until there is a message to `to`, or for long enough.
async fn look_for_mail(teller: &Teller, to: &str) -> Result<(Ask, Answer), LocalError> {
    let ask = Ask::get("/dev/outbox");
    let mut looks = 1;
    loop {
        let outbox = teller.ask(&ask).await?;
        if !letters_to(&outbox, to).is_empty() || looks == MAX_LOOKS {
            return Ok((ask, outbox));
        }
        looks += 1;
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

fn letters_to<'a>(outbox: &'a Answer, to: &str) -> Vec<&'a Value> {
    let letters = outbox.body.as_array().map(Vec::as_slice).unwrap_or_default();
    letters.iter().filter(|letter| letter["to"] == to).collect()
}
