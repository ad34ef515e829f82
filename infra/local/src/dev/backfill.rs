//! `POST /dev/backfill`: the schedule, when you say so.

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use axum::Json;
use axum::extract::State;
use functions::jobs::backfill::{Summary, on_schedule};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use shared::app::App;
use shared::clock::Time;
use shared::http::ApiError;
use uuid::Uuid;

/// Runs the backfill on the event that `EventBridge` sends.
pub async fn handle(State(app): State<App>) -> Result<Json<Summary>, ApiError> {
    let event = scheduled_event(Uuid::new_v4(), app.clock.now());
    let event: EventBridgeEvent =
        serde_json::from_value(event).map_err(|error| ApiError::Internal(error.to_string()))?;
    let mut context = Context::default();
    context.request_id = Uuid::new_v4().to_string();
    Ok(Json(on_schedule(&app, LambdaEvent::new(event, context)).await?))
}

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html>
fn scheduled_event(id: Uuid, now: Time) -> Value {
    json!({
        "version": "0",
        "id": id,
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": now,
        "region": "eu-central-1",
        "resources": ["arn:aws:events:eu-central-1:000000000000:rule/rollcall-backfill"],
        "detail": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_one_of_eventbridge() {
        let event = scheduled_event(Uuid::nil(), Time::from_unix_seconds(1_795_176_000));
        let event: EventBridgeEvent = serde_json::from_value(event).unwrap();
        assert_eq!((event.source.as_str(), event.detail_type.as_str()), ("aws.events", "Scheduled Event"));
        assert!(event.time.is_some());
    }
}
