//! What every Rollcall function shares.
//!
//! A request walks one way through this crate: [`http`] parses and authenticates, [`domain`]
//! decides, [`store`] executes the decision as one transaction. Nothing points back up:
//! `domain` does no I/O and knows neither HTTP nor `DynamoDB`; `store` knows no HTTP.

pub mod app;
pub mod clock;
pub mod config;
pub mod contact;
pub mod domain;
pub mod http;
pub mod ids;
pub mod notify;
pub mod password;
pub mod sdk;
pub mod secret;
pub mod store;
pub mod stripe;
pub mod telemetry;
pub mod text;
pub mod token;
