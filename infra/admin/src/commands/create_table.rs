//! `create-table`: the table, ready to be used.
//!
//! On AWS a table takes longer to become active than the store waits, so that the command waits on
//! its own; and a run that died before it switched expiry on is completed by the next.

use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{TableStatus, TimeToLiveSpecification, TimeToLiveStatus};
use clap::Args;
use shared::store::{StoreError, table};
use tokio::time::sleep;

use crate::context::Context;
use crate::error::AdminError;
use crate::output::result;

/// How long a table is waited for: five minutes.
const MAX_POLLS: usize = 300;
const POLL_EVERY: Duration = Duration::from_secs(1);

/// The attribute by which items expire.
const EXPIRES_AT: &str = "expires_at";

/// Nothing is to be said but which table, which `--table` says.
#[derive(Args, Debug)]
pub(crate) struct Opts {}

/// Creates the table, unless it is there.
pub(crate) async fn run(context: &Context, _opts: Opts) -> Result<ExitCode, AdminError> {
    let (client, name) = (context.app.store.client(), context.app.store.table());
    if context.dry_run {
        match status(client, name).await? {
            Some(_) => result(format_args!("already there: the table `{name}`"))?,
            None => result(format_args!("would create the table `{name}`"))?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let created = create(client, name).await?;
    wait_until_active(client, name).await?;
    ensure_expiry(client, name).await?;
    let verdict = if created { "created" } else { "already there:" };
    result(format_args!("{verdict} the table `{name}`"))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the table was made now.
async fn create(client: &Client, name: &str) -> Result<bool, AdminError> {
    match table::create(client, name).await {
        Ok(created) => Ok(created),
        // The store gave up waiting; the table is on its way if it can be seen.
        Err(StoreError::Unavailable(cause)) => match status(client, name).await? {
            Some(_) => Ok(true),
            None => Err(StoreError::Unavailable(cause).into()),
        },
        Err(error) => Err(error.into()),
    }
}

async fn status(client: &Client, name: &str) -> Result<Option<TableStatus>, AdminError> {
    match client.describe_table().table_name(name).send().await {
        Ok(answer) => Ok(answer.table.and_then(|table| table.table_status)),
        Err(error) if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) => {
            Ok(None)
        }
        Err(error) => Err(AdminError::aws(&error)),
    }
}

async fn wait_until_active(client: &Client, name: &str) -> Result<(), AdminError> {
    for _ in 0..MAX_POLLS {
        match status(client, name).await? {
            // One that is being changed can be used.
            Some(TableStatus::Active | TableStatus::Updating) => return Ok(()),
            _ => sleep(POLL_EVERY).await,
        }
    }
    Err(AdminError::TableNotActive(name.to_owned()))
}

async fn ensure_expiry(client: &Client, name: &str) -> Result<(), AdminError> {
    let answer = client.describe_time_to_live().table_name(name).send().await;
    let answer = answer.map_err(|error| AdminError::aws(&error))?;
    let found = answer.time_to_live_description.and_then(|description| description.time_to_live_status);
    if matches!(found, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRES_AT).build();
    let expiry = expiry.map_err(|error| AdminError::aws(&error))?;
    let request = client.update_time_to_live().table_name(name).time_to_live_specification(expiry);
    request.send().await.map(drop).map_err(|error| AdminError::aws(&error))
}
