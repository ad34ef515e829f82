//! Password hashing: argon2id with OWASP's parameters (19 MiB, two passes, one lane).
//!
//! A hash runs on the blocking pool behind a semaphore, so that a flood of logins takes a bounded
//! amount of memory and leaves the other requests their threads.
//!
//! Every hash is made by `argon2` and verified by `argon2-rust`, which is bit for bit the same in half the
//! time. A hash that the two do not agree on is never stored (docs/decisions/0018-argon2.md).

mod fast;
mod imported;

use std::sync::Arc;

use allocator_api2::alloc::System;
use allocator_api2::vec::Vec;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use thiserror::Error;
use tokio::sync::Semaphore;

use self::fast::{Fast, TAG_BYTES};
use crate::secret::{Secret, random_bytes};

/// The most bytes of a password; more is refused before any work is done.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// Memory per hash in KiB (OWASP Password Storage Cheat Sheet: 19 MiB with two passes).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The most memory that comparing one password takes, whatever system its hash is from, in MiB. A
/// function on Lambda compares one at a time; a test holds this against its memory.
pub const MAX_HASH_MIB: u32 = 128;

/// The length of a salt made here (RFC 9106, 3.1).
const SALT_BYTES: usize = 16;

/// What is reserved for the reference, in blocks of 1 KiB, though only [`MEMORY_KIB`] of it is touched: of
/// the C library, more than 32 MiB go back to the system when freed. Less may stay, and with mimalloc all.
const RETURNED_BLOCKS: usize = 33 * 1_024;

/// What a hash made here begins with.
const OWN_PREFIX: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// The most that an imported argon2 hash may cost.
const MAX_MEMORY_KIB: u32 = MAX_HASH_MIB * 1_024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 8;

/// The hash of a random password that nobody knows, with the same parameters as a real one. It is
/// a constant so that verifying against it costs what verifying a real one costs.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$T/WRolIFhcBNRH9LTOxG0Q$jFbrgVIH9ZQYVmqg0ztwKZ5GN3fc0ExFJ+pJTrYzWqE";

/// The hash could not be computed: out of memory, the runtime is shutting down, or the two crates
/// that compute it disagree.
#[derive(Debug, Error)]
#[error("the password could not be hashed: {0}")]
pub struct HashError(String);

/// Hashes and verifies, a bounded number at a time.
#[derive(Clone, Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    fast: Fast,
}

impl Passwords {
    /// At most `concurrent` hashes at once, each of which takes 19 MiB.
    #[must_use]
    pub fn new(concurrent: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(concurrent.max(1))), fast: Fast::default() }
    }

    /// The PHC string of `password` under a fresh salt, and so another one each time.
    pub async fn hash(&self, password: &Secret) -> Result<String, HashError> {
        let (password, fast) = (password.clone(), self.fast.clone());
        self.on_blocking_pool(move || make(&fast, password.expose())).await?
    }

    /// Whether `password` has the hash `stored`. Without one, the same work is done and the answer
    /// is no.
    pub async fn verify(&self, password: &Secret, stored: Option<&str>) -> Result<bool, HashError> {
        let known = stored.is_some();
        let phc = stored.unwrap_or(DUMMY_HASH).to_owned();
        let (password, fast) = (password.clone(), self.fast.clone());
        let matches = self.on_blocking_pool(move || matches(&fast, password.expose(), &phc)).await??;
        Ok(known && matches)
    }

    async fn on_blocking_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|error| HashError(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even when the request that asked for it has gone.
            let _permit = permit;
            work()
        });
        done.await.map_err(|error| HashError(error.to_string()))
    }
}

/// Whether `stored` is of another scheme, or of other costs, than a hash made here.
#[must_use]
pub fn is_foreign(stored: &str) -> bool {
    !stored.starts_with(OWN_PREFIX)
}

/// Whether a password can be compared with `stored`: a hash of a known scheme, and of costs that a
/// request can give. Anything else, a readable password above all, is not to be kept.
#[must_use]
pub fn is_verifiable(stored: &str) -> bool {
    if !stored.starts_with("$argon2") {
        return imported::is_known(stored);
    }
    PasswordHash::new(stored).ok().filter(is_bearable).is_some_and(|hash| hash.hash.is_some())
}

/// Made by the reference, and verified as a login will verify it.
fn make(fast: &Fast, password: &str) -> Result<String, HashError> {
    // One after the other, the two take no more memory than one.
    fast.give_memory_back();
    let salt = random_bytes::<SALT_BYTES>();
    let tag = reference_tag(password.as_bytes(), &salt)?;
    let hash = format!("{OWN_PREFIX}{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(tag));
    if matches(fast, password, &hash)? { Ok(hash) } else { Err(HashError("argon2 and argon2-rust disagree".into())) }
}

fn reference_tag(password: &[u8], salt: &[u8]) -> Result<[u8; TAG_BYTES], HashError> {
    let argon2 = argon2id();
    let mut memory: Vec<Block, System> = Vec::new_in(System);
    memory.try_reserve_exact(RETURNED_BLOCKS).map_err(|error| HashError(error.to_string()))?;
    memory.resize(argon2.params().block_count(), Block::default());
    let mut tag = [0; TAG_BYTES];
    let made = argon2.hash_password_into_with_memory(password, salt, &mut tag, memory);
    made.map(|()| tag).map_err(|error| HashError(error.to_string()))
}

fn matches(fast: &Fast, password: &str, stored: &str) -> Result<bool, HashError> {
    if !stored.starts_with("$argon2") {
        return Ok(imported::matches(password.as_bytes(), stored).unwrap_or(false));
    }
    let Some(hash) = PasswordHash::new(stored).ok().filter(is_bearable) else { return Ok(false) };
    if let Some((salt, tag)) = own(stored, &hash).filter(|_| Fast::is_sound()) {
        let computed = fast.tag(password.as_bytes(), salt).map_err(|error| HashError(error.to_string()))?;
        return Ok(computed.ct_eq(tag).into());
    }
    Ok(argon2id().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Salt and tag of a hash with our own costs and length.
fn own<'a>(stored: &str, hash: &'a PasswordHash) -> Option<(&'a [u8], &'a [u8])> {
    let (salt, tag) = (hash.salt.as_ref()?, hash.hash.as_ref()?.as_bytes());
    (!is_foreign(stored) && tag.len() == TAG_BYTES).then_some((salt.as_ref(), tag))
}

/// An imported argon2 hash may ask for more than ours, and not for more than a request can give.
fn is_bearable(hash: &PasswordHash) -> bool {
    let at_most = |name: &str, max: u32| hash.params.get_decimal(name).is_some_and(|value| value <= max);
    at_most("m", MAX_MEMORY_KIB) && at_most("t", MAX_PASSES) && at_most("p", MAX_LANES)
}

#[expect(clippy::expect_used, reason = "constants within argon2's bounds")]
fn argon2id() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use argon2::password_hash::PasswordHasher;

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_verifies() {
        let passwords = Passwords::new(1);
        let hash = passwords.hash(&Secret::new("correct horse battery")).await.unwrap();
        assert!(hash.starts_with(OWN_PREFIX), "{hash}");
        assert!(is_verifiable(&hash) && !is_verifiable("correct horse") && !is_verifiable("$argon2id$x"));
        assert!(!is_foreign(&hash) && is_foreign("$argon2i$v=19$m=19456,t=2,p=1$x"));
        assert!(passwords.verify(&Secret::new("correct horse battery"), Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&Secret::new("Correct horse battery"), Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&Secret::new("correct horse battery"), None).await.unwrap());
    }

    #[tokio::test]
    async fn every_hash_that_is_stored_verifies_under_the_reference() {
        let passwords = Passwords::new(1);
        for password in ["", "correct horse battery", "पासवर्ड", &"x".repeat(MAX_PASSWORD_BYTES)] {
            let hash = passwords.hash(&Secret::new(password)).await.unwrap();
            let parsed = PasswordHash::new(&hash).unwrap();
            argon2id().verify_password(password.as_bytes(), &parsed).unwrap();
            assert!(own(&hash, &parsed).is_some(), "{hash} is verified the fast way");
        }
    }

    /// Made by the reference implementation in C, with our costs and with others.
    #[test]
    fn a_hash_of_any_origin_verifies_the_right_password_only() {
        let (ours, other) = (
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$K13EBUiG7JV+9ZxztmHFTdb7J0WQsnj2V8bZaqyPptE",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        );
        for (stored, fast) in [(ours, true), (other, false)] {
            assert_eq!(own(stored, &PasswordHash::new(stored).unwrap()).is_some(), fast);
            assert!(matches(&Fast::default(), "password", stored).unwrap());
            assert!(!matches(&Fast::default(), "Password", stored).unwrap());
        }
        // Cut short, it is another hash.
        assert!(!matches(&Fast::default(), "password", &ours[..ours.len() - 16]).unwrap());
    }

    #[tokio::test]
    async fn a_flood_runs_no_more_hashes_at_once_than_there_is_memory_for() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let passwords = Passwords::new(3);
        let mut flood = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (passwords, running, most) = (passwords.clone(), running.clone(), most.clone());
            flood.spawn(async move {
                let work = move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let right = matches(&Fast::default(), "x", DUMMY_HASH).unwrap();
                    running.fetch_sub(1, Ordering::SeqCst);
                    right
                };
                passwords.on_blocking_pool(work).await.unwrap()
            });
        }
        assert!(flood.join_all().await.into_iter().all(|right| !right));
        assert!(most.load(Ordering::SeqCst) <= 3);
    }

    #[test]
    fn the_dummy_costs_what_a_real_hash_costs() {
        let dummy = PasswordHash::new(DUMMY_HASH).expect("a PHC string");
        let real = argon2id().hash_password(b"x").unwrap();
        assert_eq!((dummy.algorithm, dummy.version, &dummy.params), (real.algorithm, real.version, &real.params));
        assert_eq!(dummy.hash.map(|h| h.len()), real.hash.map(|h| h.len()));
        assert!(own(DUMMY_HASH, &dummy).is_some() && own(&real.to_string(), &real).is_some(), "by the same crate");
    }
}
