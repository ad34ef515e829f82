//! Stripe: signatures of its webhook, its events, where a lead pays, and what is made there.

pub mod account;
pub mod checkout;
pub mod client;
pub mod customers;
pub mod error;
pub mod event;
pub mod signature;
pub mod subscriptions;
