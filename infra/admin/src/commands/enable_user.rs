//! `enable-user`: the account may sign in again, with the password it had.

use std::process::ExitCode;

use clap::Args;
use shared::domain::customer::Status;
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

/// Enables the user, unless that is done.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    let before = opts.who.find(&app.store).await?;
    if before.enabled {
        result(format_args!("already enabled: {}", described(&before)))?;
    } else if context.dry_run {
        result(format_args!("would enable {}", described(&before)))?;
    } else {
        let now = app.clock.now();
        change(&app.store, before.clone(), |user| User { enabled: true, updated_at: now, ..user.clone() }).await?;
        result(format_args!("enabled {}", described(&before)))?;
    }
    if before.password_hash.is_none() {
        note(format_args!("It has no password: `set-password` gives it one."));
    }
    note_inactive(context, &before).await?;
    Ok(ExitCode::SUCCESS)
}

/// An inactive customer's login is disabled as a rule; whoever breaks it should know.
async fn note_inactive(context: &Context, user: &User) -> Result<(), AdminError> {
    let Some(id) = user.customer_v2_id else { return Ok(()) };
    let customer = context.app.store.customer(id).await?;
    if customer.is_some_and(|customer| customer.status == Status::Inactive) {
        note(format_args!("Its customer (internal_id {id}) is inactive, and stays so."));
    }
    Ok(())
}
