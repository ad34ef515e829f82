//! The work queue: what is due, in order of time. An item leaves when it is done.
//!
//! It is a sparse index, read eventually consistently: whoever takes an entry up reads the item
//! itself and finds out whether there is still anything to do.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use uuid::Uuid;

use super::item::Item;
use super::key::Key;
use super::{Store, StoreError};
use crate::clock::Time;
use crate::domain::matching::Review;
use crate::domain::product::ProductId;
use crate::ids::{CustomerId, UserId};

const DUE: &str = "WORK";
const AMBIGUOUS: &str = "WORK#ambiguous";
const STAGED: &str = "WORK#staged";

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A user under review.
    User(UserId),
    /// A customer under review.
    Customer(CustomerId),
    /// A message that has not been sent.
    Message(Uuid),
    /// What a deleted customer left.
    Purge(CustomerId),
    /// What is parked for a Stripe customer who has become somebody's.
    Replay(String),
    /// Something that people share who are to be looked at again.
    Recheck(Key),
    /// The census that somebody asked for.
    Report,
    /// A Stripe customer that is to be made, or the subscription to a product.
    StripeIntent(CustomerId, Option<ProductId>),
}

impl Due {
    fn of(item: &Item) -> Option<Self> {
        let (kind, id) = item.get("pk")?.as_s().ok()?.split_once('#')?;
        match kind {
            "REPLAY" => return Some(Self::Replay(id.to_owned())),
            "REPORT" => return Some(Self::Report),
            "RECHECK" => return Key::of(item).map(Self::Recheck),
            _ => {}
        }
        if kind == "SUBSCRIPTION_INTENT" {
            let (id, product) = id.split_once('#')?;
            return Some(Self::StripeIntent(CustomerId(id.parse().ok()?), Some(ProductId::parse(product).ok()?)));
        }
        let id = id.parse().ok()?;
        match kind {
            "USER" => Some(Self::User(UserId(id))),
            "CUSTOMER" => Some(Self::Customer(CustomerId(id))),
            "OUTBOX" => Some(Self::Message(id)),
            "STRIPE_INTENT" => Some(Self::StripeIntent(CustomerId(id), None)),
            "PURGE" => Some(Self::Purge(CustomerId(id))),
            _ => None,
        }
    }
}

/// A page of the queue.
#[derive(Debug, Default)]
pub struct Page {
    /// What is due, oldest first.
    pub due: Vec<Due>,
    /// Where the next page begins.
    pub next: Option<Item>,
}

/// The queue entry of what is due at `due_at`.
pub(super) fn entry(due_at: Time, key: &Key) -> (String, String) {
    (DUE.into(), format!("{due_at}#{}", key.pk))
}

/// The queue entry of a row under review, in order of creation. What is due is due: of a row that a
/// legacy system dated ahead, from the moment at which it was last changed.
pub(super) fn review_entry(
    review: Option<Review>,
    created_at: Time,
    updated_at: Time,
    key: &Key,
) -> Option<(String, String)> {
    let (partition, at) = match review? {
        Review::Staged => (STAGED, created_at),
        Review::Due => (DUE, created_at.min(updated_at)),
        Review::Ambiguous => (AMBIGUOUS, created_at),
    };
    let (_, position) = entry(at, key);
    Some((partition.into(), position))
}

impl Store {
    /// A page of what is due at `now`.
    pub async fn due_work(&self, now: Time, start: Option<Item>, limit: i32) -> Result<Page, StoreError> {
        let request = self.work_query(now).limit(limit).set_exclusive_start_key(start);
        let answer = request.send().await.map_err(StoreError::of)?;
        let due = answer.items().iter().filter_map(Due::of).collect();
        Ok(Page { due, next: answer.last_evaluated_key })
    }

    /// A page of the imported rows that no migration has covered yet, in order of creation.
    pub async fn staged_rows(&self, start: Option<Item>, limit: i32) -> Result<Page, StoreError> {
        let request = self.staged_query().limit(limit).set_exclusive_start_key(start);
        let answer = request.send().await.map_err(StoreError::of)?;
        let due = answer.items().iter().filter_map(Due::of).collect();
        Ok(Page { due, next: answer.last_evaluated_key })
    }

    /// How many imported rows no migration has covered yet.
    pub async fn count_staged_rows(&self) -> Result<u64, StoreError> {
        count(|| self.staged_query()).await
    }

    /// How much is due at `now`.
    pub async fn count_due_work(&self, now: Time) -> Result<u64, StoreError> {
        count(|| self.work_query(now)).await
    }

    fn staged_query(&self) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(self.table())
            .index_name("gsi2")
            .key_condition_expression("gsi2pk = :staged")
            .expression_attribute_values(":staged", AttributeValue::S(STAGED.into()))
    }

    fn work_query(&self, now: Time) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(self.table())
            .index_name("gsi2")
            .key_condition_expression("gsi2pk = :due AND gsi2sk < :now")
            .expression_attribute_values(":due", AttributeValue::S(DUE.into()))
            // `~` sorts after everything that follows the time in an entry.
            .expression_attribute_values(":now", AttributeValue::S(format!("{now}~")))
    }
}

/// How many entries `query` finds.
pub(super) async fn count(query: impl Fn() -> QueryFluentBuilder) -> Result<u64, StoreError> {
    let (mut total, mut start) = (0, None);
    loop {
        let request = query().select(Select::Count).set_exclusive_start_key(start);
        let answer = request.send().await.map_err(StoreError::of)?;
        total += u64::try_from(answer.count()).unwrap_or(0);
        start = answer.last_evaluated_key;
        if start.is_none() {
            return Ok(total);
        }
    }
}
