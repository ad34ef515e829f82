//! A stand-in for Stripe's API: customers, subscriptions and Checkout sessions, idempotency keys as Stripe keeps
//! them (a stored answer is given again, a stored 500 too), and faults.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What happens to one request. Only of a `POST` an answer is kept, as only a `POST` has a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StripeFault {
    /// It is carried out after a while.
    Slow(Duration),
    /// It is carried out and answered with a 500, which is kept for its key.
    ErrorAfter,
    /// It is answered with a 500, which is kept for its key; nothing is done.
    ErrorBefore,
    /// It is carried out and the connection ends before the answer does.
    CutOff,
    /// It is carried out and never answered.
    NoAnswer,
    /// It is refused with 400.
    Refused,
    /// It is refused with 429, as there are too many; nothing is done.
    TooMany,
}

/// The stand-in. It ends when it is dropped.
pub struct StripeApi {
    url: String,
    shared: Arc<Mutex<Kept>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    faults: VecDeque<StripeFault>,
    /// Those of everything that is no `POST`.
    others: VecDeque<StripeFault>,
    /// How many requests came.
    requests: usize,
    /// The fault of one that has yet to come, by its number.
    chosen: Option<(usize, StripeFault)>,
    customers: Vec<Value>,
    sessions: Vec<Value>,
    subscriptions: Vec<Value>,
    forms: Vec<Form>,
    canceled: Vec<String>,
    refused: usize,
    keys: HashMap<String, (Bytes, Option<(StatusCode, Value)>)>,
}

impl Kept {
    /// Counts a request; what happens to it, if it is no `POST`. A `POST` meets its fault where it is carried out.
    fn meet(&mut self, method: &Method) -> Option<StripeFault> {
        self.requests += 1;
        let is_post = *method == Method::POST;
        let queue = if is_post { &mut self.faults } else { &mut self.others };
        if let Some((_, fault)) = self.chosen.take_if(|(n, _)| *n == self.requests) {
            queue.push_front(fault);
        }
        if is_post { None } else { queue.pop_front() }
    }
}

type Form = HashMap<String, String>;
type Shared = State<Arc<Mutex<Kept>>>;
type Work = fn(&mut Kept, &Form) -> Value;

impl StripeApi {
    /// Starts it on a free port of the loopback.
    #[expect(clippy::disallowed_methods, reason = "a server beside the test, ended with it")]
    pub async fn start() -> Self {
        let shared = Arc::new(Mutex::new(Kept::default()));
        let routes = Router::new()
            .route("/v1/customers", post(create_customer).get(list_customers))
            .route("/v1/customers/search", get(search))
            .route("/v1/customers/{id}", get(get_customer))
            .route("/v1/checkout/sessions", post(create_session))
            .route("/v1/subscriptions", post(create_subscription).get(list_subscriptions))
            .route("/v1/subscriptions/{id}", delete(cancel_subscription))
            .layer(from_fn_with_state(shared.clone(), break_others))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, shared, server }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Breaks the next `POST`s that are carried out, one each, in order.
    pub fn break_next(&self, faults: impl IntoIterator<Item = StripeFault>) {
        lock(&self.shared).faults.extend(faults);
    }

    /// The same of the next requests that are no `POST`: look-ups and cancellations.
    pub fn break_next_others(&self, faults: impl IntoIterator<Item = StripeFault>) {
        lock(&self.shared).others.extend(faults);
    }

    /// Breaks the `n`-th request from now on, whatever it is. A `POST` must not be one that has its answer.
    pub fn break_call(&self, n: usize, fault: StripeFault) {
        let mut kept = lock(&self.shared);
        kept.chosen = Some((kept.requests + n, fault));
    }

    /// How many faults have not come to pass yet.
    pub fn faults_left(&self) -> usize {
        let kept = lock(&self.shared);
        kept.faults.len() + kept.others.len() + usize::from(kept.chosen.is_some())
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        lock(&self.shared).requests
    }

    /// The customers that were made.
    pub fn customers(&self) -> Vec<Value> {
        lock(&self.shared).customers.clone()
    }

    /// The checkout sessions that were made.
    pub fn sessions(&self) -> Vec<Value> {
        lock(&self.shared).sessions.clone()
    }

    /// The subscriptions that were made.
    pub fn subscriptions(&self) -> Vec<Value> {
        lock(&self.shared).subscriptions.clone()
    }

    /// The subscriptions that were canceled, in order.
    pub fn canceled(&self) -> Vec<String> {
        lock(&self.shared).canceled.clone()
    }

    /// How many requests came under the key of another one.
    pub fn refused(&self) -> usize {
        lock(&self.shared).refused
    }

    /// The forms that were carried out, in order.
    pub fn forms(&self) -> Vec<HashMap<String, String>> {
        lock(&self.shared).forms.clone()
    }
}

impl Drop for StripeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(shared: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What happens to a request that is no `POST`.
async fn break_others(State(shared): Shared, request: Request, next: Next) -> Response {
    let fault = lock(&shared).meet(request.method());
    match fault {
        None => next.run(request).await,
        Some(StripeFault::Slow(wait)) => {
            sleep(wait).await;
            next.run(request).await
        }
        Some(StripeFault::Refused) => bad_request(),
        Some(StripeFault::TooMany) => too_many(),
        Some(StripeFault::ErrorBefore) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "api_error"),
        Some(StripeFault::ErrorAfter) => {
            next.run(request).await;
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "api_error")
        }
        Some(StripeFault::CutOff) => cut_off(next.run(request).await.status()),
        Some(StripeFault::NoAnswer) => {
            next.run(request).await;
            pending().await
        }
    }
}

async fn create_customer(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Response {
    carry_out(shared, headers, body, |kept, form| {
        let id = format!("cus_{}", kept.customers.len() + 1);
        let metadata = json!({ "internal_id": form.get("metadata[internal_id]") });
        let customer = json!({ "id": id, "object": "customer", "email": form.get("email"), "metadata": metadata });
        kept.customers.push(customer.clone());
        customer
    })
    .await
}

async fn get_customer(State(shared): Shared, Path(id): Path<String>) -> Response {
    let found = lock(&shared).customers.iter().find(|customer| customer["id"] == id.as_str()).cloned();
    found.map_or_else(|| refusal(StatusCode::NOT_FOUND, "invalid_request_error"), |it| Json(it).into_response())
}

async fn create_session(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Response {
    carry_out(shared, headers, body, |kept, form| {
        let id = format!("cs_test_{}", kept.sessions.len() + 1);
        let url = format!("https://checkout.stripe.test/{id}");
        let reference = form.get("client_reference_id");
        let session = json!({ "id": id, "object": "checkout.session", "url": url, "client_reference_id": reference });
        kept.sessions.push(session.clone());
        session
    })
    .await
}

/// One for a price that nobody has paid yet.
async fn create_subscription(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Response {
    carry_out(shared, headers, body, |kept, form| {
        let id = format!("sub_{}", kept.subscriptions.len() + 1);
        let name = |name: &str| form.get(&format!("metadata[{name}]")).cloned();
        let names = ["client_id", "customer_reference", "product_id"];
        let metadata: HashMap<_, _> = names.into_iter().map(|known| (known, name(known))).collect();
        let item =
            json!({ "price": { "id": form.get("items[0][price]") }, "quantity": form.get("items[0][quantity]") });
        let subscription = json!({
            "id": id, "object": "subscription", "status": "incomplete", "customer": form.get("customer"),
            "metadata": metadata, "items": { "data": [item] },
        });
        kept.subscriptions.push(subscription.clone());
        subscription
    })
    .await
}

async fn list_subscriptions(State(shared): Shared, Query(query): Query<Form>) -> Json<Value> {
    let mut found = lock(&shared).subscriptions.clone();
    assert_eq!(query.get("status").map(String::as_str), Some("all"), "else ended ones are left out");
    found.retain(|subscription| subscription["customer"].as_str() == query.get("customer").map(String::as_str));
    Json(json!({ "object": "list", "data": found, "has_more": false }))
}

/// One that was canceled before is gone, as Stripe says it.
async fn cancel_subscription(State(shared): Shared, Path(id): Path<String>) -> Response {
    let mut kept = lock(&shared);
    if kept.canceled.contains(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    kept.canceled.push(id.clone());
    Json(json!({ "id": id, "object": "subscription", "status": "canceled" })).into_response()
}

/// Search knows nobody yet: Stripe's lags behind what it has just made.
async fn search() -> Json<Value> {
    Json(json!({ "object": "search_result", "data": [], "has_more": false }))
}

async fn list_customers(State(shared): Shared, Query(query): Query<Form>) -> Json<Value> {
    let wanted = query.get("email").map(String::as_str);
    let mut found = lock(&shared).customers.clone();
    found.retain(|customer| wanted.is_none() || customer["email"].as_str() == wanted);
    Json(json!({ "object": "list", "data": found, "has_more": false }))
}

/// Carries a `POST` out once per key, as Stripe does, and whether or not its sender waits for the answer.
#[expect(clippy::disallowed_methods, reason = "what Stripe has begun it ends")]
async fn carry_out(shared: Arc<Mutex<Kept>>, headers: HeaderMap, body: Bytes, work: Work) -> Response {
    tokio::spawn(async move { answer(&shared, &headers, body, work).await }).await.unwrap()
}

async fn answer(shared: &Mutex<Kept>, headers: &HeaderMap, body: Bytes, work: Work) -> Response {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).expect("a key").to_owned();
    assert!(headers.contains_key("stripe-version") && headers.contains_key("authorization"));
    let Query(form) =
        Query::<Form>::try_from_uri(&format!("/?{}", std::str::from_utf8(&body).unwrap()).parse().unwrap())
            .expect("a form");
    let fault = {
        let mut kept = lock(shared);
        if kept.keys.get(&key).is_some_and(|(known, _)| *known != body) {
            kept.refused += 1;
            return refusal(StatusCode::BAD_REQUEST, "idempotency_error");
        }
        if let Some((_, answer)) = kept.keys.get(&key) {
            return match answer {
                Some((status, answer)) => (*status, Json(answer.clone())).into_response(),
                None => refusal(StatusCode::CONFLICT, "idempotency_key_in_use"),
            };
        }
        let fault = kept.faults.pop_front();
        match fault {
            Some(StripeFault::Refused) => return bad_request(),
            Some(StripeFault::TooMany) => return too_many(),
            _ => {}
        }
        kept.keys.insert(key.clone(), (body.clone(), None));
        fault
    };
    if let Some(StripeFault::Slow(wait)) = fault {
        sleep(wait).await;
    }
    let answer = {
        let mut kept = lock(shared);
        kept.forms.push(form.clone());
        let failed = (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": { "type": "api_error" } }));
        let answer = match fault {
            Some(StripeFault::ErrorBefore) => failed,
            Some(StripeFault::ErrorAfter) => {
                work(&mut kept, &form);
                failed
            }
            _ => (StatusCode::OK, work(&mut kept, &form)),
        };
        kept.keys.insert(key, (body, Some(answer.clone())));
        answer
    };
    match fault {
        Some(StripeFault::NoAnswer) => pending().await,
        Some(StripeFault::CutOff) => cut_off(answer.0),
        _ => (answer.0, Json(answer.1)).into_response(),
    }
}

/// An answer of which nothing but its head arrives.
fn cut_off(status: StatusCode) -> Response {
    let cut = stream::once(async { Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset)) });
    (status, Body::from_stream(cut)).into_response()
}

fn bad_request() -> Response {
    refusal(StatusCode::BAD_REQUEST, "parameter_invalid")
}

fn too_many() -> Response {
    refusal(StatusCode::TOO_MANY_REQUESTS, "rate_limit")
}

fn refusal(status: StatusCode, kind: &str) -> Response {
    (status, Json(json!({ "error": { "type": kind } }))).into_response()
}
