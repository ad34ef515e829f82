//! A running app over a table of its own.

use std::net::IpAddr;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_dynamodb::types::StreamSpecification;
use dynoxide::Database;
use functions::routes::{ALL, router};
use local::dynamo::{Embedded, Storage};
use local::stream::{StreamLoop, streams_client};
use serde_json::json;
use shared::app::{App, Parts};
use shared::clock::{Clock, ManualClock, Time};
use shared::config::{Settings, StripeConfig};
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::http::layers::surround;
use shared::ids::UserId;
use shared::notify::Mailer;
use shared::notify::mailbox::{Delivered, Mailbox};
use shared::password::Passwords;
use shared::secret::Secret;
use shared::store::connect::{Endpoint, client, config};
use shared::store::{Store, table};
use shared::stripe::checkout::Checkout;
use shared::stripe::client::StripeClient;
use shared::token::KeyRing;

use crate::actor::{Actor, Answer};
use crate::connector::Connector;
use crate::policy::under;
use crate::world::World;

/// The secrets that sign webhooks in tests; either may.
pub const WEBHOOK_SECRETS: [&str; 2] = ["whsec_new", "whsec_old"];

/// The administrator's password.
pub const ADMIN_PASSWORD: &str = "correct horse battery staple";

/// When every test begins: 2026-11-20T12:00:00Z.
pub const START: Time = Time::from_unix_seconds(1_795_176_000);

/// A running app.
pub struct TestApp {
    /// The app, as handlers see it.
    pub app: App,
    /// What sits below its SDK client.
    pub connector: Connector,
    /// Its clock, which stands still until it is moved.
    pub clock: ManualClock,
    mailbox: Mailbox,
    raw: Client,
    endpoint: Endpoint,
    settings: Settings,
    keys: KeyRing,
    stripe: Option<StripeClient>,
    database: Embedded,
}

/// The keys of every test: `test-1` has 32 bytes of 1 and signs, `test-2` has 32 bytes of 2.
pub const JWT_KEYS: &str =
    "test-1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,test-2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// What a reset link begins with; the token follows.
const RESET_LINK: &str = "https://rollcall.test/reset-password?token=";

/// The name of the table.
pub const TABLE: &str = "rollcall";

impl TestApp {
    /// An app with the default settings, somebody who is nobody, and an administrator.
    pub async fn start() -> (Self, Actor, Actor) {
        Self::start_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> (Self, Actor, Actor) {
        Self::start_all(change, None).await
    }

    /// The same with the Stripe at `url`.
    pub async fn start_with_stripe(url: &str) -> (Self, Actor, Actor) {
        Self::start_all(|_| {}, Some(StripeClient::new(&stripe_config(url)))).await
    }

    /// The same over a database of which the caller keeps a handle.
    pub async fn start_over(database: Database, change: impl FnOnce(&mut Settings)) -> (Self, Actor, Actor) {
        Self::start_on(Embedded::over(database, 0).unwrap(), change, None).await
    }

    async fn start_all(change: impl FnOnce(&mut Settings), stripe: Option<StripeClient>) -> (Self, Actor, Actor) {
        Self::start_on(Embedded::start(Storage::Memory, 0).await.unwrap(), change, stripe).await
    }

    async fn start_on(
        database: Embedded,
        change: impl FnOnce(&mut Settings),
        stripe: Option<StripeClient>,
    ) -> (Self, Actor, Actor) {
        let mut settings = Settings {
            rate_limits: false,
            public_base_url: Some("https://rollcall.test".into()),
            ..Settings::default()
        };
        change(&mut settings);
        let endpoint = Endpoint::local(database.url());
        let raw = client(&endpoint);
        table::create(&raw, TABLE).await.unwrap();
        let clock = ManualClock::at(START);
        let mailbox = Mailbox::in_memory(Clock::Manual(clock.clone()));
        let keys = KeyRing::parse(JWT_KEYS).unwrap();
        let connector = Connector::over_http();
        let mailer = Mailer::Mailbox(mailbox.clone());
        let app = app(&endpoint, &connector, &settings, &clock, mailer, (&keys, stripe.as_ref()));
        let test = Self { app, connector, clock, mailbox, raw, endpoint, settings, keys, stripe, database };
        let admin = test.create_admin().await;
        let nobody = test.nobody();
        let admin = nobody.with_token(test.app.keys.sign_session(&admin, START, 43_200));
        (test, nobody, admin)
    }

    /// Another app over the same table, with a client of its own: another process, as far as the
    /// table can tell.
    pub fn another(&self) -> (App, Connector) {
        self.another_that_sends(Mailer::Mailbox(self.mailbox.clone()))
    }

    /// The same, for whom every message fails that it hands over.
    pub fn another_without_mail(&self) -> (App, Connector) {
        self.another_that_sends(Mailer::None)
    }

    fn another_that_sends(&self, mailer: Mailer) -> (App, Connector) {
        let connector = Connector::over_http();
        let app = app(&self.endpoint, &connector, &self.settings, &self.clock, mailer, self.secrets());
        (app, connector)
    }

    fn secrets(&self) -> (&KeyRing, Option<&StripeClient>) {
        (&self.keys, self.stripe.as_ref())
    }

    /// Somebody who calls this app and shows nothing.
    pub fn nobody(&self) -> Actor {
        actor(&self.app)
    }

    async fn create_admin(&self) -> User {
        let email = EmailAddress::parse("ops@example.com").unwrap();
        let mut admin = User::new(UserId(START.new_id()), email, Role::Admin, START);
        // Hashing takes its time, and most stories never sign the administrator in.
        admin.password_hash = None;
        self.save(&admin).await;
        admin
    }

    /// Stores a user as it is.
    pub async fn save(&self, user: &User) {
        let store = self.raw_store();
        let mut transaction = store.transaction();
        transaction.save_user(None, user);
        transaction.commit(&store).await.unwrap();
    }

    /// Turns the stream of the table off: nothing is delivered any more, and a write takes the same
    /// time however many there were.
    pub async fn stop_stream(&self) {
        let off = StreamSpecification::builder().stream_enabled(false).build().unwrap();
        self.raw.update_table().table_name(TABLE).stream_specification(off).send().await.unwrap();
    }

    /// A store whose calls are neither counted nor broken.
    pub fn raw_store(&self) -> Store {
        Store::new(self.raw.clone(), TABLE)
    }

    /// Lets the stream bring every message of the outbox to `notify`.
    pub async fn deliver_mail(&self) {
        self.deliver_mail_through(&self.app).await;
    }

    /// The same through another app. The stream is read from its beginning each time, so that what
    /// was delivered before comes once more.
    pub async fn deliver_mail_through(&self, app: &App) {
        let mut stream = StreamLoop::new(streams_client(&self.endpoint), TABLE.into());
        under("notify", stream.deliver(app)).await.unwrap();
    }

    /// What was delivered, newest first.
    pub fn delivered(&self) -> Vec<Delivered> {
        self.mailbox.delivered()
    }

    /// The temporary password that was last sent to `to`.
    pub fn temporary_password(&self, to: &str) -> String {
        let delivered = self.delivered();
        let letter = delivered.iter().find(|letter| letter.to == to).unwrap_or_else(|| panic!("no mail to {to}"));
        let line = letter.body.lines().find(|line| line.len() == 16 && line.chars().all(|c| c.is_ascii_alphanumeric()));
        line.expect("a password alone on its line").to_owned()
    }

    /// The tokens of the reset links that `to` was sent, newest first.
    pub fn reset_tokens(&self, to: &str) -> Vec<String> {
        let letters = self.delivered().into_iter().filter(|letter| letter.to == to);
        let links = letters.filter_map(|letter| letter.body.split_once(RESET_LINK).map(|(_, rest)| rest.to_owned()));
        links.map(|rest| rest.split_whitespace().next().unwrap_or_default().to_owned()).collect()
    }

    /// The table as it is.
    pub async fn world(&self) -> World {
        World::read(&self.raw, TABLE).await
    }

    /// Where the table is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Ends the table's server.
    pub async fn stop(self) {
        self.database.stop().await;
    }
}

/// Somebody who calls `app` and shows nothing.
pub fn actor(app: &App) -> Actor {
    Actor::nobody(surround(router(ALL), app.clone()))
}

fn app(
    endpoint: &Endpoint,
    connector: &Connector,
    settings: &Settings,
    clock: &ManualClock,
    mailer: Mailer,
    (keys, stripe): (&KeyRing, Option<&StripeClient>),
) -> App {
    // The SDK shares its retry budget by region across the process; a test that breaks calls must
    // not use up the budget of another.
    let partition = RetryPartition::custom("test").token_bucket(TokenBucket::unlimited()).build();
    let config = config(endpoint).http_client(connector.clone()).retry_partition(partition);
    App::new(Parts {
        settings: settings.clone(),
        store: Store::new(Client::from_conf(config.build()), TABLE),
        clock: Clock::Manual(clock.clone()),
        keys: keys.clone(),
        passwords: Passwords::new(2),
        webhook_secrets: WEBHOOK_SECRETS.iter().map(|secret| Secret::new(*secret)).collect(),
        checkout: checkout(stripe),
        stripe: stripe.cloned(),
        mailer,
    })
}

fn checkout(stripe: Option<&StripeClient>) -> Checkout {
    let base_url = "https://rollcall.test".to_owned();
    match stripe {
        None => Checkout::StandIn { base_url },
        Some(client) => Checkout::Stripe { client: client.clone(), price_id: Some("price_default".into()), base_url },
    }
}

/// The settings that lead to the Stripe at `url`.
pub fn stripe_config(url: &str) -> StripeConfig {
    StripeConfig { api_key: Secret::new("sk_test"), api_base: url.into(), price_id: Some("price_default".into()) }
}

/// Calls that many stories make.
impl Actor {
    /// Fills in the public form.
    pub async fn intake(&self, email: &str) -> Answer {
        self.post("/api/intake/submit", json!({ "name": "Ana Ruiz", "email": email })).await
    }

    /// Signs in.
    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login", json!({ "email": email, "password": password })).await
    }

    /// Signs in, from `address`.
    pub async fn login_from(&self, address: impl Into<IpAddr>, email: &str, password: &str) -> Answer {
        self.from_address(address).login(email, password).await
    }
}
