//! A new temporary password for a customer who has not chosen one: sent, or handed over.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::domain::credential::{
    TEMPORARY_PASSWORD_CHARS, TEMPORARY_PASSWORD_SECONDS, with_handed_over_password, without_password,
};
use shared::domain::customer::Customer;
use shared::domain::message::{Message, MessageKind};
use shared::domain::user::User;
use shared::http::caller::Admin;
use shared::http::fields::{Fields, FromFields};
use shared::http::problem::Problem;
use shared::http::{ApiError, OptionalJsonBody};
use shared::ids::Identifier;
use shared::notify::Recipient;
use shared::secret::{Secret, readable_password};
use shared::store::Refused;
use shared::store::retry::Backoff;
use utoipa::ToSchema;

use super::no_store;
use crate::jobs::notify::{login_name, recipient};

/// How the password reaches its owner.
#[derive(ToSchema)]
pub struct IssueCredentialsRequest {
    /// Whether it is sent (`true`, the default) or answered, for handing over.
    deliver: Option<bool>,
}

impl FromFields for IssueCredentialsRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { deliver: fields.optional("deliver")? })
    }
}

/// A new invitation is on its way.
#[derive(Serialize, ToSchema)]
pub struct InvitedResponse {
    /// What the customer signs in with.
    login: String,
    /// `email` or `sms`.
    delivered_to: &'static str,
}

/// A password to hand over. It cannot be had again.
#[derive(Serialize, ToSchema)]
pub struct HandedOverResponse {
    /// What the customer signs in with.
    login: String,
    /// What they sign in with once, and then must change.
    temporary_password: String,
    /// When it stops working.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
}

/// Issues new credentials; all before them are void.
#[utoipa::path(
    post, path = "/v1/customers/{id}/credentials", tag = "customers", operation_id = "issueCredentials",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The caller's id, the internal id, the reference or the customer number.")),
    request_body = IssueCredentialsRequest,
    responses(
        (status = 202, description = "A new invitation is on its way.", body = InvitedResponse),
        (status = 200, description = "A password to hand over.", body = HandedOverResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    _caller: Admin,
    path: Result<Path<String>, PathRejection>,
    OptionalJsonBody(request): OptionalJsonBody<IssueCredentialsRequest>,
) -> Result<Response, ApiError> {
    let identifier = super::identifier(path, &app)?;
    let now = app.clock.now();
    if request.deliver.unwrap_or(true) {
        invite(&app, &identifier, now).await
    } else {
        hand_over(&app, &identifier, now).await
    }
}

async fn invite(app: &App, identifier: &Identifier, now: Time) -> Result<Response, ApiError> {
    let mut races = Backoff::new();
    loop {
        let (customer, user) = read(app, identifier).await?;
        let nobody =
            || ApiError::field("deliver", "cannot be `true`: the customer has neither e-mail address nor phone");
        let to = recipient(app, Some(&customer), &user).ok_or_else(nobody)?;
        let after = without_password(user.clone(), now);
        let invitation = Message::to_user(MessageKind::Invitation, &after, now);
        let mut transaction = app.store.transaction();
        transaction.save_user(Some(&user), &after).save_message(None, &invitation);
        match transaction.commit(&app.store).await {
            Ok(()) => {
                let delivered_to = if matches!(to, Recipient::Email(_)) { "email" } else { "sms" };
                let login = login_name(&after, &to);
                return Ok(no_store(StatusCode::ACCEPTED, InvitedResponse { login, delivered_to }));
            }
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}

async fn hand_over(app: &App, identifier: &Identifier, now: Time) -> Result<Response, ApiError> {
    let mut races = Backoff::new();
    let mut made: Option<(Secret, String)> = None;
    loop {
        let (_, user) = read(app, identifier).await?;
        let (password, hash) = if let Some(made) = made.take() {
            made
        } else {
            let password = readable_password(TEMPORARY_PASSWORD_CHARS);
            let hash = app.passwords.hash(&password).await?;
            (password, hash)
        };
        let after = with_handed_over_password(user.clone(), hash.clone(), now);
        let mut transaction = app.store.transaction();
        transaction.save_user(Some(&user), &after);
        match transaction.commit(&app.store).await {
            Ok(()) => {
                let login = after.email.as_str().to_owned();
                let expires_at = now.plus_seconds(TEMPORARY_PASSWORD_SECONDS);
                let temporary_password = password.expose().to_owned();
                return Ok(no_store(StatusCode::OK, HandedOverResponse { login, temporary_password, expires_at }));
            }
            Err(Refused::Conflict(_)) if races.wait().await => made = Some((password, hash)),
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// The customer and its login, who must be waiting for a password.
async fn read(app: &App, identifier: &Identifier) -> Result<(Customer, User), ApiError> {
    let customer = app.store.find_customer(identifier).await?.ok_or(ApiError::CustomerNotFound)?;
    let user = app.store.login_of(&customer).await?.ok_or(ApiError::UserNotFound)?;
    if user.is_activated() {
        return Err(ApiError::AlreadyActive);
    }
    if !user.enabled {
        return Err(ApiError::Impossible("The login is disabled: give the customer another `status` first."));
    }
    Ok((customer, user))
}
