//! Stripe: signatures of its webhook, its events, and where a lead pays.

pub mod account;
pub mod checkout;
pub mod client;
pub mod customers;
pub mod error;
pub mod event;
pub mod signature;
