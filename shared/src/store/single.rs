//! One write on its own, for half of what a transaction costs.
//!
//! It has no token: after a lost answer it may be carried out twice, and somebody else in between.
//! So it is only for state where that does no harm, such as the count of login attempts.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::item::{Entity, to_item, written_by};
use super::key::Key;
use super::{Store, StoreError};
use uuid::Uuid;

impl Store {
    /// Writes `entity` over the version `read`, 0 for one that must not exist; `false` if there is
    /// another version.
    pub(super) async fn replace_alone<E: Entity>(&self, entity: &E, read: u64) -> Result<bool, StoreError> {
        let op_id = Uuid::new_v4();
        let (condition, values) = match read {
            0 => ("attribute_not_exists(pk)", None),
            _ => ("version = :version", Some(version(read))),
        };
        let request = self
            .client()
            .put_item()
            .table_name(self.table())
            .set_item(Some(to_item(entity, op_id)?))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                // What is there may be our own write, the answer to which was lost.
                let PutItemError::ConditionalCheckFailedException(failed) = error.into_err() else { return Ok(false) };
                Ok(failed.item().is_some_and(|item| written_by(item, op_id)))
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }

    /// Deletes the item of `key`, which must have the version `read`; `false` if it has another, or is
    /// gone.
    pub(super) async fn delete_alone(&self, key: &Key, read: u64) -> Result<bool, StoreError> {
        let request = self
            .client()
            .delete_item()
            .table_name(self.table())
            .set_key(Some(key.attributes()))
            .condition_expression("version = :version")
            .set_expression_attribute_values(Some(version(read)));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }
}

fn version(read: u64) -> HashMap<String, AttributeValue> {
    HashMap::from([(":version".into(), AttributeValue::N(read.to_string()))])
}
