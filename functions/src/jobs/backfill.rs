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
use shared::domain::message::{Message, MessageState};
use shared::http::ApiError;
use shared::store::Refused;
use shared::store::key::Key;
use shared::store::work::Due;
use shared::telemetry::{Metric, count};
use utoipa::ToSchema;
use uuid::Uuid;

use super::repair::{Outcome, Repair, Row};
use crate::billing::replay;
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

/// What a run did. Each row of its work list is counted once, in the first that fits of `errors`,
/// `ambiguous`, `created`, `linked`, `skipped`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Summary {
    /// The run.
    pub run_id: Uuid,
    /// Rows that got a new counterpart: a customer its login, or a login its customer.
    pub created: u64,
    /// Rows that were linked with a counterpart that was there.
    pub linked: u64,
    /// Customer numbers given.
    pub numbered: u64,
    /// References given.
    pub crns: u64,
    /// Rows that had nothing to do with logins, or that somebody else had done.
    pub skipped: u64,
    /// Rows with several matches: reported, never guessed.
    pub ambiguous: u64,
    /// Rows that failed; the next run tries them again.
    pub errors: u64,
    /// Rows of the work list.
    pub total: u64,
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
    let stripe_until = now.plus_seconds(STRIPE_SECONDS);
    let mut summary = Summary { run_id: now.new_id(), ..Summary::default() };
    let (mut overdue, mut start, mut stopped) = (0, None, false);
    'pages: loop {
        let page = app.store.due_work(now, start, PAGE).await?;
        for due in page.due {
            if app.clock.now() >= stop_at {
                stopped = true;
                break 'pages;
            }
            match due {
                Due::Message(id) => {
                    overdue += 1;
                    if let Err(error) = redrive(app, id, now).await {
                        tracing::error!(message_id = %id, ?error, "a message could not be put on its way again");
                    }
                }
                Due::Purge(id) => {
                    if let Err(error) = app.store.purge(id).await {
                        tracing::error!(customer_id = %id, ?error, "what a deleted customer left was not purged");
                    }
                }
                Due::Replay(stripe_customer) => {
                    if let Err(error) = replay(app, &stripe_customer, now).await {
                        tracing::error!(stripe_customer, ?error, "parked events could not be applied");
                    }
                }
                Due::StripeIntent(id, product) if app.clock.now() < stripe_until => {
                    stripe_customer::resume(app, id, product.as_ref()).await;
                }
                Due::StripeIntent(..) => {}
                Due::Customer(id) => summary.add(Row::Customer(id).repair(app).await),
                Due::User(id) => summary.add(Row::User(id).repair(app).await),
            }
        }
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    summary.remaining = if stopped { app.store.count_due_work(now).await? } else { summary.errors };
    count(Metric::MessagesOverdue, overdue, now.unix_ms());
    count(Metric::BackfillAmbiguous, summary.ambiguous, now.unix_ms());
    count(Metric::BackfillErrors, summary.errors, now.unix_ms());
    tracing::info!(
        run_id = %summary.run_id, created = summary.created, linked = summary.linked, numbered = summary.numbered,
        crns = summary.crns, skipped = summary.skipped, ambiguous = summary.ambiguous, errors = summary.errors,
        total = summary.total, remaining = summary.remaining, overdue, "backfill"
    );
    Ok(summary)
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
    match transaction.commit(&app.store).await {
        Ok(()) | Err(Refused::Conflict(_)) => Ok(()),
        Err(Refused::Store(error)) => Err(error.into()),
    }
}

impl Summary {
    fn add(&mut self, repair: Result<Repair, ApiError>) {
        self.total += 1;
        let repair = match repair {
            Ok(repair) => repair,
            Err(error) => {
                tracing::error!(?error, "a row could not be repaired");
                self.errors += 1;
                return;
            }
        };
        self.numbered += u64::from(repair.numbered);
        self.crns += u64::from(repair.crn);
        match repair.outcome {
            Outcome::Created => self.created += 1,
            Outcome::Linked => self.linked += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Ambiguous => self.ambiguous += 1,
        }
    }
}
