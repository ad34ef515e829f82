//! The schedule: gives every row under review what it lacks, and re-drives what was not sent.
//!
//! It walks the work queue in order of time and repairs one row in one transaction, on versions it
//! has read. It can die anywhere, run twice at once, and run again: a row that is done is no
//! longer in the queue, and a row that somebody else changed is read anew.

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::domain::ledger::{RunKind, Tally};
use shared::domain::message::{Message, MessageState};
use shared::http::ApiError;
use shared::store::key::Key;
use shared::store::work::Due;
use shared::telemetry::{Metric, count};
use utoipa::ToSchema;
use uuid::Uuid;

use super::plan::Row;
use super::walk::Walk;
use crate::billing::replay;
use crate::reports;
use crate::stripe_customer;

/// Entries of the queue read at once.
const PAGE: i32 = 100;

/// The time left at which a run stops and leaves the rest to the next, in seconds.
const STOP_BEFORE_SECONDS: i64 = 15;

/// How long a run may take where nobody sets a deadline, in seconds.
const DEFAULT_SECONDS: i64 = 240;

/// How long a run asks Stripe, in seconds: a Stripe that does not answer keeps nobody else waiting.
const STRIPE_SECONDS: i64 = 60;

/// How often a message is put on its way again: with growing waits, about two weeks.
const MAX_REDRIVES: u32 = 20;

/// What a run did. A row is counted when it is done, and once; of a pair one is `linked`, the other
/// `skipped`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Summary {
    /// The run.
    pub run_id: Uuid,
    /// What became of its rows.
    #[serde(flatten)]
    pub tally: Tally,
    /// Rows still in the queue.
    pub remaining: u64,
}

/// Runs on the schedule, until shortly before the function's deadline.
pub async fn on_schedule(app: &App, event: LambdaEvent<EventBridgeEvent>) -> Result<Summary, ApiError> {
    let deadline = i64::try_from(event.context.deadline).ok().filter(|ms| *ms > 0).map(Time::from_unix_ms);
    let request_id = &event.context.request_id;
    let ran = run(app, deadline).await;
    // By this line the run is found from Lambda's id, and the other way round.
    match &ran {
        Ok(summary) => tracing::info!(request_id, run_id = %summary.run_id, "request"),
        Err(error) => tracing::error!(request_id, ?error, "request"),
    }
    ran
}

/// Runs until the queue is empty or the deadline is near.
pub async fn run(app: &App, deadline: Option<Time>) -> Result<Summary, ApiError> {
    let now = app.clock.now();
    let stop_at = deadline.map_or(now.plus_seconds(DEFAULT_SECONDS), |at| at.plus_seconds(-STOP_BEFORE_SECONDS));
    let run_id = now.new_id();
    let mut walk = Walk::new(app, run_id, RunKind::Backfill, app.settings.backfill_invites);
    let mut met = Met::new(app, now);
    let (mut start, mut again) = (None, false);
    let stopped = 'pages: loop {
        let page = app.store.due_work(now, start, PAGE).await?;
        let mut rows = Vec::new();
        for due in page.due {
            if app.clock.now() >= stop_at {
                break 'pages true;
            }
            rows.extend(met.take_up(due).await);
        }
        if !walk.repair(&rows, Some(stop_at)).await? {
            break true;
        }
        start = page.next;
        if start.is_none() {
            if again || !met.reconsidered {
                break false;
            }
            // Whoever came back stands in the queue before what brought them back.
            again = true;
            walk.again();
            met.failed = 0;
        }
    };
    walk.finish().await?;
    let tally = walk.tally;
    // Last of all, so that it shows what the run did, and keeps nobody waiting.
    if met.report_due && !stopped {
        met.note(reports::refresh(app, stop_at).await, "the reports could not be refreshed", run_id);
    }
    let remaining = if stopped { app.store.count_due_work(now).await? } else { tally.errors };
    count(Metric::MessagesOverdue, met.overdue, now.unix_ms());
    count(Metric::BackfillAmbiguous, tally.ambiguous, now.unix_ms());
    count(Metric::BackfillErrors, tally.errors + met.failed, now.unix_ms());
    tracing::info!(
        %run_id, created = tally.created, linked = tally.linked, numbered = tally.numbered, crns = tally.crns,
        skipped = tally.skipped, ambiguous = tally.ambiguous, errors = tally.errors, total = tally.total, remaining,
        overdue = met.overdue, failed = met.failed, "backfill"
    );
    Ok(Summary { run_id, tally, remaining })
}

/// What a run meets in the queue besides rows.
struct Met<'a> {
    app: &'a App,
    now: Time,
    /// Messages that were due.
    overdue: u64,
    /// Entries that it failed on.
    failed: u64,
    /// Whether somebody may have come back into the queue.
    reconsidered: bool,
    /// Whether somebody waits for the reports.
    report_due: bool,
}

impl<'a> Met<'a> {
    fn new(app: &'a App, now: Time) -> Self {
        Self { app, now, overdue: 0, failed: 0, reconsidered: false, report_due: false }
    }

    /// Does what is due, or answers the row that is.
    async fn take_up(&mut self, due: Due) -> Option<Row> {
        let (app, now) = (self.app, self.now);
        match due {
            Due::Customer(id) => return Some(Row::Customer(id)),
            Due::User(id) => return Some(Row::User(id)),
            Due::Message(id) => {
                self.overdue += 1;
                self.note(redrive(app, id, now).await, "a message could not be put on its way again", id);
            }
            Due::Purge(id) => {
                self.note(app.store.purge(id).await, "what a deleted customer left was not purged", id);
            }
            Due::Replay(customer) => {
                self.note(replay(app, &customer, now).await, "parked events could not be applied", customer);
            }
            Due::StripeIntent(..) if app.clock.now() >= now.plus_seconds(STRIPE_SECONDS) => {}
            Due::StripeIntent(id, product) => stripe_customer::resume(app, id, product.as_ref()).await,
            Due::Recheck(key) => {
                let looked = app.store.reconsider(&key, now).await;
                self.reconsidered |= self.note(looked, "nobody was looked at again", key);
            }
            Due::Report => self.report_due = true,
        }
        None
    }

    /// What failed stays in the queue, and is no reason to stop. Answers whether it was done.
    fn note<E: std::fmt::Debug>(
        &mut self,
        done: Result<(), E>,
        what: &'static str,
        whose: impl std::fmt::Display,
    ) -> bool {
        let Err(error) = done else { return true };
        self.failed += 1;
        tracing::error!(%whose, ?error, what);
        false
    }
}

/// Puts a message on its way once more: the write itself wakes the stream.
async fn redrive(app: &App, id: Uuid, now: Time) -> Result<(), ApiError> {
    let message: Option<Message> = app.store.get(&Key::message(id)).await?;
    let Some(message) = message.filter(|message| message.state == MessageState::Pending && message.due_at <= now)
    else {
        return Ok(());
    };
    let mut transaction = app.store.transaction();
    let after = if message.redrives < MAX_REDRIVES {
        message.clone().redriven(now)
    } else {
        tracing::error!(message_id = %id, "a message is given up");
        message.clone().done(MessageState::Void, now)
    };
    transaction.save_message(Some(&message), &after);
    transaction.commit_unless_refused(&app.store).await?;
    Ok(())
}
