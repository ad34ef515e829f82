//! A wire tap between the AWS SDK and `DynamoDB`: counts, records, rewrites and breaks calls.
//!
//! It sits *below* the SDK, where the SDK's own retries are visible. The unit is one HTTP
//! attempt of the `DynamoDB_20120810` service; whatever else passes (streams) is left alone and
//! not counted. What must stay true: an attempt is numbered, decided on and logged under one
//! lock, when the SDK makes it, so that the n-th call of one run is the n-th of the next; and a
//! fault that says "carried out" waits for the complete answer before it does its harm.
//!
//! ```ignore
//! let connector = Connector::over_http();
//! let config = aws_sdk_dynamodb::Config::builder().http_client(connector.clone());
//! let n = connector.calls_of(request()).await; // once cleanly, to learn how many there are
//! for n in 1..=n {
//!     connector.reset();
//!     connector.inject(Fault { at: When::Call(n), kind: Kind::Kill { after: true } });
//!     assert!(run_until_killed(&connector, request()).await.is_none());
//!     // ... repeat the request, then read the invariants from the raw table
//! }
//! ```
//!
//! Read the raw table through a client of its own, or its calls are counted and broken too.
//! Make one connector per test: the connections inside belong to that test's runtime.

mod attempt;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::Value;
use tokio::sync::watch;

use self::attempt::Attempt;
use crate::faults::{CallInfo, Fault, Kind, Plan, When};
use crate::pause::{Gates, Pause};
use crate::policy;
use crate::recording;
use crate::stale::Answers;
use crate::torn::Tear;

/// The tap. Clones share everything: give one to the SDK and keep another.
#[derive(Clone)]
pub struct Connector(Arc<Shared>);

/// Changes a request before it is sent; gets the operation's name and the JSON body.
pub type Rewrite = Box<dyn Fn(&str, &mut Value) + Send + Sync>;

/// The calls between `start_recording` and `take_recording`, in the order they started.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// One entry per HTTP attempt.
    pub calls: Vec<Call>,
}

/// One recorded HTTP attempt.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number since the connector was made, from 1.
    pub sequence: u64,
    /// The operation, as in `TransactWriteItems`.
    pub operation: String,
    /// The logical time at which the SDK made it.
    pub started: u64,
    /// The logical time at which it was answered or dropped; `u64::MAX` if still under way.
    pub finished: u64,
    /// What was done to it.
    pub fault: Option<Kind>,
    /// The capacity units that its answer says it took; 0 unless they were asked for.
    pub units: f64,
    body: Vec<u8>,
}

/// Runs the future until it finishes (`Some`) or a `Kill` fires (`None`). The killed future is
/// dropped where it stands, as its process would be, and the connector serves the next one.
///
/// The future has to own its work: a handler behind a socket or a spawned task is not dropped
/// with it (though its further calls are never sent before this returns).
pub async fn run_until_killed<F: Future>(connector: &Connector, future: F) -> Option<F::Output> {
    let mut kills = connector.0.kills.subscribe();
    connector.lock().dead = false;
    let output = tokio::select! {
        biased;
        _ = kills.changed() => None,
        output = future => Some(output),
    };
    connector.lock().dead = false;
    // It may have finished in the very step in which it was killed: a dead process has not.
    output.filter(|_| !kills.has_changed().unwrap_or(false))
}

struct Shared {
    inner: SharedHttpClient,
    state: Mutex<State>,
    /// How many kills have fired.
    kills: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    clock: u64,
    calls: u64,
    plan: Plan,
    gates: Gates,
    answers: Answers,
    torn: u64,
    recording: Option<Vec<Call>>,
    /// Whether every request asks what it consumes.
    metered: bool,
    rewrite: Option<Arc<Rewrite>>,
    /// Between a kill and the end of its `run_until_killed`: nothing is sent or counted.
    dead: bool,
}

impl State {
    /// The recorded attempt `sequence`.
    fn call(&mut self, sequence: u64) -> Option<&mut Call> {
        let calls = self.recording.iter_mut().flatten();
        calls.rev().find(|call| call.sequence == sequence)
    }
}

impl Connector {
    /// Wraps any HTTP client of the SDK.
    #[must_use]
    pub fn new(inner: SharedHttpClient) -> Self {
        let state = Mutex::new(State::default());
        Self(Arc::new(Shared { inner, state, kills: watch::Sender::new(0) }))
    }

    /// Wraps the SDK's own client without TLS, which is what the embedded `DynamoDB` speaks.
    #[must_use]
    pub fn over_http() -> Self {
        Self::new(aws_smithy_http_client::Builder::new().build_http())
    }

    /// How many calls have been made in all. Never reset.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Runs the future and returns how many calls were made meanwhile.
    pub async fn calls_of<F: Future>(&self, future: F) -> u64 {
        let before = self.calls();
        future.await;
        self.calls() - before
    }

    /// Starts a new recording; one that was under way is discarded.
    pub fn start_recording(&self) {
        self.lock().recording = Some(Vec::new());
    }

    /// The same, and asks with every request what it consumes.
    pub fn start_metering(&self) {
        self.start_recording();
        self.lock().metered = true;
    }

    /// Stops recording and returns what was recorded, if anything.
    #[must_use]
    pub fn take_recording(&self) -> Recording {
        let mut state = self.lock();
        state.metered = false;
        Recording { calls: state.recording.take().unwrap_or_default() }
    }

    /// Adds a fault to the plan; its count starts now.
    ///
    /// # Panics
    ///
    /// If the count is 0: calls are counted from 1.
    pub fn inject(&self, fault: Fault) {
        self.lock().plan.arm(fault);
    }

    /// Lets a function decide on every attempt until `reset`, for plans that mix kinds. It must
    /// not call the connector, which is locked meanwhile.
    pub fn inject_with<F>(&self, decide: F)
    where
        F: Fn(&CallInfo<'_>) -> Option<Kind> + Send + Sync + 'static,
    {
        self.lock().plan.arm_with(Box::new(decide));
    }

    /// Holds one attempt back until it is told to go on. Its count starts now. The SDK's own
    /// timeouts go on meanwhile.
    #[must_use]
    pub fn pause(&self, at: &When) -> Pause {
        self.lock().gates.arm(at, None)
    }

    /// The same of the `nth` batch read, in its middle: it is sent as two. It meets no fault.
    #[must_use]
    pub fn tear(&self, nth: u64, tear: Tear) -> Pause {
        self.lock().gates.arm(&When::Operation("BatchGetItem", nth), Some(tear))
    }

    /// How many batch reads came torn to the SDK. Never reset.
    #[must_use]
    pub fn torn(&self) -> u64 {
        self.lock().torn
    }

    /// How many faults came to pass since the last `reset`: 0 means the test tested nothing.
    #[must_use]
    pub fn faults_fired(&self) -> u64 {
        self.lock().plan.fired().len() as u64
    }

    /// The same, one by one, in the order of the calls.
    #[must_use]
    pub fn kinds_fired(&self) -> Vec<Kind> {
        self.lock().plan.fired().to_vec()
    }

    /// Ends `LostAnswerUntilGivenUp`: those requests are answered again.
    pub fn heal(&self) {
        self.lock().plan.heal();
    }

    /// Forgets all faults and heals. Leaves recording, rewriting and `calls` as they are.
    pub fn reset(&self) {
        let mut state = self.lock();
        state.plan = Plan::default();
        state.gates = Gates::default();
        state.dead = false;
    }

    /// Rewrites every request from now on, to plant a bug below the code under test. What is
    /// sent is what is recorded. The signature no longer matches, which the embedded `DynamoDB`
    /// does not check.
    pub fn rewrite(&self, rewrite: Rewrite) {
        self.lock().rewrite = Some(Arc::new(rewrite));
    }

    /// Sends requests as they are again.
    pub fn stop_rewriting(&self) {
        self.lock().rewrite = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of one test's predicate must not hide behind a poisoned lock.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers, decides on and logs an attempt; `None` if the process is dead.
    fn begin(&self, operation: &str, body: &[u8]) -> Option<Attempt> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.dead {
            return None;
        }
        state.calls += 1;
        state.clock += 1;
        let sequence = state.calls;
        let fault = state.plan.decide(&CallInfo { sequence, operation, body });
        if let Some(calls) = &mut state.recording {
            calls.push(Call {
                sequence,
                operation: operation.to_owned(),
                started: state.clock,
                finished: u64::MAX,
                fault,
                units: 0.0,
                body: body.to_owned(),
            });
        }
        let gate = state.gates.meet(operation);
        let operation = operation.to_owned();
        Some(Attempt { connector: self.clone(), sequence, operation, fault, gate })
    }

    fn rewritten(&self, operation: &str, request: HttpRequest) -> HttpRequest {
        let (rewrite, metered) = {
            let state = self.lock();
            (state.rewrite.clone(), state.metered)
        };
        if rewrite.is_none() && !metered {
            return request;
        }
        let bytes = request.body().bytes().unwrap_or_default();
        let Ok(mut json) = serde_json::from_slice::<Value>(bytes) else { return request };
        if let Some(rewrite) = rewrite {
            rewrite(operation, &mut json);
        }
        if metered {
            recording::ask(&mut json);
        }
        carrying(request, json.to_string())
    }
}

/// `request` with another body.
fn carrying(mut request: HttpRequest, body: String) -> HttpRequest {
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
    request
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.0.inner.http_connector(settings, components);
        SharedHttpConnector::new(Tap { connector: self.clone(), inner })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        HttpClient::validate_base_client_config(&self.0.inner, components, config)
    }

    fn validate_final_config(&self, components: &RuntimeComponents, config: &ConfigBag) -> Result<(), BoxError> {
        HttpClient::validate_final_config(&self.0.inner, components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.inner.connector_metadata()
    }
}

/// The connector the SDK gets for one set of timeouts.
#[derive(Debug)]
struct Tap {
    connector: Connector,
    inner: SharedHttpConnector,
}

impl HttpConnector for Tap {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target");
        let Some(operation) = target.and_then(|t| t.strip_prefix("DynamoDB_20120810.")) else {
            return self.inner.call(request);
        };
        let operation = operation.to_owned();
        // What the code asks for, before a planted bug changes it.
        policy::check(&operation, request.body().bytes().unwrap_or_default());
        let request = self.connector.rewritten(&operation, request);
        let body = request.body().bytes().unwrap_or_default();
        let Some(attempt) = self.connector.begin(&operation, body) else {
            return HttpConnectorFuture::new(std::future::pending());
        };
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move { attempt.run(&inner, request).await })
    }
}

impl Call {
    /// The request as JSON; `Null` if it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
