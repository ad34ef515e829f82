//! The Lambda Runtime API (version 2018-06-01) for one execution environment, whose runtime is a
//! real binary: it asks for the next event, and posts its answer.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::HashMap;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use shared::clock::Clock;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a function has for an event, in milliseconds.
const FUNCTION_TIMEOUT_MS: i64 = 30_000;

/// Longer than anything takes that works, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running function. Dropping it kills the process.
pub(crate) struct Environment {
    name: String,
    process: Child,
    invocations: mpsc::UnboundedSender<Invocation>,
    polls: watch::Receiver<u64>,
    captured: watch::Sender<Captured>,
    _tasks: JoinSet<()>,
}

/// What became of an event.
pub(crate) struct Invoked {
    /// The id that Lambda gave it.
    pub(crate) request_id: String,
    /// What the function posted: its response, or its error.
    pub(crate) outcome: Result<Value, Value>,
}

/// What a process wrote.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary of a function.
pub(crate) fn binary(name: &str) -> Option<&'static str> {
    Some(match name {
        "intake-submit" => env!("CARGO_BIN_EXE_intake-submit"),
        "stripe-webhook" => env!("CARGO_BIN_EXE_stripe-webhook"),
        "login" => env!("CARGO_BIN_EXE_login"),
        "me" => env!("CARGO_BIN_EXE_me"),
        "register" => env!("CARGO_BIN_EXE_register"),
        "forgot-password" => env!("CARGO_BIN_EXE_forgot-password"),
        "reset-password" => env!("CARGO_BIN_EXE_reset-password"),
        "change-password" => env!("CARGO_BIN_EXE_change-password"),
        "logout" => env!("CARGO_BIN_EXE_logout"),
        "update-me" => env!("CARGO_BIN_EXE_update-me"),
        "create-customer" => env!("CARGO_BIN_EXE_create-customer"),
        "get-customer" => env!("CARGO_BIN_EXE_get-customer"),
        "list-customers" => env!("CARGO_BIN_EXE_list-customers"),
        "update-customer" => env!("CARGO_BIN_EXE_update-customer"),
        "delete-customer" => env!("CARGO_BIN_EXE_delete-customer"),
        "issue-credentials" => env!("CARGO_BIN_EXE_issue-credentials"),
        "put-product" => env!("CARGO_BIN_EXE_put-product"),
        "list-products" => env!("CARGO_BIN_EXE_list-products"),
        "check" => env!("CARGO_BIN_EXE_check"),
        "track" => env!("CARGO_BIN_EXE_track"),
        "dashboard" => env!("CARGO_BIN_EXE_dashboard"),
        "link-audit" => env!("CARGO_BIN_EXE_link-audit"),
        "data-quality" => env!("CARGO_BIN_EXE_data-quality"),
        "billing-customers" => env!("CARGO_BIN_EXE_billing-customers"),
        "assign-delivery" => env!("CARGO_BIN_EXE_assign-delivery"),
        "backfill" => env!("CARGO_BIN_EXE_backfill"),
        "notify" => env!("CARGO_BIN_EXE_notify"),
        _ => return None,
    })
}

impl Environment {
    /// Starts the binary of `name` with `variables` and what Lambda itself sets, and nothing else.
    pub(crate) async fn start(name: &str, variables: impl IntoIterator<Item = (&str, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let mut process = Command::new(binary(name).expect("a function of ours"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary runs");
        let (invocations, queue) = mpsc::unbounded_channel();
        let (polling, polls) = watch::channel(0);
        let captured = watch::Sender::new(Captured { open: 2, ..Captured::default() });
        let runtime = Runtime { name: name.to_owned(), queue: queue.into(), pending: Mutex::default(), polling };
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, routes(runtime)).await.expect("the Runtime API serves") });
        tasks.spawn(drain(stdout.expect("a pipe"), captured.clone(), |captured| &mut captured.stdout));
        tasks.spawn(drain(stderr.expect("a pipe"), captured.clone(), |captured| &mut captured.stderr));
        Self { name: name.to_owned(), process, invocations, polls, captured, _tasks: tasks }
    }

    /// Waits until the function asks for its first event: its init is done.
    pub(crate) async fn ready(&self) {
        let mut polls = self.polls.clone();
        let polled = async { polls.wait_for(|count| *count > 0).await.map(drop) };
        tokio::select! {
            polled = timeout(PATIENCE, polled) => polled.map_or_else(|_| self.fail("never asked"), drop),
            () = self.ended() => self.fail("ended during its init"),
        }
    }

    /// Hands the function an event and waits for what it posts.
    pub(crate) async fn invoke(&self, event: &Value) -> Invoked {
        let (answer, answered) = oneshot::channel();
        let request_id = Uuid::new_v4().to_string();
        let invocation = Invocation { request_id: request_id.clone(), event: event.to_string(), answer };
        self.invocations.send(invocation).unwrap_or_else(|_| self.fail("takes no events any more"));
        let outcome = tokio::select! {
            outcome = timeout(PATIENCE, answered) => outcome.unwrap_or_else(|_| self.fail("never answered")),
            () = self.ended() => self.fail("ended instead of answering"),
        };
        Invoked { request_id, outcome: outcome.unwrap_or_else(|_| self.fail("dropped an event")) }
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn exit(mut self) -> (ExitStatus, Output) {
        let status = timeout(PATIENCE, self.process.wait()).await.unwrap_or_else(|_| self.fail("does not end"));
        self.ended().await;
        (status.expect("a process of ours"), self.output())
    }

    /// Kills the process and answers everything that it wrote.
    pub(crate) async fn stop(mut self) -> Output {
        self.process.kill().await.expect("a process of ours");
        self.ended().await;
        self.output()
    }

    /// Both pipes are read to their end.
    async fn ended(&self) {
        let mut captured = self.captured.subscribe();
        captured.wait_for(|captured| captured.open == 0).await.map_or_else(|_| (), drop);
    }

    fn output(&self) -> Output {
        let captured = self.captured.borrow();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output { stdout: text(&captured.stdout), stderr: text(&captured.stderr) }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("`{}` {what}; it wrote {:#?}", self.name, self.output())
    }
}

/// An event on its way to the function.
struct Invocation {
    request_id: String,
    event: String,
    answer: oneshot::Sender<Result<Value, Value>>,
}

/// What the process has written so far, and how many of its pipes are still open.
#[derive(Default)]
struct Captured {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    open: u8,
}

async fn drain(
    mut pipe: impl AsyncRead + Unpin,
    captured: watch::Sender<Captured>,
    buffer: fn(&mut Captured) -> &mut Vec<u8>,
) {
    let mut chunk = vec![0; 8_192];
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        captured.send_modify(|captured| buffer(captured).extend_from_slice(&chunk[..length]));
    }
    captured.send_modify(|captured| captured.open -= 1);
}

/// The server's side of one environment.
struct Runtime {
    name: String,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    pending: Mutex<HashMap<String, oneshot::Sender<Result<Value, Value>>>>,
    polling: watch::Sender<u64>,
}

fn routes(runtime: Runtime) -> Router {
    let api = Router::new()
        .route("/invocation/next", get(next))
        .route("/invocation/{id}/response", post(response))
        .route("/invocation/{id}/error", post(error))
        .route("/init/error", post(async || StatusCode::ACCEPTED));
    Router::new().nest("/2018-06-01/runtime", api).with_state(Arc::new(runtime))
}

/// Answers when there is an event, however long that takes.
async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    runtime.polling.send_modify(|count| *count += 1);
    let Some(invocation) = runtime.queue.lock().await.recv().await else { return StatusCode::GONE.into_response() };
    let Invocation { request_id, event, answer } = invocation;
    let arn = format!("arn:aws:lambda:eu-central-1:123456789012:function:{}", runtime.name);
    let deadline_ms = Clock::System.now().unix_ms() + FUNCTION_TIMEOUT_MS;
    let trace = format!("Root=1-65a0b1c2-{};Sampled=0", &request_id.replace('-', "")[..24]);
    runtime.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(request_id.clone(), answer);
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", request_id),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("lambda-runtime-trace-id", trace),
    ];
    (headers, event).into_response()
}

async fn response(State(runtime): State<Arc<Runtime>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    runtime.finish(&id, Ok(read(&body)))
}

async fn error(State(runtime): State<Arc<Runtime>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    runtime.finish(&id, Err(read(&body)))
}

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into())
}

impl Runtime {
    fn finish(&self, id: &str, outcome: Result<Value, Value>) -> StatusCode {
        let waiting = self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        match waiting.map(|answer| answer.send(outcome)) {
            Some(_) => StatusCode::ACCEPTED,
            None => StatusCode::BAD_REQUEST,
        }
    }
}
