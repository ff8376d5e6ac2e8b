//! What every way of reporting ends in: names, the memory of ids, the book, this process's counts.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use crate::domain::classify::MatchedBy;
use crate::domain::layer::Layer;
use crate::domain::outcome::{Attempt, Class, Outcome, Scope};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::ground::names::Names;
use crate::ground::self_stats::SelfStats;
use crate::store::{AHEAD_MAX, Arrival, LATE_MAX, Store};

use super::memory::Memory;
use super::refusal::{Refusal, RejectReason};
use super::sighting::Ignored;
use super::spans::Waiting;

/// The way into the book for everything that is reported. Cheap to clone: the clones share one
/// memory of ids, so that a record is new once whichever way it comes.
#[derive(Clone)]
pub struct Door {
    store: Store,
    names: Arc<ArcSwap<Names>>,
    recall: Arc<Mutex<Recall>>,
    stats: SelfStats,
    /// Whether the log has said that telemetry came through a gateway.
    hinted: Arc<AtomicBool>,
}

/// What was told before, whichever way it came: what keeps one attempt from being counted twice.
#[derive(Debug)]
pub(super) struct Recall {
    /// Ids of batches and records.
    pub(super) ids: Memory<()>,
    /// Calls whose attempts are told apart by their order: whether the latest of them failed.
    pub(super) calls: Memory<bool>,
    /// Attempts that were reported with the id of their call.
    pub(super) admissions: Memory<Admission>,
    /// Who told of a provider's request id first.
    requests: Memory<First>,
    /// The best layer that tells of a target, for each process.
    pub(super) layers: Memory<Layer>,
    /// Spans of HTTP clients that wait for their parents.
    pub(super) waiting: Waiting,
}

/// A success that was counted, should something have to take its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counted {
    target: Target,
    scope: Scope,
    at: Timestamp,
    attempt: Attempt,
    count: u32,
}

/// What is remembered of an attempt that was reported with the id of its call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Admission {
    /// It was counted as `ok` on its first content.
    Open {
        /// What was counted.
        counted: Box<Counted>,
        /// Whether its call was counted as well.
        is_final: bool,
    },
    /// It has ended.
    Ended,
}

/// Who told of a request first, and what.
#[derive(Clone, Debug, PartialEq)]
struct First {
    layer: Layer,
    /// The success that a blind layer told; what others told stands.
    doubtful: Option<Box<Counted>>,
}

/// Whether a request was told of before.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// It is new, or the same layer tells more of it.
    New,
    /// Another layer told of it.
    Before,
    /// A layer that is blind to this failure told of a success.
    Wrongly(Box<Counted>),
}

/// An id is remembered for at least this long: the longest retry of the usual clients.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// A layer that told nothing for this long is gone.
const LAYER_REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// Characters of a host's name in the log.
const HOST_CHARS_MAX: usize = 100;
/// Shortest request id that can be a provider's: shorter ones are made up by test servers.
const REQUEST_ID_MIN: usize = 12;

impl Default for Recall {
    fn default() -> Self {
        Self {
            ids: Memory::new(REMEMBERED),
            calls: Memory::new(REMEMBERED),
            admissions: Memory::new(REMEMBERED),
            requests: Memory::new(REMEMBERED),
            layers: Memory::new(LAYER_REMEMBERED),
            waiting: Waiting::default(),
        }
    }
}

impl Recall {
    /// Whether another layer told of one of these requests before, on the basis of this outcome.
    pub(super) fn told<'a>(
        &mut self,
        request_ids: impl Iterator<Item = &'a str> + Clone,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Told {
        let (layer, basis) = (outcome.layer, outcome.basis);
        // Many attempts at once are not one request, whatever they are called.
        let is_one = outcome.count == 1;
        let ids = request_ids.filter(move |id| is_one && id.len() >= REQUEST_ID_MIN);
        let first = ids.clone().find_map(|id| self.requests.get((basis, id), now));
        let (is_ok, sees) = (outcome.class == Class::Ok, layer.can_clear(basis));
        let told = match first {
            Some(first) if first.layer == layer => Told::New,
            Some(First { doubtful: Some(counted), .. }) if !is_ok && sees => Told::Wrongly(counted),
            Some(_) => Told::Before,
            None => Told::New,
        };
        if told != Told::Before {
            let doubtful = (is_ok && !sees).then(|| Box::new(Counted::of(outcome)));
            ids.for_each(|id| {
                self.requests.put((basis, id), First { layer, doubtful: doubtful.clone() }, now);
            });
        }
        told
    }
}

impl Counted {
    /// What is counted with this outcome.
    pub(super) fn of(outcome: &Outcome) -> Self {
        Self {
            target: outcome.target.clone(),
            scope: outcome.scope.clone(),
            at: outcome.at,
            attempt: outcome.attempt,
            count: outcome.count,
        }
    }

    /// Lets an outcome take the place of what was counted: the same attempt, wherever and however
    /// it was named, so that no count falls by it.
    pub(super) fn give_way_to(self, outcome: &mut Outcome) {
        outcome.replaces = Some(self.at);
        outcome.target = self.target;
        outcome.scope = self.scope;
        outcome.attempt = self.attempt;
        outcome.count = self.count;
    }
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
        Self { store, names, recall: Arc::default(), stats, hinted: Arc::default() }
    }

    pub(super) fn names(&self) -> Guard<Arc<Names>> {
        self.names.load()
    }

    /// What was told before, to be held for a batch.
    pub(super) fn recall(&self) -> MutexGuard<'_, Recall> {
        self.recall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> &SelfStats {
        &self.stats
    }

    /// Forgets what waited too long, as the clock goes on.
    pub fn tick(&self, now: Timestamp) {
        let given_up = self.recall().waiting.expire(now);
        self.ignore(Ignored::NoModel, given_up);
    }

    /// Says once what to do about telemetry that came through a gateway.
    pub(super) fn hint_at_gateway(&self, host: &str) {
        if !self.hinted.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                host = %host.chars().take(HOST_CHARS_MAX).collect::<String>(),
                "telemetry of a known provider names a host that is not the provider's: left out \
                 as a gateway's. If the host only passes calls on, add it to the provider's hosts"
            );
        }
    }

    /// Notes that records were left out.
    pub(super) fn ignore(&self, reason: Ignored, records: u64) {
        for _ in 0..records {
            self.stats.count_ignored(reason.as_str());
        }
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
