//! Stripe: signatures of its webhook, its events, and where a lead pays.

pub mod account;
pub mod checkout;
pub mod event;
pub mod signature;
