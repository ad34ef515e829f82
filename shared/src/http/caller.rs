//! Who is calling. A session is only a claim: the live user decides, read strongly consistently.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::problem::ApiError;
use crate::app::App;
use crate::domain::user::{Role, User};
use crate::ids::UserId;
use crate::store::api_key::API_KEY_PREFIX;
use crate::token::Claims;

/// An administrator, or a system that acts as one.
#[derive(Clone, Debug)]
pub enum Admin {
    /// A signed-in user of role `admin`.
    User(UserId),
    /// The holder of an API key, by the key's id.
    ApiKey(uuid::Uuid),
}

impl Admin {
    /// A name for the caller that differs from every other caller's.
    #[must_use]
    pub fn scope(&self) -> String {
        match self {
            Self::User(id) => format!("user:{id}"),
            Self::ApiKey(id) => format!("key:{id}"),
        }
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        AdminClaim::from_request_parts(parts, app).await?.confirm(app).await
    }
}

/// Somebody who says that they are an [`Admin`]: the handler confirms it together with its first
/// reads, and answers nothing before.
#[derive(Clone)]
pub struct AdminClaim(String);

impl FromRequestParts<App> for AdminClaim {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        bearer(&parts.headers).map(|text| Self(text.to_owned())).ok_or(ApiError::Unauthorized)
    }
}

impl AdminClaim {
    /// What was `parsed` of the request. What is wrong with it is told to an administrator only.
    pub async fn admit<T>(&self, app: &App, parsed: Result<T, ApiError>) -> Result<T, ApiError> {
        if parsed.is_err() {
            self.confirm(app).await?;
        }
        parsed
    }

    /// The administrator, if they are one.
    pub async fn confirm(&self, app: &App) -> Result<Admin, ApiError> {
        match self.0.as_str() {
            text if text.starts_with(API_KEY_PREFIX) => {
                let key = app.store.api_key(text).await?.ok_or(ApiError::Unauthorized)?;
                Ok(Admin::ApiKey(key.key_id))
            }
            token => {
                let claims = verify(token, app)?;
                // Whoever has to change their password is told that first, whatever else they may do.
                let user = settled(&claims, app.store.user(claims.sub).await?)?;
                if user.role != Role::Admin {
                    return Err(ApiError::Forbidden);
                }
                Ok(Admin::User(user.user_id))
            }
        }
    }
}

/// The claims of a session whose user has not been read yet: the handler reads the user together
/// with what else it needs, and passes it through [`live`] before it answers anything.
#[derive(Clone, Debug)]
pub struct Session(pub Claims);

impl FromRequestParts<App> for Session {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or(ApiError::Unauthorized)?;
        if token.starts_with(API_KEY_PREFIX) {
            // A key is no person; whether it is a good one makes the difference of 403 and 401.
            app.store.api_key(token).await?.ok_or(ApiError::Unauthorized)?;
            return Err(ApiError::Forbidden);
        }
        verify(token, app).map(Self)
    }
}

/// The user of a session, if they exist, may sign in, and have not ended it.
pub fn live(claims: &Claims, user: Option<User>) -> Result<User, ApiError> {
    user.filter(|user| user.user_id == claims.sub && user.honours(claims.ver)).ok_or(ApiError::Unauthorized)
}

/// The user of a session, who must have a password of their own: [`live`], and no temporary one.
pub fn settled(claims: &Claims, user: Option<User>) -> Result<User, ApiError> {
    let user = live(claims, user)?;
    if user.must_change_password() { Err(ApiError::PasswordChangeRequired) } else { Ok(user) }
}

fn verify(token: &str, app: &App) -> Result<Claims, ApiError> {
    app.keys.verify_session(token, app.clock.now()).map_err(|_| ApiError::Unauthorized)
}

/// The token of `Authorization: Bearer …` (RFC 6750); the scheme is case-insensitive.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}
