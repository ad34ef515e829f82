//! Processes: apps over one table, each with a client of its own that can be broken alone.

use harness::app::{START, actor};
use harness::connector::Connector;
use harness::{Actor, TestApp};
use shared::app::App;

/// A process, and who calls it.
pub(crate) struct Process {
    pub(crate) app: App,
    pub(crate) connector: Connector,
    pub(crate) nobody: Actor,
    pub(crate) admin: Actor,
}

impl Process {
    /// The process of the test itself.
    pub(crate) fn first(app: &TestApp, key: &str) -> Self {
        Self::new((app.app.clone(), app.connector.clone()), key)
    }

    /// Another over the same table.
    pub(crate) fn another(app: &TestApp, key: &str) -> Self {
        Self::new(app.another(), key)
    }

    /// Another that hands over no message.
    pub(crate) fn without_mail(app: &TestApp, key: &str) -> Self {
        Self::new(app.another_without_mail(), key)
    }

    fn new((app, connector): (App, Connector), key: &str) -> Self {
        let nobody = actor(&app);
        let admin = nobody.with_token(key);
        Self { app, connector, nobody, admin }
    }
}

/// An API key, which no jump of the clock ends.
pub(crate) async fn api_key(app: &TestApp) -> String {
    app.raw_store().create_api_key("proof", START).await.unwrap().1.expose().to_owned()
}
