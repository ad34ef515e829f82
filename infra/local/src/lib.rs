//! The local server: all that runs on Lambda, in one process, on this machine.
//!
//! Handlers, jobs, store and SDK are the real ones. What AWS does around them is done here: an
//! embedded `DynamoDB` behind its own HTTP server ([`dynamo`]), the event source mapping of its
//! stream ([`stream`]), a mailbox in place of SES and SNS, a payment page in place of Stripe
//! ([`dev`]). Nothing binds anything but the loopback address.

pub mod admin;
pub mod cli;
pub mod data_dir;
pub mod demo;
pub mod dev;
pub mod dynamo;
pub mod error;
mod gateway;
pub mod loopback;
pub mod options;
pub mod server;
pub mod setup;
pub mod stream;
mod terminal;
mod welcome;

pub use error::LocalError;
