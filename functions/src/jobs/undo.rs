//! `migrate down`: takes back what a run wrote, newest first, and spares what somebody wrote to since.
//!
//! What must stay true: an entry is undone as a whole or not at all, in one transaction that also says
//! so: it can be killed anywhere and started again.

use shared::app::App;
use shared::domain::customer::Customer;
use shared::domain::ledger::{Entry, EntryState, RunState, Spared};
use shared::domain::message::{Message, MessageState};
use shared::http::ApiError;
use shared::ids::CustomerId;
use shared::store::Refused;
use shared::store::key::Key;
use shared::store::ledger::Undoable;
use shared::store::retry::Backoff;
use uuid::Uuid;

/// Entries read at once.
const PAGE: i32 = 100;

/// What an undo did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Entries that were taken back.
    pub restored: u64,
    /// Entries that somebody wrote to since, and that stay.
    pub spared: u64,
    /// Entries that had been taken back before.
    pub before: u64,
}

/// Takes back what the run `run_id` wrote; `None` if there is no such run. Tells `spare` what stays,
/// and why. With `dry` it only looks.
pub async fn down(
    app: &App,
    run_id: Uuid,
    dry: bool,
    mut spare: impl FnMut(&Entry, Spared),
) -> Result<Option<Undone>, ApiError> {
    if app.store.run(run_id).await?.is_none() {
        return Ok(None);
    }
    if !dry {
        app.store.change_run(run_id, |run| run.state = RunState::Undoing).await?;
    }
    let (mut undone, mut start) = (Undone::default(), None);
    loop {
        let (entries, next) = app.store.entries(run_id, start, PAGE).await?;
        for entry in entries {
            if entry.state == EntryState::Undone {
                undone.before += 1;
                if let Some(id) = made(&entry).filter(|_| !dry) {
                    // It may have died before this.
                    app.store.purge(id).await?;
                }
                continue;
            }
            match take_back(app, &entry, dry).await? {
                Ok(()) => undone.restored += 1,
                Err(why) => {
                    spare(&entry, why);
                    undone.spared += 1;
                }
            }
        }
        start = next;
        if start.is_none() {
            break;
        }
    }
    if !dry {
        app.store.change_run(run_id, |run| run.state = RunState::Undone).await?;
    }
    Ok(Some(undone))
}

async fn take_back(app: &App, entry: &Entry, dry: bool) -> Result<Result<(), Spared>, ApiError> {
    let now = app.clock.now();
    let mut races = Backoff::new();
    loop {
        let found = read(app, entry).await?;
        if let Err(spared) = entry.untouched(found.customer.as_ref(), found.user.as_ref()) {
            return Ok(Err(spared));
        }
        let made = made(entry);
        if let Some(id) = made
            && app.store.has_history(id).await?
        {
            return Ok(Err(Spared::CustomerUsed));
        }
        if dry {
            return Ok(Ok(()));
        }
        match app.store.undo(entry, now, &found).await {
            Ok(()) => {
                if let Some(id) = made {
                    app.store.purge(id).await?;
                }
                return Ok(Ok(()));
            }
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// The customer that the run made in `entry`, if it made one.
fn made(entry: &Entry) -> Option<CustomerId> {
    entry.customer.as_ref().filter(|change| change.before.is_none()).map(|change| change.id)
}

/// The records of `entry` as they are now.
async fn read(app: &App, entry: &Entry) -> Result<Undoable, ApiError> {
    let (customer, user) = (entry.customer.as_ref().map(|c| c.id), entry.user.as_ref().map(|u| u.id));
    let keys = customer.map(Key::customer).into_iter().chain(user.map(Key::user));
    let batch = app.store.batch_get(keys.chain(entry.message_id.map(Key::message))).await?;
    let customer: Option<Customer> = customer.map(|id| batch.get(&Key::customer(id))).transpose()?.flatten();
    let user = user.map(|id| batch.get(&Key::user(id))).transpose()?.flatten();
    let message: Option<Message> = entry.message_id.map(|id| batch.get(&Key::message(id))).transpose()?.flatten();
    let unsent = message.filter(|message| message.state == MessageState::Pending);
    let email = customer.as_ref().and_then(|customer| customer.contact.email.as_ref());
    let lists = app.store.member_lists(email).await?;
    let unsent = unsent.map(|message| (message.message_id, message.version));
    Ok(Undoable { customer, user, lists, unsent })
}
