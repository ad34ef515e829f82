//! What is said twice: the real program over an embedded `DynamoDB`, each command as a script gives
//! it that does not know whether it has run before.

#![expect(clippy::unwrap_used, reason = "a test stops where it is surprised")]

use std::process::Stdio;

use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

/// A table, and somebody at a terminal.
struct Terminal {
    url: String,
    _server: JoinSet<()>,
}

impl Terminal {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let database = dynoxide::Database::memory().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()).await.unwrap();
        });
        let terminal = Self { url, _server: server };
        terminal.does("create-table").await;
        terminal
    }

    /// The exit code of the command `line`, and what it printed.
    async fn run(&self, line: &str) -> (Option<i32>, Vec<String>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_admin"));
        command.env_clear().args(["--endpoint", &self.url]).args(line.split_whitespace()).kill_on_drop(true);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text.lines().map(str::to_owned).collect())
    }

    /// What the command `line` printed, which ended well.
    async fn does(&self, line: &str) -> Vec<String> {
        let (code, lines) = self.run(line).await;
        assert_eq!(code, Some(0), "{line}: {lines:?}");
        lines
    }
}

#[tokio::test]
async fn a_customer_is_unlinked_by_the_number_that_named_them_as_often_as_it_is_said() {
    let terminal = Terminal::start().await;
    terminal.does("create-user --email c@x.io --role customer --name Ana").await;
    let first = terminal.does("unlink --customer PL1").await;
    assert!(first[0].starts_with("unlinked the customer "), "{first:?}");
    for line in ["unlink --customer PL1", "--dry-run unlink --customer PL1"] {
        let again = terminal.does(line).await;
        assert!(again[0].starts_with("already unlinked: the customer `c@x.io`"), "{line}: {again:?}");
    }
    assert_eq!(terminal.run("unlink --customer PL2").await, (Some(1), Vec::new()));
}

#[tokio::test]
async fn a_key_without_a_label_is_another_each_time_and_one_with_a_label_is_one() {
    let terminal = Terminal::start().await;
    let mut texts = Vec::new();
    for _ in 0..2 {
        let made = terminal.does("create-api-key").await;
        texts.push(made[1].strip_prefix("api_key: rk_").unwrap_or_else(|| panic!("{made:?}")).to_owned());
    }
    assert_ne!(texts[0], texts[1]);
    assert_eq!(terminal.does("create-api-key --label ci").await.len(), 2);
    let again = terminal.does("create-api-key --label ci").await;
    assert!(again.len() == 1 && again[0].starts_with("already there: the API key `ci`"), "{again:?}");
    assert!(terminal.does("--dry-run create-api-key").await[0].starts_with("would create the API key `"));
}

#[tokio::test]
async fn users_and_keys_are_found_by_whatever_names_them() {
    let terminal = Terminal::start().await;
    terminal.does("create-admin --email a@x.io --password lantern-harbour-teal").await;
    for (command, done) in [("disable-user", "disabled "), ("enable-user", "enabled ")] {
        assert!(terminal.does(&format!("{command} --user a@x.io")).await[0].starts_with(done));
    }
    let set = terminal.does("set-password --user a@x.io --password copper-window-april").await;
    assert!(set.len() == 1 && set[0].starts_with("set the password of the admin `a@x.io`"), "{set:?}");
    assert_eq!(terminal.run("set-password --user a@x.io --password short").await.0, Some(1));
    assert_eq!(terminal.run("set-password --user a@x.io --password x --password-stdin").await.0, Some(2));
    for label in ["one", "two"] {
        let made = terminal.does(&format!("create-api-key --label {label}")).await;
        let text = made[1].strip_prefix("api_key: ").unwrap();
        let name = if label == "one" { label } else { text };
        for beginning in ["revoked", "already revoked:"] {
            let said = terminal.does(&format!("revoke-api-key {name}")).await;
            assert!(said[0].starts_with(&format!("{beginning} the API key `{label}`")), "{said:?}");
        }
    }
    // A label that is used again means the key that lives.
    terminal.does("create-api-key --label one").await;
    assert!(terminal.does("revoke-api-key one").await[0].starts_with("revoked the API key `one`"));
    assert_eq!(terminal.run("revoke-api-key three").await, (Some(1), Vec::new()));
}
