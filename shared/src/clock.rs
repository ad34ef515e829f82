//! Time, read in one place.
//!
//! Rules take the time as an argument; only a handler asks the [`Clock`], once per request, so
//! that a year and a timestamp made from it can never disagree. Clippy forbids the system clock
//! everywhere else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A moment in UTC, precise to the millisecond; on the wire and at rest RFC 3339 to the second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    unix_ms: i64,
}

impl Time {
    /// The moment `unix_ms` milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_ms(unix_ms: i64) -> Self {
        Self { unix_ms }
    }

    /// The moment `seconds` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self { unix_ms: seconds.saturating_mul(1_000) }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.unix_ms
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.unix_ms.div_euclid(1_000)
    }

    /// The year in UTC.
    #[must_use]
    pub fn year(self) -> i16 {
        self.timestamp().to_zoned(TimeZone::UTC).year()
    }

    /// The month in UTC, counted from the beginning of our era.
    #[must_use]
    pub fn month(self) -> i64 {
        let zoned = self.timestamp().to_zoned(TimeZone::UTC);
        i64::from(zoned.year()) * 12 + i64::from(zoned.month()) - 1
    }

    /// This moment plus `months` of the calendar in UTC; a day that the month does not have is its
    /// last.
    #[must_use]
    pub fn plus_months(self, months: i64) -> Self {
        let zoned = self.timestamp().to_zoned(TimeZone::UTC);
        let later = Span::new().try_months(months).and_then(|span| zoned.checked_add(span));
        let whole = later.map_or(Timestamp::MAX, |later| later.timestamp());
        Self { unix_ms: whole.as_millisecond() + self.unix_ms.rem_euclid(1_000) }
    }

    /// This moment plus `seconds`, which may be negative.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self { unix_ms: self.unix_ms.saturating_add(seconds.saturating_mul(1_000)) }
    }

    /// A new time-ordered id (`UUIDv7`, RFC 9562) made at this moment.
    #[must_use]
    pub fn new_id(self) -> Uuid {
        let seconds = u64::try_from(self.unix_seconds()).unwrap_or(0);
        let nanos = u32::try_from(self.unix_ms.rem_euclid(1_000)).unwrap_or(0) * 1_000_000;
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
    }

    fn timestamp(self) -> Timestamp {
        let whole = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs(self.unix_seconds()));
        whole.unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let stamp: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self::from_unix_ms(stamp.as_millisecond()))
    }
}

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that a test sets.
    Manual(ManualClock),
}

impl Clock {
    /// The time now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn now(&self) -> Time {
        match self {
            Self::System => Time::from_unix_ms(Timestamp::now().as_millisecond()),
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock {
    unix_ms: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that shows `time`.
    #[must_use]
    pub fn at(time: Time) -> Self {
        Self { unix_ms: Arc::new(AtomicI64::new(time.unix_ms())) }
    }

    /// The time it shows.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::from_unix_ms(self.unix_ms.load(Ordering::SeqCst))
    }

    /// Moves it by `seconds`, which may be negative.
    pub fn advance_seconds(&self, seconds: i64) {
        self.unix_ms.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339_to_the_second() {
        let time = Time::from_unix_ms(1_795_176_000_750);
        assert_eq!(time.to_string(), "2026-11-20T12:00:00Z");
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-20T12:00:00Z\"");
    }

    #[test]
    fn the_year_turns_at_midnight_utc() {
        let last = Time::from_unix_seconds(1_798_761_599);
        assert_eq!((last.year(), last.plus_seconds(1).year()), (2026, 2027));
    }

    #[test]
    fn ids_of_later_moments_sort_later() {
        let time = Time::from_unix_ms(1_795_176_000_000);
        assert!(time.new_id() < Time::from_unix_ms(time.unix_ms() + 1).new_id());
    }
}
