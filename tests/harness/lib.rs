//! What the stories stand on: the real router over the embedded `DynamoDB`, actors that make
//! calls, a connector below the SDK that can break any of them, and a reader of the raw table
//! that knows every invariant.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it is surprised")]
#![expect(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "everything here panics on a surprise")]

pub mod actor;
pub mod app;
pub mod connector;
pub mod cost;
pub mod faults;
pub mod history;
pub mod legacy;
pub mod load;
pub mod parsers;
pub mod pause;
pub mod policy;
pub mod recording;
pub mod rng;
mod stale;
pub mod stripe;
pub mod stripe_api;
pub mod torn;
pub mod world;

pub use actor::{Actor, Answer};
pub use app::{TestApp, stripe_config};
pub use world::World;
