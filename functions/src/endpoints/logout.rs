//! Ends every session of a user.

use axum::extract::State;
use axum::http::StatusCode;
use shared::app::App;
use shared::domain::user::User;
use shared::http::ApiError;
use shared::http::caller::{Session, live};
use shared::http::problem::Problem;
use shared::store::Refused;
use shared::store::retry::Backoff;

/// Ends every session.
#[utoipa::path(
    post, path = "/auth/logout", tag = "account", operation_id = "logout", security(("bearer" = [])),
    responses(
        (status = 204, description = "Every session has ended."),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(State(app): State<App>, Session(claims): Session) -> Result<StatusCode, ApiError> {
    let now = app.clock.now();
    let mut races = Backoff::new();
    loop {
        let before = live(&claims, app.store.user(claims.sub).await?)?;
        let after = User { token_version: before.token_version + 1, updated_at: now, ..before.clone() };
        let mut transaction = app.store.transaction();
        transaction.save_user(Some(&before), &after);
        match transaction.commit(&app.store).await {
            Ok(()) => return Ok(StatusCode::NO_CONTENT),
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}
