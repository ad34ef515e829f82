//! `disable-user`: nobody signs in with the account any more, and its sessions end.

use std::process::ExitCode;

use clap::Args;
use shared::clock::Time;
use shared::domain::user::User;

use crate::account::{change, described};
use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};
use crate::who::Who;

/// Which user.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// Which user.
    #[command(flatten)]
    who: Who,
}

/// Disables the user, unless that is done.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    let before = opts.who.find(&app.store).await?;
    if !before.enabled {
        result(format_args!("already disabled: {}", described(&before)))?;
    } else if context.dry_run {
        result(format_args!("would disable {}", described(&before)))?;
    } else {
        let now = app.clock.now();
        change(&app.store, before.clone(), |user| disabled(user, now)).await?;
        result(format_args!("disabled {}", described(&before)))?;
    }
    if let Some(customer) = before.customer_v2_id {
        note(format_args!("The status of its customer (internal_id {customer}) is unchanged."));
    }
    Ok(ExitCode::SUCCESS)
}

fn disabled(user: &User, now: Time) -> User {
    User { enabled: false, token_version: user.token_version + 1, updated_at: now, ..user.clone() }
}

#[cfg(test)]
mod tests {
    use shared::contact::EmailAddress;
    use shared::domain::user::Role;
    use shared::ids::UserId;

    use super::*;

    #[test]
    fn a_session_is_over_even_when_the_user_comes_back() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let email = EmailAddress::parse("ana@example.com").unwrap();
        let user = User::new(UserId(now.new_id()), email, Role::Admin, now);
        let disabled = disabled(&user, now);
        assert!(!disabled.enabled);
        assert!(!User { enabled: true, ..disabled }.honours(user.token_version));
    }
}
