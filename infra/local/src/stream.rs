//! The event source mapping of the table's stream, as `template.yaml` declares it: it filters,
//! makes batches, calls `notify`, and brings again what failed.
//!
//! Which messages are delivered is said by the table alone. Records may therefore come twice or
//! in another order: `notify` reads the item itself and skips what is done.

mod position;
mod record;
mod shards;

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::config::retry::RetryConfig;
use aws_sdk_dynamodbstreams::config::timeout::TimeoutConfig;
use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Region};
use functions::jobs::notify::on_stream;
use lambda_runtime::{Context, LambdaEvent};
use shared::app::App;
use shared::store::connect::Endpoint;

use crate::LocalError;
use position::Position;
use shards::Shards;

/// `BatchSize` of the mapping.
const BATCH: usize = 10;

/// How often a record is tried before it is left to the backfill.
const MAX_TRIES: u32 = 5;

/// Pages to read in one round, of up to 1 000 records each; the next round goes on.
const MAX_PAGES: usize = 10_000;

const POLL: Duration = Duration::from_millis(50);
const POLL_AFTER_ERROR: Duration = Duration::from_secs(1);

const CONNECT: Duration = Duration::from_secs(1);
const ATTEMPT: Duration = Duration::from_secs(3);
const OPERATION: Duration = Duration::from_secs(8);

/// A client of the streams of `endpoint`.
#[must_use]
pub fn streams_client(endpoint: &Endpoint) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let mut config = aws_sdk_dynamodbstreams::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(endpoint.region.clone().unwrap_or_else(|| "us-east-1".into())))
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts);
    config.set_endpoint_url(endpoint.url.clone());
    if let Some(credentials) = &endpoint.credentials {
        config = config.credentials_provider(credentials.clone());
    }
    Client::from_conf(config.build())
}

/// Reads the stream of a table and hands over what `notify` waits for.
#[derive(Debug)]
pub struct StreamLoop {
    shards: Shards,
    position: Position,
    again: VecDeque<Attempt>,
}

/// A record on its way to `notify`.
#[derive(Clone, Debug)]
struct Attempt {
    record: EventRecord,
    tries: u32,
}

impl StreamLoop {
    /// Reads the stream of `table` from its beginning.
    #[must_use]
    pub fn new(streams: Client, table: String) -> Self {
        Self { shards: Shards::new(streams, table), position: Position::default(), again: VecDeque::new() }
    }

    /// The same, from where `file` says the last process ended, if it does.
    #[must_use]
    pub fn keeping_position(mut self, file: PathBuf) -> Self {
        self.position = Position::kept_in(file);
        self
    }

    /// Hands over everything the stream has now, and answers how many records that were.
    pub async fn deliver(&mut self, app: &App) -> Result<usize, LocalError> {
        let mut handed = self.hand_over(self.again.len(), app).await;
        let read = self.read(app, &mut handed).await;
        if read.is_err() {
            // The stream may be another by now: look for it anew, from the last known position.
            self.shards.forget();
        }
        read.map(|()| handed)
    }

    async fn read(&mut self, app: &App, handed: &mut usize) -> Result<(), LocalError> {
        self.shards.refresh(&mut self.position).await?;
        for _ in 0..MAX_PAGES {
            let Some(page) = self.shards.next_page(&mut self.position).await? else { break };
            let wanted = page.records.into_iter().filter(record::is_wanted);
            let records = wanted.map(|read| record::to_event(read, self.shards.stream()));
            let fresh: Vec<_> = records.map(|record| Attempt { record, tries: 0 }).collect();
            let count = fresh.len();
            // In front of what failed just now, which waits for the next time.
            for attempt in fresh.into_iter().rev() {
                self.again.push_front(attempt);
            }
            *handed += self.hand_over(count, app).await;
            if let Some(sequence_number) = page.last {
                self.position.reached(page.shard, sequence_number);
            }
        }
        self.position.keep();
        Ok(())
    }

    /// Calls `notify` with the first `count` of the queue; what fails joins its end.
    async fn hand_over(&mut self, count: usize, app: &App) -> usize {
        let mut left = count;
        while left > 0 {
            let batch: Vec<_> = self.again.drain(..left.min(BATCH).min(self.again.len())).collect();
            if batch.is_empty() {
                break;
            }
            left -= batch.len();
            let mut event = Event::default();
            event.records = batch.iter().map(|attempt| attempt.record.clone()).collect();
            let response = on_stream(app, LambdaEvent::new(event, Context::default())).await;
            let failed = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier);
            let failed: HashSet<_> = failed.collect();
            let again = batch.into_iter().filter(|attempt| failed.contains(&attempt.record.change.sequence_number));
            for attempt in again.map(|attempt| Attempt { tries: attempt.tries + 1, ..attempt }) {
                if attempt.tries < MAX_TRIES {
                    self.again.push_back(attempt);
                } else {
                    tracing::warn!(tries = attempt.tries, "a message is left to the backfill");
                }
            }
        }
        count
    }

    /// Delivers until `shutdown`, and then once more.
    pub async fn run(mut self, app: App, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut stopping = false;
        loop {
            let delivered = self.deliver(&app).await;
            if let Err(error) = &delivered {
                tracing::warn!(%error, "messages wait");
            }
            if stopping {
                return;
            }
            let pause = if delivered.is_ok() { POLL } else { POLL_AFTER_ERROR };
            tokio::select! {
                () = &mut shutdown => stopping = true,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}
