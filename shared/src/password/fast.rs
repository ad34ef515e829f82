//! Our own argon2id, computed by `argon2-rust`: the same bits as `argon2` in half the time.
//!
//! Nobody has audited it, so it decides as little as can be (docs/decisions/0018-argon2.md): it makes
//! no hash, it only computes again what `argon2` made, and what it computes must be that to the last
//! bit. Wrong, it could refuse a right password; it cannot accept a wrong one.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use argon2_rust::params::Memory;
use argon2_rust::{Algorithm, Argon2, Error, Hasher, Params, Version};

/// The length of the tags computed here.
pub(super) const TAG_BYTES: usize = 32;

/// The parameters of a hash made here: OWASP's, which `super` names one by one.
const OWN: Params = Params::OWASP;

/// Whether the instructions that this CPU was found to have give the known answers.
static SOUND: LazyLock<bool> = LazyLock::new(|| {
    let sound = gives_known_answers();
    if !sound {
        tracing::error!("argon2-rust computes wrong hashes on this CPU: argon2 verifies alone, at twice the cost");
    }
    sound
});

/// Computes with memory that is kept for the next password, which saves the page faults of a fresh
/// 19 MiB. It is wiped after each.
#[derive(Clone, Debug, Default)]
pub(super) struct Fast {
    /// As many as ever ran at once, which the semaphore of `super` bounds.
    idle: Arc<Mutex<Vec<Hasher>>>,
}

impl Fast {
    /// Whether its answers can be used on this machine.
    pub(super) fn is_sound() -> bool {
        *SOUND
    }

    /// The tag of `password` under `salt`, with our own parameters.
    pub(super) fn tag(&self, password: &[u8], salt: &[u8]) -> Result<[u8; TAG_BYTES], Error> {
        let mut tag = [0; TAG_BYTES];
        let mut hasher = self.take();
        let computed = hasher.hash_into(password, salt, &mut tag);
        self.give_back(hasher);
        computed.map(|()| tag)
    }

    /// Lets go of the memory that is kept for the next password.
    pub(super) fn give_memory_back(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take(&self) -> Hasher {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| with(OWN).hasher())
    }

    fn give_back(&self, hasher: Hasher) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(hasher);
    }
}

fn with(params: Params) -> Argon2 {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Once per process, in less than a millisecond. The crate picks its instructions by CPU, and tests
/// elsewhere say nothing about the CPU we were given.
fn gives_known_answers() -> bool {
    known_answers().is_ok_and(|right| right)
}

fn known_answers() -> Result<bool, Error> {
    // RFC 9106, 5.3: every input is in use.
    let rfc = Params::builder().memory(Memory::kib(32)).passes(3).lanes(4).build()?;
    let rfc = with(rfc).hash_with_ad(&[1; 32], &[2; 16], &[3; 8], &[4; 12])?;
    // The reference implementation in C: one lane, long enough segments to leave the edges.
    let c = with(Params::builder().memory(Memory::kib(1_024)).passes(2).build()?).hash(b"password", b"somesalt")?;
    Ok(hex::encode(rfc) == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
        && hex::encode(c) == "ec57ec9c0eaf51eeea2e92ffdcaa9cdee478f1927215b515b7b8d66657f41ed9")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::random_bytes;

    /// One input of both crates, drawn from the operating system: a failure prints all of it.
    #[derive(Debug)]
    struct Case {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        password: Vec<u8>,
        salt: Vec<u8>,
    }

    impl Case {
        fn draw() -> Self {
            let [passes, lanes, salt, low, high] = random_bytes::<5>();
            let lanes = u32::from(lanes % 4) + 1;
            let password = usize::from(u16::from_le_bytes([low, high])) % 1_025;
            Self {
                memory_kib: 8 * lanes + u32::from(u16::from_le_bytes(random_bytes())) % 2_048,
                passes: u32::from(passes % 4) + 1,
                lanes,
                password: random_bytes::<1_024>()[..password].to_vec(),
                salt: random_bytes::<48>()[..8 + usize::from(salt % 41)].to_vec(),
            }
        }

        fn fast(&self) -> Vec<u8> {
            let params = Params::builder().memory(Memory::kib(u64::from(self.memory_kib)));
            let params = params.passes(self.passes).lanes(self.lanes).build().unwrap();
            with(params).hash(&self.password, &self.salt).unwrap()
        }

        fn reference(&self) -> Vec<u8> {
            let params = argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(TAG_BYTES)).unwrap();
            let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
            let mut tag = vec![0; TAG_BYTES];
            argon2.hash_password_into(&self.password, &self.salt, &mut tag).unwrap();
            tag
        }
    }

    #[test]
    fn this_cpu_gives_the_known_answers() {
        assert_eq!(known_answers(), Ok(true));
        assert!(Fast::is_sound());
    }

    #[test]
    fn both_crates_compute_the_same_for_any_password_salt_and_cost() {
        for _ in 0..200 {
            let case = Case::draw();
            assert_eq!(case.fast(), case.reference(), "{case:?}");
        }
    }

    #[test]
    fn both_crates_compute_the_same_with_our_own_parameters_in_memory_used_before() {
        let fast = Fast::default();
        for _ in 0..3 {
            let case = Case { memory_kib: 19_456, passes: 2, lanes: 1, ..Case::draw() };
            assert_eq!(fast.tag(&case.password, &case.salt).unwrap().to_vec(), case.reference(), "{case:?}");
        }
        assert_eq!(fast.idle.lock().unwrap().len(), 1, "one after another they share one memory");
        // Made by the reference implementation in C.
        assert_eq!(
            hex::encode(fast.tag(b"password", b"somesaltsomesalt").unwrap()),
            "2b5dc4054886ec957ef59c73b661c54dd6fb274590b278f657c6d96aac8fa6d1"
        );
    }

    #[test]
    fn its_parameters_are_those_of_a_hash_made_here() {
        let costs = (OWN.memory_kib(), OWN.passes(), OWN.lanes(), OWN.tag_len_bytes());
        assert_eq!(costs, (super::super::MEMORY_KIB, super::super::PASSES, super::super::LANES, TAG_BYTES));
    }
}
