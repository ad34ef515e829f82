//! `create-admin`: the first account, which creates everything else.

use std::process::ExitCode;

use clap::Args;
use shared::contact::EmailAddress;
use shared::domain::user::Role;

use crate::account::{NewAccount, create};
use crate::context::Context;
use crate::error::AdminError;
use crate::password::PasswordSource;

/// Which admin.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// What the admin signs in with
    #[arg(long, value_parser = EmailAddress::parse)]
    email: EmailAddress,
    /// Read the password from the first line of standard input; it need not be changed
    #[arg(long)]
    password_stdin: bool,
}

/// Creates the admin.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let password = if opts.password_stdin { PasswordSource::Stdin } else { PasswordSource::Generated };
    let admin = NewAccount { email: opts.email, role: Role::Admin, name: None, phone: None, password };
    create(context, admin).await
}
