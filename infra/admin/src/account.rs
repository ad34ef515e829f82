//! Accounts that come without a customer: an admin's, a delivery boy's.

use std::process::ExitCode;

use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::user::{Role, TemporaryPassword, User};
use shared::ids::UserId;
use shared::secret::Secret;
use shared::store::Refused;
use shared::text::Name;

use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};
use crate::password::PasswordSource;

/// An account to create.
pub(crate) struct NewAccount {
    /// What it signs in with.
    pub(crate) email: EmailAddress,
    /// What it may do.
    pub(crate) role: Role,
    /// Who it is.
    pub(crate) name: Option<Name>,
    /// Its phone number.
    pub(crate) phone: Option<Phone>,
    /// Where its first password comes from.
    pub(crate) password: PasswordSource,
}

/// Creates the account, unless its address is a login already: of the same role it is done, of
/// another it is refused.
pub(crate) async fn create(context: &Context, wanted: NewAccount) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    if let Some(holder) = app.store.user_by_login(&wanted.email).await? {
        return already_there(&holder, wanted.role);
    }
    let password = wanted.password.obtain(app.settings.password_min_length)?;
    if context.dry_run {
        result(format_args!("would create the {} `{}`", role_name(wanted.role), wanted.email.as_str()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (role, source) = (wanted.role, wanted.password);
    let user = user(wanted, app.passwords.hash(&password).await?, app.clock.now());
    let mut transaction = app.store.transaction();
    transaction.save_user(None, &user);
    match transaction.commit(&app.store).await {
        Ok(()) => created(&user, source, &password),
        Err(Refused::Store(error)) => Err(error.into()),
        Err(Refused::Conflict(conflict)) => match app.store.user_by_login(&user.email).await? {
            Some(holder) => already_there(&holder, role),
            None => Err(AdminError::Conflict(conflict)),
        },
    }
}

/// What a role is called, on the wire and here.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::DeliveryBoy => "delivery_boy",
        Role::Customer => "customer",
    }
}

fn user(wanted: NewAccount, hash: String, now: Time) -> User {
    let temporary = match wanted.password {
        PasswordSource::Generated => Some(TemporaryPassword { expires_at: None, kid: None }),
        PasswordSource::Stdin => None,
    };
    User {
        name: wanted.name,
        phone: wanted.phone,
        password_hash: Some(hash),
        temporary,
        ..User::new(UserId(now.new_id()), wanted.email, wanted.role, now)
    }
}

fn created(user: &User, source: PasswordSource, password: &Secret) -> Result<ExitCode, AdminError> {
    let email = user.email.as_str();
    result(format_args!("created the {} `{email}` (user_id {})", role_name(user.role), user.user_id))?;
    if source == PasswordSource::Generated {
        result(format_args!("password: {}", password.expose()))?;
        note(format_args!("The password is shown this once, and must be changed at the first sign-in."));
    }
    Ok(ExitCode::SUCCESS)
}

fn already_there(holder: &User, wanted: Role) -> Result<ExitCode, AdminError> {
    let (email, role) = (holder.email.as_str(), role_name(holder.role));
    if holder.role != wanted {
        return Err(AdminError::OtherRole { email: email.to_owned(), role, user_id: holder.user_id });
    }
    result(format_args!("already there: the {role} `{email}` (user_id {})", holder.user_id))?;
    let state = if holder.enabled { "Nothing of it was changed, its password included." } else { "It is disabled." };
    note(format_args!("{state}"));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(password: PasswordSource) -> NewAccount {
        let email = EmailAddress::parse("ana@example.com").unwrap();
        NewAccount { email, role: Role::Admin, name: None, phone: None, password }
    }

    #[test]
    fn only_a_generated_password_must_be_changed() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let generated = user(wanted(PasswordSource::Generated), "hash".into(), now);
        assert!(generated.must_change_password() && generated.usable_hash(now.plus_seconds(1 << 30)).is_some());
        assert!(!user(wanted(PasswordSource::Stdin), "hash".into(), now).must_change_password());
    }

    #[test]
    fn an_account_of_another_role_is_refused() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let holder = user(wanted(PasswordSource::Stdin), "hash".into(), now);
        assert!(matches!(already_there(&holder, Role::DeliveryBoy), Err(AdminError::OtherRole { role: "admin", .. })));
    }
}
