//! `create-user`: an admin or a delivery boy.
//!
//! A customer's login is refused: it comes with a customer, a reference, a number and both links,
//! in one transaction, and `POST /v1/customers` is where that is written.

use std::process::ExitCode;

use clap::Args;
use shared::contact::{EmailAddress, Phone};
use shared::domain::user::Role;
use shared::text::Name;

use crate::account::{NewAccount, create};
use crate::context::Context;
use crate::error::AdminError;
use crate::password::PasswordSource;

/// Which user.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// What the user signs in with
    #[arg(long, value_parser = EmailAddress::parse)]
    email: EmailAddress,
    /// `admin` or `delivery_boy`; a `customer` is created with `POST /v1/customers`
    #[arg(long, value_parser = Role::parse)]
    role: Role,
    /// Who the user is
    #[arg(long, value_parser = Name::parse)]
    name: Option<Name>,
    /// The user's phone number, national or with `+`
    #[arg(long)]
    phone: Option<String>,
}

/// Creates the user.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    if opts.role == Role::Customer {
        return Err(AdminError::CustomerRole);
    }
    let country = context.app.settings.phone_default_country;
    let phone = opts.phone.map(|text| Phone::parse(&text, country)).transpose().map_err(AdminError::Phone)?;
    let password = PasswordSource::Generated;
    create(context, NewAccount { email: opts.email, role: opts.role, name: opts.name, phone, password }).await
}
