//! An embedded `DynamoDB` of a test's own, behind the HTTP port that the binaries and the SDK use.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use shared::store::Store;
use shared::store::connect::{Endpoint, client};
use shared::store::item::Item;
use shared::store::table::create;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The name of the one table.
pub(crate) const TABLE: &str = "rollcall";

/// A database in memory; it ends with its owner.
pub(crate) struct Database {
    url: String,
    client: Client,
    _server: JoinSet<()>,
}

impl Database {
    /// A database with an empty table.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound address"));
        let database = dynoxide::Database::memory().expect("a database in memory");
        let mut server = JoinSet::new();
        server.spawn(async move {
            let served = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()).await;
            served.expect("the database serves");
        });
        let client = client(&Endpoint::local(url.clone()));
        assert!(create(&client, TABLE).await.expect("a database that answers"), "the table is new");
        Self { url, client, _server: server }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The store over it.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.client.clone(), TABLE)
    }

    /// The messages of the outbox as they are kept, whatever has become of them.
    pub(crate) async fn outbox(&self) -> Vec<Item> {
        let scan = self
            .client
            .scan()
            .table_name(TABLE)
            .consistent_read(true)
            .filter_expression("kind = :kind")
            .expression_attribute_values(":kind", AttributeValue::S("outbox".into()));
        let answer = scan.send().await.expect("a table that can be scanned");
        assert!(answer.last_evaluated_key.is_none(), "a test's table fits into a page");
        answer.items.unwrap_or_default()
    }
}
