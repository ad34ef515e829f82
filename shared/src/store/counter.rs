//! Numbers, drawn one at a time from atomic counters, before the transaction that uses them.
//!
//! A counter only moves forward. A draw whose answer is lost is drawn again, which leaves a gap;
//! no number is ever issued twice.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::key::Key;
use super::{Conflict, Store, StoreError};
use crate::clock::Time;
use crate::config::Settings;
use crate::ids::{Crn, CustomerNumber};
use crate::telemetry::{Metric, count};

/// The numbers of one request: drawn when first needed, kept however often a plan is made anew.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// The reference.
    pub crn: Option<Crn>,
    /// The customer number.
    pub number: Option<CustomerNumber>,
}

impl Drawn {
    /// Draws what is wanted and not drawn yet, both at once.
    pub async fn draw(&mut self, store: &Store, settings: &Settings, now: Time, want: Want) -> Result<(), StoreError> {
        let crn = async {
            if want.crn && self.crn.is_none() { store.draw_crn(settings, now).await.map(Some) } else { Ok(None) }
        };
        let number = async {
            if want.number && self.number.is_none() {
                store.draw_number(settings, now).await.map(Some)
            } else {
                Ok(None)
            }
        };
        let (crn, number) = tokio::join!(crn, number);
        self.crn = self.crn.take().or(crn?);
        self.number = self.number.take().or(number?);
        Ok(())
    }

    /// Gives up a number that turned out to be issued, so that the next draw gives another.
    pub fn discard(&mut self, conflict: Conflict) {
        match conflict {
            Conflict::CrnTaken => self.crn = None,
            Conflict::NumberTaken => self.number = None,
            _ => {}
        }
    }
}

/// Which numbers a plan needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want {
    /// A reference.
    pub crn: bool,
    /// A customer number.
    pub number: bool,
}

impl Store {
    /// Draws the next customer reference of the year of `now`.
    pub async fn draw_crn(&self, settings: &Settings, now: Time) -> Result<Crn, StoreError> {
        let sequence = self.draw(&Key::crn_counter(now.year())).await?;
        count(Metric::ReferencesDrawn, 1, now.unix_ms());
        Ok(Crn::issue(&settings.crn_prefix, now.year(), sequence))
    }

    /// Draws the next customer number.
    pub async fn draw_number(&self, settings: &Settings, now: Time) -> Result<CustomerNumber, StoreError> {
        let n = self.draw(&Key::number_counter()).await?;
        count(Metric::NumbersDrawn, 1, now.unix_ms());
        Ok(CustomerNumber::issue(&settings.customer_number_prefix, n))
    }

    async fn draw(&self, counter: &Key) -> Result<u64, StoreError> {
        let request = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(counter.attributes()))
            .update_expression("ADD #value :one SET kind = :kind")
            .expression_attribute_names("#value", "value")
            .expression_attribute_values(":one", AttributeValue::N("1".into()))
            .expression_attribute_values(":kind", AttributeValue::S("counter".into()))
            .return_values(ReturnValue::UpdatedNew);
        let answer = request.send().await.map_err(StoreError::of)?;
        read_value(answer.attributes()).ok_or_else(|| inconsistent(counter))
    }

    /// The last number drawn from `counter`, 0 if none.
    pub async fn last_drawn(&self, counter: &Key) -> Result<u64, StoreError> {
        let request = self.client().get_item().table_name(self.table()).set_key(Some(counter.attributes()));
        let answer = request.consistent_read(true).send().await.map_err(StoreError::of)?;
        answer.item().map_or(Ok(0), |item| read_value(Some(item)).ok_or_else(|| inconsistent(counter)))
    }

    /// Moves `counter` forward so that the next draw gives `last + 1`. Answers `false`, and leaves
    /// it, when it stands higher already.
    pub async fn advance_counter(&self, counter: &Key, last: u64) -> Result<bool, StoreError> {
        let request = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(counter.attributes()))
            .update_expression("SET #value = :last, kind = :kind")
            .condition_expression("attribute_not_exists(#value) OR #value <= :last")
            .expression_attribute_names("#value", "value")
            .expression_attribute_values(":last", AttributeValue::N(last.to_string()))
            .expression_attribute_values(":kind", AttributeValue::S("counter".into()));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(
                    aws_sdk_dynamodb::operation::update_item::UpdateItemError::is_conditional_check_failed_exception,
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }
}

fn read_value(item: Option<&super::item::Item>) -> Option<u64> {
    item?.get("value")?.as_n().ok()?.parse().ok()
}

fn inconsistent(counter: &Key) -> StoreError {
    StoreError::Inconsistent { kind: "counter", key: counter.to_string() }
}
