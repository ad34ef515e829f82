//! Signing in. Whatever is wrong, the answer is the same, after the same work.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::app::App;
use shared::clock::Time;
use shared::domain::attempts::Verdict;
use shared::domain::user::User;
use shared::http::fields::{Fields, FromFields, Opaque};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::ids::UserId;
use shared::password::is_foreign;
use shared::secret::Secret;
use shared::store::attempts::AttemptsItem;
use shared::store::key::Key;
use shared::store::records::Guard;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Client, address_hash, no_store};
use crate::account::LoginName;
use crate::view::{SessionView, TokenView};

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
    let login = LoginName::read(&app, &email.0).await?;
    let account = Account::find(&app, &login).await?;
    let user = verify(&app, account, &address_hash(&client, &app), &password, now).await?;
    let user = rehash(&app, user, &password, now).await?;
    session(&app, user, now).await
}

/// The user of `account`, if `password` is theirs and the bounds of [`shared::domain::attempts`]
/// allow the guess. The attempt is charged before anything is compared.
pub(super) async fn verify(
    app: &App,
    account: Account,
    address: &str,
    password: &Secret,
    now: Time,
) -> Result<User, ApiError> {
    let charge = app.store.charge_attempt(&account.identifier, account.attempts, address, now);
    let (charged, user) = tokio::join!(charge, app.store.user(account.user_id));
    let ((verdict, charged), user) = (charged?, user?);
    let hash = user.as_ref().and_then(|user| user.usable_hash(now)).filter(|_| verdict == Verdict::Compare);
    if !app.passwords.verify(password, hash).await? {
        return Err(ApiError::InvalidCredentials);
    }
    app.store.clear_attempts(charged, address, now).await?;
    user.ok_or(ApiError::InvalidCredentials)
}

/// Replaces a hash that another system made. Whoever changed the user meanwhile goes before.
async fn rehash(app: &App, user: User, password: &Secret, now: Time) -> Result<User, ApiError> {
    if !user.password_hash.as_deref().is_some_and(is_foreign) {
        return Ok(user);
    }
    let hash = app.passwords.hash(password).await?;
    let after = User { password_hash: Some(hash), updated_at: now, ..user.clone() };
    let mut transaction = app.store.transaction();
    transaction.save_user(Some(&user), &after);
    let replaced = transaction.commit_unless_refused(&app.store).await?;
    Ok(if replaced { after } else { user })
}

/// The answer that signs `user` in.
pub(super) async fn session(app: &App, user: User, now: Time) -> Result<Response, ApiError> {
    let user = app.store.without_half_link(user).await?;
    let session = TokenView::sign(app, &user, now);
    Ok(no_store(StatusCode::OK, SessionView { user: user.into(), session }))
}

/// What is read before anybody is let in: for a known and an unknown login alike.
pub(super) struct Account {
    pub(super) identifier: String,
    pub(super) user_id: UserId,
    pub(super) attempts: Option<AttemptsItem>,
}

impl Account {
    /// An unknown login is looked up, charged and compared like a known one; its user is the nil
    /// UUID, which nobody has.
    pub(super) async fn find(app: &App, login: &LoginName) -> Result<Self, ApiError> {
        let identifier = login.attempts_identifier(app);
        let attempts = Key::attempts(&identifier);
        let guard = match login {
            LoginName::Email(email) => Some(Key::login(email)),
            LoginName::Unknown(_) => None,
        };
        let batch = app.store.batch_get([Some(attempts.clone()), guard.clone()].into_iter().flatten()).await?;
        let owner = guard.map(|key| batch.get::<Guard>(&key)).transpose()?.flatten().map(|guard| guard.owner);
        Ok(Self { identifier, user_id: UserId(owner.unwrap_or(Uuid::nil())), attempts: batch.get(&attempts)? })
    }
}
