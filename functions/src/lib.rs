//! What runs on Lambda: one binary per endpoint or job, all linking this crate.
//!
//! To add an endpoint:
//!
//! 1. `endpoints/<name>.rs`: the request, the answer, `handle`, its parsing tests — in that order.
//! 2. `routes.rs`: a [`routes::Function`] with its rows; add it to [`routes::ALL`].
//! 3. `bin/<name>.rs`: three lines; name it in `Cargo.toml`.
//! 4. `refusals.rs`: what it refuses; `openapi.rs`: the handler, under `paths`; then `cargo test -p
//!    api-tests openapi` says how to refresh the committed document.
//! 5. `template.yaml`: the function, its route and its policy.
//! 6. `tests/api/<name>.rs`: its stories. The tidy tests fail until all of this is there.

mod account;
mod billing;
pub mod creation;
mod doubt;
pub mod endpoints;
pub mod expand;
pub mod jobs;
mod lead_checkout;
mod legacy;
pub mod linking;
pub mod metering;
pub mod openapi;
mod refunds;
pub mod refusals;
pub mod reports;
pub mod routes;
mod search;
pub mod serve;
mod stripe_customer;
mod update;
pub mod view;
