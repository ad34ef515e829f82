//! The SDK client, assembled by hand: what a function needs and nothing it has to search for.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Region, StalledStreamProtectionConfig};

use crate::config::{ConfigError, endpoint_url};

/// The longest that a call takes, with all of its attempts: less than any function has
/// (`docs/decisions/0024-timeouts.md`).
pub const OPERATION: Duration = Duration::from_secs(8);

const CONNECT: Duration = Duration::from_secs(1);
const ATTEMPT: Duration = Duration::from_millis(1_500);
const ATTEMPTS: u32 = 4;

/// Where a URL is said, in the order in which it counts.
const URLS: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];

/// Where `DynamoDB` is and who asks.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// `AWS_REGION`.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`; the region's own endpoint when absent.
    pub url: Option<String>,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    pub credentials: Option<Credentials>,
}

impl Endpoint {
    /// Reads the standard AWS variables. On Lambda they hold for as long as the process lives.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| variable(name).filter(|text| !text.is_empty());
        let credentials = text("AWS_ACCESS_KEY_ID")
            .zip(text("AWS_SECRET_ACCESS_KEY"))
            .map(|(id, secret)| Credentials::new(id, secret, text("AWS_SESSION_TOKEN"), None, "environment"));
        Self {
            region: text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION")),
            url: URLS.into_iter().find_map(text),
            credentials,
        }
    }

    /// The same, if the URL is one: of another every call would fail, and nobody would say why.
    pub fn checked(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let said = URLS.into_iter().find_map(|name| Some((name, variable(name).filter(|text| !text.is_empty())?)));
        if let Some((name, text)) = said {
            endpoint_url(&text).map_err(|reason| ConfigError::Malformed { name, reason })?;
        }
        Ok(Self::read(variable))
    }

    /// A `DynamoDB` on this machine, which asks for credentials and accepts any.
    #[must_use]
    pub fn local(url: impl Into<String>) -> Self {
        let credentials = Credentials::new("local", "local", None, None, "local");
        Self { region: Some("eu-central-1".into()), url: Some(url.into()), credentials: Some(credentials) }
    }
}

/// The client's configuration, still open for a test to put its own connector below it.
#[must_use]
pub fn config(endpoint: &Endpoint) -> Builder {
    // The SDK waits for ever unless told otherwise.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let builder = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(endpoint.region.clone().unwrap_or_else(|| "us-east-1".into())))
        .retry_config(
            RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(50)),
        )
        // An attempt ends after its time whether or not bytes trickle in.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts);
    let builder = match &endpoint.url {
        Some(url) => builder.endpoint_url(url),
        None => builder,
    };
    match &endpoint.credentials {
        Some(credentials) => builder.credentials_provider(credentials.clone()),
        None => builder,
    }
}

/// A client of `endpoint`.
#[must_use]
pub fn client(endpoint: &Endpoint) -> Client {
    Client::from_conf(config(endpoint).build())
}
