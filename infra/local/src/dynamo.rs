//! The embedded `DynamoDB`: dynoxide behind its own HTTP server, so that the SDK, the AWS CLI and
//! a Lambda binary all reach it as they reach the real one.

use std::path::PathBuf;
use std::time::Duration;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{LocalError, loopback};

/// How long a request may hold up the end.
const GRACE: Duration = Duration::from_secs(5);

/// Where the tables are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory, for as long as the server runs.
    Memory,
    /// In this `SQLite` file.
    File(PathBuf),
}

/// A running `DynamoDB`. Dropping it stops it, too.
#[derive(Debug)]
pub struct Embedded {
    port: u16,
    running: oneshot::Sender<()>,
    server: JoinHandle<Result<(), String>>,
}

impl Embedded {
    /// Opens the tables and serves them on 127.0.0.1:`port`; 0 picks a free one.
    pub async fn start(storage: Storage, port: u16) -> Result<Self, LocalError> {
        let listener = loopback::listen(port, "--dynamodb-port")?;
        let opened = tokio::task::spawn_blocking(move || open(&storage)).await;
        let database = opened.map_err(|error| LocalError::Dynamo(error.to_string()))??;
        Self::on(listener, database)
    }

    /// Serves `database` on 127.0.0.1:`port`; whoever keeps a handle of it writes past the server
    /// and past the streams.
    pub fn over(database: Database, port: u16) -> Result<Self, LocalError> {
        Self::on(loopback::listen(port, "--dynamodb-port")?, database)
    }

    fn on(listener: TcpListener, database: Database) -> Result<Self, LocalError> {
        let port = listener.local_addr().map_err(LocalError::Serve)?.port();
        let (running, stopped) = oneshot::channel();
        Ok(Self { port, running, server: serve(listener, database, stopped) })
    }

    /// Where it is served.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port it is served on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Finishes the requests that are running, and stops.
    pub async fn stop(self) {
        let Self { running, mut server, .. } = self;
        drop(running);
        match tokio::time::timeout(GRACE, &mut server).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(error, "the embedded DynamoDB failed"),
            Ok(Err(error)) => tracing::warn!(%error, "the embedded DynamoDB failed"),
            Err(_) => server.abort(),
        }
    }
}

fn open(storage: &Storage) -> Result<Database, LocalError> {
    let database = match storage {
        Storage::Memory => Database::memory(),
        Storage::File(path) => {
            let text = path.to_str().ok_or_else(|| LocalError::Dynamo("its path is no UTF-8 text".into()))?;
            Database::new(text)
        }
    };
    database.map_err(|error| LocalError::Dynamo(error.to_string()))
}

/// Serves until the other end of `stopped` is dropped.
#[expect(clippy::disallowed_methods, reason = "a server in the background is no effect of a request")]
fn serve(listener: TcpListener, database: Database, stopped: oneshot::Receiver<()>) -> JoinHandle<Result<(), String>> {
    let shutdown = async move {
        let _ = stopped.await;
    };
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, shutdown))
}
