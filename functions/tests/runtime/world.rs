//! A deployment: the functions over one table and one mail service, each started when it is first
//! called.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::secret::Secret;
use shared::stripe::signature::sign;
use shared::token::KeyRing;

use crate::database::{Database, TABLE};
use crate::emulator::{Environment, Invoked, Output};
use crate::events::{Request, inserted, schedule};
use crate::mail::Mail;

/// The second of two secrets, so that it is a list that is read.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_runtime";

/// A deployment of a test's own.
pub(crate) struct World {
    /// Its table.
    pub(crate) database: Database,
    /// Its mail service.
    pub(crate) mail: Mail,
    variables: BTreeMap<&'static str, String>,
    running: BTreeMap<&'static str, Running>,
}

/// What a function did in its life.
pub(crate) struct Stopped {
    /// The function.
    pub(crate) name: &'static str,
    /// The requests it was given.
    pub(crate) request_ids: Vec<String>,
    /// What it wrote.
    pub(crate) output: Output,
}

struct Running {
    environment: Environment,
    request_ids: Vec<String>,
}

impl World {
    /// A deployment with nobody in it, and every variable that a function needs.
    pub(crate) async fn start() -> Self {
        let (database, mail) = (Database::start().await, Mail::start().await);
        let variables = [
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "example".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", database.url().to_owned()),
            ("AWS_ENDPOINT_URL_SESV2", mail.url().to_owned()),
            ("AWS_ENDPOINT_URL_SNS", mail.url().to_owned()),
            ("TABLE_NAME", TABLE.to_owned()),
            ("JWT_KEYS", KeyRing::generate().1),
            ("STRIPE_WEBHOOK_SECRETS", format!("whsec_next,{WEBHOOK_SECRET}")),
            ("PUBLIC_BASE_URL", "https://app.example.com".to_owned()),
            ("MAIL_FROM", "hello@example.com".to_owned()),
        ];
        Self { database, mail, variables: variables.into(), running: BTreeMap::new() }
    }

    /// The same with another value of a variable, for the functions that are started from now on.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.to_owned());
        self
    }

    /// The same without a variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// A fresh environment of `function`, which nothing else shares.
    pub(crate) async fn launch(&self, function: &str) -> Environment {
        Environment::start(function, self.variables.iter().map(|(name, value)| (*name, value.as_str()))).await
    }

    /// The text of a new API key.
    pub(crate) async fn api_key(&self) -> String {
        let made = self.database.store().create_api_key("test", Clock::System.now()).await;
        made.expect("a table that takes an API key").1.expose().to_owned()
    }

    /// Sends `request` to `function`.
    pub(crate) async fn send(&mut self, function: &'static str, request: &Request) -> Answer {
        let (request_id, response) = self.invoke(function, &request.event()).await;
        Answer { request_id, response }
    }

    /// A new lead.
    pub(crate) async fn submit(&mut self, email: &str) -> Answer {
        let form = json!({ "name": "Asha Rao", "email": email, "phone": "+91 98765 43210", "area": "Indiranagar" });
        self.send("intake-submit", &Request::post("/api/intake/submit", &form)).await
    }

    /// Signs in.
    pub(crate) async fn login(&mut self, login: &str, password: &str) -> Answer {
        let body = json!({ "email": login, "password": password });
        self.send("login", &Request::post("/auth/login", &body)).await
    }

    /// Asks who is signed in with `token`.
    pub(crate) async fn me(&mut self, token: &str) -> Answer {
        self.send("me", &Request::get("/auth/me").bearer(token)).await
    }

    /// Runs `notify` on the whole outbox, as if the stream brought all of it (again), and answers
    /// the failures.
    pub(crate) async fn deliver(&mut self) -> Vec<Value> {
        let outbox = self.database.outbox().await;
        assert!(!outbox.is_empty(), "there is a message to deliver");
        let (_, response) = self.invoke("notify", &inserted(&outbox)).await;
        response["batchItemFailures"].as_array().expect("a list of failures").clone()
    }

    /// Runs `backfill` as the schedule does.
    pub(crate) async fn backfill(&mut self) -> Value {
        self.invoke("backfill", &schedule()).await.1
    }

    /// Stops every function.
    pub(crate) async fn stop(self) -> Vec<Stopped> {
        let mut stopped = Vec::new();
        for (name, Running { environment, request_ids }) in self.running {
            stopped.push(Stopped { name, request_ids, output: environment.stop().await });
        }
        stopped
    }

    async fn invoke(&mut self, function: &'static str, event: &Value) -> (String, Value) {
        if !self.running.contains_key(function) {
            let environment = self.launch(function).await;
            self.running.insert(function, Running { environment, request_ids: Vec::new() });
        }
        let running = self.running.get_mut(function).expect("a function that was just started");
        let invoked = running.environment.invoke(event).await;
        running.request_ids.push(invoked.request_id.clone());
        let Answer { request_id, response } = Answer::of(function, invoked);
        (request_id, response)
    }
}

/// What a function answers to API Gateway.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The id that Lambda gave the request.
    pub(crate) request_id: String,
    response: Value,
}

impl Answer {
    /// What `function` answered, which must not be an error of its own.
    pub(crate) fn of(function: &str, invoked: Invoked) -> Self {
        let response = invoked.outcome.unwrap_or_else(|error| panic!("`{function}` posted the error {error}"));
        Self { request_id: invoked.request_id, response }
    }

    /// The status.
    pub(crate) fn status(&self) -> u64 {
        self.response["statusCode"].as_u64().expect("a status")
    }

    /// A header, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response["headers"][name].as_str()
    }

    /// The body.
    pub(crate) fn body(&self) -> String {
        let body = self.response["body"].as_str().unwrap_or_default();
        if self.response["isBase64Encoded"] == true {
            let bytes = STANDARD.decode(body).expect("Base64");
            return String::from_utf8(bytes).expect("UTF-8");
        }
        body.to_owned()
    }

    /// The body, which is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body()).unwrap_or_else(|_| panic!("{self:?} has a JSON body"))
    }

    /// A field of the body, which is text.
    pub(crate) fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("{self:?} has `{field}`")).to_owned()
    }

    /// Asserts that it is a problem (RFC 9457) with this status and code, and answers its detail.
    pub(crate) fn problem(&self, status: u64, code: &str) -> String {
        let problem = self.json();
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)), "{self:?}");
        assert_eq!(problem["type"], format!("/problems/{code}"), "{self:?}");
        self.text("detail")
    }
}

/// A completed and paid checkout of the lead in `intake`.
pub(crate) fn payment(intake: &Answer) -> Value {
    json!({
        "id": format!("evt_{}", intake.text("client_id")),
        "object": "event",
        "type": "checkout.session.completed",
        "created": Clock::System.now().unix_seconds(),
        "data": { "object": {
            "id": format!("cs_{}", intake.text("client_id")),
            "object": "checkout.session",
            "payment_status": "paid",
            "client_reference_id": intake.text("client_id"),
            "customer": "cus_runtime",
            "metadata": {
                "client_id": intake.text("client_id"),
                "customer_reference": intake.text("customer_reference"),
            },
        } },
    })
}

/// `event` as Stripe delivers it, with the signature in the header `header`.
pub(crate) fn signed(event: &Value, header: &str) -> Request {
    let body = event.to_string();
    let signature = sign(body.as_bytes(), &Secret::new(WEBHOOK_SECRET), Clock::System.now());
    Request::post_text("/api/webhooks/stripe", body).header(header, signature)
}
