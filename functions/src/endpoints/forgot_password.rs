//! Somebody has forgotten a password. Whether anybody is there is decided on delivery, out of the
//! asker's sight: the answer and the work are the same for everybody.

use axum::Json;
use axum::extract::State;
use shared::app::App;
use shared::domain::message::{Message, MessageKind};
use shared::http::fields::{Fields, FromFields, Opaque};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Client, limit_rate};
use crate::view::MessageView;

/// Requests per client address and window.
const RATE_LIMIT: u64 = 20;

/// Requests for one login within this time are one, in seconds.
const SAME_REQUEST_SECONDS: i64 = 60;

/// Who has forgotten theirs.
#[derive(ToSchema)]
pub struct ForgotPasswordRequest {
    /// An e-mail address, a customer number, or a phone number.
    #[schema(value_type = String)]
    email: Opaque,
}

impl FromFields for ForgotPasswordRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { email: fields.required("email")? })
    }
}

/// Sends a link to set a new password, if anybody is there.
#[utoipa::path(
    post, path = "/auth/forgot-password", tag = "account", operation_id = "forgotPassword",
    request_body = ForgotPasswordRequest,
    responses(
        (status = 200, description = "Always, whoever that is.", body = MessageView),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    client: Client,
    body: JsonBody<ForgotPasswordRequest>,
) -> Result<Json<MessageView>, ApiError> {
    let now = app.clock.now();
    limit_rate(&app, "forgot", &client, RATE_LIMIT, now).await?;
    let identifier = body.request.email.0.trim().to_lowercase();
    let minute = now.unix_seconds().div_euclid(SAME_REQUEST_SECONDS).to_be_bytes();
    let hash = app.keys.mac("forgot-password", &[identifier.as_bytes(), &minute]);
    let id = Uuid::new_v8(std::array::from_fn(|n| hash[n]));
    let message = Message::to_whom_it_concerns(MessageKind::PasswordReset, identifier, id, now);
    let mut transaction = app.store.transaction();
    transaction.save_message(None, &message);
    // What is there already is the same request within the minute.
    transaction.commit_unless_refused(&app.store).await?;
    Ok(Json(MessageView { message: "If that email exists, a reset link has been sent" }))
}
