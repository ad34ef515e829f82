//! The command line as an operator and a script use it: the real program over an embedded
//! `DynamoDB`. Held here is what a script relies on: exit codes, the lines of standard output, that a
//! command can be repeated, and that a dry run writes nothing.

#![expect(clippy::unwrap_used, reason = "a test stops where it is surprised")]

mod again;
mod meanwhile;
mod refusals;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::process::Stdio;

use aws_sdk_dynamodb::types::AttributeValue;
use shared::store::connect::{Endpoint, client};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

/// The table as it is, by key.
type Table = BTreeMap<(String, String), HashMap<String, AttributeValue>>;

/// Somebody at a terminal, with a database of their own.
struct Terminal {
    url: String,
    _server: JoinSet<()>,
}

/// What a command did.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: Vec<String>,
    err: String,
}

impl Terminal {
    /// Before there is a table.
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let database = dynoxide::Database::memory().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()).await.unwrap();
        });
        Self { url, _server: server }
    }

    /// Once there is a table.
    async fn with_table() -> Self {
        let terminal = Self::start().await;
        terminal.run("create-table").await.succeeded();
        terminal
    }

    async fn run(&self, line: &str) -> Said {
        self.typed(line, "").await
    }

    /// The same, with `input` on standard input.
    async fn typed(&self, line: &str, input: &str) -> Said {
        program(&format!("--endpoint {} {line}", self.url), input).await
    }

    async fn table(&self) -> Table {
        let scan = client(&Endpoint::local(&self.url)).scan().table_name("rollcall").consistent_read(true);
        let answer = scan.send().await.unwrap();
        assert!(answer.last_evaluated_key().is_none(), "a test's table fits into a page");
        let key = |item: &HashMap<String, AttributeValue>, name: &str| item[name].as_s().unwrap().clone();
        answer.items().iter().map(|item| ((key(item, "pk"), key(item, "sk")), item.clone())).collect()
    }

    /// Runs `--dry-run line`, which must change nothing.
    async fn tried(&self, line: &str) -> Said {
        let before = self.table().await;
        let said = self.run(&format!("--dry-run {line}")).await;
        assert_eq!(self.table().await, before, "{line}: a dry run writes nothing");
        said
    }
}

/// Runs the program with nothing in its environment.
async fn program(line: &str, input: &str) -> Said {
    let mut process = Command::new(env!("CARGO_BIN_EXE_admin"))
        .env_clear()
        .args(line.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    // A command that reads nothing may be gone before it is written.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = process.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    Said { code: output.status.code(), out: text.lines().map(str::to_owned).collect(), err }
}

impl Said {
    /// What was printed by a command that did what it was asked, or found it done.
    #[track_caller]
    fn succeeded(self) -> Vec<String> {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The only line that was printed.
    #[track_caller]
    fn line(self) -> String {
        let [line] = <[String; 1]>::try_from(self.succeeded()).unwrap();
        line
    }

    /// That the command was refused, and why.
    #[track_caller]
    fn refused(self, reason: &str) {
        assert_eq!((self.code, self.out.len()), (Some(1), 0), "{self:?}");
        assert!(self.err.starts_with("error: ") && self.err.contains(reason), "{self:?}");
    }

    /// The figure behind `name`.
    #[track_caller]
    fn figure(&self, name: &str) -> u64 {
        let figure = self.out.iter().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        figure.unwrap_or_else(|| panic!("no `{name}` in {self:?}"))
    }
}

/// What comes after `beginning`, which `line` must have.
#[track_caller]
fn after<'a>(line: &'a str, beginning: &str) -> &'a str {
    line.strip_prefix(beginning).unwrap_or_else(|| panic!("`{line}` does not begin with `{beginning}`"))
}

#[tokio::test]
async fn a_table_is_made_once() {
    let terminal = Terminal::start().await;
    assert_eq!(terminal.run("--dry-run create-table").await.line(), "would create the table `rollcall`");
    assert_eq!(terminal.run("create-table").await.line(), "created the table `rollcall`");
    assert_eq!(terminal.run("create-table").await.line(), "already there: the table `rollcall`");
    assert_eq!(terminal.run("--dry-run create-table").await.line(), "already there: the table `rollcall`");
    assert_eq!(terminal.run("--table other create-table").await.line(), "created the table `other`");
}

#[tokio::test]
async fn an_account_is_made_once_and_keeps_its_password() {
    let terminal = Terminal::with_table().await;
    let dry = terminal.tried("create-admin --email a@x.io").await.line();
    assert_eq!(dry, "would create the admin `a@x.io`");
    let made = terminal.run("create-admin --email a@x.io").await.succeeded();
    let whom = after(&made[0], "created ");
    after(whom, "the admin `a@x.io` (user_id ");
    assert_eq!((made.len(), after(&made[1], "password: ").len()), (2, 20));
    let table = terminal.table().await;
    assert_eq!(terminal.run("create-admin --email a@x.io").await.line(), format!("already there: {whom}"));
    terminal.run("create-user --email a@x.io --role delivery_boy").await.refused("with the role `admin`");
    assert_eq!(terminal.table().await, table, "saying it again changes nothing");
    let given = "create-user --email b@x.io --role delivery_boy --password-stdin";
    after(&terminal.typed(given, "lantern harbour teal\n").await.line(), "created the delivery_boy `b@x.io`");
    after(&terminal.typed(given, "another one entirely\n").await.line(), "already there: the delivery_boy `b@x.io`");
    let bad = "create-user --email c@x.io --role delivery_boy --password-stdin";
    terminal.typed(bad, "short\n").await.refused("the password ");
}

#[tokio::test]
async fn a_customer_comes_with_everything_and_once() {
    let terminal = Terminal::with_table().await;
    let line = "create-user --email c@x.io --role customer --name Ana";
    assert_eq!(terminal.tried(line).await.line(), "would create the customer `c@x.io`");
    let made = terminal.run(line).await.succeeded();
    after(&made[0], "created the customer `c@x.io` (user_id ");
    after(&made[1], "internal_id: ");
    assert!(after(&made[2], "customer_reference: PLE-CVP-").ends_with("-000001"), "{made:?}");
    assert_eq!(made[3], "customerId: PL1");
    after(&made[4], "password: ");
    after(&terminal.run(line).await.line(), "already there: the customer `c@x.io`");
    terminal.run("create-user --email d@earlybird.local --role customer").await.refused("domain of placeholders");
}

#[tokio::test]
async fn whoever_is_disabled_or_enabled_already_is_left_alone() {
    let terminal = Terminal::with_table().await;
    terminal.run("create-admin --email a@x.io").await.succeeded();
    let whom = "the admin `a@x.io` (user_id ";
    for (command, would, done, already) in [
        ("disable-user", "would disable ", "disabled ", "already disabled: "),
        ("enable-user", "would enable ", "enabled ", "already enabled: "),
    ] {
        let line = format!("{command} --email a@x.io");
        after(after(&terminal.tried(&line).await.line(), would), whom);
        after(after(&terminal.run(&line).await.line(), done), whom);
        let table = terminal.table().await;
        after(after(&terminal.run(&line).await.line(), already), whom);
        assert_eq!(terminal.table().await, table);
        terminal.run(&format!("{command} --email nobody@x.io")).await.refused("there is no such user");
    }
}

#[tokio::test]
async fn a_password_is_set_as_often_as_it_is_asked() {
    let terminal = Terminal::with_table().await;
    terminal.run("create-admin --email a@x.io").await.succeeded();
    let line = "set-password --email a@x.io";
    after(&terminal.tried(line).await.line(), "would set the password of the admin `a@x.io`");
    let (first, second) = (terminal.run(line).await.succeeded(), terminal.run(line).await.succeeded());
    after(&first[0], "set the password of the admin `a@x.io`");
    assert_ne!(after(&first[1], "password: "), after(&second[1], "password: "));
    let given = "set-password --email a@x.io --password-stdin";
    after(&terminal.typed(given, "lantern harbour teal\n").await.line(), "set the password of the admin `a@x.io`");
    terminal.typed(given, "a@x.io\n").await.refused("the password ");
    terminal.run("set-password --email nobody@x.io").await.refused("there is no such user");
}

#[tokio::test]
async fn an_api_key_is_shown_once_and_revoked_once() {
    let terminal = Terminal::with_table().await;
    let line = "create-api-key --label ci";
    assert_eq!(terminal.tried(line).await.line(), "would create the API key `ci`");
    let made = terminal.run(line).await.succeeded();
    let id = after(&made[0], "created the API key `ci` (key_id ").trim_end_matches(')');
    after(&made[1], "api_key: rk_");
    assert_eq!(terminal.run(line).await.line(), format!("already there: the API key `ci` (key_id {id})"));
    let listed = terminal.run("list-api-keys").await.line();
    assert!(after(&listed, id).starts_with("  ci  ") && listed.ends_with("  -"), "{listed}");
    let revoke = format!("revoke-api-key {id}");
    assert_eq!(terminal.tried(&revoke).await.line(), format!("would revoke the API key `ci` (key_id {id})"));
    assert_eq!(terminal.run(&revoke).await.line(), format!("revoked the API key `ci` (key_id {id})"));
    after(&terminal.run(&revoke).await.line(), &format!("already revoked: the API key `ci` (key_id {id}), at "));
    assert_eq!(terminal.run("list-api-keys").await.succeeded(), Vec::<String>::new());
    assert!(!terminal.run("list-api-keys --all").await.line().ends_with("  -"));
    terminal.run("revoke-api-key unknown").await.refused("there is no API key with this id");
    let another = terminal.run(line).await.succeeded();
    assert!(!another[0].contains(id), "the label is free again");
}

#[tokio::test]
async fn a_counter_never_goes_back() {
    let terminal = Terminal::with_table().await;
    let line = "init-counter customer-number 23";
    assert_eq!(terminal.tried(line).await.line(), "would move the counter from 0 to 23, next would be PL24");
    assert_eq!(terminal.run(line).await.line(), "moved the counter from 0 to 23, next is PL24");
    assert_eq!(terminal.run(line).await.line(), "already there: the counter stands at 23, next is PL24");
    let back = "init-counter customer-number 22";
    terminal.tried(back).await.refused("the counter stands at 23, and PL24 would be next");
    let table = terminal.table().await;
    terminal.run(back).await.refused("the counter stands at 23, and PL24 would be next");
    assert_eq!(terminal.table().await, table);
    let moved = terminal.run("init-counter crn 2026 41").await.line();
    assert_eq!(moved, "moved the counter from 0 to 41, next is PLE-CVP-2026-000042");
    terminal.run("init-counter crn 2026 40").await.refused("PLE-CVP-2026-000042 would be next");
}

#[tokio::test]
async fn an_import_and_a_migration_can_be_tried_and_repeated() {
    let terminal = Terminal::with_table().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users.json");
    let good = r#"{"_id":"u","email":"u@x.io","role":"customer","createdAt":"2024-01-01"}"#;
    fs::write(&file, format!("{good}\nno row at all\n")).unwrap();
    let line = format!("import --users {}", file.display());
    let tried = terminal.tried(&line).await;
    assert_eq!((tried.code, tried.figure("to import"), tried.figure("refused")), (Some(3), 1, 1), "{tried:?}");
    let imported = terminal.run(&line).await;
    assert_eq!((imported.code, imported.figure("imported"), imported.figure("refused")), (Some(3), 1, 1));
    fs::write(&file, format!("{good}\n")).unwrap();
    let again = terminal.run(&line).await;
    assert_eq!((again.code, again.figure("imported"), again.figure("already there")), (Some(0), 0, 1), "{again:?}");
    let planned = terminal.tried("migrate up").await.succeeded();
    assert!(planned.iter().any(|line| line == "would come to:"), "{planned:?}");
    let migrated = terminal.run("migrate up").await;
    assert_eq!((migrated.code, migrated.figure("errors"), migrated.figure("remaining")), (Some(0), 0, 0));
    let nothing = terminal.run("migrate up").await.succeeded();
    assert_eq!(nothing.last().unwrap(), "nothing is staged: there is nothing to migrate");
    let status = terminal.run("migrate status").await.line();
    assert!(status.contains("  migration  finished  "), "{status}");
    terminal.run("import --users /nowhere/users.json").await.refused("/nowhere/users.json");
}

#[tokio::test]
async fn what_is_not_understood_ends_with_2_and_touches_nothing() {
    let terminal = Terminal::start().await;
    for line in ["", "drop-table", "create-admin", "create-user --email a@x.io --role king", "init-counter crn 23"] {
        let said = terminal.run(line).await;
        assert_eq!((said.code, said.out.len()), (Some(2), 0), "{line}: {said:?}");
    }
    program("create-table", "").await.refused("there are no AWS credentials");
}
