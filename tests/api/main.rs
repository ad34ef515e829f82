//! Stories of every endpoint and job, through the real router over the embedded `DynamoDB`.
#![expect(clippy::unwrap_used, reason = "a test stops where it is surprised")]

mod accounts;
mod authorization;
mod backfill;
mod budgets;
mod change_password;
mod check;
mod checkout_sessions;
mod create_customer;
mod defaults;
mod delete_customer;
mod faults;
mod get_customer;
mod http;
mod import;
mod intake;
mod issue_credentials;
mod list_customers;
mod lockout;
mod login;
mod logout;
mod me;
mod notify;
mod products;
mod recovery;
mod register;
mod secrets;
mod sessions;
mod stripe_customers;
mod subscriptions;
mod tidy;
mod track;
mod update_customer;
mod update_me;
mod webhook;
