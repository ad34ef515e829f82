//! `create-admin`: the first account, which creates everything else.

use std::process::ExitCode;

use clap::Args;
use shared::contact::EmailAddress;
use shared::domain::user::Role;

use crate::account::{NewAccount, create};
use crate::context::Context;
use crate::error::AdminError;
use crate::password::PasswordOpts;

/// Which admin.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// What the admin signs in with
    #[arg(long, value_parser = EmailAddress::parse)]
    email: EmailAddress,
    /// The first password.
    #[command(flatten)]
    password: PasswordOpts,
}

/// Creates the admin.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let password = opts.password.into();
    let admin = NewAccount { email: opts.email, role: Role::Admin, name: None, phone: None, password };
    create(context, admin).await
}
