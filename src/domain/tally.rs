//! A tally: counts by class over some stretch of time, and the ratios they give.

use super::outcome::{Attempt, Class, Signal};

/// Counts over a window or an hour.
///
/// The plain counts hold *all* attempts, so that they agree with what was sent; the ratios use
/// first attempts only (see [`Tally::ratio`]), because retries are correlated with the attempt
/// they repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All attempts of any class.
    pub attempts: u64,
    /// Attempts that ended `ok`.
    pub ok: u64,
    /// Attempts of class `overloaded` (529).
    pub overloaded: u64,
    /// Attempts of class `rate_limited` (429).
    pub rate_limited: u64,
    /// Attempts of class `unavailable` (503).
    pub unavailable: u64,
    /// First attempts that ended `ok`.
    pub first_ok: u64,
    /// First attempts that count as a failure of each signal, in the order of [`Signal::ALL`].
    pub first_failures: [u64; Signal::COUNT],
}

impl Tally {
    /// How many numbers a tally is.
    pub const COUNTS: usize = 6 + Signal::COUNT;

    /// The numbers, in the order of the fields.
    pub fn to_counts(&self) -> [u64; Self::COUNTS] {
        let [overload, outage, rate_limit] = self.first_failures;
        [
            self.attempts,
            self.ok,
            self.overloaded,
            self.rate_limited,
            self.unavailable,
            self.first_ok,
            overload,
            outage,
            rate_limit,
        ]
    }

    /// The tally of these numbers.
    pub fn from_counts(counts: [u64; Self::COUNTS]) -> Self {
        let [attempts, ok, overloaded, rate_limited, unavailable, first_ok, rest @ ..] = counts;
        let first_failures: [u64; Signal::COUNT] = rest;
        Self { attempts, ok, overloaded, rate_limited, unavailable, first_ok, first_failures }
    }

    /// Counts `count` attempts of one class.
    pub fn add(&mut self, class: Class, attempt: Attempt, count: u64) {
        self.attempts += count;
        match class {
            Class::Ok => self.ok += count,
            Class::Overloaded => self.overloaded += count,
            Class::RateLimited => self.rate_limited += count,
            Class::Unavailable => self.unavailable += count,
            Class::QuotaExhausted
            | Class::ServerError
            | Class::Timeout
            | Class::Network
            | Class::Auth
            | Class::Billing
            | Class::InvalidRequest
            | Class::Other => {}
        }
        if attempt == Attempt::Retry {
            return;
        }
        if class == Class::Ok {
            self.first_ok += count;
        } else if let Some(signal) = class.signal() {
            self.first_failures[signal.index()] += count;
        }
    }

    /// Takes `count` attempts of one class back, as far as they are there.
    pub fn take_back(&mut self, class: Class, attempt: Attempt, count: u64) {
        let mut other = Self::default();
        other.add(class, attempt, count);
        let take = |mine: &mut u64, theirs: u64| *mine = mine.saturating_sub(theirs);
        take(&mut self.attempts, other.attempts);
        take(&mut self.ok, other.ok);
        take(&mut self.overloaded, other.overloaded);
        take(&mut self.rate_limited, other.rate_limited);
        take(&mut self.unavailable, other.unavailable);
        take(&mut self.first_ok, other.first_ok);
        for (mine, theirs) in self.first_failures.iter_mut().zip(other.first_failures) {
            take(mine, theirs);
        }
    }

    /// Adds another tally's counts to this one.
    pub fn merge(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.ok += other.ok;
        self.overloaded += other.overloaded;
        self.rate_limited += other.rate_limited;
        self.unavailable += other.unavailable;
        self.first_ok += other.first_ok;
        for (mine, theirs) in self.first_failures.iter_mut().zip(other.first_failures) {
            *mine += theirs;
        }
    }

    /// The ratio k / (ok + k) of a signal over first attempts, 0 to 1; `None` without evidence.
    pub fn ratio(&self, signal: Signal) -> Option<f64> {
        let failures = self.first_failures[signal.index()];
        let decided = self.first_ok + failures;
        (decided > 0).then(|| failures as f64 / decided as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_k_over_ok_plus_k_on_first_attempts() {
        let mut tally = Tally::default();
        tally.add(Class::Ok, Attempt::First, 541);
        tally.add(Class::Overloaded, Attempt::First, 57);
        tally.add(Class::Overloaded, Attempt::Retry, 40);
        tally.add(Class::RateLimited, Attempt::First, 900);
        tally.add(Class::InvalidRequest, Attempt::First, 7);
        assert_eq!(tally.ratio(Signal::Overload), Some(57.0 / 598.0));
        assert_eq!(tally.ratio(Signal::Outage), Some(0.0));
        assert_eq!(tally.overloaded, 97);
        assert_eq!(tally.attempts, 541 + 57 + 40 + 900 + 7);
        assert_eq!(Tally::default().ratio(Signal::Overload), None);
    }
}
