//! What is believed of one target: a panel of detectors for attempts, one for operations where
//! there are any, and what both together say.

use std::time::Duration;

use crate::domain::bounds::Thresholds;
use crate::domain::detect::Grid;
use crate::domain::layer::Basis;
use crate::domain::outcome::{Attempt, Class, Outcome, Signal, Source};
use crate::domain::state::{Facts, Reason, SignalState, TargetState, decide, weigh};
use crate::domain::time::Timestamp;

use super::bench::Bench;
use super::egress::Egress;
use super::panel::Watched;
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

    pub(super) fn of(&self, signal: Signal) -> &Grid {
        &self.0[signal.index()]
    }

    pub(super) fn each(&self) -> [&Grid; Signal::COUNT] {
        self.0.each_ref()
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
    attempts: Bench,
    /// Made when the first operation comes.
    operations: Option<Box<Operations>>,
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

/// What calls say whose attempts are hidden.
#[derive(Clone, Debug)]
struct Operations {
    bench: Bench,
    /// How many calls were retried, of those whose source tells: what their first attempts ended
    /// as is not known, so it bounds what hides behind the successes.
    retried: Watched,
    calls: u64,
    retried_calls: u64,
}

/// What is published of the signals, in the order of [`Signal::ALL`].
type Published = [(SignalState, Basis); Signal::COUNT];

impl Judge {
    /// A target first known `now`, probed every `probe_interval` if at all.
    pub(super) fn new(grids: &Grids, probe_interval: Option<Duration>, now: Timestamp) -> Self {
        let attempts = Bench::new(Basis::Attempt, grids, probe_interval);
        let view = |signal| attempts.view(signal, SignalState::Unknown, grids);
        Self {
            shown: Signal::ALL.map(view),
            shown_at: now,
            heard: false,
            attempts,
            operations: None,
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
    pub(super) fn feed(&mut self, outcome: &Outcome, grids: &Grids) {
        let misconfigured =
            outcome.source == Source::Probe && outcome.class.is_misconfigured_probe();
        // What completes a success that was counted on its first content is no other attempt.
        let completes = outcome.replaces.is_some() && outcome.class == Class::Ok;
        if misconfigured || completes {
            return;
        }
        match outcome.basis {
            Basis::Attempt if outcome.attempt == Attempt::Retry => {}
            Basis::Attempt => self.attempts.feed(outcome, grids),
            Basis::Operation => {
                let interval = self.attempts.probe_interval();
                let new = || Box::new(Operations::new(grids, interval));
                self.operations.get_or_insert_with(new).feed(outcome, grids);
            }
        }
    }

    /// Advances by `seconds`: the missing ones as empty, the last with what the feed holds.
    pub(super) fn tick(&mut self, grids: &Grids, seconds: u64, egress: Egress, now: Timestamp) {
        let mut heard = self.attempts.tick(grids, seconds, egress);
        if let Some(operations) = &mut self.operations {
            heard |= operations.tick(grids, seconds, egress);
        }
        self.heard |= heard;
        let published = self.decide(grids, egress == Egress::Certain, now);
        let silent_for_long = self.heard && now.since(self.shown_at) >= SHOWN_FOR;
        let states = |views: &[SignalView; Signal::COUNT]| views.each_ref().map(|v| v.state);
        if heard || silent_for_long || published.map(|(state, _)| state) != states(&self.shown) {
            self.shown = self.views(published, grids);
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
        self.attempts.restart(signal, grids, probe_interval);
        if let Some(operations) = &mut self.operations {
            operations.restart(signal, grids, probe_interval);
        }
        self.shown = self.views(self.published(grids).0, grids);
    }

    /// Adopts another probe interval: evidence from sparse probes stays valid for longer.
    pub(super) fn set_probe_interval(&mut self, probe_interval: Option<Duration>) {
        self.attempts.set_probe_interval(probe_interval);
        if let Some(operations) = &mut self.operations {
            operations.bench.set_probe_interval(probe_interval);
        }
    }

    /// What is published of the signals, and whether the two that bear the state are unknown
    /// because of their age.
    fn published(&self, grids: &Grids) -> (Published, bool) {
        let attempts = Signal::ALL.map(|signal| self.attempts.publish(signal, grids));
        let operations = Signal::ALL.map(|signal| match &self.operations {
            Some(operations) => operations.publish(signal, grids),
            None => (SignalState::Unknown, false),
        });
        let weighed = |index: usize| weigh(attempts[index].state, operations[index].0);
        let published: Published = std::array::from_fn(weighed);
        let bearing = [Signal::Overload.index(), Signal::Outage.index()];
        let unknown = bearing.iter().all(|index| published[*index].0 == SignalState::Unknown);
        let aged = bearing.iter().any(|index| attempts[*index].is_aged || operations[*index].1);
        (published, unknown && aged)
    }

    fn decide(&mut self, grids: &Grids, egress: bool, now: Timestamp) -> Published {
        let (published, stale) = self.published(grids);
        self.stale = stale;
        let signals = published.map(|(state, _)| state);
        let (state, reason) = decide(&Facts { signals, stale, egress });
        if state != self.state {
            self.since = now;
            self.transitions += 1;
        }
        self.state = state;
        self.reason = reason;
        published
    }

    fn views(&self, published: Published, grids: &Grids) -> [SignalView; Signal::COUNT] {
        Signal::ALL.map(|signal| {
            let (state, basis) = published[signal.index()];
            let bench = match (&self.operations, basis) {
                (Some(operations), Basis::Operation) => &operations.bench,
                (None, _) | (_, Basis::Attempt) => &self.attempts,
            };
            bench.view(signal, state, grids)
        })
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

impl Operations {
    fn new(grids: &Grids, probe_interval: Option<Duration>) -> Self {
        Self {
            bench: Bench::new(Basis::Operation, grids, probe_interval),
            retried: Watched::new(grids.of(Signal::Overload), None),
            calls: 0,
            retried_calls: 0,
        }
    }

    fn feed(&mut self, outcome: &Outcome, grids: &Grids) {
        self.bench.feed(outcome, grids);
        if outcome.layer.can_clear(Basis::Operation) {
            let count = u64::from(outcome.count);
            self.calls += count;
            if outcome.unclassified > 0 || outcome.attempt == Attempt::Retry {
                self.retried_calls += count;
            }
        }
    }

    fn tick(&mut self, grids: &Grids, seconds: u64, egress: Egress) -> bool {
        let (calls, retried) =
            (std::mem::take(&mut self.calls), std::mem::take(&mut self.retried_calls));
        self.retried.tick(grids.of(Signal::Overload), seconds, calls, retried);
        self.bench.tick(grids, seconds, egress)
    }

    fn restart(&mut self, signal: Signal, grids: &Grids, probe_interval: Option<Duration>) {
        self.bench.restart(signal, grids, probe_interval);
        if signal == Signal::Overload {
            self.retried = Watched::new(grids.of(signal), None);
        }
    }

    /// Healthy only while hardly any call was retried; anything worse as it is.
    fn publish(&self, signal: Signal, grids: &Grids) -> (SignalState, bool) {
        let verdict = self.bench.publish(signal, grids);
        let (retried, _) = self.retried.publish(grids.of(Signal::Overload));
        let hides = verdict.state == SignalState::Healthy && retried != SignalState::Healthy;
        if hides { (SignalState::Unknown, false) } else { (verdict.state, verdict.is_aged) }
    }
}
