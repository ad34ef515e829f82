//! A signed-in user chooses a new password. It ends every other session, and what else could
//! set a password.

use axum::extract::State;
use axum::response::Response;
use shared::app::App;
use shared::domain::credential::with_own_password;
use shared::domain::password_policy;
use shared::http::caller::{Session, live};
use shared::http::fields::{Fields, FromFields};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::secret::Secret;
use shared::store::Refused;
use shared::store::key::Key;
use shared::store::retry::Backoff;
use utoipa::ToSchema;

use super::login::{Account, session, verify};
use super::{Client, address_hash};
use crate::account::LoginName;
use crate::view::SessionView;

/// The password that is, and the one that is to be.
#[derive(ToSchema)]
pub struct ChangePasswordRequest {
    #[schema(value_type = String)]
    current_password: Secret,
    #[schema(value_type = String)]
    new_password: Secret,
}

impl FromFields for ChangePasswordRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (current, new) = (fields.required("current_password"), fields.required("new_password"));
        // Otherwise it is checked with what is known of the user.
        if current.is_none() {
            fields.check_password("new_password", new.as_ref(), None, None);
        }
        Some(Self { current_password: current?, new_password: new? })
    }
}

/// Changes the password.
#[utoipa::path(
    post, path = "/auth/change-password", tag = "account", operation_id = "changePassword", security(("bearer" = [])),
    request_body = ChangePasswordRequest,
    responses(
        (status = 200, description = "A fresh session; every other has ended.", body = SessionView),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    Session(claims): Session,
    client: Client,
    body: Result<JsonBody<ChangePasswordRequest>, ApiError>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    // Whoever may not come in is not told what is wrong with their body.
    let user = live(&claims, app.store.user(claims.sub).await?)?;
    let ChangePasswordRequest { current_password, new_password } = body?.request;
    let checked =
        password_policy::check(&new_password, app.settings.password_min_length, &user.email, user.name.as_ref());
    checked.map_err(|message| ApiError::field("new_password", message))?;
    if new_password == current_password {
        return Err(ApiError::field("new_password", "must differ from the current password"));
    }
    let identifier = LoginName::Email(user.email.clone()).attempts_identifier(&app);
    let attempts = app.store.get(&Key::attempts(&identifier)).await?;
    let account = Account { identifier, user_id: user.user_id, attempts };
    let before =
        live(&claims, Some(verify(&app, account, &address_hash(&client, &app), &current_password, now).await?))?;
    let hash = app.passwords.hash(&new_password).await?;
    let mut before = before;
    let mut races = Backoff::new();
    loop {
        let after = with_own_password(before.clone(), hash.clone(), now);
        let mut transaction = app.store.transaction();
        transaction.save_user(Some(&before), &after);
        match transaction.commit(&app.store).await {
            Ok(()) => return session(&app, after, now).await,
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
        // The session, and with it the password that was verified, must still be good.
        let newer = live(&claims, app.store.user(claims.sub).await?)?;
        if newer.credential_epoch != before.credential_epoch {
            return Err(ApiError::Unauthorized);
        }
        before = newer;
    }
}
