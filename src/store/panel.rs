//! The detectors of one target on one basis: a feed that fills up during a second, and a tick
//! that drains it.

use std::time::Duration;

use crate::domain::detect::{Evidence, Filter, Grid};
use crate::domain::layer::Basis;
use crate::domain::outcome::{Class, Outcome, Signal};
use crate::domain::state::SignalState;

use super::egress::Egress;
use super::judge::Grids;
use super::snapshot::SignalView;

/// Three filters that see the same outcomes.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    basis: Basis,
    feed: Feed,
    signals: [Watched; Signal::COUNT],
}

/// Outcomes of the running second.
#[derive(Clone, Copy, Debug, Default)]
struct Feed {
    ok: u64,
    failures: [u64; Signal::COUNT],
    /// Those of the outage failures that were of class `network`.
    network: u64,
    /// Failures of class `network` of earlier seconds, held back while it is open whose they are.
    held: u64,
}

/// One filter and what it takes to publish it.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    filter: Filter,
    evidence: Evidence,
}

impl Panel {
    pub(super) fn new(basis: Basis, grids: &Grids, probe_interval: Option<Duration>) -> Self {
        Self {
            basis,
            feed: Feed::default(),
            signals: grids.each().map(|grid| Watched::new(grid, probe_interval)),
        }
    }

    /// Takes an outcome into the running second.
    pub(super) fn feed(&mut self, outcome: &Outcome) {
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
    /// Returns whether it held anything.
    pub(super) fn tick(&mut self, grids: &Grids, seconds: u64, egress: Egress) -> bool {
        let mut feed = std::mem::take(&mut self.feed);
        let outage = &mut feed.failures[Signal::Outage.index()];
        match egress {
            Egress::Clear => *outage += feed.held,
            Egress::Suspected => {
                *outage -= feed.network;
                self.feed.held = feed.held + feed.network;
            }
            // The fault is ours: none of it goes to the provider's account.
            Egress::Certain => *outage -= feed.network,
        }
        for ((watched, grid), failures) in
            self.signals.iter_mut().zip(grids.each()).zip(feed.failures)
        {
            watched.tick(grid, seconds, feed.ok + failures, failures);
        }
        feed.ok > 0 || feed.failures.iter().any(|failures| *failures > 0)
    }

    /// Starts one signal afresh, because its thresholds changed.
    pub(super) fn restart(
        &mut self,
        signal: Signal,
        grids: &Grids,
        probe_interval: Option<Duration>,
    ) {
        self.signals[signal.index()] = Watched::new(grids.of(signal), probe_interval);
    }

    /// Adopts another probe interval: evidence from sparse probes stays valid for longer.
    pub(super) fn set_probe_interval(&mut self, probe_interval: Option<Duration>) {
        for watched in &mut self.signals {
            watched.evidence.set_probe_interval(probe_interval);
        }
    }

    /// What to publish of one signal, and whether it is `unknown` because of its age.
    pub(super) fn publish(&self, signal: Signal, grids: &Grids) -> (SignalState, bool) {
        self.signals[signal.index()].publish(grids.of(signal))
    }

    /// What to show of one signal that is published as `state`.
    pub(super) fn view(&self, signal: Signal, state: SignalState, grids: &Grids) -> SignalView {
        let posterior = self.signals[signal.index()].filter.posterior(grids.of(signal));
        SignalView {
            state,
            basis: self.basis,
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

impl Watched {
    pub(super) fn new(grid: &Grid, probe_interval: Option<Duration>) -> Self {
        Self { filter: Filter::new(grid), evidence: Evidence::new(probe_interval) }
    }

    pub(super) fn tick(&mut self, grid: &Grid, seconds: u64, decided: u64, failures: u64) {
        if seconds > 1 {
            self.filter.run_idle(grid, seconds - 1);
            self.evidence.run_idle(seconds - 1);
        }
        self.filter.tick(grid, decided, failures);
        self.evidence.tick(decided);
    }

    pub(super) fn publish(&self, grid: &Grid) -> (SignalState, bool) {
        self.evidence.publish(self.filter.decision(), self.filter.posterior(grid).p_overloaded)
    }
}
