//! First passwords: made here, or given on standard input.

use std::io::{BufRead, stdin};

use shared::password::MAX_PASSWORD_BYTES;
use shared::secret::{Secret, readable_password};

use crate::error::AdminError;

/// 116 bits.
const GENERATED_CHARS: usize = 20;

/// Where the password of a new account comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordSource {
    /// Made here, and good until the first sign-in.
    Generated,
    /// Given on standard input, and kept.
    Stdin,
}

impl PasswordSource {
    /// The password, which if given has at least `min_chars` code points.
    pub(crate) fn obtain(self, min_chars: usize) -> Result<Secret, AdminError> {
        match self {
            Self::Generated => Ok(readable_password(GENERATED_CHARS)),
            Self::Stdin => given(&first_line(stdin().lock())?, min_chars),
        }
    }
}

/// The first line of `input` without its end: as it was typed, neither trimmed nor normalised.
fn first_line(input: impl BufRead) -> Result<String, AdminError> {
    // Enough to see that a password is too long; the line end may take two bytes.
    let enough = u64::try_from(MAX_PASSWORD_BYTES + 3).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    input.take(enough).read_until(b'\n', &mut bytes).map_err(AdminError::Input)?;
    let line = bytes.strip_suffix(b"\n").map_or(bytes.as_slice(), |line| line.strip_suffix(b"\r").unwrap_or(line));
    let text = std::str::from_utf8(line).map_err(|_| AdminError::Password("must be UTF-8 text".into()))?;
    Ok(text.to_owned())
}

fn given(text: &str, min_chars: usize) -> Result<Secret, AdminError> {
    if text.len() > MAX_PASSWORD_BYTES {
        return Err(AdminError::Password(format!("must be at most {MAX_PASSWORD_BYTES} bytes")));
    }
    if text.chars().count() < min_chars {
        return Err(AdminError::Password(format!("must be at least {min_chars} characters")));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_end_is_taken_off() {
        for input in [" pass word ", " pass word \n", " pass word \r\n", " pass word \nnext\n"] {
            assert_eq!(first_line(input.as_bytes()).unwrap(), " pass word ", "{input:?}");
        }
        assert!(matches!(first_line(&b"\xff\n"[..]), Err(AdminError::Password(_))));
    }

    #[test]
    fn a_given_password_is_neither_short_nor_endless() {
        assert!(given(&"ü".repeat(15), 15).is_ok());
        assert!(given(&"ü".repeat(14), 15).is_err());
        let endless = first_line("x".repeat(5_000).as_bytes()).unwrap();
        assert!(given(&endless, 15).is_err());
    }
}
