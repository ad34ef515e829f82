//! Stories of every endpoint and job, through the real router over the embedded `DynamoDB`.
#![expect(clippy::unwrap_used, reason = "a test stops where it is surprised")]

mod backfill;
mod budgets;
mod create_customer;
mod delete_customer;
mod faults;
mod get_customer;
mod http;
mod intake;
mod issue_credentials;
mod list_customers;
mod login;
mod me;
mod notify;
mod tidy;
mod update_customer;
mod webhook;
