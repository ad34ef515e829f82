//! The `Stripe-Signature` header: `t=…,v1=…`, HMAC-SHA-256 over `{t}.{raw body}`.
//!
//! Any `v1` may match any of our secrets, which is how Stripe and we roll secrets. `v0` is for
//! test mode and proves nothing. <https://docs.stripe.com/webhooks#verify-manually>

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::clock::Time;
use crate::secret::Secret;

/// How far the signed time may be from ours, either way, in seconds. Stripe's libraries accept
/// any time in the future; a clock that is wrong is wrong both ways.
pub const TOLERANCE_SECONDS: u64 = 300;

/// More signatures than this in one header come from nobody honest.
const MAX_SIGNATURES: usize = 16;

/// The event was not signed by Stripe, or not lately.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the signature does not verify")]
pub struct InvalidSignature;

/// Checks that `header` signs `body` under one of `secrets`, within the tolerance around `now`.
pub fn verify(header: &str, body: &[u8], secrets: &[Secret], now: Time) -> Result<(), InvalidSignature> {
    let mut timestamp = None;
    let mut signatures: Vec<[u8; 32]> = Vec::new();
    for pair in header.split(',') {
        match pair.trim().split_once('=') {
            Some(("t", value)) => timestamp = timestamp.or(Some(value)),
            Some(("v1", value)) if signatures.len() < MAX_SIGNATURES => signatures.extend(decode(value)),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(InvalidSignature)?;
    let seconds: i64 = timestamp.parse().map_err(|_| InvalidSignature)?;
    if seconds.abs_diff(now.unix_seconds()) > TOLERANCE_SECONDS {
        return Err(InvalidSignature);
    }
    let genuine = secrets.iter().map(|secret| compute(secret, timestamp, body));
    let matches = genuine.flat_map(|wanted| signatures.iter().map(move |given| wanted.ct_eq(given)));
    // Every pair is compared, so that the time taken does not tell which one matched.
    let any = matches.fold(subtle::Choice::from(0), |any, one| any | one);
    if any.into() { Ok(()) } else { Err(InvalidSignature) }
}

/// The header that signs `body` at `now`, as Stripe would send it.
#[must_use]
pub fn sign(body: &[u8], secret: &Secret, now: Time) -> String {
    let timestamp = now.unix_seconds().to_string();
    format!("t={timestamp},v1={}", hex::encode(compute(secret, &timestamp, body)))
}

fn decode(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
    Some(bytes)
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn compute(secret: &Secret, timestamp: &str, body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn secrets() -> Vec<Secret> {
        vec![Secret::new("whsec_new"), Secret::new("whsec_old")]
    }

    #[test]
    fn a_signature_made_elsewhere_verifies() {
        // hmac.new(b"whsec_new", b"1795176000." + body, sha256).hexdigest() in Python.
        let header = "t=1795176000,v1=c62c40078b9b6467c618042ccb8ec996715dc62ac8fbe4b078bdfd0b46f736d7";
        assert_eq!(verify(header, BODY, &secrets(), NOW), Ok(()));
    }

    #[test]
    fn any_signature_may_match_any_secret() {
        let good = sign(BODY, &Secret::new("whsec_old"), NOW);
        let (t, v1) = good.split_once(',').unwrap();
        let wrong_first = format!("{t},v1={},{v1}", "00".repeat(32));
        for header in [good.clone(), wrong_first, format!(" {t} , {v1} ,v0=zz"), good.replace("v1=", "v0=aa,v1=")] {
            assert_eq!(verify(&header, BODY, &secrets(), NOW), Ok(()), "{header}");
        }
    }

    #[test]
    fn five_minutes_either_way_are_the_limit() {
        let header = sign(BODY, &secrets()[0], NOW);
        for (seconds, verdict) in
            [(299, Ok(())), (-299, Ok(())), (300, Ok(())), (301, Err(InvalidSignature)), (-301, Err(InvalidSignature))]
        {
            assert_eq!(verify(&header, BODY, &secrets(), NOW.plus_seconds(seconds)), verdict, "{seconds}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = sign(BODY, &secrets()[0], NOW);
        let v0 = good.replace("v1=", "v0=");
        let without_time = good.split_once(',').unwrap().1.to_owned();
        let cut = good[..good.len() - 2].to_owned();
        let far = "t=99999999999999999999,v1=00".to_owned();
        for header in [String::new(), "t=,v1=".into(), "v1=zz".into(), v0, without_time, cut, far, "é=,=".into()] {
            assert_eq!(verify(&header, BODY, &secrets(), NOW), Err(InvalidSignature), "{header}");
        }
        assert_eq!(verify(&good, br#"{"id": "evt_1"}"#, &secrets(), NOW), Err(InvalidSignature));
        assert_eq!(verify(&good, BODY, &[], NOW), Err(InvalidSignature));
    }
}
