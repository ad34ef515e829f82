//! Whom a login means: an e-mail address, a customer number, or the phone of one user; and what a new
//! one is where its name is taken.

use shared::app::App;
use shared::contact::{EmailAddress, Phone};
use shared::domain::onboarding::{Login, user_placeholder};
use shared::domain::user::User;
use shared::http::ApiError;
use shared::ids::{CustomerNumber, UserId};
use shared::store::StoreError;
use shared::store::key::Key;
use shared::store::records::Guard;

/// What was entered as a login, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoginName {
    /// The address that an account would sign in with.
    Email(EmailAddress),
    /// Text that no account has, folded so that its attempts count together.
    Unknown(String),
}

impl LoginName {
    /// Reads what was entered. A number or a phone is looked up; a phone of several users counts
    /// as unknown.
    pub(crate) async fn read(app: &App, entered: &str) -> Result<Self, ApiError> {
        if let Ok(email) = EmailAddress::parse(entered) {
            return Ok(Self::Email(email));
        }
        let text = entered.trim();
        let number = CustomerNumber::parse_in_any_case(text, &app.settings.customer_number_prefix);
        let user = match (number, Phone::parse(text, app.settings.phone_default_country)) {
            (Some(number), _) => user_by_number(app, &number).await?,
            (None, Ok(phone)) => user_by_phone(app, &phone).await?,
            (None, Err(_)) => None,
        };
        Ok(user.map_or_else(|| Self::Unknown(text.to_lowercase()), |user| Self::Email(user.email)))
    }

    /// The user who signs in so.
    pub(crate) async fn user(&self, app: &App) -> Result<Option<User>, ApiError> {
        match self {
            Self::Email(email) => Ok(app.store.user_by_login(email).await?),
            Self::Unknown(_) => Ok(None),
        }
    }

    /// Where its attempts are counted: a keyed hash.
    pub(crate) fn attempts_identifier(&self, app: &App) -> String {
        let text = match self {
            Self::Email(email) => email.as_str(),
            Self::Unknown(text) => text,
        };
        hex::encode(app.keys.mac("login-attempts", &[text.as_bytes()]))
    }
}

/// `login`, or one named after itself, the new user `user_id`, if somebody signs in with the
/// placeholder that was chosen: a legacy system may have made such names, too.
pub(crate) async fn unheld(app: &App, login: Login, user_id: UserId) -> Result<Login, StoreError> {
    let domain = &app.settings.placeholder_email_domain;
    if let Login::New(email) = &login
        && email.is_placeholder(domain)
        && app.store.get::<Guard>(&Key::login(email)).await?.is_some()
    {
        return Ok(Login::New(user_placeholder(user_id, domain)));
    }
    Ok(login)
}

async fn user_by_number(app: &App, number: &CustomerNumber) -> Result<Option<User>, ApiError> {
    match app.store.get::<Guard>(&Key::number(number)).await? {
        Some(guard) => Ok(app.store.user(UserId(guard.owner)).await?),
        None => Ok(None),
    }
}

async fn user_by_phone(app: &App, phone: &Phone) -> Result<Option<User>, ApiError> {
    let mut users = app.store.people_by_phone(phone).await?.users;
    Ok(users.pop().filter(|_| users.is_empty()))
}
