//! Rate limits of the public routes: a counter per route, client address and window.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::key::Key;
use super::{Store, StoreError};
use crate::clock::Time;

/// The window of every rate limit, in seconds.
pub const WINDOW_SECONDS: i64 = 600;

impl Store {
    /// Counts a request; `Err` of the seconds to wait when it is one more than `limit`.
    pub async fn count_request(
        &self,
        route: &str,
        address: &str,
        limit: u64,
        now: Time,
    ) -> Result<Result<(), i64>, StoreError> {
        let window = now.unix_seconds().div_euclid(WINDOW_SECONDS);
        let ends = (window + 1) * WINDOW_SECONDS;
        let request = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(Key::rate(route, address, window).attributes()))
            .update_expression("ADD #count :one SET expires_at = :expires, kind = :kind")
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":one", AttributeValue::N("1".into()))
            .expression_attribute_values(":expires", AttributeValue::N((ends + WINDOW_SECONDS).to_string()))
            .expression_attribute_values(":kind", AttributeValue::S("rate".into()))
            .return_values(ReturnValue::UpdatedNew);
        let answer = request.send().await.map_err(StoreError::of)?;
        let counted = answer.attributes().and_then(|item| item.get("count")).and_then(|value| value.as_n().ok());
        let counted: u64 = counted.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(if counted <= limit { Ok(()) } else { Err(ends - now.unix_seconds()) })
    }
}
