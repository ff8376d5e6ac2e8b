//! The waist of the hourglass: one book of counts, one door in, one door out.
//!
//! `record` takes outcomes in, the one-second `tick` advances every detector, `snapshot` gives an
//! immutable view out. Metrics, health JSON and hour rows all read the same snapshot, so they
//! cannot disagree. Nothing that reads writes.
//!
//! The book sits behind one `std` mutex that is held for a batch, a tick or a copy, never across
//! an await: decoding and classification are done before, encoding after. Everything in it is
//! bounded: targets by a cap with overflow into `model="other"`, codes and series per target,
//! windows and hours by their rings. Hour rows live in memory for now.

pub mod journal;
pub mod snapshot;

mod bench;
mod book;
mod counts;
mod egress;
mod judge;
mod latency;
mod operations;
mod pages;
mod panel;
mod ring;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::bounds::Thresholds;
use crate::domain::classify::Quota;
use crate::domain::outcome::Outcome;
use crate::domain::target::{Provider, Target};
use crate::domain::time::Timestamp;

use book::Book;
pub use counts::Arrival;
use journal::{ProbeLog, ProbeRun};
pub use pages::WatchedPage;
use snapshot::{BudgetView, ProbeView, Snapshot, StatusPageView};

/// How late an outcome may be and still be counted, in the hour it happened in.
pub const LATE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How far ahead of our clock an outcome may be dated: clocks of clients differ a little.
pub const AHEAD_MAX: Duration = Duration::from_secs(60);
/// How old an outcome may be and still tell the detectors about the present.
pub const FRESH_MAX: Duration = Duration::from_secs(60);

/// What a store is built from.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// When a signal counts as degraded and overloaded.
    pub thresholds: Thresholds,
    /// Targets that exist from the start.
    pub configured: Vec<Target>,
    /// Targets that are probed, and how often: evidence from sparse probes is valid for longer.
    pub probed: Vec<(Target, Duration)>,
    /// Cap on targets beside the configured ones; the rest counts as `model="other"`.
    pub targets_max: usize,
    /// Status pages that are read, by the provider that each tells of.
    pub status_pages: BTreeMap<Provider, WatchedPage>,
}

/// A cheap handle on the one book.
#[derive(Clone, Debug)]
pub struct Store {
    book: Arc<Mutex<Book>>,
    probe_log: ProbeLog,
}

impl Store {
    /// An empty book that knows the configured targets.
    pub fn new(options: &Options, now: Timestamp) -> Self {
        Self { book: Arc::new(Mutex::new(Book::new(options, now))), probe_log: ProbeLog::default() }
    }

    /// Counts a batch. Outcomes older than [`LATE_MAX`] or dated more than [`AHEAD_MAX`] ahead
    /// are left out; the intake has refused them by name before. Returns whether a target was new.
    pub fn record(&self, outcomes: &[Outcome], arrival: Arrival, now: Timestamp) -> bool {
        let mut book = self.book();
        let now = book.turn_clock(now);
        let known = book.targets();
        for outcome in outcomes {
            book.record(outcome, arrival, now);
        }
        book.targets() > known
    }

    /// Takes the latest rate-limit headers of a provider's account (empty: the only one).
    pub fn note_quotas(&self, provider: &Provider, account: &str, quotas: &[Quota], at: Timestamp) {
        self.book().note_quotas(provider, account, quotas, at);
    }

    /// Changes what is known of a target's probe; does nothing for a target that is not probed.
    pub fn note_probe(&self, target: &Target, change: impl FnOnce(&mut ProbeView)) {
        self.book().note_probe(target, change);
    }

    /// Changes what is known of a status page, for every provider that it tells of; does nothing
    /// for a page that is not watched.
    pub fn note_status_page(&self, url: &str, change: impl FnOnce(&mut StatusPageView)) {
        self.book().note_status_page(url, change);
    }

    /// The same for a probe that was asked for: a configured target has one from then on, until
    /// the next configuration, even if the schedule leaves it out.
    pub fn note_asked_probe(&self, target: &Target, change: impl FnOnce(&mut ProbeView)) {
        self.book().note_asked_probe(target, change);
    }

    /// Takes one probe into the log of the last ones.
    pub fn log_probe(&self, target: &Target, run: ProbeRun) {
        self.probe_log.note(target, run);
    }

    /// The last probes, to be read.
    pub fn probe_log(&self) -> ProbeLog {
        self.probe_log.clone()
    }

    /// Takes how the money for probes stands.
    pub fn note_budget(&self, budget: BudgetView) {
        self.book().note_budget(budget);
    }

    /// Adopts a new configuration: thresholds, configured and probed targets, the cap. Counts
    /// stay; detectors start afresh only where the thresholds changed.
    pub fn configure(&self, options: &Options, now: Timestamp) {
        self.book().configure(options, now);
    }

    /// Advances every detector to `now`, at least by one second if a second has passed.
    pub fn tick(&self, now: Timestamp) {
        self.book().tick(now);
    }

    /// The whole book as it stands.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        self.book().snapshot(now)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic while the lock was held cannot leave a count half-added in a way that matters
        // more than going on serving.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
