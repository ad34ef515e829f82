//! `link`: this user and this customer are one person.

use std::process::ExitCode;

use clap::Args;
use functions::linking::{self, Settled};
use shared::domain::customer::Customer;
use shared::ids::CustomerNumber;

use crate::account::described;
use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};
use crate::who::{Account, find_customer};

/// Whose is whose.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// The user, by id or e-mail address
    #[arg(long, value_parser = Account::parse)]
    user: Account,
    /// The customer, by id, internal id, reference or number
    #[arg(long)]
    customer: String,
}

/// Links the two, unless they are linked.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    let user = opts.user.find(&app.store).await?;
    let customer = find_customer(app, &opts.customer).await?;
    let both = format!("{} and {}", described(&user), named(&customer));
    match linking::link(app, customer, user.user_id, context.dry_run).await? {
        Settled::Already => result(format_args!("already linked: {both}"))?,
        Settled::Would => result(format_args!("would link {both}"))?,
        Settled::Done(customer) => {
            result(format_args!("linked {both}"))?;
            let number = customer.customer_number.as_ref().map_or("none", CustomerNumber::as_str);
            result(format_args!("customerId: {number}"))?;
            note(format_args!("Who was ambiguous because of them is looked at again by the next `backfill`."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Which customer this is, for the operator.
pub(crate) fn named(customer: &Customer) -> String {
    format!("the customer {}", customer.internal_id)
}
