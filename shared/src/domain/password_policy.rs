//! What a new password must be, after NIST SP 800-63B-4 (3.1.1.2) and OWASP ASVS 5 (6.2): long,
//! not common, not about its owner. No composition rules, and used exactly as received.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::contact::EmailAddress;
use crate::password::MAX_PASSWORD_BYTES;
use crate::secret::Secret;
use crate::text::Name;

/// Almost 20 000 of the most common passwords (Royce Williams' list, as Django distributes it, BSD-3,
/// and the long rows of keyboard and alphabet), lower-case and sorted.
static COMMON: LazyLock<BTreeSet<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// Checks a new password for the owner of `email` and `name`, as far as they are known; the error is
/// the message for the caller.
pub fn check<'a>(
    password: &Secret,
    min_chars: usize,
    email: impl Into<Option<&'a EmailAddress>>,
    name: Option<&Name>,
) -> Result<(), String> {
    let text = password.expose();
    if text.chars().count() < min_chars {
        return Err(format!("must have at least {min_chars} characters"));
    }
    if text.len() > MAX_PASSWORD_BYTES {
        return Err(format!("must be at most {MAX_PASSWORD_BYTES} bytes"));
    }
    let folded = text.to_lowercase();
    let email: Option<&str> = email.into().map(EmailAddress::as_str);
    let local_part = email.and_then(|email| email.split('@').next());
    let own = [email, local_part, name.map(Name::as_str)];
    if own.into_iter().flatten().any(|own| own.to_lowercase() == folded) {
        return Err("cannot be your own e-mail address or name".into());
    }
    if is_common(&folded) {
        return Err("is too common: choose one that nobody else would".into());
    }
    Ok(())
}

/// A common password, one repeated, or one character repeated. Whoever has to reach a length stops
/// where it is reached: the last repetition may be cut.
fn is_common(folded: &str) -> bool {
    units(folded).any(|unit| unit.chars().count() == 1 || COMMON.contains(unit))
}

/// The texts that `text` is a repetition of, the shortest first and itself last.
fn units(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    (1..=bytes.len())
        .filter(move |period| {
            text.is_char_boundary(*period) && bytes.iter().zip(&bytes[*period..]).all(|(a, b)| a == b)
        })
        .map(move |period| &text[..period])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(password: &str) -> Result<(), String> {
        let email = EmailAddress::parse("a.very.long.local.part@x.io").unwrap();
        let name = Name::parse("Ana María de los Ángeles").unwrap();
        check(&Secret::new(password), 15, &email, Some(&name))
    }

    #[test]
    fn length_counts_in_code_points_and_is_bounded_in_bytes() {
        assert!(verdict("fourteen chars").is_err());
        assert!(verdict("fifteen chars !").is_ok());
        assert!(verdict("ünïcödé cöünts!").is_ok());
        assert!(verdict(&format!("{}z", "x y".repeat(341))).is_ok());
        assert!(verdict(&"x y".repeat(342)).is_err());
    }

    #[test]
    fn the_common_and_the_repeated_are_refused() {
        for bad in ["123456789123456", "PASSWORDpassword", "aaaaaaaaaaaaaaa", "qwertyqwertyqwerty", "üüüüüüüüüüüüüüü"]
        {
            assert!(verdict(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repetition_that_was_cut_to_length_is_one() {
        for bad in ["123456789012345", "1234567890123456", "passwordpasswor", "Qwertyqwertyqwe", "sunshinesunshines"] {
            assert!(verdict(bad).is_err(), "{bad}");
        }
        // What repeats is nothing that others choose, or what follows is no repetition.
        for good in ["lantern harbour lan", "tealtarnlarktea", "passwordpasswoz", "12345678901234x", "ünderünderünder"]
        {
            assert!(verdict(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn rows_of_the_keyboard_and_the_alphabet_are_common() {
        for bad in ["qwertyuiopasdfgh", "qwertyuiopasdfghjkl", "QWERTYUIOPasdfghjklzxcvbnm", "abcdefghijklmnop"] {
            assert!(verdict(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_owners_own_details_are_refused_as_the_whole_only() {
        for own in ["A.very.long.local.part", "a.very.long.local.part@x.io", "ana maría de los ángeles"] {
            assert!(verdict(own).is_err(), "{own}");
        }
        assert!(verdict("ana maría de los ángeles 7").is_ok());
    }

    #[test]
    fn of_an_owner_who_is_not_known_everything_else_is_checked() {
        let check = |password: &str| check(&Secret::new(password), 15, None::<&EmailAddress>, None);
        assert!(check("short").is_err() && check("passwordpassword").is_err());
        assert!(check("a.very.long.local.part").is_ok());
    }

    #[test]
    fn spaces_and_symbols_are_used_as_they_are() {
        assert!(verdict(" leading and trailing ").is_ok());
        assert!(verdict("no upper, no digit, no rule").is_ok());
    }
}
