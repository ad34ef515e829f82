//! What runs without a request: the schedule and the stream.

pub mod backfill;
mod candidates;
pub mod notify;
mod recovery;
mod repair;
