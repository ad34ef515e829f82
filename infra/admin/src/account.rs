//! Accounts: created without a customer, and changed.

use std::process::ExitCode;

use shared::contact::{EmailAddress, Phone};
use shared::domain::user::{Role, User};
use shared::ids::UserId;
use shared::store::retry::Backoff;
use shared::store::{Refused, Store};
use shared::text::Name;

use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};
use crate::password::{NewPassword, PasswordSource};

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

/// Creates the account of an admin or a delivery boy, unless its address is a login already: of the
/// same role it is done, of another it is refused.
pub(crate) async fn create(context: &Context, wanted: NewAccount) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    let NewAccount { email, role, name, phone, password } = wanted;
    if let Some(holder) = app.store.user_by_login(&email).await? {
        return already_there(&holder, role);
    }
    let password = password.obtain(app.settings.password_min_length, &email, name.as_ref())?;
    if context.dry_run {
        result(format_args!("would create the {} `{}`", role_name(role), email.as_str()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let hash = app.passwords.hash(password.secret()).await?;
    let now = app.clock.now();
    let user = User {
        name,
        phone,
        password_hash: Some(hash),
        temporary: password.temporary(),
        ..User::new(UserId(now.new_id()), email, role, now)
    };
    let mut races = Backoff::new();
    loop {
        let mut transaction = app.store.transaction();
        transaction.save_user(None, &user);
        let conflict = match transaction.commit(&app.store).await {
            Ok(()) => return created(&user, &password),
            Err(Refused::Store(error)) => return Err(error.into()),
            Err(Refused::Conflict(conflict)) => conflict,
        };
        if let Some(holder) = app.store.user_by_login(&user.email).await? {
            return already_there(&holder, role);
        }
        if !races.wait().await {
            return Err(AdminError::Conflict(conflict));
        }
    }
}

/// Makes of the user who was read as `before` what `edit` says. Whoever changed them since goes before:
/// they are read anew, and edited as they are then.
pub(crate) async fn change(store: &Store, mut before: User, edit: impl Fn(&User) -> User) -> Result<(), AdminError> {
    let mut races = Backoff::new();
    loop {
        let mut transaction = store.transaction();
        transaction.save_user(Some(&before), &edit(&before));
        match transaction.commit(store).await {
            Ok(()) => return Ok(()),
            Err(Refused::Store(error)) => return Err(error.into()),
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(Refused::Conflict(conflict)) => return Err(AdminError::Conflict(conflict)),
        }
        before = store.user(before.user_id).await?.ok_or(AdminError::UnknownUser)?;
    }
}

/// Which account this is, for the operator.
pub(crate) fn described(user: &User) -> String {
    format!("the {} `{}` (user_id {})", role_name(user.role), user.email.as_str(), user.user_id)
}

/// What a role is called, on the wire and here.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::DeliveryBoy => "delivery_boy",
        Role::Customer => "customer",
    }
}

fn created(user: &User, password: &NewPassword) -> Result<ExitCode, AdminError> {
    result(format_args!("created {}", described(user)))?;
    password.show()?;
    Ok(ExitCode::SUCCESS)
}

/// Says that the address belongs to `holder`, who must have the role `wanted`.
pub(crate) fn already_there(holder: &User, wanted: Role) -> Result<ExitCode, AdminError> {
    if holder.role != wanted {
        let (email, role) = (holder.email.as_str().to_owned(), role_name(holder.role));
        return Err(AdminError::OtherRole { email, role, user_id: holder.user_id });
    }
    result(format_args!("already there: {}", described(holder)))?;
    let state = if holder.enabled { "Nothing of it was changed, its password included." } else { "It is disabled." };
    note(format_args!("{state}"));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use shared::clock::Time;

    use super::*;

    #[test]
    fn an_account_of_another_role_is_refused() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let email = EmailAddress::parse("ana@example.com").unwrap();
        let holder = User::new(UserId(now.new_id()), email, Role::Admin, now);
        assert!(matches!(already_there(&holder, Role::DeliveryBoy), Err(AdminError::OtherRole { role: "admin", .. })));
    }
}
