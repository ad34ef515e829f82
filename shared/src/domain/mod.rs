//! The rules: pure functions on parsed values, with time and ids as arguments.
//!
//! Nothing here reads a clock, draws a number or touches the table. A rule takes what was read
//! and answers what the world should look like; `store` makes it so in one transaction.

pub mod activation;
pub mod amounts;
pub mod attempts;
pub mod balance;
pub mod billing;
pub mod census;
pub mod credential;
pub mod customer;
pub mod figures;
pub mod following;
pub mod get_or_create;
pub mod intake;
pub mod intent;
pub mod ledger;
pub mod legacy;
pub mod linking;
pub mod matching;
pub mod message;
pub mod onboarding;
pub mod password_policy;
pub mod product;
pub mod product_id;
pub mod recovery;
pub mod start;
pub mod subscription;
pub mod update;
pub mod user;
