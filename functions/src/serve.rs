//! How a binary starts: configuration, app, its own rows of the table, and the Runtime API.

use std::net::IpAddr;
use std::time::Duration;

use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Region};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use mimalloc::MiMalloc;
use shared::app::{App, Parts};
use shared::clock::Clock;
use shared::config::{Config, ConfigError, Need};
use shared::http::client::{ClientAddress, RequestId};
use shared::http::layers::surround;
use shared::ids::UserId;
use shared::notify::Mailer;
use shared::notify::aws::AwsMailer;
use shared::password::Passwords;
use shared::sdk::describe;
use shared::store::Store;
use shared::store::connect::{Endpoint, client};
use shared::stripe::checkout::Checkout;
use shared::stripe::client::StripeClient;
use shared::telemetry;
use shared::token::KeyRing;
use tokio::task::spawn_local;
use uuid::Uuid;

use crate::routes::{Function, router};

/// Takes an eighth less CPU for a request than the C library's: `docs/decisions/0022-allocator.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A Lambda environment serves one request at a time.
const CONCURRENT_HASHES: usize = 1;

/// How long the keys may take: an init that Lambda ends after ten seconds says nothing of itself.
const CONNECT: Duration = Duration::from_secs(1);
const ATTEMPT: Duration = Duration::from_millis(1_500);
const OPERATION: Duration = Duration::from_secs(5);

/// Why a function did not start.
pub type InitError = Box<dyn std::error::Error + Send + Sync>;

/// Serves the routes of `function` through the Runtime API.
pub async fn serve(function: &Function) -> Result<(), InitError> {
    telemetry::init_lambda(variable("RUST_LOG").as_deref());
    let app = or_name_it(app_from_env(function).await)?;
    let routes = surround(router(&[function]), app).layer(from_fn(identify));
    until_frozen(lambda_http::run(routes)).await
}

/// Runs the loop of a function as a task of a [`LocalRuntime`](tokio::runtime::LocalRuntime). What wakes the future that a
/// runtime blocks on goes through the kernel, each time: `docs/decisions/0023-one-local-task.md`.
pub async fn until_frozen<E>(run: impl Future<Output = Result<(), E>> + 'static) -> Result<(), InitError>
where
    E: Into<InitError> + 'static,
{
    spawn_local(run).await?.map_err(Into::into)
}

/// The app of a job, which is served without routes.
pub async fn job(function: &Function) -> Result<App, InitError> {
    telemetry::init_lambda(variable("RUST_LOG").as_deref());
    or_name_it(app_from_env(function).await)
}

/// An init that fails says why in the log: Lambda itself reports only the exit.
fn or_name_it(app: Result<App, InitError>) -> Result<App, InitError> {
    app.inspect_err(|error| tracing::error!(%error, "the function did not start"))
}

async fn app_from_env(function: &Function) -> Result<App, InitError> {
    let config = Config::read(variable, function.needs)?;
    let endpoint = Endpoint::checked(variable)?;
    let store = Store::new(client(&endpoint), &config.table_name);
    // Nobody waits for the handshake: it is done while the CPU is unthrottled. A table that does
    // not answer yet is no reason not to start.
    let (keys, ()) = tokio::join!(keys(&config, function, &endpoint), warm(&store));
    let mailer = if function.needs.contains(&Need::MailFrom) { mailer(&config, &endpoint)? } else { Mailer::None };
    let stripe = config.stripe.as_ref().map(StripeClient::new);
    Ok(App::new(Parts {
        checkout: checkout(&config, stripe.as_ref()),
        settings: config.settings,
        store,
        clock: Clock::System,
        keys: keys?,
        passwords: Passwords::new(CONCURRENT_HASHES),
        webhook_secrets: config.webhook_secrets,
        stripe,
        mailer,
    }))
}

/// The environment, which is read nowhere else.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where a lead pays. People have to come back to somewhere.
fn checkout(config: &Config, stripe: Option<&StripeClient>) -> Checkout {
    let (Some(stripe), Some(base_url)) = (stripe, &config.settings.public_base_url) else { return Checkout::None };
    let price_id = config.stripe.as_ref().and_then(|stripe| stripe.price_id.clone());
    Checkout::Stripe { client: stripe.clone(), price_id, base_url: base_url.clone() }
}

async fn warm(store: &Store) {
    if let Err(error) = store.user(UserId(Uuid::nil())).await {
        tracing::warn!(%error, "the table did not answer at init");
    }
}

async fn keys(config: &Config, function: &Function, endpoint: &Endpoint) -> Result<KeyRing, InitError> {
    if let Some(keys) = &config.keys {
        return Ok(keys.clone());
    }
    let Some(arn) = config.keys_secret_arn.as_ref().filter(|_| function.needs.contains(&Need::JwtKeys)) else {
        return Ok(KeyRing::generate().0);
    };
    let secret = secrets(endpoint).get_secret_value().secret_id(arn).send().await;
    let secret = secret.map_err(|error| format!("`JWT_KEYS_SECRET_ARN` cannot be read: {}", describe(&error)))?;
    let text = secret.secret_string().ok_or("`JWT_KEYS_SECRET_ARN` names a secret that is no text")?;
    let parsed = KeyRing::parse(text.trim());
    parsed.map_err(|error| format!("`JWT_KEYS_SECRET_ARN` names a secret that is malformed: {error}").into())
}

fn secrets(endpoint: &Endpoint) -> aws_sdk_secretsmanager::Client {
    let region = endpoint.region.clone().unwrap_or_else(|| "us-east-1".into());
    // The SDK waits for ever unless told otherwise.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let mut config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region))
        .timeout_config(timeouts);
    config.set_endpoint_url(variable("AWS_ENDPOINT_URL_SECRETS_MANAGER"));
    if let Some(credentials) = &endpoint.credentials {
        config = config.credentials_provider(credentials.clone());
    }
    aws_sdk_secretsmanager::Client::from_conf(config.build())
}

fn mailer(config: &Config, endpoint: &Endpoint) -> Result<Mailer, ConfigError> {
    let from = config.mail_from.clone().ok_or(ConfigError::Missing("MAIL_FROM"))?;
    let url = |name: &str| variable(name).filter(|url| !url.is_empty());
    let (ses, sns) = (url("AWS_ENDPOINT_URL_SESV2"), url("AWS_ENDPOINT_URL_SNS"));
    Ok(Mailer::Aws(AwsMailer::new(endpoint, ses, sns, from)))
}

/// Tells the routes what Lambda knows of a request: its id and the address it came from.
async fn identify(mut request: Request, next: Next) -> Response {
    let context = request.lambda_context_ref().map(|context| context.request_id.clone());
    let address = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref().and_then(|ip| ip.parse().ok()),
        _ => None,
    };
    if let Some(id) = context {
        request.extensions_mut().insert(RequestId(id));
    }
    if let Some(address) = address as Option<IpAddr> {
        request.extensions_mut().insert(ClientAddress(address));
    }
    next.run(request).await
}
