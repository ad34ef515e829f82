//! The shards of a table's stream: found, read page by page, and found again as they split.

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};

use super::position::Position;
use crate::LocalError;

/// After so many rounds the stream is asked for new shards. A shard that ends asks at once.
const ROUNDS_BETWEEN_LOOKS: u32 = 200;

/// Pages of shards to list; each has 100.
const MAX_LIST_PAGES: usize = 100;

/// The shards of a table's stream.
#[derive(Debug)]
pub(super) struct Shards {
    client: Client,
    table: String,
    stream: Option<String>,
    open: Vec<Shard>,
    /// Rounds until the next look for new shards.
    rounds: u32,
    /// The shard to read next in this round.
    turn: usize,
}

#[derive(Debug)]
struct Shard {
    id: String,
    cursor: Cursor,
}

#[derive(Debug)]
enum Cursor {
    /// To be opened at its position.
    Closed,
    /// Open at this iterator.
    At(String),
    /// Read to its end; nothing will be added.
    Ended,
}

/// Records of a shard, in order.
pub(super) struct Page {
    pub(super) shard: String,
    pub(super) records: Vec<Record>,
    pub(super) last: Option<String>,
}

impl Shards {
    pub(super) fn new(client: Client, table: String) -> Self {
        Self { client, table, stream: None, open: Vec::new(), rounds: 0, turn: 0 }
    }

    /// The ARN of the stream, once it is known.
    pub(super) fn stream(&self) -> &str {
        self.stream.as_deref().unwrap_or_default()
    }

    /// Forgets everything but the table.
    pub(super) fn forget(&mut self) {
        self.stream = None;
        self.open.clear();
        self.rounds = 0;
    }

    /// Begins a round: finds the stream, and now and then its new shards.
    pub(super) async fn refresh(&mut self, position: &mut Position) -> Result<(), LocalError> {
        self.turn = 0;
        if self.stream.is_none() {
            let stream = self.find_stream().await?;
            position.enter(&stream);
            self.stream = Some(stream);
        }
        if self.rounds == 0 {
            self.find_shards().await?;
            self.rounds = ROUNDS_BETWEEN_LOOKS;
        }
        self.rounds -= 1;
        Ok(())
    }

    /// The latest stream of the table: a stream that was switched off and on is another.
    async fn find_stream(&self) -> Result<String, LocalError> {
        let answer = self
            .client
            .list_streams()
            .table_name(&self.table)
            .send()
            .await
            .map_err(|error| LocalError::stream(&error))?;
        let streams = answer.streams.unwrap_or_default();
        let latest = streams.into_iter().max_by(|a, b| a.stream_label.cmp(&b.stream_label));
        let stream = latest.and_then(|stream| stream.stream_arn);
        stream.ok_or_else(|| LocalError::Stream(format!("the table `{}` has none; switch it on", self.table)))
    }

    async fn find_shards(&mut self) -> Result<(), LocalError> {
        let mut after = None;
        for _ in 0..MAX_LIST_PAGES {
            let request = self.client.describe_stream().stream_arn(self.stream()).set_exclusive_start_shard_id(after);
            let answer = request.send().await.map_err(|error| LocalError::stream(&error))?;
            let Some(description) = answer.stream_description else { break };
            for id in description.shards.unwrap_or_default().into_iter().filter_map(|shard| shard.shard_id) {
                if self.open.iter().all(|known| known.id != id) {
                    self.open.push(Shard { id, cursor: Cursor::Closed });
                }
            }
            after = description.last_evaluated_shard_id;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The next records of this round; `None` when every shard has been read as far as it goes.
    pub(super) async fn next_page(&mut self, position: &mut Position) -> Result<Option<Page>, LocalError> {
        let stream = self.stream.clone().unwrap_or_default();
        while let Some(shard) = self.open.get_mut(self.turn) {
            let ended_before = shard.has_ended();
            let records = shard.read(&self.client, &stream, position).await?;
            if shard.has_ended() && !ended_before {
                // Its children are there by now.
                self.rounds = 0;
            }
            if records.is_empty() {
                self.turn += 1;
                continue;
            }
            let last = records.last().and_then(|record| record.dynamodb.as_ref()?.sequence_number.clone());
            return Ok(Some(Page { shard: shard.id.clone(), records, last }));
        }
        Ok(None)
    }
}

impl Shard {
    fn has_ended(&self) -> bool {
        matches!(self.cursor, Cursor::Ended)
    }

    async fn read(
        &mut self,
        client: &Client,
        stream: &str,
        position: &mut Position,
    ) -> Result<Vec<Record>, LocalError> {
        let iterator = match &self.cursor {
            Cursor::Ended => return Ok(Vec::new()),
            Cursor::At(iterator) => iterator.clone(),
            Cursor::Closed => self.open(client, stream, position).await?,
        };
        match client.get_records().shard_iterator(iterator).send().await {
            Ok(answer) => {
                self.cursor = answer.next_shard_iterator.map_or(Cursor::Ended, Cursor::At);
                Ok(answer.records.unwrap_or_default())
            }
            Err(error) => {
                let known = error.as_service_error();
                let trimmed = known.is_some_and(GetRecordsError::is_trimmed_data_access_exception);
                let expired = known.is_some_and(GetRecordsError::is_expired_iterator_exception);
                if !trimmed && !expired {
                    return Err(LocalError::stream(&error));
                }
                if trimmed {
                    position.rewind(&self.id);
                }
                // Opened again in the next round.
                self.cursor = Cursor::Closed;
                Ok(Vec::new())
            }
        }
    }

    /// An iterator after the last record that was handed over, else at the oldest.
    async fn open(&self, client: &Client, stream: &str, position: &mut Position) -> Result<String, LocalError> {
        let request = || client.get_shard_iterator().stream_arn(stream).shard_id(&self.id);
        if let Some(sequence_number) = position.of(&self.id) {
            let after = request().shard_iterator_type(ShardIteratorType::AfterSequenceNumber);
            let answer = after.sequence_number(sequence_number).send().await;
            match answer {
                Ok(answer) => return iterator(answer.shard_iterator),
                // Trimmed away meanwhile, or never issued by this stream.
                Err(error) if error.as_service_error().is_some() => position.rewind(&self.id),
                Err(error) => return Err(LocalError::stream(&error)),
            }
        }
        let oldest = request().shard_iterator_type(ShardIteratorType::TrimHorizon);
        iterator(oldest.send().await.map_err(|error| LocalError::stream(&error))?.shard_iterator)
    }
}

fn iterator(given: Option<String>) -> Result<String, LocalError> {
    given.ok_or_else(|| LocalError::Stream("a shard was given no iterator".into()))
}
