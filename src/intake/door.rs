//! What every way of reporting ends in: names, the memory of ids, the book, this process's counts.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::domain::classify::MatchedBy;
use crate::domain::outcome::Outcome;
use crate::domain::time::Timestamp;
use crate::ground::names::Names;
use crate::ground::self_stats::SelfStats;
use crate::store::{AHEAD_MAX, Arrival, LATE_MAX, Store};

use super::refusal::{Refusal, RejectReason};
use super::seen::Seen;

/// The way into the book for everything that is reported. Cheap to clone: the clones share one
/// memory of ids, so that a record is new once whichever way it comes.
#[derive(Clone)]
pub struct Door {
    store: Store,
    names: Arc<ArcSwap<Names>>,
    seen: Arc<Mutex<Seen>>,
    stats: SelfStats,
}

/// A record's outcome, and the rule that gave it its class; `None` for the client's own word.
#[derive(Clone, Debug)]
pub struct Classified {
    /// The outcome.
    pub outcome: Outcome,
    /// The rule.
    pub matched_by: Option<MatchedBy>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// A door into `store`, with names that a reload may swap.
    pub fn new(store: Store, names: Arc<ArcSwap<Names>>, stats: SelfStats) -> Self {
        Self { store, names, seen: Arc::default(), stats }
    }

    pub(super) fn names(&self) -> Guard<Arc<Names>> {
        self.names.load()
    }

    /// The memory of ids, to be held for a batch.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> &SelfStats {
        &self.stats
    }

    /// Counts outcomes; whether a target among them is new.
    pub(super) fn record(&self, outcomes: &[Outcome], now: Timestamp) -> bool {
        self.store.record(outcomes, Arrival::Live, now)
    }
}

/// Refuses what ended too long ago or too far ahead; `field` is what the client calls it.
pub(super) fn admit(field: &str, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    if now.since(at) > LATE_MAX {
        let error = format!("{field}: {at} is more than 24 hours ago");
        return Err(Refusal::new(RejectReason::TooOld, error));
    }
    if at.since(now) > AHEAD_MAX {
        let error = format!("{field}: {at} is more than 60 seconds ahead of this server's clock");
        return Err(Refusal::new(RejectReason::TooNew, error));
    }
    Ok(())
}
