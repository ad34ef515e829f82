//! The fault programme: every promise of the service, kept while everything below it breaks.
//!
//! A short form of each volume runs with the other tests; the full ones are ignored by default and
//! say how much they do. Everything that is drawn is drawn from a seed that is printed, and
//! `SEED=n` repeats it.
#![expect(clippy::unwrap_used, reason = "a test stops where it is surprised")]

mod accounts;
mod cases;
mod checker;
mod crooked;
mod events;
mod histories;
mod ledger;
mod operations;
mod pairs;
mod planted;
mod plants;
mod probes;
mod process;
mod scene;
mod schedules;
mod singles;
mod tally;
mod torn;
mod uses;
mod words;

/// The password that everybody begins with.
const PASSWORD: &str = "a long enough password";

/// The password that they choose next.
const NEW_PASSWORD: &str = "another password, and longer";

/// How many tables are worked on at once: while one waits, another runs.
const WIDTH: usize = 6;
