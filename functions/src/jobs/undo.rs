//! `migrate down`: takes back what a run wrote, newest first, and spares what somebody wrote to since.
//!
//! What must stay true: an entry is undone as a whole or not at all, in one transaction that also says
//! so: it can be killed anywhere and started again, also twice at once. What the run writes while it is
//! being undone is taken back, too.

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

/// How often the entries are gone through: whoever runs stops soon after the undo has begun.
const MAX_PASSES: usize = 20;

/// What an undo did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Entries that were taken back.
    pub restored: u64,
    /// Entries that somebody wrote to since, and that stay.
    pub spared: u64,
    /// Entries that had been taken back before, or by somebody else meanwhile.
    pub before: u64,
}

/// What became of an entry.
enum Taken {
    Restored,
    Before,
    Spared(Spared),
}

/// What one pass over the entries came to.
#[derive(Default)]
struct Passed {
    restored: u64,
    before: u64,
    spared: Vec<(Entry, Spared)>,
}

/// Takes back what the run `run_id` wrote; `None` if there is no such run. Tells `spare` in the end
/// what stays, and why. With `dry` it only looks.
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
    let mut restored = 0;
    let mut last = Passed::default();
    for _ in 0..MAX_PASSES {
        last = pass(app, run_id, dry, restored == 0).await?;
        // Those of an earlier pass come again, as undone.
        last.before = last.before.saturating_sub(restored);
        restored += last.restored;
        // Whatever was restored may have been in the way of what was spared, and whoever runs may have
        // written more.
        if dry || last.restored == 0 {
            break;
        }
    }
    if !dry {
        app.store.change_run(run_id, |run| run.state = RunState::Undone).await?;
    }
    for (entry, why) in &last.spared {
        spare(entry, *why);
    }
    let spared = u64::try_from(last.spared.len()).unwrap_or(u64::MAX);
    Ok(Some(Undone { restored, spared, before: last.before }))
}

/// Goes through the entries once; the `first` time also through what an undo that died left.
async fn pass(app: &App, run_id: Uuid, dry: bool, first: bool) -> Result<Passed, ApiError> {
    let (mut passed, mut start) = (Passed::default(), None);
    loop {
        let (entries, next) = app.store.entries(run_id, start, PAGE).await?;
        for entry in entries {
            match take_back(app, &entry, dry).await? {
                Taken::Restored => passed.restored += 1,
                Taken::Before => {
                    passed.before += 1;
                    if let Some(id) = made(&entry).filter(|_| first && !dry) {
                        app.store.purge(id).await?;
                    }
                }
                Taken::Spared(why) => passed.spared.push((entry, why)),
            }
        }
        start = next;
        if start.is_none() {
            return Ok(passed);
        }
    }
}

async fn take_back(app: &App, entry: &Entry, dry: bool) -> Result<Taken, ApiError> {
    if entry.state == EntryState::Undone {
        return Ok(Taken::Before);
    }
    let now = app.clock.now();
    let mut races = Backoff::new();
    loop {
        let found = read(app, entry).await?;
        let spared = why_spared(app, entry, &found).await?;
        let conflict = match spared {
            Some(_) => None,
            None if dry => return Ok(Taken::Restored),
            None => match app.store.undo(entry, now, &found).await {
                Ok(()) => {
                    if let Some(id) = made(entry) {
                        app.store.purge(id).await?;
                    }
                    return Ok(Taken::Restored);
                }
                Err(refused @ Refused::Conflict(_)) => Some(refused),
                Err(refused) => return Err(refused.into()),
            },
        };
        // Whoever undoes the same run changes the same records.
        if app.store.is_undone(entry).await? {
            return Ok(Taken::Before);
        }
        if let Some(why) = spared {
            return Ok(Taken::Spared(why));
        }
        if let Some(refused) = conflict
            && !races.wait().await
        {
            return Err(refused.into());
        }
    }
}

/// Why `entry` is not to be undone on what was `found`, if it is not.
async fn why_spared(app: &App, entry: &Entry, found: &Undoable) -> Result<Option<Spared>, ApiError> {
    if let Err(why) = entry.untouched(found.customer.as_ref(), found.user.as_ref()) {
        return Ok(Some(why));
    }
    match made(entry) {
        Some(id) if app.store.has_history(id).await? => Ok(Some(Spared::CustomerUsed)),
        _ => Ok(None),
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
