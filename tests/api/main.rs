//! Stories of every endpoint and job, through the real router over the embedded `DynamoDB`.
#![expect(clippy::unwrap_used, reason = "a test stops where it is surprised")]

mod backfill;
mod budgets;
mod check;
mod create_customer;
mod defaults;
mod faults;
mod get_customer;
mod http;
mod intake;
mod login;
mod me;
mod notify;
mod products;
mod tidy;
mod track;
mod webhook;
