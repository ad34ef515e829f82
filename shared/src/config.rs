//! Configuration: what the variables of our own mean. Those of AWS are read by
//! [`crate::store::connect`].
//!
//! A function names what it cannot work without ([`Need`]); one of these that is missing, or any
//! variable that is malformed, stops it at init with a message that names the variable.

use axum::http::Uri;
use thiserror::Error;

use crate::contact::Country;
use crate::secret::Secret;
use crate::token::KeyRing;

/// What a function cannot work without, beyond the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// `JWT_KEYS` or `JWT_KEYS_SECRET_ARN`.
    JwtKeys,
    /// `STRIPE_WEBHOOK_SECRETS`.
    WebhookSecrets,
    /// `PUBLIC_BASE_URL`.
    PublicBaseUrl,
    /// `PUBLIC_BASE_URL` where there is a `STRIPE_API_KEY`: who pays at Stripe comes back to it.
    CheckoutBaseUrl,
    /// `MAIL_FROM`.
    MailFrom,
}

/// The rules of one deployment. [`Default`] is what an empty environment means.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a reference begins with.
    pub crn_prefix: String,
    /// What a customer number begins with.
    pub customer_number_prefix: String,
    /// The domain of logins that are no real addresses.
    pub placeholder_email_domain: String,
    /// Whose national numbers are read without `+`.
    pub phone_default_country: Country,
    /// The fewest code points of a new password.
    pub password_min_length: usize,
    /// How long a session lasts, in seconds.
    pub jwt_ttl_seconds: i64,
    /// Whether check and track create an unknown customer.
    pub auto_create_customers: bool,
    /// Whether the backfill invites the users it creates.
    pub backfill_invites: bool,
    /// Whether public routes are rate limited.
    pub rate_limits: bool,
    /// Whether what is intended at Stripe is made there, be it by another function.
    pub stripe_configured: bool,
    /// Where people reach the service, without a trailing slash.
    pub public_base_url: Option<String>,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            crn_prefix: "PLE-CVP".into(),
            customer_number_prefix: "PL".into(),
            placeholder_email_domain: "earlybird.local".into(),
            phone_default_country: Country::INDIA,
            password_min_length: 15,
            jwt_ttl_seconds: 43_200,
            auto_create_customers: true,
            backfill_invites: false,
            rate_limits: true,
            stripe_configured: false,
            public_base_url: None,
            cors_origins: Vec::new(),
        }
    }
}

/// Everything the environment says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The rules of this deployment.
    pub settings: Settings,
    /// The one table.
    pub table_name: String,
    /// Keys that sign sessions; absent when they have yet to be fetched.
    pub keys: Option<KeyRing>,
    /// Where the keys are kept when they are not in the environment.
    pub keys_secret_arn: Option<String>,
    /// Secrets of the webhook endpoint; any may match.
    pub webhook_secrets: Vec<Secret>,
    /// Stripe's API; `None` means that no call is ever made from here.
    pub stripe: Option<StripeConfig>,
    /// The sender of e-mail.
    pub mail_from: Option<String>,
}

/// How to reach Stripe.
#[derive(Clone, Debug)]
pub struct StripeConfig {
    /// The secret API key.
    pub api_key: Secret,
    /// Where the API is.
    pub api_base: String,
    /// The price of a checkout that names no product.
    pub price_id: Option<String>,
}

/// A variable that stops a function at init.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// It is needed and absent.
    #[error("`{0}` is not set; this function needs it")]
    Missing(&'static str),
    /// It does not have the form it must have.
    #[error("`{name}` is malformed: {reason}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Config {
    /// Reads the configuration from `variable`, which is the process environment except in tests.
    pub fn read(variable: impl Fn(&str) -> Option<String>, needs: &[Need]) -> Result<Self, ConfigError> {
        let env = Environment { variable: &variable };
        let config = Self {
            table_name: env.required("TABLE_NAME")?,
            settings: env.settings()?,
            keys: env.parsed("JWT_KEYS", |text| KeyRing::parse(text).map_err(|error| error.to_string()))?,
            keys_secret_arn: env.text("JWT_KEYS_SECRET_ARN"),
            webhook_secrets: env.list("STRIPE_WEBHOOK_SECRETS").into_iter().map(Secret::new).collect(),
            stripe: env.stripe()?,
            mail_from: env.parsed("MAIL_FROM", sender)?,
        };
        for need in needs {
            config.check(*need)?;
        }
        Ok(config)
    }

    fn check(&self, need: Need) -> Result<(), ConfigError> {
        let (met, name) = match need {
            Need::JwtKeys => (self.keys.is_some() || self.keys_secret_arn.is_some(), "JWT_KEYS"),
            Need::WebhookSecrets => (!self.webhook_secrets.is_empty(), "STRIPE_WEBHOOK_SECRETS"),
            Need::PublicBaseUrl => (self.settings.public_base_url.is_some(), "PUBLIC_BASE_URL"),
            Need::CheckoutBaseUrl => {
                (self.stripe.is_none() || self.settings.public_base_url.is_some(), "PUBLIC_BASE_URL")
            }
            Need::MailFrom => (self.mail_from.is_some(), "MAIL_FROM"),
        };
        if met { Ok(()) } else { Err(ConfigError::Missing(name)) }
    }
}

struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    /// A variable set to nothing is a variable not set.
    fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.text(name).ok_or(ConfigError::Missing(name))
    }

    fn list(&self, name: &str) -> Vec<String> {
        parts(&self.text(name).unwrap_or_default()).map(str::to_owned).collect()
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let parsed = self.text(name).map(|text| parse(&text)).transpose();
        parsed.map_err(|reason| ConfigError::Malformed { name, reason })
    }

    fn settings(&self) -> Result<Settings, ConfigError> {
        let default = Settings::default();
        Ok(Settings {
            crn_prefix: self.parsed("CRN_PREFIX", prefix)?.unwrap_or(default.crn_prefix),
            customer_number_prefix: self
                .parsed("CUSTOMER_NUMBER_PREFIX", prefix)?
                .unwrap_or(default.customer_number_prefix),
            placeholder_email_domain: self
                .parsed("PLACEHOLDER_EMAIL_DOMAIN", domain)?
                .unwrap_or(default.placeholder_email_domain),
            phone_default_country: self
                .parsed("PHONE_DEFAULT_COUNTRY", country)?
                .unwrap_or(default.phone_default_country),
            password_min_length: self
                .parsed("PASSWORD_MIN_LENGTH", |text| number(text, 8, 256))?
                .unwrap_or(default.password_min_length),
            jwt_ttl_seconds: self
                .parsed("JWT_TTL_SECONDS", |text| number(text, 1, 2_592_000))?
                .unwrap_or(default.jwt_ttl_seconds),
            auto_create_customers: self
                .parsed("AUTO_CREATE_CUSTOMERS", switch)?
                .unwrap_or(default.auto_create_customers),
            backfill_invites: self.parsed("BACKFILL_INVITES", switch)?.unwrap_or(default.backfill_invites),
            rate_limits: self.parsed("RATE_LIMITS", switch)?.unwrap_or(default.rate_limits),
            stripe_configured: self.parsed("STRIPE_CONFIGURED", switch)?.unwrap_or(default.stripe_configured),
            public_base_url: self.parsed("PUBLIC_BASE_URL", base_url)?,
            cors_origins: self.parsed("CORS_ORIGINS", origins)?.unwrap_or_default(),
        })
    }

    fn stripe(&self) -> Result<Option<StripeConfig>, ConfigError> {
        let Some(api_key) = self.text("STRIPE_API_KEY").map(Secret::new) else { return Ok(None) };
        let api_base = self.parsed("STRIPE_API_BASE", base_url)?.unwrap_or_else(|| "https://api.stripe.com".into());
        Ok(Some(StripeConfig { api_key, api_base, price_id: self.text("STRIPE_PRICE_ID") }))
    }
}

/// The parts of a comma-separated text.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn prefix(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let well_formed = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(allowed);
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err("must begin and end with a letter, of letters, digits, `-`, `_`".into())
    }
}

fn domain(text: &str) -> Result<String, String> {
    let label = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let well_formed = text.contains('.') && text.split('.').all(label);
    if well_formed { Ok(text.to_ascii_lowercase()) } else { Err("must be a domain name".into()) }
}

fn country(text: &str) -> Result<Country, String> {
    Country::find(text).ok_or_else(|| "must be the ISO 3166 alpha-2 code of a country in `contact.rs`".into())
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err("must be `on` or `off`, or `true` or `false`".into()),
    }
}

fn number<T>(text: &str, min: T, max: T) -> Result<T, String>
where
    T: Copy + std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = text.parse().ok().filter(|n| *n >= min && *n <= max);
    number.ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

fn base_url(text: &str) -> Result<String, String> {
    endpoint_url(text.trim_end_matches('/'))
}

fn after_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))
}

/// Compared as text with what a browser says, which is in lower case and ends with host or port.
fn origins(text: &str) -> Result<Vec<String>, String> {
    let well_formed = |origin: &str| {
        let authority = after_scheme(origin).unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let in_host = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._:[]".contains(c);
        !host.is_empty() && host.chars().all(in_host) && port.is_none_or(|port| port.parse::<u16>().is_ok())
    };
    if parts(text).all(well_formed) {
        Ok(parts(text).map(str::to_owned).collect())
    } else {
        Err("each must be `http(s)://host` or `http(s)://host:port`, in lower case, without a path or slash".into())
    }
}

/// An address, or a name and an address in angle brackets.
fn sender(text: &str) -> Result<String, String> {
    let address = match text.strip_suffix('>') {
        Some(named) => named.rsplit_once('<').map_or("", |(_, address)| address),
        None => text,
    };
    let misplaced = |c: char| c.is_whitespace() || matches!(c, '<' | '>');
    let mailbox = address.split_once('@');
    let well_formed = mailbox.is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !address.contains(misplaced)
    });
    if well_formed && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("must be an e-mail address, or a name and an address in `<…>`".into())
    }
}

/// A URL that something can be asked at.
pub(crate) fn endpoint_url(text: &str) -> Result<String, String> {
    let url: Option<Uri> = text.parse().ok();
    let well_formed = url.is_some_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    });
    if well_formed { Ok(text.to_owned()) } else { Err("must be an http(s) URL with a host".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)], needs: &[Need]) -> Result<Config, ConfigError> {
        let find = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::read(find, needs)
    }

    #[test]
    fn the_table_is_all_that_must_be_said() {
        let config = read(&[("TABLE_NAME", "rollcall")], &[]).unwrap();
        assert_eq!(config.settings.crn_prefix, "PLE-CVP");
        assert_eq!(config.settings.jwt_ttl_seconds, 43_200);
        assert!(config.settings.rate_limits && !config.settings.backfill_invites);
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = read(&[], &[]).unwrap_err();
        assert_eq!(error, ConfigError::Missing("TABLE_NAME"));
        let error = read(&[("TABLE_NAME", "t"), ("STRIPE_WEBHOOK_SECRETS", " , ")], &[Need::WebhookSecrets]);
        assert_eq!(error.unwrap_err(), ConfigError::Missing("STRIPE_WEBHOOK_SECRETS"));
        assert_eq!(read(&[("TABLE_NAME", "t")], &[Need::JwtKeys]).unwrap_err(), ConfigError::Missing("JWT_KEYS"));
    }

    #[test]
    fn who_pays_at_stripe_comes_back_to_somewhere() {
        let (table, key) = (("TABLE_NAME", "t"), ("STRIPE_API_KEY", "sk_test_1"));
        let needs = &[Need::CheckoutBaseUrl];
        assert!(read(&[table], needs).is_ok());
        assert_eq!(read(&[table, key], needs).unwrap_err(), ConfigError::Missing("PUBLIC_BASE_URL"));
        assert!(read(&[table, key, ("PUBLIC_BASE_URL", "https://x.io")], needs).is_ok());
        assert!(read(&[table, key], &[]).is_ok());
    }

    #[test]
    fn a_switch_says_what_it_takes() {
        for (value, on) in [("on", true), ("off", false), ("TRUE", true), ("false", false), ("1", true), ("0", false)] {
            let config = read(&[("TABLE_NAME", "t"), ("RATE_LIMITS", value)], &[]).unwrap();
            assert_eq!(config.settings.rate_limits, on, "{value}");
        }
        let error = read(&[("TABLE_NAME", "t"), ("RATE_LIMITS", "maybe")], &[]).unwrap_err();
        assert_eq!(error.to_string(), "`RATE_LIMITS` is malformed: must be `on` or `off`, or `true` or `false`");
    }

    #[test]
    fn an_endpoint_is_a_url_with_a_host() {
        for good in ["http://127.0.0.1:8000", "http://[::1]:8000/", "https://dynamodb.eu-central-1.amazonaws.com"] {
            assert_eq!(endpoint_url(good).as_deref(), Ok(good));
        }
        for bad in ["", " ", "junk", "localhost:8000", "//x", "/x", "ftp://x", "http://", "http:///x", "http://a b"] {
            assert!(endpoint_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_session_may_last_one_second() {
        let config = read(&[("TABLE_NAME", "t"), ("JWT_TTL_SECONDS", "1")], &[]).unwrap();
        assert_eq!(config.settings.jwt_ttl_seconds, 1);
    }

    #[test]
    fn a_sender_has_an_address_and_may_have_a_name() {
        for sender in ["hello@example.com", "Rollcall <hello@example.com>", "\"Roll, call\" <hello@example.com>"] {
            let config = read(&[("TABLE_NAME", "t"), ("MAIL_FROM", sender)], &[Need::MailFrom]).unwrap();
            assert_eq!(config.mail_from.as_deref(), Some(sender));
        }
    }

    #[test]
    fn origins_are_kept_as_browsers_say_them() {
        let origins = "https://shop.example, http://localhost:5173,http://127.0.0.1:3000,http://[::1],http://[::1]:80";
        let config = read(&[("TABLE_NAME", "t"), ("CORS_ORIGINS", origins)], &[]).unwrap();
        let expected: Vec<_> = origins.split(',').map(str::trim).collect();
        assert_eq!(config.settings.cors_origins, expected);
        assert!(read(&[("TABLE_NAME", "t"), ("CORS_ORIGINS", " , ")], &[]).unwrap().settings.cors_origins.is_empty());
    }

    #[test]
    fn a_base_url_keeps_its_path_and_loses_its_slash() {
        let config = read(&[("TABLE_NAME", "t"), ("PUBLIC_BASE_URL", "http://localhost:8080/app/")], &[]).unwrap();
        assert_eq!(config.settings.public_base_url.as_deref(), Some("http://localhost:8080/app"));
    }

    #[test]
    fn a_malformed_variable_is_named() {
        let malformed = [
            ("JWT_TTL_SECONDS", "soon"),
            ("JWT_TTL_SECONDS", "0"),
            ("PASSWORD_MIN_LENGTH", "1"),
            ("PHONE_DEFAULT_COUNTRY", "Atlantis"),
            ("RATE_LIMITS", "maybe"),
            ("STRIPE_CONFIGURED", "sk_live_1"),
            ("PUBLIC_BASE_URL", "example.com"),
            ("PUBLIC_BASE_URL", "https://"),
            ("PUBLIC_BASE_URL", "https:///app"),
            ("PUBLIC_BASE_URL", "http://:8080"),
            ("MAIL_FROM", "Rollcall"),
            ("MAIL_FROM", "@example.com"),
            ("MAIL_FROM", "hello@"),
            ("MAIL_FROM", "hello@example@com"),
            ("MAIL_FROM", "Rollcall hello@example.com"),
            ("MAIL_FROM", "Rollcall <hello@example.com"),
            ("MAIL_FROM", "Rollcall <>"),
            ("MAIL_FROM", "Rollcall\r\nBcc: x <hello@example.com>"),
            ("CORS_ORIGINS", "*"),
            ("CORS_ORIGINS", "shop.example"),
            ("CORS_ORIGINS", "https://shop.example/"),
            ("CORS_ORIGINS", "https://shop.example,https://shop.example/app"),
            ("CORS_ORIGINS", "https://Shop.example"),
            ("CORS_ORIGINS", "https://shop.example:https"),
            ("CORS_ORIGINS", "https://:443"),
            ("JWT_KEYS", "k1:c2hvcnQ="),
            ("CRN_PREFIX", "PLE 1"),
        ];
        for (name, value) in malformed {
            let error = read(&[("TABLE_NAME", "t"), (name, value)], &[]).unwrap_err();
            assert!(matches!(error, ConfigError::Malformed { name: named, .. } if named == name), "{name}: {error}");
        }
    }
}
