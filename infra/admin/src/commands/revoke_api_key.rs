//! `revoke-api-key`: the key opens nothing any more. It stays on record.

use std::process::ExitCode;

use clap::Args;
use shared::store::api_key::ApiKey;
use shared::token::sha256_hex;

use crate::api_keys::all;
use crate::context::Context;
use crate::error::AdminError;
use crate::output::result;

/// Which key.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// The key, by its id or label, as `list-api-keys` shows them, or by its text
    #[arg(value_name = "KEY")]
    key: String,
}

/// Revokes the key, unless that is done.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let app = &context.app;
    // What was typed may be the key itself, and so is not repeated in the error.
    let keys = all(&app.store).await?;
    let key = named(&keys, opts.key.trim()).ok_or(AdminError::UnknownApiKey)?;
    let (label, key_id) = (&key.label, key.key_id);
    if let Some(at) = key.revoked_at {
        result(format_args!("already revoked: the API key `{label}` (key_id {key_id}), at {at}"))?;
    } else if context.dry_run {
        result(format_args!("would revoke the API key `{label}` (key_id {key_id})"))?;
    } else {
        app.store.revoke_api_key(key, app.clock.now()).await?;
        result(format_args!("revoked the API key `{label}` (key_id {key_id})"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The one of `keys` that `name` names: by id or text, else by label, and then rather one that lives
/// than one that is revoked.
fn named<'a>(keys: &'a [ApiKey], name: &str) -> Option<&'a ApiKey> {
    let sha256 = sha256_hex(name);
    let itself = keys.iter().find(|key| key.sha256 == sha256 || key.key_id.to_string().eq_ignore_ascii_case(name));
    let living = keys.iter().find(|key| key.label == name && key.revoked_at.is_none());
    itself.or(living).or_else(|| keys.iter().rfind(|key| key.label == name))
}
