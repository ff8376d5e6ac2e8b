//! The detectors of one target: a feed that fills up during a second, and a tick that drains it.

use std::time::Duration;

use crate::domain::detect::{Evidence, Filter, Grid};
use crate::domain::outcome::{Attempt, Class, Outcome, Signal, Source};
use crate::domain::state::{Facts, Reason, SignalState, TargetState, decide};
use crate::domain::time::Timestamp;

use super::snapshot::SignalView;

/// The three grids, shared by every target.
#[derive(Debug)]
pub(super) struct Grids([Grid; Signal::COUNT]);

impl Grids {
    pub(super) fn new(thresholds: &crate::domain::bounds::Thresholds) -> Self {
        Self(Signal::ALL.map(|signal| Grid::new(thresholds.of(signal))))
    }
}

/// What one target's detectors know.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    feed: Feed,
    signals: [Watched; Signal::COUNT],
    state: TargetState,
    reason: Reason,
    stale: bool,
    since: Timestamp,
    transitions: u64,
}

/// First attempts of the running second.
#[derive(Clone, Copy, Debug, Default)]
struct Feed {
    ok: u64,
    failures: [u64; Signal::COUNT],
    /// Those of the outage failures that were of class `network`.
    network: u64,
}

/// One signal's filter and what it takes to publish it.
#[derive(Clone, Debug)]
struct Watched {
    filter: Filter,
    evidence: Evidence,
}

impl Judge {
    /// A target first known `now`, probed every `probe_interval` if at all.
    pub(super) fn new(grids: &Grids, probe_interval: Option<Duration>, now: Timestamp) -> Self {
        let watched = |grid: &Grid| Watched {
            filter: Filter::new(grid),
            evidence: Evidence::new(probe_interval),
        };
        Self {
            feed: Feed::default(),
            signals: grids.0.each_ref().map(watched),
            state: TargetState::Unknown,
            reason: Reason::NoEvidence,
            stale: false,
            since: now,
            transitions: 0,
        }
    }

    /// Takes a fresh outcome into the running second.
    ///
    /// Retries are correlated with what they repeat and say nothing new about the rate; a probe
    /// that is misconfigured says something about us, not about the provider.
    pub(super) fn feed(&mut self, outcome: &Outcome) {
        let misconfigured =
            outcome.source == Source::Probe && outcome.class.is_misconfigured_probe();
        if outcome.attempt == Attempt::Retry || misconfigured {
            return;
        }
        let count = u64::from(outcome.count);
        if outcome.class == Class::Ok {
            self.feed.ok += count;
        } else if let Some(signal) = outcome.class.signal() {
            self.feed.failures[signal.index()] += count;
            if outcome.class == Class::Network {
                self.feed.network += count;
            }
        }
    }

    /// Advances by `seconds`: the missing ones as empty, the last with what the feed holds.
    pub(super) fn tick(&mut self, grids: &Grids, seconds: u64, egress: bool, now: Timestamp) {
        let mut feed = std::mem::take(&mut self.feed);
        if egress {
            // The fault is ours: not a word of it goes to the provider's account.
            feed.failures[Signal::Outage.index()] -= feed.network;
        }
        for ((watched, grid), failures) in self.signals.iter_mut().zip(&grids.0).zip(feed.failures)
        {
            watched.tick(grid, seconds, feed.ok + failures, failures);
        }
        self.decide(grids, egress, now);
    }

    /// Adopts another probe interval: evidence from sparse probes stays valid for longer.
    pub(super) fn set_probe_interval(&mut self, probe_interval: Option<Duration>) {
        for watched in &mut self.signals {
            watched.evidence.set_probe_interval(probe_interval);
        }
    }

    fn decide(&mut self, grids: &Grids, egress: bool, now: Timestamp) {
        let published = std::array::from_fn::<_, { Signal::COUNT }, _>(|index| {
            self.signals[index].publish(&grids.0[index])
        });
        let [overload, outage, _] = published;
        self.stale = overload.1 && outage.1;
        let signals = published.map(|(state, _)| state);
        let (state, reason) = decide(&Facts { signals, stale: self.stale, egress });
        if state != self.state {
            self.since = now;
            self.transitions += 1;
        }
        self.state = state;
        self.reason = reason;
    }

    pub(super) fn verdict(&self) -> (TargetState, Reason) {
        (self.state, self.reason)
    }

    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn stale(&self) -> bool {
        self.stale
    }

    pub(super) fn transitions(&self) -> u64 {
        self.transitions
    }

    /// The signals as published.
    pub(super) fn signals(&self, grids: &Grids) -> [SignalView; Signal::COUNT] {
        std::array::from_fn(|index| self.signals[index].view(&grids.0[index]))
    }
}

impl Watched {
    fn tick(&mut self, grid: &Grid, seconds: u64, decided: u64, failures: u64) {
        if seconds > 1 {
            self.filter.run_idle(grid, seconds - 1);
            self.evidence.run_idle(seconds - 1);
        }
        self.filter.tick(grid, decided, failures);
        self.evidence.tick(decided);
    }

    fn publish(&self, grid: &Grid) -> (SignalState, bool) {
        self.evidence.publish(self.filter.decision(), self.filter.posterior(grid).p_overloaded)
    }

    fn view(&self, grid: &Grid) -> SignalView {
        let posterior = self.filter.posterior(grid);
        SignalView {
            state: self.evidence.publish(self.filter.decision(), posterior.p_overloaded).0,
            estimate: posterior.estimate,
            low: posterior.low,
            high: posterior.high,
            p_healthy: posterior.p_healthy,
            p_degraded: posterior.p_degraded,
            p_overloaded: posterior.p_overloaded,
            confidence: posterior.confidence.as_str(),
        }
    }
}
