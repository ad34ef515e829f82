//! What products, features and groups are called, and in what money they are paid.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::check_id_charset;

macro_rules! plain_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Parses an id; the error is the message for the caller.
            pub fn parse(text: &str) -> Result<Self, String> {
                check_id_charset(text).map(|()| Self(text.to_owned()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

plain_id! {
    /// The id that the business gave a product.
    ProductId
}
plain_id! {
    /// The id of something that products let their holders use.
    FeatureId
}
plain_id! {
    /// The name of products of which a customer holds one.
    Group
}

/// A currency: three letters, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Currency(String);

impl Currency {
    /// Parses a currency; the error is the message for the caller.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err("must be three letters, as in `inr`".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_letters_of_any_case() {
        assert_eq!(Currency::parse("InR").unwrap(), Currency::parse("inr").unwrap());
        for bad in ["", "in", "inrs", "in1", "in "] {
            assert!(Currency::parse(bad).is_err(), "{bad}");
        }
    }
}
