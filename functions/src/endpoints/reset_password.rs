//! The holder of a link sets a new password, once.

use axum::Json;
use axum::extract::State;
use shared::app::App;
use shared::domain::credential::with_own_password;
use shared::domain::password_policy;
use shared::domain::recovery::ResetTicket;
use shared::domain::user::User;
use shared::http::fields::{Fields, FromFields};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::secret::Secret;
use shared::store::item::Entity;
use shared::store::key::Key;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused};
use shared::token::sha256_hex;
use utoipa::ToSchema;

use crate::account::LoginName;
use crate::view::MessageView;

/// A link's token, and the password to be.
#[derive(ToSchema)]
pub struct ResetPasswordRequest {
    /// The token of the link.
    token: String,
    #[schema(value_type = String)]
    new_password: Secret,
}

impl FromFields for ResetPasswordRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (token, new_password) = (fields.required("token"), fields.required("new_password"));
        // Whose it is to be is known by the token; without one this is all that can be said of it.
        if token.is_none() {
            fields.check_password("new_password", new_password.as_ref(), None, None);
        }
        Some(Self { token: token?, new_password: new_password? })
    }
}

/// Sets a new password. A password that is refused does not use the link up.
#[utoipa::path(
    post, path = "/auth/reset-password", tag = "account", operation_id = "resetPassword",
    request_body = ResetPasswordRequest,
    responses(
        (status = 200, description = "The password is set; every session has ended.", body = MessageView),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    body: JsonBody<ResetPasswordRequest>,
) -> Result<Json<MessageView>, ApiError> {
    let now = app.clock.now();
    let ResetPasswordRequest { token, new_password } = body.request;
    // Kept by its hash, so that any text makes a key, and only the token finds something.
    let ticket: Option<ResetTicket> = app.store.get(&Key::reset_ticket(&sha256_hex(token.trim()))).await?;
    let ticket = ticket.ok_or(ApiError::InvalidToken)?;
    let mut hash = None;
    let mut races = Backoff::new();
    loop {
        let user = app.store.user(ticket.user_id).await?.filter(|user| ticket.opens(user, now));
        let user = user.ok_or(ApiError::InvalidToken)?;
        check(&app, &new_password, &user)?;
        let new_hash = match hash.take() {
            Some(hash) => hash,
            None => app.passwords.hash(&new_password).await?,
        };
        let after = with_own_password(user.clone(), new_hash.clone(), now);
        hash = Some(new_hash);
        let attempts = Key::attempts(&LoginName::Email(user.email.clone()).attempts_identifier(&app));
        let mut transaction = app.store.transaction();
        transaction.save_user(Some(&user), &after);
        transaction.delete_version(&ticket.key(), ticket.version, Conflict::HandledBefore);
        // Whoever set a password by the link is the owner: the lock has done its work.
        transaction.delete(&attempts, Conflict::Changed);
        match transaction.commit(&app.store).await {
            Ok(()) => return Ok(Json(MessageView { message: "Password reset successful" })),
            Err(Refused::Conflict(Conflict::HandledBefore)) => return Err(ApiError::InvalidToken),
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}

fn check(app: &App, password: &Secret, user: &User) -> Result<(), ApiError> {
    let min = app.settings.password_min_length;
    let checked = password_policy::check(password, min, &user.email, user.name.as_ref());
    checked.map_err(|message| ApiError::field("new_password", message))
}
