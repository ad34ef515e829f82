//! From flags to a server that is ready to run.

use std::thread::available_parallelism;

use axum::Router;
use shared::app::{App, Parts};
use shared::clock::Clock;
use shared::config::{Config, Settings};
use shared::notify::Mailer;
use shared::notify::mailbox::Mailbox;
use shared::password::Passwords;
use shared::store::connect::{Endpoint, client};
use shared::store::{Store, table};
use shared::stripe::checkout::Checkout;
use shared::token::KeyRing;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::admin::{self, Admin};
use crate::data_dir::DataDir;
use crate::dynamo::{Embedded, Storage};
pub use crate::options::Options;
use crate::server::{Dev, router, serve};
use crate::stream::{StreamLoop, streams_client};
use crate::{LocalError, loopback};

/// The name of the table.
pub const TABLE: &str = "rollcall";

/// How many passwords are hashed at once where the machine does not say what it can do.
const DEFAULT_HASHES: usize = 2;

/// A server that is ready to run.
pub struct Local {
    /// Where it listens.
    pub base_url: String,
    /// Where its `DynamoDB` listens, if that was asked for.
    pub dynamodb_url: Option<String>,
    /// The administrator, as this start found or made them.
    pub admin: Admin,
    /// What its handlers are given.
    pub app: App,
    listener: TcpListener,
    router: Router,
    stream: StreamLoop,
    embedded: Option<Embedded>,
    /// Held until the end, so that no other server uses it.
    _data: Option<DataDir>,
}

/// Makes the server that `options` ask for: state, table, administrator, app, routes.
pub async fn build(options: Options) -> Result<Local, LocalError> {
    let listener = loopback::listen(options.port, "--port")?;
    let base_url = format!("http://{}", listener.local_addr().map_err(LocalError::Serve)?);
    let data = if options.memory { None } else { Some(DataDir::open(&options.data)?) };
    let (endpoint, embedded) = database(&options, data.as_ref()).await?;
    let store = Store::new(client(&endpoint), TABLE);
    table::create(store.client(), TABLE).await?;
    let (config, keys) = configure(data.as_ref())?;
    let mailbox = mailbox(data.as_ref())?;
    let parts = Parts {
        settings: Settings {
            rate_limits: options.rate_limits,
            public_base_url: Some(base_url.clone()),
            stripe_configured: false,
            ..config.settings
        },
        store,
        clock: Clock::System,
        keys,
        passwords: Passwords::new(available_parallelism().map_or(DEFAULT_HASHES, usize::from)),
        webhook_secrets: vec![options.stripe_webhook_secret.clone()],
        checkout: Checkout::StandIn { base_url: base_url.clone() },
        stripe: None,
        mailer: Mailer::Mailbox(mailbox.clone()),
    };
    let app = App::new(parts);
    let admin = admin::ensure(&app, &options.admin_email, options.admin_password.as_ref()).await?;
    let mut stream = StreamLoop::new(streams_client(&endpoint), TABLE.into());
    if let Some(data) = &data {
        stream = stream.keeping_position(data.stream_position());
    }
    let dev = Dev { mailbox, webhook_secret: options.stripe_webhook_secret };
    let dynamodb_url = options.dynamodb_port.and(embedded.as_ref()).map(Embedded::url);
    let router = router(app.clone(), dev);
    Ok(Local { base_url, dynamodb_url, admin, app, listener, router, stream, embedded, _data: data })
}

impl Local {
    /// Serves until `shutdown`: then what is in flight ends, the messages it caused are delivered,
    /// and the database is closed, in this order.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), LocalError> {
        let (serving, served) = oneshot::channel::<()>();
        let server = async {
            let result = serve(self.listener, self.router, shutdown).await;
            drop(serving);
            result
        };
        let no_more_requests = async {
            let _ = served.await;
        };
        let (result, ()) = tokio::join!(server, self.stream.run(self.app, no_more_requests));
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
        result
    }
}

async fn database(options: &Options, data: Option<&DataDir>) -> Result<(Endpoint, Option<Embedded>), LocalError> {
    if let Some(url) = &options.dynamodb_endpoint {
        return Ok((elsewhere(url), None));
    }
    let storage = data.map_or(Storage::Memory, |data| Storage::File(data.database()));
    let embedded = Embedded::start(storage, options.dynamodb_port.unwrap_or(0)).await?;
    Ok((Endpoint::local(embedded.url()), Some(embedded)))
}

/// The `DynamoDB` at `url`, asked with the credentials of the environment if it has any.
fn elsewhere(url: &str) -> Endpoint {
    let (given, local) = (Endpoint::read(variable), Endpoint::local(url));
    Endpoint {
        region: given.region.or(local.region),
        url: local.url,
        credentials: given.credentials.or(local.credentials),
    }
}

/// What the environment says, and the keys: those of the environment, else those that are kept.
fn configure(data: Option<&DataDir>) -> Result<(Config, KeyRing), LocalError> {
    let read = |name: &str| if name == "TABLE_NAME" { Some(TABLE.to_owned()) } else { variable(name) };
    let config = Config::read(read, &[])?;
    let keys = match (&config.keys, data) {
        (Some(keys), _) => keys.clone(),
        (None, Some(data)) => data.keys()?,
        (None, None) => KeyRing::generate().0,
    };
    Ok((config, keys))
}

fn mailbox(data: Option<&DataDir>) -> Result<Mailbox, LocalError> {
    let Some(data) = data else { return Ok(Mailbox::in_memory(Clock::System)) };
    let file = data.mailbox();
    Mailbox::open(&file, Clock::System).map_err(LocalError::data(&file))
}

/// What the environment says.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
