//! What runs without a request: the schedule and the stream.

pub mod backfill;
mod candidates;
pub mod migrate;
pub mod notify;
mod plan;
mod recovery;
mod repair;
mod second_look;
pub mod undo;
mod walk;
