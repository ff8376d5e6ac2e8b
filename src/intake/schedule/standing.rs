//! How a target stands: what its loop must know between two probes, and across a reload.
//!
//! The app's tick says once a second whether a target is troubled; a loop hears of it only when
//! that changes, so a quiet night wakes nobody. What was spent of the hour's faster probes and
//! which fire was answered stay here when a reload replaces the loop.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::outcome::Signal;
use crate::domain::target::Target;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::store::snapshot::{Snapshot, TargetView};

/// P(healthy) at or below which a target is troubled. What is believed of a target without
/// evidence is above it.
const P_HEALTHY_MIN: f64 = 0.9;

/// The signals that tell how a provider is; the third is about our own account.
const SIGNALS: [Signal; 2] = [Signal::Overload, Signal::Outage];

/// Over which time faster probes are counted.
const HOUR: Duration = Duration::from_secs(3_600);

/// How every probed target stands.
#[derive(Debug, Default)]
pub struct Standings {
    by_target: Mutex<BTreeMap<Target, Arc<Standing>>>,
}

/// How one target stands.
#[derive(Debug, Default)]
pub struct Standing {
    /// Since when it is troubled, if it is.
    troubled: watch::Sender<Option<Instant>>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// When a probe last left, or was left out.
    last: Option<Instant>,
    /// When the faster probes of the last hour left.
    faster: VecDeque<Instant>,
    /// The latest fire of the cron expression that was answered.
    answered: Option<Timestamp>,
    /// What the last probe complained of.
    complaint: Option<String>,
    /// The UTC day of the dearest probe, as days since the epoch, and what it was charged in US
    /// dollars.
    dearest: (u64, f64),
}

impl Standings {
    /// The standing of one target.
    pub fn of(&self, target: &Target) -> Arc<Standing> {
        Arc::clone(lock(&self.by_target).entry(target.clone()).or_default())
    }

    /// Forgets all targets but these.
    pub fn keep_only<'a>(&self, targets: impl IntoIterator<Item = &'a Target>) {
        let mut by_target = lock(&self.by_target);
        let mut kept = BTreeMap::new();
        for target in targets {
            if let Some((target, standing)) = by_target.remove_entry(target) {
                kept.insert(target, standing);
            }
        }
        *by_target = kept;
    }

    /// Takes what is published now; wakes the loops of the targets for which it changes anything.
    pub fn update(&self, snapshot: &Snapshot) {
        for (target, standing) in lock(&self.by_target).iter() {
            let view = snapshot.target(target).filter(|_| !snapshot.egress);
            standing.set_troubled(view.is_some_and(is_troubled));
        }
    }
}

impl Standing {
    /// Says whether the target is troubled.
    pub(super) fn set_troubled(&self, troubled: bool) {
        self.troubled.send_if_modified(|since| {
            let changes = since.is_some() != troubled;
            if changes {
                *since = troubled.then(Instant::now);
            }
            changes
        });
    }

    /// Whether the target is troubled.
    pub fn is_troubled(&self) -> bool {
        self.troubled.borrow().is_some()
    }

    /// Since when it is troubled, to be watched.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Instant>> {
        self.troubled.subscribe()
    }

    /// When a probe last left, or was left out.
    pub fn last(&self) -> Option<Instant> {
        self.memory().last
    }

    /// A probe leaves `now`, or is left out.
    pub(super) fn note_last(&self, now: Instant) {
        self.memory().last = Some(now);
    }

    /// A faster probe left `now`.
    pub(super) fn note_faster(&self, now: Instant) {
        self.memory().faster.push_back(now);
    }

    /// How many faster probes left in the hour before `now`.
    pub(super) fn faster_in_hour(&self, now: Instant) -> usize {
        let mut memory = self.memory();
        let old = |at: &Instant| now.saturating_duration_since(*at) >= HOUR;
        while memory.faster.front().is_some_and(old) {
            memory.faster.pop_front();
        }
        memory.faster.len()
    }

    /// The fire of the cron expression that was answered last.
    pub fn answered(&self) -> Option<Timestamp> {
        self.memory().answered
    }

    /// The loop has answered this fire, or need not.
    pub fn note_answered(&self, fired: Timestamp) {
        self.memory().answered = Some(fired);
    }

    /// What the dearest probe of the day of `now` was charged, in US dollars: the next may cost as
    /// much. A new day forgets it, or one broken count of tokens would end all probes.
    pub(super) fn dearest_usd(&self, now: Timestamp) -> f64 {
        let (day, usd) = self.memory().dearest;
        if day == now.millis() / DAY_MS { usd } else { 0.0 }
    }

    /// A probe was charged with this much, in US dollars.
    pub(super) fn note_charge(&self, now: Timestamp, usd: f64) {
        let usd = usd.max(self.dearest_usd(now));
        self.memory().dearest = (now.millis() / DAY_MS, usd);
    }

    /// Notes what a probe complained of, if of anything; true if it is a new complaint.
    pub(super) fn note_complaint(&self, complaint: Option<&String>) -> bool {
        let mut memory = self.memory();
        let is_new = complaint.is_some() && memory.complaint.as_ref() != complaint;
        memory.complaint = complaint.cloned();
        is_new
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

/// Whether the published evidence says that a target is not well. Silence says nothing: neither
/// before the first outcome nor once the last is too old, when it is unknown and probed as usual.
fn is_troubled(view: &TargetView) -> bool {
    let unwell = |signal: Signal| view.signals[signal.index()].p_healthy <= P_HEALTHY_MIN;
    view.last_outcome_at.is_some() && !view.stale && SIGNALS.into_iter().any(unwell)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is a single step: whole even if a holder panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
