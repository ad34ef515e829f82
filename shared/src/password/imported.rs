//! Hashes that other systems made: bcrypt, scrypt, PBKDF2. They are verified at sign-in and then
//! replaced by argon2id. Until then their cost differs from ours, and so may the time of a login.
//!
//! Costs are bounded: a hash that asks for more than a request can give is no hash.

use std::str::FromStr;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

const MIN_BCRYPT_COST: u32 = 4;
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
    read(stored)?.matches(password)
}

/// Whether `stored` is in a form known here, and costs no more than a request can give.
pub(super) fn is_known(stored: &str) -> bool {
    read(stored).is_some()
}

/// A hash that was read, and what it takes to compare a password with it.
enum Hash<'a> {
    Bcrypt(&'a str),
    Scrypt { parameters: scrypt::Params, salt: Vec<u8>, output: Vec<u8> },
    Pbkdf2 { digest: Digest, rounds: u32, salt: Vec<u8>, output: Vec<u8> },
}

/// What PBKDF2 goes round with.
#[derive(Clone, Copy)]
enum Digest {
    Sha256,
    Sha512,
}

impl Hash<'_> {
    fn matches(&self, password: &[u8]) -> Option<bool> {
        match self {
            Self::Bcrypt(stored) => bcrypt::verify(password, stored).ok(),
            Self::Scrypt { parameters, salt, output } => {
                let mut made = vec![0; output.len()];
                scrypt::scrypt(password, salt, parameters, &mut made).ok()?;
                Some(made.ct_eq(output).into())
            }
            Self::Pbkdf2 { digest, rounds, salt, output } => {
                let mut made = vec![0; output.len()];
                match digest {
                    Digest::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, *rounds, &mut made),
                    Digest::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, *rounds, &mut made),
                }
                Some(made.ct_eq(output).into())
            }
        }
    }
}

fn read(stored: &str) -> Option<Hash<'_>> {
    let parts: Vec<&str> = stored.split('$').collect();
    match parts.as_slice() {
        ["", "2a" | "2b" | "2y", cost, _] => read_bcrypt(stored, cost),
        ["", "scrypt", parameters, salt, output] => read_scrypt(parameters, decode(salt)?, decode(output)?),
        ["", "pbkdf2-sha256", rounds, salt, output] => {
            read_pbkdf2(Digest::Sha256, rounds, decode(salt)?, decode(output)?)
        }
        ["", "pbkdf2-sha512", rounds, salt, output] => {
            read_pbkdf2(Digest::Sha512, rounds, decode(salt)?, decode(output)?)
        }
        // Django keeps the salt as the text it is.
        ["pbkdf2_sha256", rounds, salt, output] => {
            read_pbkdf2(Digest::Sha256, rounds, salt.as_bytes().to_vec(), decode(output)?)
        }
        _ => None,
    }
}

fn read_bcrypt<'a>(stored: &'a str, cost: &str) -> Option<Hash<'a>> {
    let bearable = cost.parse::<u32>().is_ok_and(|cost| (MIN_BCRYPT_COST..=MAX_BCRYPT_COST).contains(&cost));
    let well_formed = bearable && bcrypt::HashParts::from_str(stored).is_ok();
    well_formed.then_some(Hash::Bcrypt(stored))
}

fn read_scrypt(parameters: &str, salt: Vec<u8>, output: Vec<u8>) -> Option<Hash<'static>> {
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
    OUTPUT_BYTES.contains(&output.len()).then_some(Hash::Scrypt { parameters, salt, output })
}

/// The rounds are a number (passlib) or named in a list (PHC).
fn read_pbkdf2(digest: Digest, rounds: &str, salt: Vec<u8>, output: Vec<u8>) -> Option<Hash<'static>> {
    let named = rounds.split(',').find_map(|pair| pair.strip_prefix("i="));
    let rounds: u32 = named.unwrap_or(rounds).parse().ok()?;
    let bearable = (1..=MAX_PBKDF2_ROUNDS).contains(&rounds) && OUTPUT_BYTES.contains(&output.len());
    bearable.then_some(Hash::Pbkdf2 { digest, rounds, salt, output })
}

/// Base64; passlib writes `.` for `+`.
fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.replace('.', "+")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: bcrypt 5, hashlib.scrypt, and passlib's, PHC's and Django's PBKDF2 of
    /// `hashlib.pbkdf2_hmac`.
    const IMPORTED: &[&str] = &[
        "$2b$04$GbPe7W.VNQ6LePxuLmxUHeqbzk/1DWt4VHIYEOaTUCtX5hxiZhM2q",
        "$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$A9lBa6RTbfBovWqamVIqXKovIl4Vk6OZyVojLJmYmSI",
        "$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$BBs.1.PaslLtBPULUr8/lQicvVuHiEPMz0i8MjLCbzM",
        "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHRzYWx0c2FsdA$BBs+1+PaslLtBPULUr8/lQicvVuHiEPMz0i8MjLCbzM",
        "pbkdf2_sha256$1000$saltsaltsaltsalt$BBs+1+PaslLtBPULUr8/lQicvVuHiEPMz0i8MjLCbzM=",
        "$pbkdf2-sha512$1000$c2FsdHNhbHRzYWx0c2FsdA$EHLBej.uEvxlmr0QnHnceg1vM6h1wbwSP5XErh3SmizNDWZsIi28RPGARe0EssjGRoiACzxgHjNvqwJY1zxKig",
        "$pbkdf2-sha512$i=1000,l=64$c2FsdHNhbHRzYWx0c2FsdA$EHLBej+uEvxlmr0QnHnceg1vM6h1wbwSP5XErh3SmizNDWZsIi28RPGARe0EssjGRoiACzxgHjNvqwJY1zxKig",
        "$pbkdf2-sha512$5000$c2FsdHNhbHRzYWx0c2FsdA$uU./MGtxyyn2e3INAN2V6UwbmYu3eyAorziJE.T7YiJ5EOdMX9RL3oRUhucF7rMjREOPAEHiUAOThZElbS3MjA",
    ];

    #[test]
    fn every_imported_form_verifies_the_right_password_only() {
        for stored in IMPORTED {
            assert_eq!(matches(b"correct horse", stored), Some(true), "{stored}");
            assert_eq!(matches(b"Correct horse", stored), Some(false), "{stored}");
            assert!(is_known(stored), "{stored}");
        }
        let y = IMPORTED[0].replacen("$2b$", "$2y$", 1);
        assert_eq!(matches(b"correct horse", &y), Some(true));
    }

    #[test]
    fn the_costliest_scrypt_takes_no_more_memory_than_any_hash_may() {
        // RFC 7914, 5: V is N blocks of 128 r bytes; lanes come one after the other.
        let bytes = (1_u64 << MAX_SCRYPT_LOG_N) * 128 * u64::from(MAX_SCRYPT_R);
        assert!(bytes <= u64::from(super::super::MAX_HASH_MIB) << 20);
    }

    #[test]
    fn what_costs_too_much_or_makes_no_sense_is_no_hash() {
        let (salt, hash) = ("c2FsdHNhbHQ", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        for bad in [
            "$2b$31$abcdefghijklmnopqrstuuAbcdefghijklmnopqrstuvwxyz01234".to_owned(),
            "$2b$10$tooshort".to_owned(),
            format!("$scrypt$ln=30,r=8,p=1${salt}${hash}"),
            format!("$scrypt$ln=14,r=8${salt}${hash}"),
            format!("$pbkdf2-sha256$999999999${salt}${hash}"),
            format!("$pbkdf2-sha256$1000${salt}$AAAA"),
            format!("$pbkdf2-sha512$2000001${salt}${hash}"),
            format!("$pbkdf2-sha512$i=0,l=32${salt}${hash}"),
            format!("$pbkdf2-sha1$1000${salt}${hash}"),
            "plain text".to_owned(),
            String::new(),
            "$$$$".to_owned(),
        ] {
            assert_eq!(matches(b"x", &bad), None, "{bad}");
            assert!(!is_known(&bad), "{bad}");
        }
    }
}
