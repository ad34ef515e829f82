//! What a client does, again and again.

use serde_json::{Value, json};
use shared::stripe::signature::sign;

use super::{Ask, Client, SHARED, Transport};
use crate::stripe::checkout;

const PASSWORD: &str = "a long enough password";
const NEW_PASSWORD: &str = "another password, and longer";

/// Every so many turns somebody registers: hashing is what takes the time.
const TURNS_PER_REGISTRATION: u64 = 4;

/// Names that clients race for.
const HOT_NAMES: u64 = 8;

impl<T: Transport> Client<'_, T> {
    /// One turn: a lead, a customer, now and then a registration, and what all share.
    pub(super) async fn turn(&mut self, turn: u64) {
        let name = format!("c{}-{turn}", self.number);
        self.lead(&name).await;
        self.customer(&name, turn.is_multiple_of(2)).await;
        if turn.is_multiple_of(TURNS_PER_REGISTRATION) {
            self.registration(&name).await;
        }
        self.shared(turn).await;
    }

    /// Somebody fills in the form and pays; Stripe says so twice.
    async fn lead(&mut self, name: &str) {
        let form = json!({ "name": "Lena Lead", "email": format!("lead-{name}@x.io") });
        let lead = self.anybody("POST intake", "/api/intake/submit", form, &[201]).await;
        let client_id = lead["client_id"].as_str().unwrap_or_default();
        let event = checkout("completed", &format!("evt_{name}"), &format!("cs_{name}"), client_id);
        let first = self.stripe(&event).await;
        self.hold(first == json!({ "received": true }), "the first delivery of an event", &first);
        let second = self.stripe(&event).await;
        self.hold(second["duplicate"] == true, "the second delivery of an event", &second);
        self.keep(&lead["client_id"]);
        self.ledger.paid.extend(lead["client_id"].as_str().map(str::to_owned));
    }

    /// A system makes a customer and uses it.
    async fn customer(&mut self, name: &str, delete: bool) {
        let path = format!("/v1/customers/{name}");
        let email = format!("{name}@x.io");
        let body = json!({ "id": name, "name": "Cora Customer", "email": email });
        let made = self.admin("POST customer", "POST", "/v1/customers", Some(body.clone()), &[201]).await;
        let again = self.admin("POST customer", "POST", "/v1/customers", Some(body), &[200]).await;
        self.hold(made["internal_id"] == again["internal_id"], "the same id is the same customer", &again);
        let question = json!({ "customer_id": name, "feature_id": "litres" });
        let check = self.admin("POST check", "POST", "/v1/check", Some(question), &[200]).await;
        self.hold(check["allowed"] == true, "a check of what is there", &check);
        let used = json!({ "customer_id": name, "feature_id": "litres", "value": 3, "idempotency_key": "once" });
        for _ in 0..2 {
            let track = self.admin("POST track", "POST", "/v1/track", Some(used.clone()), &[200]).await;
            self.hold(track["deducted"] == 3, "a use", &track);
        }
        self.admin("PATCH customer", "PATCH", &path, Some(json!({ "area": "North" })), &[200]).await;
        let read = self.admin("GET customer", "GET", &path, None, &[200]).await;
        let usage = &read["balances"]["litres"]["usage"];
        self.hold(*usage == 3 && read["area"] == "North", "what was written is read", &read);
        self.admin("GET customers", "GET", "/v1/customers", None, &[200]).await;
        let search = format!("/v1/customers?search={email}");
        let found = self.admin("GET customers", "GET", &search, None, &[200]).await;
        self.hold(found["data"][0]["id"] == name, "a customer is found by e-mail", &found);
        if delete {
            self.admin("DELETE customer", "DELETE", &path, None, &[200]).await;
            self.ledger.deleted.extend(made["internal_id"].as_str().map(str::to_owned));
        } else {
            self.keep(&made["internal_id"]);
        }
    }

    /// Somebody registers, signs in, looks, changes something, in the end their password, and signs out.
    async fn registration(&mut self, name: &str) {
        let email = format!("own-{name}@x.io");
        let body = json!({ "name": "Rosa Registered", "email": email, "password": PASSWORD });
        let registered = self.anybody("POST register", "/auth/register", body, &[201]).await;
        self.keep(&registered["customer_v2_id"]);
        let body = json!({ "email": email, "password": PASSWORD });
        let session = self.anybody("POST login", "/auth/login", body, &[200]).await;
        let token = session["token"].as_str().unwrap_or_default().to_owned();
        let me = self.own("GET me", "GET", "/auth/me", &token, None, 200).await;
        self.hold(me["user_id"] == registered["user_id"], "one's own page", &me);
        let change = Some(json!({ "area": "South" }));
        self.own("PATCH me", "PATCH", "/auth/me", &token, change, 200).await;
        let token = self.change_password(&email, &token).await;
        self.own("POST logout", "POST", "/auth/logout", &token, None, 204).await;
        self.own("GET me", "GET", "/auth/me", &token, None, 401).await;
    }

    /// Somebody asks for a link, and then remembers their password and changes it, which ends the session
    /// `token`; answers that of the new one.
    async fn change_password(&mut self, email: &str, token: &str) -> String {
        self.anybody("POST forgot-password", "/auth/forgot-password", json!({ "email": email }), &[200]).await;
        let body = Some(json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD }));
        let changed = self.own("POST change-password", "POST", "/auth/change-password", token, body, 200).await;
        self.own("GET me", "GET", "/auth/me", token, None, 401).await;
        changed["token"].as_str().unwrap_or_default().to_owned()
    }

    /// What everybody does to the same: uses one balance, and makes the same few customers.
    async fn shared(&mut self, turn: u64) {
        let used = json!({ "customer_id": SHARED, "feature_id": "litres" });
        let track = self.admin("POST track", "POST", "/v1/track", Some(used), &[200]).await;
        self.ledger.deducted += track["deducted"].as_u64().unwrap_or_default();
        let hot = json!({ "id": format!("hot-{}", turn % HOT_NAMES) });
        let hot = self.admin("POST customer", "POST", "/v1/customers", Some(hot), &[200, 201]).await;
        self.keep(&hot["internal_id"]);
    }

    async fn stripe(&mut self, event: &Value) -> Value {
        let now = self.traffic.clock.now();
        let signature = sign(event.to_string().as_bytes(), &self.traffic.webhook_secret, now);
        let path = "/api/webhooks/stripe".to_owned();
        let body = Some(event.clone());
        self.ask("POST webhook", Ask { method: "POST", path, token: None, signature: Some(signature), body }, &[200])
            .await
    }

    async fn anybody(&mut self, what: &'static str, path: &str, body: Value, wanted: &[u16]) -> Value {
        let ask = Ask { method: "POST", path: path.to_owned(), token: None, signature: None, body: Some(body) };
        self.ask(what, ask, wanted).await
    }

    async fn own(
        &mut self,
        what: &'static str,
        method: &'static str,
        path: &str,
        token: &str,
        body: Option<Value>,
        wanted: u16,
    ) -> Value {
        let ask = Ask { method, path: path.to_owned(), token: Some(token.to_owned()), signature: None, body };
        self.ask(what, ask, &[wanted]).await
    }
}
