//! What somebody else writes between a command's read and its write: the command reads anew.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::{Terminal, program};

/// What a request that writes has in its head.
const WRITE: &[u8] = b"DynamoDB_20120810.TransactWriteItems";

/// A way to the database on which the first write waits until another command has run.
struct Detour {
    url: String,
    /// The other command, as long as it has not run.
    meanwhile: Arc<Mutex<Option<String>>>,
    _proxy: JoinSet<()>,
}

impl Detour {
    async fn of(terminal: &Terminal, line: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let database = terminal.url.strip_prefix("http://").unwrap().to_owned();
        let meanwhile = Arc::new(Mutex::new(Some(format!("--endpoint {} {line}", terminal.url))));
        let command = Arc::clone(&meanwhile);
        let mut proxy = JoinSet::new();
        proxy.spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&database).await.unwrap();
                let ((questions, mut answers), (mut answered, asked)) = (near.into_split(), far.into_split());
                ways.spawn(pass(questions, asked, Arc::clone(&command)));
                ways.spawn(async move { drop(copy(&mut answered, &mut answers).await) });
            }
        });
        Self { url, meanwhile, _proxy: proxy }
    }
}

/// Passes requests on. Whoever writes waits, however often they ask, until the other command has run.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, meanwhile: Arc<Mutex<Option<String>>>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..read];
        if bytes.windows(WRITE.len()).any(|window| window == WRITE) {
            let mut command = meanwhile.lock().await;
            if let Some(line) = command.take() {
                program(&line, "").await.succeeded();
            }
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

type Item = HashMap<String, AttributeValue>;

/// How often the only user was written.
async fn version(terminal: &Terminal) -> u64 {
    let table = terminal.table().await;
    let kind = |item: &Item| item.get("kind").and_then(|kind| kind.as_s().ok()).cloned();
    let user = table.values().find(|item| kind(item).as_deref() == Some("user")).unwrap();
    user["version"].as_n().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_user_who_is_changed_in_between_is_changed_all_the_same() {
    let terminal = Terminal::with_table().await;
    terminal.run("create-admin --email a@x.io").await.succeeded();
    for (line, meanwhile, done) in [
        ("set-password --email a@x.io", "set-password --email a@x.io", "set the password of "),
        ("disable-user --email a@x.io", "set-password --email a@x.io", "disabled "),
        ("enable-user --email a@x.io", "set-password --email a@x.io", "enabled "),
        ("set-password --email a@x.io", "disable-user --email a@x.io", "set the password of "),
    ] {
        let before = version(&terminal).await;
        let detour = Detour::of(&terminal, meanwhile).await;
        let said = program(&format!("--endpoint {} {line}", detour.url), "").await.succeeded();
        assert!(said[0].starts_with(done), "{line}: {said:?}");
        assert!(detour.meanwhile.lock().await.is_none(), "{line}: nothing came in between");
        assert_eq!(version(&terminal).await, before + 2, "{line}: one of the two is lost");
    }
    let again = terminal.run("disable-user --email a@x.io").await.succeeded();
    assert!(
        again[0].starts_with("already disabled: "),
        "a new password lets nobody in whom another shut out: {again:?}"
    );
}
