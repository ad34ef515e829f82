//! The binaries as Lambda runs them: the real programs behind the Runtime API, over an
//! embedded `DynamoDB`, with a stand-in for SES and SNS.
//!
//! Only here are the binaries known to be there and up to date (`CARGO_BIN_EXE_…`). What a route
//! decides is tested elsewhere; this is about what lies between Lambda and a route.

#![expect(clippy::expect_used, reason = "a test stops where its expectation fails")]

mod database;
mod delivery;
mod edge;
mod emulator;
mod events;
mod init;
mod logs;
mod mail;
mod poison;
mod stories;
mod world;
