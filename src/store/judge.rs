//! The detectors of one target: a feed that fills up during a second, and a tick that drains it.

use std::time::Duration;

use crate::domain::bounds::Thresholds;
use crate::domain::detect::{Evidence, Filter, Grid};
use crate::domain::outcome::{Attempt, Class, Outcome, Signal, Source};
use crate::domain::state::{Facts, Reason, SignalState, TargetState, decide};
use crate::domain::time::Timestamp;

use super::egress::Egress;
use super::snapshot::SignalView;

/// In silence the filters relax a little every second. Showing that would make every health answer
/// new every second and tell nobody anything; once a minute is enough.
const SHOWN_FOR: Duration = Duration::from_secs(60);

/// The three grids, shared by every target.
#[derive(Debug)]
pub(super) struct Grids([Grid; Signal::COUNT]);

impl Grids {
    pub(super) fn new(thresholds: &Thresholds) -> Self {
        Self(Signal::ALL.map(|signal| Grid::new(thresholds.of(signal))))
    }

    /// Adopts other thresholds; tells which signals they changed.
    pub(super) fn adopt(&mut self, thresholds: &Thresholds) -> Vec<Signal> {
        let changed = |signal: &Signal| thresholds.of(*signal) != self.0[signal.index()].bounds();
        let changed: Vec<Signal> = Signal::ALL.into_iter().filter(changed).collect();
        for signal in &changed {
            self.0[signal.index()] = Grid::new(thresholds.of(*signal));
        }
        changed
    }
}

/// What one target's detectors know.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    feed: Feed,
    signals: [Watched; Signal::COUNT],
    /// The signals as last shown, and when.
    shown: [SignalView; Signal::COUNT],
    shown_at: Timestamp,
    heard: bool,
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
    /// Failures of class `network` of earlier seconds, held back while it is open whose they are.
    held: u64,
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
        let signals = grids.0.each_ref().map(|grid| Watched::new(grid, probe_interval));
        Self {
            feed: Feed::default(),
            shown: views(&signals, grids),
            shown_at: now,
            heard: false,
            signals,
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
    pub(super) fn tick(&mut self, grids: &Grids, seconds: u64, egress: Egress, now: Timestamp) {
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
        for ((watched, grid), failures) in self.signals.iter_mut().zip(&grids.0).zip(feed.failures)
        {
            watched.tick(grid, seconds, feed.ok + failures, failures);
        }
        let heard = feed.ok > 0 || feed.failures.iter().any(|failures| *failures > 0);
        self.heard |= heard;
        self.decide(grids, egress == Egress::Certain, now);
        let silent_for_long = self.heard && now.since(self.shown_at) >= SHOWN_FOR;
        let states = |views: &[SignalView; Signal::COUNT]| views.each_ref().map(|v| v.state);
        let views = views(&self.signals, grids);
        if heard || silent_for_long || states(&views) != states(&self.shown) {
            self.shown = views;
            self.shown_at = now;
        }
    }

    /// Starts one signal afresh, because its thresholds changed.
    pub(super) fn restart(
        &mut self,
        signal: Signal,
        grids: &Grids,
        probe_interval: Option<Duration>,
    ) {
        self.signals[signal.index()] = Watched::new(&grids.0[signal.index()], probe_interval);
        self.shown = views(&self.signals, grids);
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
        let unknown = |(state, _): (SignalState, bool)| state == SignalState::Unknown;
        self.stale = unknown(overload) && unknown(outage) && (overload.1 || outage.1);
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

    /// The signals as shown: as of the last second that brought something, a change of state, or
    /// the last minute of silence.
    pub(super) fn signals(&self) -> [SignalView; Signal::COUNT] {
        self.shown
    }
}

fn views(signals: &[Watched; Signal::COUNT], grids: &Grids) -> [SignalView; Signal::COUNT] {
    std::array::from_fn(|index| signals[index].view(&grids.0[index]))
}

impl Watched {
    fn new(grid: &Grid, probe_interval: Option<Duration>) -> Self {
        Self { filter: Filter::new(grid), evidence: Evidence::new(probe_interval) }
    }

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
