//! How many guesses at a password an account allows.
//!
//! An attempt is charged before the password is compared, so that parallel guesses cannot all
//! see an untouched account. Three bounds hold at once:
//!
//! - ten wrong passwords in a row lock the account for one second, doubling to 15 minutes;
//! - the account's own hash is compared at most 100 times an hour while attempts fail;
//! - half of these are kept for addresses that have not been failing, so that its owner still
//!   enters while somebody guesses from elsewhere.
//!
//! An attempt beyond a bound does the same work against a constant dummy and is not charged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Time;

/// Wrong passwords in a row before the account locks.
pub const FAILURES_BEFORE_LOCK: u32 = 10;
/// The longest lock, in seconds.
pub const MAX_LOCK_SECONDS: i64 = 900;
/// Comparisons with the account's own hash in one window of failing attempts.
pub const MAX_COMPARISONS: u32 = 100;
/// Of these, how many an address may use that has failed before.
const MAX_COMPARISONS_OF_FAILING_ADDRESSES: u32 = 50;
/// The window of comparisons, in seconds.
const WINDOW_SECONDS: i64 = 3_600;
/// Addresses remembered; beyond, every new one counts as failing.
const MAX_ADDRESSES: usize = 100;

/// The state of one identifier, known or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Wrong passwords in a row.
    pub failures: u32,
    /// Until when it is locked, in Unix milliseconds.
    pub locked_until_ms: i64,
    /// When the present window of comparisons began, in Unix seconds.
    pub window_start: i64,
    /// Comparisons in the window.
    pub comparisons: u32,
    /// Failures in the window by address, an address being a keyed hash.
    pub addresses: BTreeMap<String, u32>,
    /// Raised by every write.
    pub version: u64,
}

/// What to compare the password with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The account's own hash.
    Compare,
    /// The dummy: a bound has been reached.
    Dummy,
}

impl Attempts {
    /// Charges one attempt from `address`: what it may be compared with, and the state after it,
    /// which already counts it as failed.
    #[must_use]
    pub fn charge(mut self, address: &str, now: Time) -> (Verdict, Self) {
        self.version += 1;
        if now.unix_seconds() - self.window_start >= WINDOW_SECONDS {
            self.window_start = now.unix_seconds();
            self.comparisons = 0;
            self.addresses.clear();
        }
        let clean = !self.addresses.contains_key(address) && self.addresses.len() < MAX_ADDRESSES;
        let locked = self.locked_until_ms > now.unix_ms();
        let bound = if clean { MAX_COMPARISONS } else { MAX_COMPARISONS_OF_FAILING_ADDRESSES };
        if (locked && !clean) || self.comparisons >= bound {
            return (Verdict::Dummy, self);
        }
        self.comparisons += 1;
        if self.addresses.len() < MAX_ADDRESSES {
            *self.addresses.entry(address.to_owned()).or_default() += 1;
        }
        if locked {
            return (Verdict::Compare, self);
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_BEFORE_LOCK {
            let doublings = (self.failures - FAILURES_BEFORE_LOCK).min(20);
            let seconds = (1_i64 << doublings).min(MAX_LOCK_SECONDS);
            self.locked_until_ms = now.unix_ms() + seconds * 1_000;
        }
        (Verdict::Compare, self)
    }

    /// The state after the attempt from `address` turned out right: no failures in a row and no
    /// lock. What others have used up of the window stays used up.
    #[must_use]
    pub fn succeeded(mut self, address: &str) -> Self {
        self.version += 1;
        self.failures = 0;
        self.locked_until_ms = 0;
        self.comparisons = self.comparisons.saturating_sub(1);
        self.addresses.remove(address);
        self
    }

    /// Whether it says nothing that an identifier nobody has tried would not say.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.failures == 0 && self.comparisons == 0 && self.addresses.is_empty()
    }

    /// When nothing about it matters any more, in Unix seconds.
    #[must_use]
    pub fn expires_at(&self, now: Time) -> i64 {
        now.unix_seconds() + WINDOW_SECONDS + MAX_LOCK_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn guess(attempts: &mut Attempts, address: &str, now: Time) -> Verdict {
        let (verdict, after) = std::mem::take(attempts).charge(address, now);
        *attempts = after;
        verdict
    }

    #[test]
    fn the_tenth_wrong_password_locks_for_a_second_and_each_further_one_twice_as_long() {
        let mut attempts = Attempts::default();
        for _ in 0..9 {
            assert_eq!(guess(&mut attempts, "a", NOW), Verdict::Compare);
            assert_eq!(attempts.locked_until_ms, 0);
        }
        let mut now = NOW;
        for seconds in [1, 2, 4, 8] {
            assert_eq!(guess(&mut attempts, "a", now), Verdict::Compare);
            assert_eq!(attempts.locked_until_ms, now.unix_ms() + seconds * 1_000);
            now = now.plus_seconds(seconds);
        }
    }

    #[test]
    fn an_attempt_while_locked_is_not_compared_and_does_not_extend_the_lock() {
        let mut attempts = Attempts::default();
        for _ in 0..10 {
            guess(&mut attempts, "a", NOW);
        }
        let locked = attempts.clone();
        assert_eq!(guess(&mut attempts, "a", NOW), Verdict::Dummy);
        assert_eq!((attempts.locked_until_ms, attempts.failures), (locked.locked_until_ms, locked.failures));
    }

    #[test]
    fn a_success_ends_the_lock_and_gives_back_nothing_that_others_used() {
        let mut attempts = Attempts::default();
        for _ in 0..10 {
            guess(&mut attempts, "bad", NOW);
        }
        assert_eq!(guess(&mut attempts, "home", NOW), Verdict::Compare);
        let after = attempts.succeeded("home");
        assert_eq!((after.failures, after.locked_until_ms, after.comparisons), (0, 0, 10));
        assert!(!after.is_blank() && !after.addresses.contains_key("home"));
    }

    #[test]
    fn no_more_than_a_hundred_guesses_an_hour_reach_the_hash_and_the_owner_still_enters() {
        let mut attempts = Attempts::default();
        let mut compared = 0;
        for n in 0..10_000 {
            let now = NOW.plus_seconds(n / 4);
            compared += u32::from(guess(&mut attempts, &format!("bad-{}", n % 50), now) == Verdict::Compare);
        }
        assert!(compared < MAX_COMPARISONS, "{compared}");
        assert_eq!(guess(&mut attempts, "home", NOW.plus_seconds(2_500)), Verdict::Compare);
    }

    #[test]
    fn a_window_of_an_hour_is_over_when_it_is_over() {
        let mut attempts = Attempts::default();
        for seconds in [0, 1, 2, WINDOW_SECONDS - 1] {
            guess(&mut attempts, "a", NOW.plus_seconds(seconds));
        }
        assert_eq!((attempts.window_start, attempts.comparisons), (NOW.unix_seconds(), 4));
        assert_eq!((attempts.addresses["a"], attempts.version), (4, 4));
        let next = NOW.plus_seconds(WINDOW_SECONDS);
        guess(&mut attempts, "b", next);
        assert_eq!((attempts.window_start, attempts.comparisons), (next.unix_seconds(), 1));
        assert!(!attempts.addresses.contains_key("a"));
        assert_eq!(attempts.expires_at(next), next.unix_seconds() + 4_500);
        assert_eq!(attempts.succeeded("b").version, 6);
    }

    #[test]
    fn beyond_a_hundred_addresses_every_new_one_counts_as_failing_and_none_is_remembered() {
        let addresses = (0..MAX_ADDRESSES).map(|n| (format!("bad-{n}"), 1)).collect();
        let comparisons = MAX_COMPARISONS_OF_FAILING_ADDRESSES - 1;
        let window_start = NOW.unix_seconds();
        let mut attempts = Attempts { window_start, comparisons, addresses, ..Attempts::default() };
        assert_eq!(guess(&mut attempts, "new", NOW), Verdict::Compare);
        assert_eq!(attempts.addresses.len(), MAX_ADDRESSES);
        assert_eq!(guess(&mut attempts, "newer", NOW), Verdict::Dummy);
    }

    #[test]
    fn whoever_failed_in_no_way_is_as_nobody_who_tried() {
        let blank = Attempts::default();
        let (_, charged) = blank.clone().charge("a", NOW);
        assert!(blank.is_blank() && charged.clone().succeeded("a").is_blank());
        for failed in [
            Attempts { failures: 1, ..blank.clone() },
            Attempts { comparisons: 1, ..blank.clone() },
            Attempts { addresses: charged.addresses, ..blank },
        ] {
            assert!(!failed.is_blank(), "{failed:?}");
        }
    }
}
