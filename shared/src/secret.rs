//! Text that must never be printed.

use std::fmt;

/// A password, key or token: readable only through [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// `N` bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no entropy to give: nothing secure can be done without it.
#[must_use]
#[expect(clippy::expect_used, reason = "nothing secure can be done without entropy")]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's generator answers");
    bytes
}

/// Characters of a password that we make: letters and digits that are not mistaken for another.
const READABLE: &[u8; 57] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

/// A password of `chars` readable characters, 5.8 bits each.
#[must_use]
pub fn readable_password(chars: usize) -> Secret {
    readable(std::iter::repeat_with(random_bytes::<32>).flatten(), chars)
}

/// `chars` readable characters made of uniformly distributed `bytes`.
#[must_use]
pub fn readable(bytes: impl Iterator<Item = u8>, chars: usize) -> Secret {
    // Bytes past the last whole multiple of the alphabet would favour its beginning.
    let fair = bytes.map(usize::from).filter(|byte| *byte < 256 - 256 % READABLE.len());
    Secret(fair.map(|byte| char::from(READABLE[byte % READABLE.len()])).take(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readable_password_uses_every_character_and_no_other() {
        let text = readable_password(5_000);
        assert!(READABLE.iter().all(|byte| text.expose().contains(char::from(*byte))));
        assert!(text.expose().bytes().all(|byte| READABLE.contains(&byte)));
        assert_ne!(readable_password(20).expose(), readable_password(20).expose());
    }

    #[test]
    fn a_secret_prints_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
