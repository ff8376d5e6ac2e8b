//! Wall-clock time as a plain number, and the UTC hour that rows are kept by.
//!
//! Only UTC exists here: an hour is `seconds / 3600`, so no time zone, daylight saving or leap
//! table can shift a row.

use std::fmt;
use std::time::Duration;

/// Milliseconds in one second.
pub const SECOND_MS: u64 = 1_000;
/// Milliseconds in one minute.
pub const MINUTE_MS: u64 = 60 * SECOND_MS;
/// Milliseconds in one hour.
pub const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Milliseconds in one day.
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// A moment in UTC: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The moment `seconds` whole seconds after the epoch.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(SECOND_MS))
    }

    /// Reads an RFC 3339 time with any offset; `None` for anything else, and before the epoch.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: jiff::Timestamp = text.trim().parse().ok()?;
        u64::try_from(parsed.as_millisecond()).ok().map(Self)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn secs(self) -> u64 {
        self.0 / SECOND_MS
    }

    /// The clock hour this moment lies in.
    pub const fn hour(self) -> Hour {
        Hour(self.0 / HOUR_MS)
    }

    /// Time from `earlier` to here; zero if `earlier` is in fact later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved forward, saturating at the end of time.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(by)))
    }

    /// This moment moved back, saturating at the epoch.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(by)))
    }
}

/// `2026-04-24T14:03:11Z`, or with milliseconds when they are not zero.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0 / DAY_MS);
        let of_day = self.0 % DAY_MS;
        let (hour, minute) = (of_day / HOUR_MS, of_day % HOUR_MS / MINUTE_MS);
        let (second, milli) = (of_day % MINUTE_MS / SECOND_MS, of_day % SECOND_MS);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if milli != 0 {
            write!(f, ".{milli:03}")?;
        }
        f.write_str("Z")
    }
}

/// A clock hour in UTC, counted from the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(u64);

impl Hour {
    /// The hour with this number since the epoch.
    pub const fn from_index(index: u64) -> Self {
        Self(index)
    }

    /// Hours since the epoch.
    pub const fn index(self) -> u64 {
        self.0
    }

    /// The first moment of the hour.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(HOUR_MS))
    }

    /// Hour of the day in UTC, 0 to 23.
    pub const fn of_day(self) -> usize {
        (self.0 % 24) as usize
    }
}

/// A duration in whole milliseconds, saturating.
pub fn millis_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration in milliseconds with one decimal: less is below what a probe can tell.
pub fn decimal_millis_of(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

/// Year, month and day of a day number since the epoch.
///
/// The era arithmetic of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`, restricted to days after the epoch.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_777_039_391_000, "2026-04-24T14:03:11Z"),
            (1_795_474_395_638, "2026-11-23T22:53:15.638Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp::from_millis(millis)));
        }
    }

    #[test]
    fn a_time_with_an_offset_is_the_same_moment() {
        let expected = Some(Timestamp::from_secs(1_777_039_391));
        assert_eq!(Timestamp::parse("2026-04-24T16:03:11+02:00"), expected);
        for text in ["", "yesterday", "2026-04-24", "1969-12-31T23:59:59Z"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn hours_are_utc_and_differences_never_underflow() {
        let moment = Timestamp::from_millis(1_777_039_391_000);
        assert_eq!(moment.hour().of_day(), 14);
        assert_eq!(moment.hour().start().to_string(), "2026-04-24T14:00:00Z");
        assert_eq!(Timestamp::from_secs(1).since(moment), Duration::ZERO);
        assert_eq!(Timestamp::from_secs(1).minus(Duration::from_secs(9)).millis(), 0);
    }
}
