//! The administrator that every start finds or makes.

use shared::app::App;
use shared::clock::Time;
use shared::contact::EmailAddress;
use shared::domain::user::{Role, TemporaryPassword, User};
use shared::ids::UserId;
use shared::secret::{Secret, readable_password};
use shared::store::Refused;

use crate::LocalError;

/// How often to start anew when somebody else changes the account meanwhile.
const MAX_ATTEMPTS: usize = 3;

const PASSWORD_CHARS: usize = 20;

/// The administrator, as this start found or made them.
#[derive(Clone, Debug)]
pub enum Admin {
    /// They were there.
    Known,
    /// They are new, with a password that was asked for.
    New,
    /// They are new, with this password, which nobody else knows.
    Generated(Secret),
}

/// Finds or makes the administrator `email`. A `password` that was asked for replaces another.
pub async fn ensure(app: &App, email: &EmailAddress, password: Option<&Secret>) -> Result<Admin, LocalError> {
    for _ in 0..MAX_ATTEMPTS {
        let now = app.clock.now();
        let found = app.store.user_by_login(email).await?;
        let (after, admin) = match (&found, password) {
            (Some(user), _) if user.role != Role::Admin => return Err(LocalError::NotAnAdmin),
            (Some(_), None) => return Ok(Admin::Known),
            (Some(user), Some(password)) => match with_password(app, user, password, now).await? {
                Some(after) => (after, Admin::Known),
                None => return Ok(Admin::Known),
            },
            (None, password) => create(app, email, password, now).await?,
        };
        let mut transaction = app.store.transaction();
        transaction.save_user(found.as_ref(), &after);
        match transaction.commit(&app.store).await {
            Ok(()) => return Ok(admin),
            Err(Refused::Store(error)) => return Err(error.into()),
            Err(Refused::Conflict(_)) => {}
        }
    }
    Err(LocalError::AdminRace)
}

/// The account with another password of its own, which ends its sessions and voids what is on its
/// way; `None` if it has that password.
async fn with_password(app: &App, user: &User, password: &Secret, now: Time) -> Result<Option<User>, LocalError> {
    let usable = user.enabled && !user.must_change_password();
    if usable && app.passwords.verify(password, user.password_hash.as_deref()).await? {
        return Ok(None);
    }
    Ok(Some(User {
        password_hash: Some(app.passwords.hash(password).await?),
        temporary: None,
        enabled: true,
        credential_epoch: user.credential_epoch + 1,
        token_version: user.token_version + 1,
        updated_at: now,
        ..user.clone()
    }))
}

async fn create(
    app: &App,
    email: &EmailAddress,
    given: Option<&Secret>,
    now: Time,
) -> Result<(User, Admin), LocalError> {
    let mut user = User::new(UserId(now.new_id()), email.clone(), Role::Admin, now);
    let (password, admin) = if let Some(password) = given {
        (password.clone(), Admin::New)
    } else {
        let password = readable_password(PASSWORD_CHARS);
        user.temporary = Some(TemporaryPassword { expires_at: None, kid: None });
        (password.clone(), Admin::Generated(password))
    };
    user.password_hash = Some(app.passwords.hash(&password).await?);
    Ok((user, admin))
}
