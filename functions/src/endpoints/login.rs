//! Signing in. Whatever is wrong, the answer is the same, after the same work.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::app::App;
use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::attempts::Verdict;
use shared::domain::user::User;
use shared::http::fields::{Fields, FromFields, Opaque};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::ids::{CustomerNumber, UserId};
use shared::secret::Secret;
use shared::store::attempts::AttemptsItem;
use shared::store::key::Key;
use shared::store::records::Guard;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Client, address_hash, no_store};
use crate::view::SessionView;

/// Who wants in.
#[derive(ToSchema)]
pub struct LoginRequest {
    /// An e-mail address, a customer number, or a phone number.
    #[schema(value_type = String)]
    email: Opaque,
    #[schema(value_type = String)]
    password: Secret,
}

impl FromFields for LoginRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (email, password) = (fields.required("email"), fields.required("password"));
        Some(Self { email: email?, password: password? })
    }
}

/// Signs in.
#[utoipa::path(
    post, path = "/auth/login", tag = "account", operation_id = "login",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "A fresh session.", body = SessionView),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    client: Client,
    body: JsonBody<LoginRequest>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let LoginRequest { email, password } = body.request;
    let account = Account::find(&app, &email.0).await?;
    let address = address_hash(&client, &app);
    // The attempt is charged before the password is compared: see `domain::attempts`.
    let charge = app.store.charge_attempt(&account.identifier, account.attempts, &address, now);
    let (charged, user) = tokio::join!(charge, app.store.user(account.user_id));
    let ((verdict, charged), user) = (charged?, user?);
    let hash = user.as_ref().and_then(|user| user.usable_hash(now)).filter(|_| verdict == Verdict::Compare);
    if !app.passwords.verify(&password, hash).await? {
        return Err(ApiError::InvalidCredentials);
    }
    let user = user.ok_or(ApiError::InvalidCredentials)?;
    app.store.clear_attempts(&charged).await?;
    Ok(session(&app, user, now))
}

/// The answer that signs `user` in.
pub(super) fn session(app: &App, user: User, now: Time) -> Response {
    let expires_in = app.settings.jwt_ttl_seconds;
    let token = app.keys.sign_session(&user, now, expires_in);
    no_store(StatusCode::OK, SessionView { user: user.into(), token, token_type: "Bearer", expires_in })
}

/// What is read before anybody is let in: for a known and an unknown login alike.
struct Account {
    identifier: String,
    user_id: UserId,
    attempts: Option<AttemptsItem>,
}

impl Account {
    /// An unknown login is looked up, charged and compared like a known one; its user is the nil
    /// UUID, which nobody has.
    async fn find(app: &App, login: &str) -> Result<Self, ApiError> {
        let email = match EmailAddress::parse(login) {
            Ok(email) => Ok(email),
            Err(_) => resolve(app, login).await?,
        };
        let text = email.as_ref().map_or_else(String::as_str, EmailAddress::as_str);
        let identifier = hex::encode(app.keys.mac("login-attempts", &[text.as_bytes()]));
        let attempts = Key::attempts(&identifier);
        let guard = email.as_ref().ok().map(Key::login);
        let batch = app.store.batch_get([Some(attempts.clone()), guard.clone()].into_iter().flatten()).await?;
        let owner = guard.map(|key| batch.get::<Guard>(&key)).transpose()?.flatten().map(|guard| guard.owner);
        Ok(Self { identifier, user_id: UserId(owner.unwrap_or(Uuid::nil())), attempts: batch.get(&attempts)? })
    }
}

/// The login e-mail of a customer number or of the one user with a phone number; otherwise the
/// text itself, which then counts as an unknown login.
async fn resolve(app: &App, login: &str) -> Result<Result<EmailAddress, String>, ApiError> {
    let text = login.trim();
    let number = CustomerNumber::parse(&text.to_uppercase(), &app.settings.customer_number_prefix);
    let user = if let Some(number) = number {
        match app.store.get::<Guard>(&Key::number(&number)).await? {
            Some(guard) => app.store.user(UserId(guard.owner)).await?,
            None => None,
        }
    } else if let Ok(phone) = Phone::parse(text, app.settings.phone_default_country) {
        let mut users = app.store.people_by_phone(&phone).await?.users;
        users.pop().filter(|_| users.is_empty())
    } else {
        None
    };
    Ok(user.map(|user| user.email).ok_or_else(|| text.to_lowercase()))
}
