//! Mixed traffic: many clients, each living through the same stories under names of its own, and
//! some that all of them share.
//!
//! Every client knows what each answer has to be, and notes every other one. What it was told is
//! kept in a [`Ledger`], which is held against the table at the end: acknowledged means stored.

mod report;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use axum::body::Body;
use local::demo::http::Ask;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::secret::Secret;

use crate::actor::Actor;
use crate::world::{World, text};
pub use report::{is_flat, summary};

/// Somewhere to send requests to.
pub trait Transport {
    /// Sends `ask`; the error is a request without an answer.
    fn send(&self, ask: Ask) -> impl Future<Output = Result<Reply, String>>;
}

/// The answer to a request.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; null if it is no JSON.
    pub json: Value,
}

/// What all clients have in common.
pub struct Traffic<T> {
    /// Where it goes.
    pub transport: T,
    /// The clock of that place, by which webhooks are signed.
    pub clock: Clock,
    /// What signs them.
    pub webhook_secret: Secret,
    /// A session of an administrator.
    pub admin: String,
    /// How long a client waits before each request.
    pub pause: Duration,
}

/// What clients were told.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// How often each kind of request was answered with each status.
    pub answers: BTreeMap<(&'static str, u16), u64>,
    /// How long each answer took.
    pub took: Vec<Duration>,
    /// Answers that should not have been.
    pub wrong: Vec<String>,
    /// Internal ids of customers who must be there.
    pub kept: Vec<String>,
    /// Internal ids of customers who must be gone.
    pub deleted: Vec<String>,
    /// Internal ids of customers who came by the form and have paid.
    pub paid: Vec<String>,
    /// What was taken of the balance that all share.
    pub deducted: u64,
}

/// One client.
struct Client<'a, T> {
    traffic: &'a Traffic<T>,
    number: usize,
    ledger: Ledger,
}

const SHARED: &str = "shared";

impl<T: Transport> Traffic<T> {
    /// Makes what all share: a product, and a customer whom everybody uses.
    pub async fn prepare(&self) -> Ledger {
        let mut client = self.client(0);
        let items = json!([{ "feature_id": "litres", "included_usage": 1_000_000_000 }]);
        let product = json!({ "name": "Load", "is_default": true, "items": items });
        client.admin("PUT product", "PUT", "/v1/products/load", Some(product), &[201]).await;
        let shared =
            client.admin("POST customer", "POST", "/v1/customers", Some(json!({ "id": SHARED })), &[201]).await;
        client.keep(&shared["internal_id"]);
        client.ledger
    }

    /// Lets the client `number` live through turns for as long as `go_on` says.
    pub async fn run(&self, number: usize, go_on: impl Fn(u64) -> bool) -> Ledger {
        let mut client = self.client(number);
        let mut turn = 0;
        while go_on(turn) {
            client.turn(turn).await;
            turn += 1;
        }
        client.ledger
    }

    /// Everything that is wrong after `ledger` was written, in words; `world` is read after that.
    pub async fn wrong(&self, ledger: &Ledger, world: &World) -> Vec<String> {
        let mut wrong = ledger.wrong.clone();
        wrong.extend(world.broken());
        let there = |id: &String| world.at(&format!("CUSTOMER#{id}")).is_some();
        wrong.extend(ledger.kept.iter().filter(|id| !there(id)).map(|id| format!("customer {id} is lost")));
        wrong.extend(ledger.deleted.iter().filter(|id| there(id)).map(|id| format!("customer {id} is back")));
        wrong.extend(ledger.shut_out(world));
        let mut client = self.client(0);
        let path = format!("/v1/customers/{SHARED}");
        let shared = client.admin("GET customer", "GET", &path, None, &[200]).await;
        let used = &shared["balances"]["litres"]["usage"];
        if *used != ledger.deducted {
            wrong.push(format!("{} were taken of what all share, and {used} are counted", ledger.deducted));
        }
        wrong
    }

    fn client(&self, number: usize) -> Client<'_, T> {
        Client { traffic: self, number, ledger: Ledger::default() }
    }
}

impl<T: Transport> Client<'_, T> {
    /// Sends `ask`, whose answer must have one of the statuses `wanted`; answers its body.
    async fn ask(&mut self, what: &'static str, ask: Ask, wanted: &[u16]) -> Value {
        if !self.traffic.pause.is_zero() {
            tokio::time::sleep(self.traffic.pause).await;
        }
        let sent = Instant::now();
        let reply = self.traffic.transport.send(ask).await;
        self.ledger.took.push(sent.elapsed());
        let Reply { status, json } = reply.unwrap_or_else(|error| Reply { status: 0, json: error.into() });
        *self.ledger.answers.entry((what, status)).or_default() += 1;
        if !wanted.contains(&status) {
            self.ledger.wrong.push(format!("{what}: {status} {json}"));
        }
        json
    }

    async fn admin(
        &mut self,
        what: &'static str,
        method: &'static str,
        path: &str,
        body: Option<Value>,
        wanted: &[u16],
    ) -> Value {
        let token = Some(self.traffic.admin.clone());
        self.ask(what, Ask { method, path: path.to_owned(), token, signature: None, body }, wanted).await
    }

    /// Notes what does not hold.
    fn hold(&mut self, holds: bool, what: &str, answer: &Value) {
        if !holds {
            self.ledger.wrong.push(format!("{what}: {answer}"));
        }
    }

    fn keep(&mut self, id: &Value) {
        self.ledger.kept.extend(id.as_str().map(str::to_owned));
    }
}

impl Ledger {
    /// Adds what another client was told.
    pub fn add(&mut self, other: Self) {
        for (key, count) in other.answers {
            *self.answers.entry(key).or_default() += count;
        }
        self.took.extend(other.took);
        self.wrong.extend(other.wrong);
        self.kept.extend(other.kept);
        self.deleted.extend(other.deleted);
        self.paid.extend(other.paid);
        self.deducted += other.deducted;
    }

    /// Who has paid and cannot come in: without a login, or with one that has no password and was sent none.
    fn shut_out(&self, world: &World) -> Vec<String> {
        let invited: BTreeSet<&str> =
            world.messages("invitation").into_iter().map(|message| text(message, "user_id")).collect();
        let comes_in = |id: &String| {
            let customer = world.at(&format!("CUSTOMER#{id}"));
            let login = customer.and_then(|customer| world.at(&format!("USER#{}", text(customer, "user_id"))));
            login.is_some_and(|user| user["password_hash"].is_string() || invited.contains(text(user, "user_id")))
        };
        let shut_out = self.paid.iter().filter(|id| !comes_in(id));
        shut_out.map(|id| format!("customer {id} has paid and cannot come in")).collect()
    }
}

/// The router in this process.
impl Transport for Actor {
    async fn send(&self, ask: Ask) -> Result<Reply, String> {
        let actor = ask.token.map_or_else(|| self.clone(), |token| self.with_token(token));
        let mut request = actor.request(ask.method, &ask.path);
        if let Some(signature) = ask.signature {
            request = request.header("stripe-signature", signature);
        }
        let body = match ask.body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answer = Actor::send(&actor, request, body).await;
        Ok(Reply { status: answer.status, json: answer.json })
    }
}
