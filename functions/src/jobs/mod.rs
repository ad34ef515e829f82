//! What runs without a request: the schedule and the stream.

pub mod backfill;
pub mod notify;
