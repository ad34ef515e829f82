//! Hashes that other systems made: bcrypt, scrypt, PBKDF2. They are verified at sign-in and then
//! replaced by argon2id. Until then their cost differs from ours, and so may the time of a login.
//!
//! Costs are bounded: a hash that asks for more than a request can give is no hash.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const MAX_BCRYPT_COST: u32 = 14;
const MAX_SCRYPT_LOG_N: u8 = 17;
const MAX_SCRYPT_R: u32 = 8;
const MAX_SCRYPT_P: u32 = 4;
const MAX_PBKDF2_ROUNDS: u32 = 2_000_000;
const OUTPUT_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// Padded or not, both are in use.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether `password` has the hash `stored`; `None` if that is in no form known here.
pub(super) fn matches(password: &[u8], stored: &str) -> Option<bool> {
    let parts: Vec<&str> = stored.split('$').collect();
    match parts.as_slice() {
        ["", "2a" | "2b" | "2y", cost, _] => bcrypt(password, stored, cost),
        ["", "scrypt", parameters, salt, hash] => scrypt(password, parameters, &decode(salt)?, &decode(hash)?),
        ["", "pbkdf2-sha256", rounds, salt, hash] => pbkdf2(password, rounds, &decode(salt)?, &decode(hash)?),
        // Django keeps the salt as the text it is.
        ["pbkdf2_sha256", rounds, salt, hash] => pbkdf2(password, rounds, salt.as_bytes(), &decode(hash)?),
        _ => None,
    }
}

fn bcrypt(password: &[u8], stored: &str, cost: &str) -> Option<bool> {
    let bearable = cost.parse::<u32>().is_ok_and(|cost| cost <= MAX_BCRYPT_COST);
    if bearable { bcrypt::verify(password, stored).ok() } else { None }
}

fn scrypt(password: &[u8], parameters: &str, salt: &[u8], hash: &[u8]) -> Option<bool> {
    let (mut log_n, mut r, mut p) = (None, None, None);
    for pair in parameters.split(',') {
        match pair.split_once('=')? {
            ("ln", value) => log_n = value.parse().ok().filter(|n| *n <= MAX_SCRYPT_LOG_N),
            ("r", value) => r = value.parse().ok().filter(|r| *r <= MAX_SCRYPT_R),
            ("p", value) => p = value.parse().ok().filter(|p| *p <= MAX_SCRYPT_P),
            _ => return None,
        }
    }
    let parameters = scrypt::Params::new(log_n?, r?, p?).ok()?;
    let mut output = buffer(hash)?;
    scrypt::scrypt(password, salt, &parameters, &mut output).ok()?;
    Some(output.ct_eq(hash).into())
}

/// The rounds are a number (passlib) or named in a list (PHC).
fn pbkdf2(password: &[u8], rounds: &str, salt: &[u8], hash: &[u8]) -> Option<bool> {
    let named = rounds.split(',').find_map(|pair| pair.strip_prefix("i="));
    let rounds: u32 = named.unwrap_or(rounds).parse().ok()?;
    if !(1..=MAX_PBKDF2_ROUNDS).contains(&rounds) {
        return None;
    }
    let mut output = buffer(hash)?;
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, &mut output);
    Some(output.ct_eq(hash).into())
}

fn buffer(hash: &[u8]) -> Option<Vec<u8>> {
    OUTPUT_BYTES.contains(&hash.len()).then(|| vec![0; hash.len()])
}

/// Base64; passlib writes `.` for `+`.
fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.replace('.', "+")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: bcrypt 5, hashlib.scrypt, and passlib's, PHC's and Django's PBKDF2.
    const IMPORTED: &[&str] = &[
        "$2b$04$GbPe7W.VNQ6LePxuLmxUHeqbzk/1DWt4VHIYEOaTUCtX5hxiZhM2q",
        "$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$A9lBa6RTbfBovWqamVIqXKovIl4Vk6OZyVojLJmYmSI",
        "$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$BBs.1.PaslLtBPULUr8/lQicvVuHiEPMz0i8MjLCbzM",
        "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHRzYWx0c2FsdA$BBs+1+PaslLtBPULUr8/lQicvVuHiEPMz0i8MjLCbzM",
        "pbkdf2_sha256$1000$saltsaltsaltsalt$BBs+1+PaslLtBPULUr8/lQicvVuHiEPMz0i8MjLCbzM=",
    ];

    #[test]
    fn every_imported_form_verifies_the_right_password_only() {
        for stored in IMPORTED {
            assert_eq!(matches(b"correct horse", stored), Some(true), "{stored}");
            assert_eq!(matches(b"Correct horse", stored), Some(false), "{stored}");
        }
        let y = IMPORTED[0].replacen("$2b$", "$2y$", 1);
        assert_eq!(matches(b"correct horse", &y), Some(true));
    }

    #[test]
    fn what_costs_too_much_or_makes_no_sense_is_no_hash() {
        let (salt, hash) = ("c2FsdHNhbHQ", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        for bad in [
            "$2b$31$abcdefghijklmnopqrstuuAbcdefghijklmnopqrstuvwxyz01234".to_owned(),
            format!("$scrypt$ln=30,r=8,p=1${salt}${hash}"),
            format!("$scrypt$ln=14,r=8${salt}${hash}"),
            format!("$pbkdf2-sha256$999999999${salt}${hash}"),
            format!("$pbkdf2-sha256$1000${salt}$AAAA"),
            "plain text".to_owned(),
            String::new(),
            "$$$$".to_owned(),
        ] {
            assert_eq!(matches(b"x", &bad), None, "{bad}");
        }
    }
}
