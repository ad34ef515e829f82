//! One argon2id after another and nothing else: what the CPU of a login is measured against.
//!
//! `bare_hash kept ROUNDS`: `argon2-rust` in memory that is kept, as a login computes it; `fresh`: in
//! new memory each time; `reference`: `argon2`.

use std::error::Error;
use std::hint::black_box;

use argon2_rust::{Algorithm, Argon2, Params, Version};

const PASSWORD: &[u8] = b"lantern-harbour-teal-4711";
const SALT: &[u8] = b"sixteen bytes of";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let how = arguments.next().ok_or("usage: bare_hash kept|fresh|reference ROUNDS")?;
    let rounds: u32 = arguments.next().ok_or("how many rounds?")?.parse()?;
    let fast = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::OWASP);
    let (mut kept, reference, mut tag) = (fast.hasher(), argon2::Argon2::default(), [0; 32]);
    for _ in 0..rounds {
        match how.as_str() {
            "kept" => kept.hash_into(PASSWORD, SALT, &mut tag)?,
            "fresh" => fast.hash_into(PASSWORD, SALT, &mut tag)?,
            _ => reference.hash_password_into(PASSWORD, SALT, &mut tag)?,
        }
        black_box(&tag);
    }
    Ok(())
}
