//! Prometheus exposition of a snapshot, in the text format 0.0.4 and in OpenMetrics 1.0.
//!
//! Everything about targets is read from the store's snapshot when a scrape comes, through a
//! collector made for that scrape: there is no second book that could disagree with the health
//! documents. What the process did itself comes from [`SelfStats`]. Compression and headers are
//! the server's; rates, ratios over windows and ages are deliberately not exported, Prometheus
//! computes them from counters and time stamps.

mod collector;
mod encode;
mod family;
mod format;
pub mod names;
mod zero_first;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use prometheus::Registry;
use prometheus::core::Desc;
use prometheus::proto::MetricFamily;

use crate::domain::time::Timestamp;
use crate::ground::clock::Stopwatch;
use crate::ground::self_stats::SelfStats;
use crate::store::snapshot::{Counters, Snapshot};

use collector::Scrape;
pub use format::Format;
use zero_first::ZeroFirst;

/// What can be chosen about the exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the hour-of-day counters are written: 96 series for each target, on unless
    /// switched off.
    pub hour_of_day: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { hour_of_day: true }
    }
}

/// Writes scrapes. One for the process: it remembers which series Prometheus has seen at 0.
pub struct Exporter {
    snapshot: Arc<ArcSwap<Snapshot>>,
    stats: SelfStats,
    options: ArcSwap<Options>,
    descriptions: Arc<[Desc]>,
    zero: Arc<Counters>,
    zero_first: Mutex<ZeroFirst>,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("options", &self.options.load()).finish_non_exhaustive()
    }
}

impl Exporter {
    /// Exports whatever `snapshot` holds when a scrape comes, and `stats`.
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, stats: SelfStats, options: Options) -> Self {
        Self {
            snapshot,
            stats,
            options: ArcSwap::from_pointee(options),
            descriptions: collector::descriptions(),
            zero: Arc::default(),
            zero_first: Mutex::default(),
        }
    }

    /// Exports by other options from the next scrape on.
    pub fn set_options(&self, options: Options) {
        self.options.store(Arc::new(options));
    }

    /// One scrape at `now`, sorted by family and label values. Costs time in proportion to the
    /// number of series and never waits.
    pub fn render(&self, format: Format, now: Timestamp) -> Vec<u8> {
        let stopwatch = Stopwatch::start();
        let mut families = self.gather(now);
        families.extend(self.stats.gather());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        let bytes = encode::encode(format, &families);
        self.stats.note_scrape(stopwatch.elapsed());
        bytes
    }

    fn gather(&self, now: Timestamp) -> Vec<MetricFamily> {
        let (snapshot, holds) = {
            // The snapshot is loaded under the lock: of two scrapes at once, the one with the
            // older view must not make the other's targets forgotten.
            let mut zero_first = self.zero_first.lock().unwrap_or_else(PoisonError::into_inner);
            let snapshot = self.snapshot.load_full();
            let holds = zero_first.advance(&snapshot, now);
            (snapshot, holds)
        };
        let scrape = Scrape {
            snapshot,
            holds,
            now,
            hour_of_day: self.options.load().hour_of_day,
            descriptions: Arc::clone(&self.descriptions),
            zero: Arc::clone(&self.zero),
        };
        let registry = Registry::new();
        registry.register(Box::new(scrape)).expect("the table names every metric once");
        registry.gather()
    }
}
