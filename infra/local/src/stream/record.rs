//! Records, as the mapping filters them and as a function receives them.

use std::time::SystemTime;

use aws_lambda_events::event::dynamodb::{EventRecord, StreamViewType};
use aws_sdk_dynamodbstreams::types::{OperationType, Record};

/// The `FilterCriteria` of `template.yaml`: an outbox item that is to be delivered.
pub(super) fn is_wanted(record: &Record) -> bool {
    let written = matches!(record.event_name, Some(OperationType::Insert | OperationType::Modify));
    let image = record.dynamodb.as_ref().and_then(|change| change.new_image.as_ref());
    let says = |attribute: &str, wanted: &str| {
        let value = image.and_then(|image| image.get(attribute)).and_then(|value| value.as_s().ok());
        value.is_some_and(|text| text == wanted)
    };
    written && says("kind", "outbox") && says("state", "pending")
}

/// The record as Lambda hands it to a function.
pub(super) fn to_event(record: Record, stream: &str) -> EventRecord {
    let mut event = EventRecord::default();
    event.aws_region = record.aws_region.unwrap_or_default();
    event.event_id = record.event_id.unwrap_or_default();
    event.event_name = record.event_name.map(|name| name.as_str().to_owned()).unwrap_or_default();
    event.event_source = record.event_source;
    event.event_version = record.event_version;
    event.event_source_arn = Some(stream.to_owned());
    let Some(change) = record.dynamodb else { return event };
    event.change.keys = change.keys.unwrap_or_default().into();
    event.change.new_image = change.new_image.unwrap_or_default().into();
    event.change.sequence_number = change.sequence_number;
    event.change.size_bytes = change.size_bytes.unwrap_or_default();
    event.change.stream_view_type = Some(StreamViewType::NewImage);
    if let Some(Ok(at)) = change.approximate_creation_date_time.map(SystemTime::try_from) {
        event.change.approximate_creation_date_time = at.into();
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodbstreams::types::{AttributeValue, StreamRecord};

    fn record(name: OperationType, kind: &str, state: &str) -> Record {
        let text = |text: &str| AttributeValue::S(text.into());
        let change = StreamRecord::builder()
            .keys("pk", text("OUTBOX#1"))
            .new_image("kind", text(kind))
            .new_image("state", text(state))
            .sequence_number("100000000000000000001");
        Record::builder().event_name(name).dynamodb(change.build()).build()
    }

    #[test]
    fn only_pending_messages_pass() {
        assert!(is_wanted(&record(OperationType::Insert, "outbox", "pending")));
        assert!(is_wanted(&record(OperationType::Modify, "outbox", "pending")));
        assert!(!is_wanted(&record(OperationType::Modify, "outbox", "sent")));
        assert!(!is_wanted(&record(OperationType::Remove, "outbox", "pending")));
        assert!(!is_wanted(&record(OperationType::Insert, "customer", "pending")));
        assert!(!is_wanted(&Record::builder().event_name(OperationType::Insert).build()));
    }

    #[test]
    fn a_function_sees_keys_image_and_sequence_number() {
        let event = to_event(record(OperationType::Insert, "outbox", "pending"), "arn");
        assert_eq!((event.event_name.as_str(), event.event_source_arn.as_deref()), ("INSERT", Some("arn")));
        assert_eq!(event.change.sequence_number.as_deref(), Some("100000000000000000001"));
        assert_eq!(event.change.keys["pk"], serde_dynamo::AttributeValue::S("OUTBOX#1".into()));
        assert_eq!(event.change.new_image["state"], serde_dynamo::AttributeValue::S("pending".into()));
    }
}
