//! One state change, one `TransactWriteItems`.
//!
//! Each write of a transaction carries the [`Conflict`] to report if its own condition fails. An
//! ambiguous failure (a lost answer) repeats the identical request under the same token; an item
//! that turns out to carry our `op_id` is our own write, and so a success.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem,
};
use uuid::Uuid;

use super::item::{Entity, to_item, written_by};
use super::key::Key;
use super::recheck::Shared;
use super::records::Guard;
use super::retry::Backoff;
use super::{Store, StoreError};

/// Which expectation about the table did not hold: what the write met there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The record was changed since it was read.
    Changed,
    /// A login has this e-mail address.
    LoginTaken,
    /// A customer has this id.
    ExternalIdTaken,
    /// Somebody joined or left the customers of this e-mail address.
    EmailMembersChanged,
    /// The reference was issued before.
    CrnTaken,
    /// The number was issued before.
    NumberTaken,
    /// A customer has this Stripe customer.
    StripeCustomerTaken,
    /// The event, session or idempotency key was handled before.
    HandledBefore,
    /// The record is there already.
    Exists,
    /// Somebody else works on the intent, or it was made before.
    IntentTaken,
    /// The trial was used before.
    TrialUsed,
    /// The customer that this belongs to is gone.
    OwnerGone,
}

/// Why a transaction did not commit. In every case nothing of it is stored.
#[derive(Debug)]
pub enum Refused {
    /// An expectation did not hold: read again and decide anew.
    Conflict(Conflict),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A transaction in the making.
#[derive(Debug)]
pub struct Transaction {
    table: String,
    op_id: Uuid,
    writes: Vec<(TransactWriteItem, Conflict)>,
    rechecked: Vec<Shared>,
    failed: Option<StoreError>,
}

impl Transaction {
    pub(super) fn new(table: &str) -> Self {
        Self { table: table.to_owned(), op_id: Uuid::new_v4(), writes: Vec::new(), rechecked: Vec::new(), failed: None }
    }

    /// Writes `entity`, which must not exist.
    pub fn create<E: Entity>(&mut self, entity: &E, conflict: Conflict) -> &mut Self {
        self.put(entity, Some("attribute_not_exists(pk)"), None, conflict)
    }

    /// Writes `entity`, which must not exist or must have expired by `now_seconds`: the table's
    /// own expiry is late by design.
    pub fn create_over_expired<E: Entity>(&mut self, entity: &E, now_seconds: i64, conflict: Conflict) -> &mut Self {
        let value = AttributeValue::N(now_seconds.to_string());
        self.put(entity, Some("attribute_not_exists(pk) OR expires_at <= :value"), Some(value), conflict)
    }

    /// Writes `entity` over the version `read`; version 0 was never stored.
    pub fn replace<E: Entity>(&mut self, entity: &E, read: u64, conflict: Conflict) -> &mut Self {
        if read == 0 {
            return self.create(entity, conflict);
        }
        self.put(entity, Some("version = :value"), Some(AttributeValue::N(read.to_string())), conflict)
    }

    /// Writes `entity` whatever is there, for a marker that says the same whoever writes it.
    pub fn put_anyway<E: Entity>(&mut self, entity: &E, conflict: Conflict) -> &mut Self {
        self.put(entity, None, None, conflict)
    }

    /// Writes the guard of something that is issued once: nobody has it, or `owner` was given it
    /// before.
    pub(super) fn issue(&mut self, guard: &Guard, conflict: Conflict) -> &mut Self {
        let owner = AttributeValue::S(guard.owner.to_string());
        self.put(guard, Some("attribute_not_exists(pk) OR #owner = :value"), Some(owner), conflict)
    }

    /// Whether `shared` is not rechecked by this transaction yet: it may write an item only once.
    pub(super) fn first_recheck(&mut self, shared: &Shared) -> bool {
        let first = !self.rechecked.contains(shared);
        if first {
            self.rechecked.push(shared.clone());
        }
        first
    }

    /// Refuses to commit, because of `error`.
    pub(super) fn fail(&mut self, error: StoreError) -> &mut Self {
        self.failed = Some(error);
        self
    }

    fn put<E: Entity>(
        &mut self,
        entity: &E,
        condition: Option<&str>,
        value: Option<AttributeValue>,
        conflict: Conflict,
    ) -> &mut Self {
        let item = match to_item(entity, self.op_id) {
            Ok(item) => item,
            Err(error) => return self.fail(error),
        };
        let names =
            condition.filter(|text| text.contains("#owner")).map(|_| [("#owner".into(), "owner".into())].into());
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(Into::into))
            // A reserved word.
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(value.map(|value| [(":value".into(), value)].into()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.push(put.build().map(|put| TransactWriteItem::builder().put(put).build()), conflict)
    }

    /// Deletes the item of `key`, whether or not it is there.
    pub fn delete(&mut self, key: &Key, conflict: Conflict) -> &mut Self {
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key.attributes()));
        self.push(delete.build().map(|delete| TransactWriteItem::builder().delete(delete).build()), conflict)
    }

    /// Deletes the item of `key`, which must have the version `read`.
    pub fn delete_version(&mut self, key: &Key, read: u64, conflict: Conflict) -> &mut Self {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .condition_expression("version = :value")
            .expression_attribute_values(":value", AttributeValue::N(read.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.push(delete.build().map(|delete| TransactWriteItem::builder().delete(delete).build()), conflict)
    }

    /// Requires that there is an item of `key`.
    pub fn require_present(&mut self, key: &Key, conflict: Conflict) -> &mut Self {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .condition_expression("attribute_exists(pk)");
        self.push(check.build().map(|check| TransactWriteItem::builder().condition_check(check).build()), conflict)
    }

    /// Requires that there is no item of `key`.
    pub fn require_absent(&mut self, key: &Key, conflict: Conflict) -> &mut Self {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .condition_expression("attribute_not_exists(pk)");
        self.push(check.build().map(|check| TransactWriteItem::builder().condition_check(check).build()), conflict)
    }

    fn push(
        &mut self,
        write: Result<TransactWriteItem, aws_sdk_dynamodb::error::BuildError>,
        conflict: Conflict,
    ) -> &mut Self {
        match write {
            Ok(write) => self.writes.push((write, conflict)),
            Err(error) => self.failed = Some(StoreError::Request(error.to_string())),
        }
        self
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Commits all of it or nothing.
    pub async fn commit(self, store: &Store) -> Result<(), Refused> {
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        let mut backoff = Backoff::new();
        loop {
            let Err(error) = self.attempt(store.client()).await else { return Ok(()) };
            match self.judge(&error) {
                Judgement::Committed => return Ok(()),
                Judgement::Conflict(conflict) => return Err(Refused::Conflict(conflict)),
                Judgement::Repeat if backoff.wait().await => {}
                Judgement::Repeat | Judgement::Failed => return Err(Refused::Store(StoreError::of(error))),
            }
        }
    }

    /// Commits, unless an expectation does not hold; answers whether it committed.
    pub async fn commit_unless_refused(self, store: &Store) -> Result<bool, StoreError> {
        match self.commit(store).await {
            Ok(()) => Ok(true),
            Err(Refused::Conflict(_)) => Ok(false),
            Err(Refused::Store(error)) => Err(error),
        }
    }

    async fn attempt(&self, client: &Client) -> Result<(), SdkError<TransactWriteItemsError>> {
        let writes = self.writes.iter().map(|(write, _)| write.clone()).collect();
        let request = client.transact_write_items().set_transact_items(Some(writes));
        request.client_request_token(self.op_id.to_string()).send().await.map(drop)
    }

    fn judge(&self, error: &SdkError<TransactWriteItemsError>) -> Judgement {
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                self.judge_reasons(cancelled.cancellation_reasons())
            }
            Some(service) if is_passing(service) => Judgement::Repeat,
            Some(_) => Judgement::Failed,
            // No answer: it may have committed. The token makes asking again safe.
            None => Judgement::Repeat,
        }
    }

    /// Reasons come one per write, in order.
    fn judge_reasons(&self, reasons: &[CancellationReason]) -> Judgement {
        let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
        let mut failed = self.writes.iter().zip(reasons).filter(|(_, reason)| code(reason) == "ConditionalCheckFailed");
        if let Some(((_, conflict), reason)) = failed.next() {
            let own = |reason: &CancellationReason| reason.item().is_some_and(|item| written_by(item, self.op_id));
            let committed = own(reason) && failed.all(|(_, reason)| own(reason));
            return if committed { Judgement::Committed } else { Judgement::Conflict(*conflict) };
        }
        let passing = ["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        if reasons.iter().all(|reason| passing.contains(&code(reason).as_str())) {
            Judgement::Repeat
        } else {
            Judgement::Failed
        }
    }
}

enum Judgement {
    Committed,
    Conflict(Conflict),
    Repeat,
    Failed,
}

fn is_passing(error: &TransactWriteItemsError) -> bool {
    match error {
        TransactWriteItemsError::InternalServerError(_)
        | TransactWriteItemsError::ProvisionedThroughputExceededException(_)
        | TransactWriteItemsError::RequestLimitExceeded(_)
        | TransactWriteItemsError::ThrottlingException(_)
        | TransactWriteItemsError::TransactionInProgressException(_) => true,
        TransactWriteItemsError::IdempotentParameterMismatchException(_)
        | TransactWriteItemsError::InvalidEndpointException(_)
        | TransactWriteItemsError::ResourceNotFoundException(_)
        | TransactWriteItemsError::TransactionCanceledException(_) => false,
        other => StoreError::is_passing_code(other),
    }
}
