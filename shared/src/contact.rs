//! How a person is reached: e-mail address and phone number.

use std::fmt;

use email_address::{EmailAddress as Syntax, Options};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most characters of an e-mail address (RFC 5321, erratum 1690).
pub const MAX_EMAIL_CHARS: usize = 254;

/// An e-mail address: trimmed, ASCII, lower-cased, so that equal text means the same person.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Parses an address; the error is the message for the caller.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > MAX_EMAIL_CHARS {
            return Err(format!("must be at most {MAX_EMAIL_CHARS} characters"));
        }
        let syntax = Options::default().with_required_tld().without_domain_literal().without_display_text();
        let well_formed =
            text.is_ascii() && !text.contains(['"', '\\']) && Syntax::parse_with_options(text, syntax).is_ok();
        if well_formed { Ok(Self(text.to_ascii_lowercase())) } else { Err("must be a valid e-mail address".into()) }
    }

    /// The login of a customer who has no free address of their own; nothing is ever sent there.
    #[must_use]
    pub fn placeholder(local_part: &str, domain: &str) -> Self {
        Self(format!("{local_part}@{domain}").to_ascii_lowercase())
    }

    /// Whether this is a placeholder of `domain`, not an address that anybody reads.
    #[must_use]
    pub fn is_placeholder(&self, domain: &str) -> bool {
        self.0.rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

/// A phone number in E.164 form: `+`, country code, national number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Phone(String);

/// Fewer digits than this reach nobody; more than fifteen E.164 forbids.
const E164_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

impl Phone {
    /// Parses a number, which without `+` is a national number of `country`.
    ///
    /// Checks the form, not whether the number is in service; docs/decisions/0004 says why.
    pub fn parse(text: &str, country: Country) -> Result<Self, String> {
        let invalid = || "must be a valid phone number".to_owned();
        let dash = |c: char| matches!(c, '\u{2010}'..='\u{2015}');
        let separator = |c: char| c.is_whitespace() || dash(c) || (c != '+' && c.is_ascii_punctuation());
        // `+44 (0)20 …`: the trunk prefix in brackets is for callers at home.
        let text = text.replace("(0)", "");
        let kept: String = text.chars().filter(|c| !separator(*c)).collect();
        let (international, digits) = match kept.strip_prefix('+') {
            Some(rest) => (true, rest.to_owned()),
            None => (false, kept),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let full = if international { digits } else { country.internationalise(&digits).ok_or_else(invalid)? };
        let well_formed = E164_DIGITS.contains(&full.len()) && !full.starts_with('0');
        if well_formed { Ok(Self(format!("+{full}"))) } else { Err(invalid()) }
    }

    /// The number as text, in E.164 form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(…)")
    }
}

/// A country whose national numbers can be read (`PHONE_DEFAULT_COUNTRY`, ISO 3166 alpha-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166 alpha-2 code.
    pub iso: &'static str,
    calling_code: &'static str,
    trunk_prefix: &'static str,
    national_digits: (usize, usize),
}

impl Country {
    /// India, the default.
    pub const INDIA: Self = COUNTRIES[0];

    /// The country with the ISO 3166 alpha-2 code `iso`, if its numbering plan is known here.
    #[must_use]
    pub fn find(iso: &str) -> Option<Self> {
        COUNTRIES.iter().find(|country| country.iso == iso).copied()
    }

    fn internationalise(self, digits: &str) -> Option<String> {
        let (min, max) = self.national_digits;
        let national = match digits.strip_prefix(self.trunk_prefix) {
            Some(rest) if !self.trunk_prefix.is_empty() && digits.len() > min => rest,
            _ => digits,
        };
        let trunk_left = !self.trunk_prefix.is_empty() && national.starts_with(self.trunk_prefix);
        let well_formed = (min..=max).contains(&national.len()) && !trunk_left;
        well_formed.then(|| format!("{}{national}", self.calling_code))
    }
}

const fn plan(
    iso: &'static str,
    calling_code: &'static str,
    trunk_prefix: &'static str,
    min: usize,
    max: usize,
) -> Country {
    Country { iso, calling_code, trunk_prefix, national_digits: (min, max) }
}

/// Numbering plans after ITU-T E.164 and its national annexes: calling code, trunk prefix, and
/// how many digits a national number has.
const COUNTRIES: [Country; 40] = [
    plan("IN", "91", "0", 10, 10),
    plan("AE", "971", "0", 8, 9),
    plan("AT", "43", "0", 7, 13),
    plan("AU", "61", "0", 9, 9),
    plan("BD", "880", "0", 8, 10),
    plan("BE", "32", "0", 8, 9),
    plan("BR", "55", "0", 10, 11),
    plan("CA", "1", "1", 10, 10),
    plan("CH", "41", "0", 9, 9),
    plan("CN", "86", "0", 10, 11),
    plan("CZ", "420", "", 9, 9),
    plan("DE", "49", "0", 7, 13),
    plan("DK", "45", "", 8, 8),
    plan("ES", "34", "", 9, 9),
    plan("FI", "358", "0", 6, 11),
    plan("FR", "33", "0", 9, 9),
    plan("GB", "44", "0", 9, 10),
    plan("GR", "30", "", 10, 10),
    plan("HK", "852", "", 8, 8),
    plan("ID", "62", "0", 8, 12),
    plan("IE", "353", "0", 7, 9),
    plan("IT", "39", "", 8, 11),
    plan("JP", "81", "0", 9, 10),
    plan("KE", "254", "0", 9, 9),
    plan("LK", "94", "0", 9, 9),
    plan("MX", "52", "", 10, 10),
    plan("MY", "60", "0", 8, 10),
    plan("NG", "234", "0", 8, 10),
    plan("NL", "31", "0", 9, 9),
    plan("NO", "47", "", 8, 8),
    plan("NP", "977", "0", 8, 10),
    plan("NZ", "64", "0", 8, 10),
    plan("PH", "63", "0", 8, 10),
    plan("PK", "92", "0", 9, 10),
    plan("PL", "48", "", 9, 9),
    plan("PT", "351", "", 9, 9),
    plan("SE", "46", "0", 7, 9),
    plan("SG", "65", "", 8, 8),
    plan("US", "1", "1", 10, 10),
    plan("ZA", "27", "0", 9, 9),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(text: &str) -> Option<String> {
        Phone::parse(text, Country::INDIA).ok().map(|phone| phone.as_str().to_owned())
    }

    #[test]
    fn an_address_is_trimmed_and_lower_cased() {
        assert_eq!(EmailAddress::parse("  A.B+c@X.Io ").unwrap().as_str(), "a.b+c@x.io");
    }

    #[test]
    fn a_malformed_address_is_refused() {
        let long = format!("{}@x.io", "a".repeat(250));
        for bad in [
            "",
            "a",
            "a@",
            "@x.io",
            "a@x",
            "a b@x.io",
            "a@x..io",
            "ä@x.io",
            "a\0@x.io",
            "\"a\"@x.io",
            "a@[1.2.3.4]",
            "<a@x.io>",
            &long,
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_national_number_gets_the_default_country() {
        for same in [
            "9876543210",
            "98765 43210",
            "09876543210",
            "(98765)-43210",
            "98765_43210",
            "+91 98765 43210",
            "(+91) 98765/43210",
            "+91 (0) 98765 43210",
        ] {
            assert_eq!(phone(same).as_deref(), Some("+919876543210"), "{same}");
        }
        assert_eq!(phone("+1 (555) 010-9999").as_deref(), Some("+15550109999"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in [
            "",
            "+",
            "abc",
            "12345",
            "987654321O",
            "+0123456789",
            "+1234567890123456",
            "98765432101234",
            "0987654321",
            "98+76543210",
            "++919876543210",
            "٩٨٧٦٥٤٣٢١٠",
        ] {
            assert_eq!(phone(bad), None, "{bad}");
        }
    }
}
