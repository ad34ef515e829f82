//! `list-api-keys`: which keys there are. Their texts cannot be had again.

use std::process::ExitCode;

use clap::Args;
use shared::store::api_key::ApiKey;

use crate::api_keys::all;
use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};

/// Which keys.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// Revoked keys too
    #[arg(long)]
    all: bool,
}

/// Prints one line for each key: id, label, when it was made, when it was revoked.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let mut keys = all(&context.app.store).await?;
    keys.retain(|key| opts.all || key.revoked_at.is_none());
    if keys.is_empty() {
        note(format_args!("There are no such API keys."));
    }
    let width = keys.iter().map(|key| key.label.chars().count()).max().unwrap_or(0);
    for key in &keys {
        result(format_args!("{}", line(key, width)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The line of `key`, its label filled up to `width` characters.
fn line(key: &ApiKey, width: usize) -> String {
    let revoked_at = key.revoked_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    format!("{}  {:<width$}  {}  {revoked_at}", key.key_id, key.label, key.created_at)
}

#[cfg(test)]
mod tests {
    use shared::clock::Time;

    use super::*;

    #[test]
    fn a_line_has_four_aligned_columns_and_no_hash() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let (key_id, sha256) = (now.new_id(), "5e884898".to_owned());
        let living = ApiKey { key_id, sha256, label: "ci".into(), revoked_at: None, created_at: now, version: 1 };
        assert_eq!(line(&living, 4), format!("{key_id}  ci    2026-11-20T12:00:00Z  -"));
        let revoked = ApiKey { revoked_at: Some(now.plus_seconds(1)), ..living };
        assert_eq!(line(&revoked, 2), format!("{key_id}  ci  2026-11-20T12:00:00Z  2026-11-20T12:00:01Z"));
    }
}
