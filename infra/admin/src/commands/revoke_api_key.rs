//! `revoke-api-key`: the key opens nothing any more. It stays on record.

use std::process::ExitCode;

use clap::Args;
use shared::store::api_key::ApiKey;

use crate::api_keys::all;
use crate::context::Context;
use crate::error::AdminError;
use crate::output::result;

/// Which key.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// The key's id, as `list-api-keys` shows it
    key_id: String,
}

/// Revokes the key, unless that is done.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    let mut keys = all(&app.store).await?.into_iter();
    // What was typed may be the key itself, and so is not repeated in the error.
    let key = keys.find(|key| has_id(key, &opts.key_id)).ok_or(AdminError::UnknownApiKey)?;
    let (label, key_id) = (&key.label, key.key_id);
    if let Some(at) = key.revoked_at {
        result(format_args!("already revoked: the API key `{label}` (key_id {key_id}), at {at}"))?;
    } else if context.dry_run {
        result(format_args!("would revoke the API key `{label}` (key_id {key_id})"))?;
    } else {
        app.store.revoke_api_key(&key, app.clock.now()).await?;
        result(format_args!("revoked the API key `{label}` (key_id {key_id})"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn has_id(key: &ApiKey, text: &str) -> bool {
    key.key_id.to_string().eq_ignore_ascii_case(text.trim())
}
