//! `unlink`: this customer and its login are two.

use std::process::ExitCode;

use clap::Args;
use functions::linking::{self, Settled};

use super::link::named;
use crate::account::described;
use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};
use crate::who::{find_customer, unlinked_holder};

/// Whose login.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// The customer, by id, internal id, reference or number
    #[arg(long)]
    customer: String,
}

/// Takes the customer and its login apart, unless it has none.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    if let Some(user) = unlinked_holder(app, &opts.customer).await? {
        result(format_args!("already unlinked: {}", described(&user)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let customer = find_customer(app, &opts.customer).await?;
    let whom = named(&customer);
    let from = customer.user_id.map_or_else(|| "its login".to_owned(), |id| format!("the user {id}"));
    match linking::unlink(app, customer, context.dry_run).await? {
        Settled::Already => result(format_args!("already unlinked: {whom}"))?,
        Settled::Would => result(format_args!("would unlink {whom} from {from}"))?,
        Settled::Done(_) => {
            result(format_args!("unlinked {whom} from {from}"))?;
            note(format_args!(
                "Both wait for the next `backfill`, which links each with whoever fits, or makes one: `link` them \
                 with others before, or change what the two share."
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
