//! `create-api-key`: what a caller's system signs in with. Its text is printed once.

use std::process::ExitCode;

use clap::Args;
use shared::store::Store;
use shared::store::api_key::ApiKey;

use crate::api_keys::all;
use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};

/// The most characters of a label.
const MAX_LABEL_CHARS: usize = 100;

/// Which key.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    /// What the key is for; one living key has it. Without a label each run makes another key, which
    /// is called by the time of its making
    #[arg(long, visible_alias = "name", value_parser = label)]
    label: Option<String>,
}

/// Creates the key, unless one was asked for by a label that a living one has.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let (store, now) = (&context.app.store, context.app.clock.now());
    let living = match &opts.label {
        Some(label) => find_living(store, label).await?,
        None => None,
    };
    let label = opts.label.unwrap_or_else(|| now.to_string());
    if let Some(key) = living {
        result(format_args!("already there: the API key `{label}` (key_id {})", key.key_id))?;
        note(format_args!("Its text cannot be shown again; for another key, choose another label."));
    } else if context.dry_run {
        result(format_args!("would create the API key `{label}`"))?;
    } else {
        let (key, text) = store.create_api_key(&label, now).await?;
        result(format_args!("created the API key `{label}` (key_id {})", key.key_id))?;
        result(format_args!("api_key: {}", text.expose()))?;
        note(format_args!("The key is shown this once; at rest there is only its hash."));
    }
    Ok(ExitCode::SUCCESS)
}

/// The living key with the label `label`.
async fn find_living(store: &Store, label: &str) -> Result<Option<ApiKey>, AdminError> {
    let mut keys = all(store).await?.into_iter();
    Ok(keys.find(|key| key.revoked_at.is_none() && key.label == label))
}

fn label(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_LABEL_CHARS || text.chars().any(char::is_control) {
        return Err(format!("must be 1 to {MAX_LABEL_CHARS} characters on one line"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_short_line() {
        assert_eq!(label(" ci ").as_deref(), Ok("ci"));
        for bad in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(label(bad).is_err(), "{bad:?}");
        }
    }
}
