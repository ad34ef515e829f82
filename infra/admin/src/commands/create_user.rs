//! `create-user`: an admin, a delivery boy, or a customer with their record.

use std::process::ExitCode;

use clap::Args;
use shared::contact::{EmailAddress, Phone};
use shared::domain::user::Role;
use shared::text::Name;

use crate::account::NewAccount;
use crate::context::Context;
use crate::error::AdminError;
use crate::password::PasswordOpts;
use crate::{account, customer};

/// Which user.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// What the user signs in with
    #[arg(long, value_parser = EmailAddress::parse)]
    email: EmailAddress,
    /// `admin`, `delivery_boy` or `customer`
    #[arg(long, value_parser = Role::parse)]
    role: Role,
    /// Who the user is
    #[arg(long, value_parser = Name::parse)]
    name: Option<Name>,
    /// The user's phone number, national or with `+`
    #[arg(long)]
    phone: Option<String>,
    /// The first password.
    #[command(flatten)]
    password: PasswordOpts,
}

/// Creates the user.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let country = context.app.settings.phone_default_country;
    let phone = opts.phone.map(|text| Phone::parse(&text, country)).transpose().map_err(AdminError::Phone)?;
    let password = opts.password.into();
    let wanted = NewAccount { email: opts.email, role: opts.role, name: opts.name, phone, password };
    match wanted.role {
        Role::Admin | Role::DeliveryBoy => account::create(context, wanted).await,
        Role::Customer => customer::create(context, wanted).await,
    }
}
