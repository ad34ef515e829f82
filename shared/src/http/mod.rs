//! The edge: what a request must look like, who sent it, and how a refusal is told.

pub mod body;
pub mod caller;
pub mod client;
pub mod fields;
pub mod idempotency;
pub mod layers;
pub mod page;
pub mod problem;
pub mod product;

pub use body::{JsonBody, OptionalJsonBody};
pub use problem::{ApiError, FieldError};
