//! Sessions (JWT, RFC 7519) and keyed hashes, from one ring of server keys.
//!
//! The first key signs; all verify. A new key is put last until every function knows it, and only then in
//! front: a session that it signs is a 401 wherever it is not known.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::clock::Time;
use crate::contact::EmailAddress;
use crate::domain::user::{Role, User};
use crate::ids::{CustomerId, CustomerNumber, UserId};
use crate::secret::random_bytes;

/// `iss` and `aud` of every session.
pub const ISSUER: &str = "rollcall";

/// The fewest bytes of a key: an HS256 key is at least as long as the hash (RFC 7518, 3.2).
const MIN_KEY_BYTES: usize = 32;

/// The claims of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: UserId,
    /// The login's e-mail at the time of signing.
    pub email: EmailAddress,
    /// The role at the time of signing; the live user decides.
    pub role: Role,
    /// The linked customer, if any; a hint for reading early, never an authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_v2_id: Option<CustomerId>,
    /// The customer number, for customers.
    #[serde(rename = "customerId", skip_serializing_if = "Option::is_none")]
    pub customer_number: Option<CustomerNumber>,
    /// The user's `token_version` at the time of signing; any other is revoked.
    pub ver: u64,
    /// Always [`ISSUER`].
    pub iss: String,
    /// Always [`ISSUER`].
    pub aud: String,
    /// Signed at, in Unix seconds.
    pub iat: i64,
    /// Expires at, in Unix seconds.
    pub exp: i64,
}

/// Why a token is not a session. The caller learns only that it is none.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the token is not a valid session")]
pub struct InvalidToken;

/// Why `JWT_KEYS` cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyRingError {
    /// An entry is not `kid:base64`.
    #[error("each key must have the form `kid:base64`")]
    Form,
    /// A key is too short to sign with.
    #[error("each key must have at least {MIN_KEY_BYTES} bytes")]
    Short,
    /// Two entries share a `kid`.
    #[error("each `kid` must be unique")]
    Repeated,
}

/// The server's keys.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    kid: String,
    bytes: Vec<u8>,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}

impl KeyRing {
    /// Reads `kid:base64,…`.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let keys = text.split(',').map(|entry| Key::parse(entry.trim())).collect::<Result<Vec<_>, _>>()?;
        let kids: BTreeSet<_> = keys.iter().map(|key| &key.kid).collect();
        if kids.len() == keys.len() { Ok(Self { keys }) } else { Err(KeyRingError::Repeated) }
    }

    /// A ring of one random key, for a job that neither signs nor verifies, and for a local server
    /// that starts for the first time.
    #[must_use]
    pub fn generate() -> (Self, String) {
        let text = format!("local-1:{}", STANDARD.encode(random_bytes::<MIN_KEY_BYTES>()));
        let keys = text.split(',').filter_map(|entry| Key::parse(entry).ok()).collect();
        (Self { keys }, text)
    }

    /// Signs a session for `user` that lasts `ttl_seconds`.
    ///
    /// # Panics
    /// Never: claims made of plain text and numbers always serialise.
    #[must_use]
    #[expect(clippy::expect_used, reason = "claims made of plain text and numbers always serialise")]
    pub fn sign_session(&self, user: &User, now: Time, ttl_seconds: i64) -> String {
        let claims = Claims {
            sub: user.user_id,
            email: user.email.clone(),
            role: user.role,
            customer_v2_id: user.customer_v2_id,
            customer_number: user.customer_number.clone(),
            ver: user.token_version,
            iss: ISSUER.into(),
            aud: ISSUER.into(),
            iat: now.unix_seconds(),
            exp: now.unix_seconds() + ttl_seconds,
        };
        let key = self.first();
        let header = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &key.encoding).expect("claims serialise")
    }

    /// The claims of `token` if one of our keys signed it and it has not expired at `now`.
    pub fn verify_session(&self, token: &str, now: Time) -> Result<Claims, InvalidToken> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| InvalidToken)?;
        // A critical extension that is not understood must be refused (RFC 7515, 4.1.11).
        if header.crit.is_some() || header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(InvalidToken);
        }
        let kid = header.kid.ok_or(InvalidToken)?;
        let key = self.find(&kid).ok_or(InvalidToken)?;
        let data = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation());
        let claims = data.map_err(|_| InvalidToken)?.claims;
        // No leeway: whoever judges has signed, by the same clock.
        if claims.exp > now.unix_seconds() { Ok(claims) } else { Err(InvalidToken) }
    }

    /// A keyed hash of `parts` for the purpose `label`, under the first key.
    #[must_use]
    pub fn mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.first().mac(label, parts)
    }

    /// The same under the key `kid`; `None` when that key has been retired.
    #[must_use]
    pub fn mac_with(&self, kid: &str, label: &str, parts: &[&[u8]]) -> Option<[u8; 32]> {
        self.find(kid).map(|key| key.mac(label, parts))
    }

    /// The id of the key that signs.
    #[must_use]
    pub fn signing_kid(&self) -> &str {
        &self.first().kid
    }

    fn find(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    fn first(&self) -> &Key {
        &self.keys[0]
    }
}

impl Key {
    fn parse(entry: &str) -> Result<Self, KeyRingError> {
        let (kid, encoded) = entry.split_once(':').ok_or(KeyRingError::Form)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyRingError::Form)?;
        if kid.is_empty() {
            return Err(KeyRingError::Form);
        }
        if bytes.len() < MIN_KEY_BYTES {
            return Err(KeyRingError::Short);
        }
        let (encoding, decoding) = (EncodingKey::from_secret(&bytes), DecodingKey::from_secret(&bytes));
        Ok(Self { kid: kid.to_owned(), bytes, encoding, decoding })
    }

    /// Each part is preceded by its length, so that no two lists of parts read the same.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    fn mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.bytes).expect("HMAC takes a key of any length");
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// `exp` is judged by [`KeyRing::verify_session`], on the clock of the request.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    validation
}

/// SHA-256 of `text` as hexadecimal: how a random token of at least 128 bits is kept at rest.
#[must_use]
pub fn sha256_hex(text: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(text.as_ref()))
}
