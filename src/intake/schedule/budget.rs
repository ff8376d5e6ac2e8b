//! The day's money for probes: a hard bound, kept by reserving before spending.
//!
//! A probe's cost is known only after it ended, so what it may cost at most is taken out of the
//! day's money first and settled afterwards; several probes in flight can therefore never
//! overspend together. A probe that was given up stays charged, because the provider may bill it.
//! Days are UTC. The book is in memory: a restart forgets what was spent.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::time::{DAY_MS, Timestamp};

/// The day's money, or no limit. There is one in a process: what is spent stays spent, whatever
/// the limit becomes.
#[derive(Debug)]
pub struct Budget {
    book: Mutex<Book>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Book {
    usd_per_day: Option<f64>,
    day: u64,
    spent_usd: f64,
}

/// Money set aside for one probe.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a reservation that is never settled stays charged in full"]
pub struct Reservation {
    day: u64,
    usd: f64,
}

impl Budget {
    /// A budget of so many US dollars per UTC day; `None` is no limit, 0 allows nothing.
    pub fn new(usd_per_day: Option<f64>) -> Self {
        Self { book: Mutex::new(Book { usd_per_day, ..Book::default() }) }
    }

    /// Changes how much a day has, from now on and for the day that runs.
    pub fn set_limit(&self, usd_per_day: Option<f64>) {
        self.book().usd_per_day = usd_per_day;
    }

    /// Sets aside `usd` of the day of `now`, if that much is left.
    pub fn reserve(&self, now: Timestamp, usd: f64) -> Option<Reservation> {
        let mut book = self.book();
        book.turn_to(now);
        if book.usd_per_day.is_some_and(|limit| book.spent_usd + usd > limit) {
            return None;
        }
        book.spent_usd += usd;
        Some(Reservation { day: book.day, usd })
    }

    /// Replaces what was set aside by what was really spent.
    pub fn settle(&self, reservation: Reservation, spent_usd: f64) {
        let mut book = self.book();
        // A probe that ran over midnight belongs to the day it was reserved on, which is closed.
        if book.day == reservation.day {
            book.spent_usd = (book.spent_usd - reservation.usd + spent_usd).max(0.0);
        }
    }

    /// What is spent or set aside on the day of `now`, in US dollars.
    pub fn spent_usd(&self, now: Timestamp) -> f64 {
        let mut book = self.book();
        book.turn_to(now);
        book.spent_usd
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Plain numbers: whole even if a holder panicked.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Opens a new page on a new day. A clock that steps back opens none, or it would hand out
    /// the day's money twice.
    fn turn_to(&mut self, now: Timestamp) {
        let day = now.millis() / DAY_MS;
        if day > self.day {
            *self = Self { day, spent_usd: 0.0, ..*self };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u64) -> Timestamp {
        Timestamp::from_millis(number * DAY_MS + 5)
    }

    #[test]
    fn money_is_set_aside_before_it_is_spent() {
        let budget = Budget::new(Some(1.0));
        let first = budget.reserve(day(1), 0.5).unwrap();
        let second = budget.reserve(day(1), 0.5).unwrap();
        assert_eq!(budget.reserve(day(1), 0.25), None);
        budget.settle(first, 0.125);
        assert!(budget.reserve(day(1), 0.25).is_some());
        budget.settle(second, 9.0);
        assert_eq!(budget.reserve(day(1), 0.001), None);
    }

    #[test]
    fn a_new_day_has_new_money_and_a_clock_stepping_back_does_not() {
        let budget = Budget::new(Some(1.0));
        let late = budget.reserve(day(1), 1.0).unwrap();
        assert_eq!(budget.reserve(day(1), 1.0), None);
        let fresh = budget.reserve(day(2), 1.0);
        assert!(fresh.is_some());
        budget.settle(late, 0.0);
        assert_eq!(budget.reserve(day(2), 0.5), None);
        assert_eq!(budget.reserve(day(1), 0.5), None);
    }

    #[test]
    fn a_new_limit_does_not_give_back_what_is_spent() {
        let budget = Budget::new(None);
        let spent = budget.reserve(day(1), 1.0);
        assert!(spent.is_some());
        for (limit, left) in [(Some(0.5), false), (Some(1.0), false), (Some(2.0), true)] {
            budget.set_limit(limit);
            assert_eq!(budget.reserve(day(1), 0.5).is_some(), left, "{limit:?}");
        }
    }

    #[test]
    fn no_limit_is_no_limit_and_zero_allows_nothing() {
        assert!(Budget::new(None).reserve(day(1), 1e9).is_some());
        assert_eq!(Budget::new(Some(0.0)).reserve(day(1), 1e-9), None);
    }
}
