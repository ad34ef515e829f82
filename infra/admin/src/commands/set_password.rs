//! `set-password`: another password, which ends every session and voids what was sent before.

use std::process::ExitCode;

use clap::Args;
use shared::clock::Time;
use shared::domain::credential::with_own_password;
use shared::domain::user::User;

use crate::account::{change, described};
use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};
use crate::password::{NewPassword, PasswordOpts, PasswordSource};
use crate::who::Who;

/// Which user, and which password.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// Which user.
    #[command(flatten)]
    who: Who,
    /// Which password.
    #[command(flatten)]
    password: PasswordOpts,
}

/// Sets the password; run again, it sets another.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    let before = opts.who.find(&app.store).await?;
    let source = PasswordSource::from(opts.password);
    let password = source.obtain(app.settings.password_min_length, &before.email, before.name.as_ref())?;
    if context.dry_run {
        result(format_args!("would set the password of {}", described(&before)))?;
    } else {
        let (hash, now) = (app.passwords.hash(password.secret()).await?, app.clock.now());
        change(&app.store, before.clone(), |user| changed(user, &password, hash.clone(), now)).await?;
        result(format_args!("set the password of {}", described(&before)))?;
        password.show()?;
    }
    if !before.enabled {
        note(format_args!("It is disabled: `enable-user` lets it sign in."));
    }
    Ok(ExitCode::SUCCESS)
}

fn changed(user: &User, password: &NewPassword, hash: String, now: Time) -> User {
    User { temporary: password.temporary(), ..with_own_password(user.clone(), hash, now) }
}

#[cfg(test)]
mod tests {
    use shared::contact::EmailAddress;
    use shared::domain::user::Role;
    use shared::ids::UserId;

    use super::*;

    #[test]
    fn sessions_and_invitations_from_before_are_void() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let email = EmailAddress::parse("ana@example.com").unwrap();
        let user = User::new(UserId(now.new_id()), email.clone(), Role::Admin, now);
        let password = PasswordSource::Generated.obtain(15, &email, None).unwrap();
        let changed = changed(&user, &password, "hash".into(), now);
        assert!(!changed.honours(user.token_version) && changed.must_change_password());
        assert_eq!(changed.credential_epoch, user.credential_epoch + 1);
        assert_eq!(changed.usable_hash(now), Some("hash"));
    }
}
