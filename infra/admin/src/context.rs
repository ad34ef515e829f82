//! What a command is given: the app as the environment and the flags describe it.

use shared::app::{App, Parts};
use shared::clock::Clock;
use shared::config::Config;
use shared::notify::Mailer;
use shared::password::Passwords;
use shared::store::Store;
use shared::store::connect::{Endpoint, client};
use shared::stripe::checkout::Checkout;
use shared::token::KeyRing;

use crate::cli::Target;
use crate::error::AdminError;

/// The table when nobody names one.
const DEFAULT_TABLE: &str = "rollcall";

/// One command runs at a time.
const CONCURRENT_HASHES: usize = 1;

/// What every command is given.
pub(crate) struct Context {
    /// The parts that it works with. It signs nothing and sends nothing.
    pub(crate) app: App,
    /// Whether it only says what it would do.
    pub(crate) dry_run: bool,
}

impl Context {
    /// Assembles the app from `variable`, which is the process environment, and the flags in
    /// `target`, which win.
    pub(crate) fn read(target: &Target, variable: impl Fn(&str) -> Option<String>) -> Result<Self, AdminError> {
        let table = table_name(target.table.as_deref(), &variable);
        let config = Config::read(|name| if name == "TABLE_NAME" { Some(table.clone()) } else { variable(name) }, &[])?;
        let endpoint = endpoint(target.endpoint.as_deref(), &variable)?;
        let app = App::new(Parts {
            settings: config.settings,
            store: Store::new(client(&endpoint), config.table_name),
            clock: Clock::System,
            keys: KeyRing::generate().0,
            passwords: Passwords::new(CONCURRENT_HASHES),
            webhook_secrets: Vec::new(),
            checkout: Checkout::None,
            stripe: None,
            mailer: Mailer::None,
        });
        Ok(Self { app, dry_run: target.dry_run })
    }
}

/// The flag, else the environment, else the default; a variable set to nothing is not set.
fn table_name(flag: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> String {
    let named = flag.map(str::to_owned).or_else(|| variable("TABLE_NAME"));
    named.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| DEFAULT_TABLE.into())
}

/// Where the table is. Only behind `--endpoint` may be a `DynamoDB` that takes any credentials.
fn endpoint(flag: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Endpoint, AdminError> {
    let read = Endpoint::read(variable);
    if let Some(url) = flag {
        let local = Endpoint::local(url);
        return Ok(Endpoint {
            region: read.region.or(local.region),
            url: local.url,
            credentials: read.credentials.or(local.credentials),
        });
    }
    if read.credentials.is_none() {
        return Err(AdminError::NoCredentials);
    }
    // Guessing a region would look for the table, or create it, where nobody expects it.
    if read.region.is_none() && read.url.is_none() {
        return Err(AdminError::NoRegion);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    fn environment(pairs: &[(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        let pairs = pairs.to_vec();
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_flag_wins_over_the_environment() {
        let both = environment(&[("TABLE_NAME", "t"), ("AWS_ENDPOINT_URL_DYNAMODB", "http://b:1"), KEYS[0], KEYS[1]]);
        assert_eq!(table_name(Some("flag"), &both), "flag");
        assert_eq!(table_name(None, &both), "t");
        assert_eq!(table_name(None, environment(&[("TABLE_NAME", "")])), "rollcall");
        let found = endpoint(Some("http://a:1"), &both).unwrap();
        assert_eq!(found.url.as_deref(), Some("http://a:1"));
        assert_eq!(found.credentials.map(|keys| keys.access_key_id().to_owned()).as_deref(), Some("id"));
    }

    #[test]
    fn a_local_endpoint_needs_no_credentials() {
        let found = endpoint(Some("http://127.0.0.1:8000"), environment(&[])).unwrap();
        assert!(found.credentials.is_some() && found.region.is_some());
    }

    #[test]
    fn on_aws_credentials_and_region_must_be_said() {
        assert!(matches!(endpoint(None, environment(&[])), Err(AdminError::NoCredentials)));
        assert!(matches!(endpoint(None, environment(&KEYS)), Err(AdminError::NoRegion)));
        let said = environment(&[KEYS[0], KEYS[1], ("AWS_REGION", "eu-central-1")]);
        assert_eq!(endpoint(None, said).unwrap().region.as_deref(), Some("eu-central-1"));
    }
}
