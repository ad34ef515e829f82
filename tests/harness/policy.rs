//! The policies of `template.yaml`, held against what the functions do to the table.
//!
//! The router of the stories has every function in it, over a client that may do anything. So a
//! request runs as the function that answers it on Lambda, and what is called below the SDK meanwhile
//! is looked up in that function's policy. What must stay true: a call without leave ends the story
//! when the request is done, whatever was made of the call in between. What a test does to the table
//! by itself is nobody's and is not looked at; nor is what a task of its own does.
//!
//! Who may write, and who does, is told as well: a test that claims to know everybody can ask.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::http::Method;
use functions::routes::{ALL, Function};
use serde_json::Value;

const TEMPLATE: &str = include_str!("../../template.yaml");

/// Who gets what no route takes: the `$default` of the template.
const OTHERWISE: &str = "me";

/// What changes the table.
const WRITES: [&str; 4] = ["BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem"];

/// What somebody may do to the table: `PutItem`, `Query`, `Query gsi1`.
type Leave = BTreeSet<String>;

/// The policy of every function, by its name.
static POLICIES: LazyLock<BTreeMap<&'static str, Leave>> =
    LazyLock::new(|| ALL.iter().map(|function| (function.name, policy(function.name))).collect());

tokio::task_local! {
    static RUNNING: Running;
    /// The functions that have written, where somebody wants to know.
    static WRITERS: RefCell<BTreeSet<&'static str>>;
}

/// A function at work.
struct Running {
    function: &'static str,
    without_leave: RefCell<Leave>,
}

/// The name of the function that answers `method path`.
pub fn serving(method: &Method, path: &str) -> &'static str {
    let answers = |function: &&&Function| {
        function.routes.iter().any(|route| route.method == method.as_str() && fits(route.path, path))
    };
    ALL.iter().find(answers).map_or(OTHERWISE, |function| function.name)
}

/// Does `work` as the function of that name. Ends the test if it called for what the policy of that
/// function does not allow.
pub async fn under<T>(function: &'static str, work: impl Future<Output = T>) -> T {
    let running = Running { function, without_leave: RefCell::default() };
    let watched = async {
        let done = work.await;
        RUNNING.with(|running| {
            let missing = running.without_leave.borrow();
            assert!(missing.is_empty(), "template.yaml does not let {function} do {missing:?}");
        });
        done
    };
    RUNNING.scope(running, watched).await
}

/// The functions whose policies let them write.
pub fn may_write() -> BTreeSet<&'static str> {
    POLICIES.iter().filter(|(_, leave)| is_write(leave)).map(|(function, _)| *function).collect()
}

/// The functions that write while `work` is done.
pub async fn writers_of(work: impl Future) -> BTreeSet<&'static str> {
    let watched = async {
        work.await;
        WRITERS.with(RefCell::take)
    };
    WRITERS.scope(RefCell::default(), watched).await
}

/// Looks a call up in the policy of the function that makes it, if one does.
pub(crate) fn check(operation: &str, body: &[u8]) {
    let looked_up = RUNNING.try_with(|running| {
        let leave = &POLICIES[running.function];
        let actions = actions(operation, body);
        if is_write(&actions) {
            note_writer(running.function);
        }
        let missing = actions.into_iter().filter(|action| !leave.contains(action));
        running.without_leave.borrow_mut().extend(missing);
    });
    // No function at work: the test itself calls.
    looked_up.unwrap_or_default();
}

fn note_writer(function: &'static str) {
    let noted = WRITERS.try_with(|writers| {
        writers.borrow_mut().insert(function);
    });
    // Nobody wants to know.
    noted.unwrap_or_default();
}

/// Whether something in `actions` changes the table.
fn is_write(actions: &Leave) -> bool {
    WRITES.iter().any(|write| actions.contains(*write))
}

/// What a call is authorised as. A transaction is what is in it.
fn actions(operation: &str, body: &[u8]) -> Leave {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if operation.starts_with("Transact") {
        let items = body["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object);
        return items.flat_map(|item| item.keys()).map(|kind| format!("{kind}Item")).collect();
    }
    [named(operation, body["IndexName"].as_str())].into()
}

fn named(action: &str, index: Option<&str>) -> String {
    index.map_or_else(|| action.to_owned(), |index| format!("{action} {index}"))
}

/// What the template lets a function do to the table and its indexes.
fn policy(function: &str) -> Leave {
    let (_, rest) = TEMPLATE.split_once(&format!("Binary: {function}}}")).expect("a place in the template");
    let own = rest.split("\n  # ----").next().unwrap_or_default();
    let (mut leave, mut actions) = (Leave::new(), Vec::new());
    for line in own.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':'));
        actions.extend(words.filter_map(|word| word.strip_prefix("dynamodb:")));
        // A statement says what may be done before it says to what.
        let Some(resource) = line.strip_prefix("Resource: ") else { continue };
        let index = resource.strip_prefix("!Sub ${Table.Arn}/index/");
        let table = index.is_some() || resource == "!GetAtt Table.Arn";
        leave.extend(actions.drain(..).filter(|_| table).map(|action| named(action, index)));
    }
    assert!(!leave.is_empty(), "no policy of {function} was found in the template");
    leave
}

/// Whether `path` is one of the route `pattern`.
fn fits(pattern: &str, path: &str) -> bool {
    let (wanted, given): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    wanted.len() == given.len()
        && wanted.iter().zip(given).all(|(wanted, given)| wanted.starts_with('{') || *wanted == given)
}
