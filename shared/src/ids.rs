//! Identifiers: each kind a type of its own, so that none can stand for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::config::Settings;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// A login account (`user_id` and `_id` on the wire).
    UserId
}
uuid_id! {
    /// A customer's own id (`internal_id`, `client_id`, and `customer_v2_id` on a user).
    CustomerId
}

/// A customer reference number: `{prefix}-{UTC year}-{sequence}`, the sequence at least six
/// digits. Every customer has one from birth; none is ever issued twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Crn(String);

impl Crn {
    /// The reference with the sequence number `sequence` of `year`.
    #[must_use]
    pub fn issue(prefix: &str, year: i16, sequence: u64) -> Self {
        Self(format!("{prefix}-{year:04}-{sequence:06}"))
    }

    /// Reads a reference as it was issued under `prefix`.
    #[must_use]
    pub fn parse(text: &str, prefix: &str) -> Option<Self> {
        let (year, sequence) = text.strip_prefix(prefix)?.strip_prefix('-')?.split_once('-')?;
        let is_crn = year.len() == 4 && sequence.len() >= 6 && digits(year) && digits(sequence);
        is_crn.then(|| Self(text.to_owned()))
    }

    /// The reference as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A customer number: `{prefix}{n}`, n ≥ 1, held by every user of role `customer` (`customerId`
/// on the wire).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct CustomerNumber(String);

impl CustomerNumber {
    /// The `n`-th number.
    #[must_use]
    pub fn issue(prefix: &str, n: u64) -> Self {
        Self(format!("{prefix}{n}"))
    }

    /// Reads a number as it was issued under `prefix`.
    #[must_use]
    pub fn parse(text: &str, prefix: &str) -> Option<Self> {
        let n = text.strip_prefix(prefix)?;
        (digits(n) && !n.starts_with('0')).then(|| Self(text.to_owned()))
    }

    /// Reads a number whose prefix may be written in any case.
    #[must_use]
    pub fn parse_in_any_case(text: &str, prefix: &str) -> Option<Self> {
        let (written, n) = text.split_at_checked(prefix.len())?;
        if written.eq_ignore_ascii_case(prefix) { Self::parse(&format!("{prefix}{n}"), prefix) } else { None }
    }

    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number without its prefix.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        let start = self.0.find(|c: char| c.is_ascii_digit()).unwrap_or(self.0.len());
        self.0[start..].parse().unwrap_or(0)
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The id that a caller gave a customer: unique, of letters, digits, `_` and `-`, and never in
/// the form of an identifier that Rollcall issues.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ExternalId(String);

/// The most characters an id of any kind may have.
pub const MAX_ID_CHARS: usize = 128;

impl ExternalId {
    /// Parses an id; the error is the message for the caller, word for word as the API promises.
    pub fn parse(text: &str, settings: &Settings) -> Result<Self, String> {
        check_id_charset(text)?;
        match Identifier::parse(text, settings) {
            Some(Identifier::External(id)) => Ok(id),
            _ => Err("cannot have the form of an identifier that Rollcall issues".into()),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the characters and the length that ids of customers, products, features and entities
/// share.
pub fn check_id_charset(text: &str) -> Result<(), String> {
    const USE_ONLY: &str = "Use only letters, numbers, underscores, and hyphens.";
    if text.is_empty() {
        return Err("can't be an empty string".into());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    // The order is the order of the API: `@` is named before a space, a space before a period.
    let what = if text.contains('@') {
        "@ symbol".to_owned()
    } else if text.contains(' ') {
        "spaces".to_owned()
    } else if text.contains('.') {
        "periods".to_owned()
    } else if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        format!("'{bad}'")
    } else if text.len() > MAX_ID_CHARS {
        return Err(format!("must be at most {MAX_ID_CHARS} characters"));
    } else {
        return Ok(());
    };
    Err(format!("cannot contain {what}. {USE_ONLY}"))
}

/// The most characters of the id of a Stripe customer.
const MAX_STRIPE_ID_CHARS: usize = 255;

/// Checks the id of a Stripe customer. It is part of sort keys, whose size is counted in bytes.
pub fn check_stripe_id(text: &str) -> Result<(), String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be printable ASCII characters without spaces".into());
    }
    if text.len() > MAX_STRIPE_ID_CHARS {
        return Err(format!("must be at most {MAX_STRIPE_ID_CHARS} characters"));
    }
    Ok(())
}

/// Anything that names a customer in a path or body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// The customer's own id.
    Internal(CustomerId),
    /// Its reference.
    Crn(Crn),
    /// The number of its user.
    Number(CustomerNumber),
    /// The caller's own id for it.
    External(ExternalId),
}

impl Identifier {
    /// Tells by its form what `text` is; `None` when no customer could be named so.
    #[must_use]
    pub fn parse(text: &str, settings: &Settings) -> Option<Self> {
        // Of whatever form: the table takes no key of any length.
        if text.len() > MAX_ID_CHARS {
            return None;
        }
        // The hyphenated form only: 32 hexadecimal digits in a row may well be a caller's own id.
        if text.len() == 36
            && let Ok(id) = Uuid::try_parse(text)
        {
            return Some(Self::Internal(CustomerId(id)));
        }
        if let Some(crn) = Crn::parse(text, &settings.crn_prefix) {
            return Some(Self::Crn(crn));
        }
        if let Some(number) = CustomerNumber::parse(text, &settings.customer_number_prefix) {
            return Some(Self::Number(number));
        }
        check_id_charset(text).is_ok().then(|| Self::External(ExternalId(text.to_owned())))
    }
}

macro_rules! display_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
display_as_text!(Crn, CustomerNumber, ExternalId);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ExternalId, String> {
        ExternalId::parse(text, &Settings::default())
    }

    #[test]
    fn a_reference_grows_past_six_digits() {
        assert_eq!(Crn::issue("PLE-CVP", 2026, 1).as_str(), "PLE-CVP-2026-000001");
        assert_eq!(Crn::issue("PLE-CVP", 2026, 1_000_000).as_str(), "PLE-CVP-2026-1000000");
    }

    #[test]
    fn a_bad_id_is_refused_with_the_promised_words() {
        let only = "Use only letters, numbers, underscores, and hyphens.";
        assert_eq!(parse("").unwrap_err(), "can't be an empty string");
        assert_eq!(parse("a@b").unwrap_err(), format!("cannot contain @ symbol. {only}"));
        assert_eq!(parse("a b").unwrap_err(), format!("cannot contain spaces. {only}"));
        assert_eq!(parse("a.b").unwrap_err(), format!("cannot contain periods. {only}"));
        assert_eq!(parse("a!b#").unwrap_err(), format!("cannot contain '!'. {only}"));
        assert_eq!(parse("a\0").unwrap_err(), format!("cannot contain '\0'. {only}"));
        assert!(parse(&"a".repeat(129)).is_err());
    }

    #[test]
    fn nothing_longer_than_an_id_names_a_customer() {
        let parse = |text: String| Identifier::parse(&text, &Settings::default());
        for form in ["PL1", "PLE-CVP-2026-1", "a"] {
            assert!(parse(format!("{form}{}", "0".repeat(MAX_ID_CHARS - form.len()))).is_some(), "{form}");
            assert_eq!(parse(format!("{form}{}", "0".repeat(MAX_ID_CHARS))), None, "{form}");
        }
    }

    #[test]
    fn an_id_never_looks_like_one_that_rollcall_issues() {
        let refused = "cannot have the form of an identifier that Rollcall issues";
        for taken in ["0190a1c2-0000-7000-8000-000000000000", "PLE-CVP-2026-000001", "PL24"] {
            assert_eq!(parse(taken).unwrap_err(), refused, "{taken}");
        }
        for free in ["PL", "PL0", "PL24x", "PLE-CVP-2026-1", "cust-550e8400", "0190a1c2000070008000000000000000"] {
            assert!(parse(free).is_ok(), "{free}");
        }
    }
}
