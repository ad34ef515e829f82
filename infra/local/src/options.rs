//! What the flags say.

use std::path::PathBuf;

use clap::Args;
use shared::contact::EmailAddress;
use shared::password::MAX_PASSWORD_BYTES;
use shared::secret::Secret;

/// What the flags of the local server say.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Port of the server on 127.0.0.1; 0 picks a free one.
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    pub port: u16,
    /// Also tell on which port of 127.0.0.1 the embedded `DynamoDB` is; 0 picks a free one.
    #[arg(long, value_name = "N", conflicts_with = "dynamodb_endpoint")]
    pub dynamodb_port: Option<u16>,
    /// Directory of the server's state.
    #[arg(long, value_name = "DIR", default_value = ".rollcall", conflicts_with = "memory")]
    pub data: PathBuf,
    /// Keep nothing beyond the end of the process.
    #[arg(long)]
    pub memory: bool,
    /// E-mail address of the administrator.
    #[arg(long, value_name = "E", default_value = "admin@example.com", value_parser = EmailAddress::parse)]
    pub admin_email: EmailAddress,
    /// Password of the administrator, who then need not change it; generated if absent.
    #[arg(long, value_name = "P", value_parser = password)]
    pub admin_password: Option<Secret>,
    /// Secret that signs webhooks.
    #[arg(long, value_name = "S", default_value = "whsec_local", value_parser = secret)]
    pub stripe_webhook_secret: Secret,
    /// Limit the rate of public routes, as on AWS.
    #[arg(long)]
    pub rate_limits: bool,
    /// Use the `DynamoDB` at this URL, with the credentials of the environment.
    #[arg(long, value_name = "URL", value_parser = url)]
    pub dynamodb_endpoint: Option<String>,
}

fn password(text: &str) -> Result<Secret, String> {
    if text.len() > MAX_PASSWORD_BYTES {
        return Err(format!("must be at most {MAX_PASSWORD_BYTES} bytes"));
    }
    secret(text)
}

fn secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() { Err("can't be empty".into()) } else { Ok(Secret::new(text)) }
}

fn url(text: &str) -> Result<String, String> {
    let well_formed = text.starts_with("http://") || text.starts_with("https://");
    if well_formed { Ok(text.trim_end_matches('/').to_owned()) } else { Err("must be an http(s) URL".into()) }
}
