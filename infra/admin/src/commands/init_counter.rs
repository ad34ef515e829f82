//! `init-counter`: where the numbers begin when some were issued elsewhere.
//!
//! **Invariant:** a counter only moves forward, so that no number is issued twice.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use shared::config::Settings;
use shared::ids::{Crn, CustomerNumber};
use shared::store::key::Key;

use crate::context::Context;
use crate::error::AdminError;
use crate::output::result;

/// More than anybody will issue, and far from where a counter would overflow.
const MAX_LAST: u64 = 999_999_999_999;

/// Which counter, and where it is to stand.
#[derive(Args, Debug)]
pub(crate) struct Opts {
    #[command(subcommand)]
    counter: Counter,
}

/// A counter and the last number that was issued from it.
#[derive(Clone, Copy, Debug, Subcommand)]
enum Counter {
    /// The counter of customer numbers
    CustomerNumber {
        /// The last number issued: after 23 the next is PL24
        #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(0..=MAX_LAST))]
        last: u64,
    },
    /// The counter of customer references of a year
    Crn {
        /// The year, in UTC
        #[arg(value_parser = clap::value_parser!(i16).range(2000..=9999))]
        year: i16,
        /// The last sequence number issued: after 41 the next is PLE-CVP-YEAR-000042
        #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(0..=MAX_LAST))]
        last: u64,
    },
}

impl Counter {
    fn key(self) -> Key {
        match self {
            Self::CustomerNumber { .. } => Key::number_counter(),
            Self::Crn { year, .. } => Key::crn_counter(year),
        }
    }

    fn last(self) -> u64 {
        match self {
            Self::CustomerNumber { last } | Self::Crn { last, .. } => last,
        }
    }

    /// What a draw gives when the counter stands at `last`.
    fn next_after(self, last: u64, settings: &Settings) -> String {
        let n = last.saturating_add(1);
        match self {
            Self::CustomerNumber { .. } => CustomerNumber::issue(&settings.customer_number_prefix, n).to_string(),
            Self::Crn { year, .. } => Crn::issue(&settings.crn_prefix, year, n).to_string(),
        }
    }

    fn below(self, present: u64, settings: &Settings) -> AdminError {
        AdminError::CounterBelow { last: self.last(), present, next: self.next_after(present, settings) }
    }
}

/// Moves the counter forward, unless it stands there already.
pub(crate) async fn run(context: &Context, opts: Opts) -> Result<ExitCode, AdminError> {
    let (store, settings, counter) = (&context.app.store, &context.app.settings, opts.counter);
    let (key, last) = (counter.key(), counter.last());
    let present = store.last_drawn(&key).await?;
    let next = counter.next_after(last, settings);
    if present > last {
        return Err(counter.below(present, settings));
    }
    if present == last {
        result(format_args!("already there: the counter stands at {last}, next is {next}"))?;
    } else if context.dry_run {
        result(format_args!("would move the counter from {present} to {last}, next would be {next}"))?;
    } else if store.advance_counter(&key, last).await? {
        result(format_args!("moved the counter from {present} to {last}, next is {next}"))?;
    } else {
        // Numbers were drawn meanwhile.
        return Err(counter.below(store.last_drawn(&key).await?, settings));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_follows_the_last() {
        let settings = Settings::default();
        assert_eq!(Counter::CustomerNumber { last: 23 }.next_after(23, &settings), "PL24");
        assert_eq!(Counter::Crn { year: 2026, last: 41 }.next_after(41, &settings), "PLE-CVP-2026-000042");
    }

    #[test]
    fn a_refusal_names_the_present_value() {
        let text = Counter::CustomerNumber { last: 5 }.below(23, &Settings::default()).to_string();
        assert!(text.contains("stands at 23") && text.contains("PL24"), "{text}");
    }
}
