//! The properties under test, which `cargo test` replays the corpora against.

#[path = "../harness/parsers.rs"]
pub mod parsers;
