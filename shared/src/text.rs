//! Bounded text that people write: names, addresses, areas.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The most characters it may have.
            pub const MAX_CHARS: usize = $max;

            /// Trims and checks `text`; the error is the message for the caller.
            pub fn parse(text: &str) -> Result<Self, String> {
                bounded(text, Self::MAX_CHARS).map(Self)
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

bounded_text! {
    /// The name of a person or business.
    Name, 200
}
bounded_text! {
    /// A postal address, possibly of several lines.
    Address, 500
}
bounded_text! {
    /// A delivery area.
    Area, 100
}

fn bounded(text: &str, max_chars: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("can't be an empty string".into());
    }
    if text.chars().count() > max_chars {
        return Err(format!("must be at most {max_chars} characters"));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err("cannot contain control characters".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_bounded_in_characters() {
        assert_eq!(Name::parse("  Ana  ").unwrap().as_str(), "Ana");
        assert!(Name::parse(&"ü".repeat(200)).is_ok());
        assert!(Name::parse(&"ü".repeat(201)).is_err());
        assert!(Name::parse(" \t ").is_err());
        assert!(Name::parse("a\0b").is_err());
    }
}
