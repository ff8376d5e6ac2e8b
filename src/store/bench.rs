//! The panels of one target on one basis: sources that see what can go wrong, and the others.
//!
//! Successes of a source that is blind to some failures would outvote the failures that others
//! see. So they have detectors of their own, which may say that something is wrong and never that
//! nothing is.

use std::time::Duration;

use crate::domain::layer::Basis;
use crate::domain::outcome::{Outcome, Signal};
use crate::domain::state::SignalState;

use super::egress::Egress;
use super::judge::Grids;
use super::panel::Panel;
use super::snapshot::SignalView;

/// Two panels, the second made when the first outcome of a blind source comes.
#[derive(Clone, Debug)]
pub(super) struct Bench {
    basis: Basis,
    seeing: Panel,
    blind: Option<Box<Panel>>,
    probe_interval: Option<Duration>,
}

/// What is to be published of one signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) state: SignalState,
    /// Whether it is unknown because the last outcome is too old.
    pub(super) is_aged: bool,
    /// Whether the blind sources decided.
    by_the_blind: bool,
}

impl Bench {
    pub(super) fn new(basis: Basis, grids: &Grids, probe_interval: Option<Duration>) -> Self {
        let seeing = Panel::new(basis, grids, probe_interval);
        Self { basis, seeing, blind: None, probe_interval }
    }

    /// Takes an outcome into the running second.
    pub(super) fn feed(&mut self, outcome: &Outcome, grids: &Grids) {
        if outcome.layer.can_clear(outcome.basis) {
            self.seeing.feed(outcome);
            return;
        }
        let (basis, interval) = (self.basis, self.probe_interval);
        let new = || Box::new(Panel::new(basis, grids, interval));
        self.blind.get_or_insert_with(new).feed(outcome);
    }

    /// Advances by `seconds`; whether anything came in them.
    pub(super) fn tick(&mut self, grids: &Grids, seconds: u64, egress: Egress) -> bool {
        let mut heard = self.seeing.tick(grids, seconds, egress);
        if let Some(blind) = &mut self.blind {
            heard |= blind.tick(grids, seconds, egress);
        }
        heard
    }

    /// Starts one signal afresh, because its thresholds changed.
    pub(super) fn restart(
        &mut self,
        signal: Signal,
        grids: &Grids,
        probe_interval: Option<Duration>,
    ) {
        self.seeing.restart(signal, grids, probe_interval);
        if let Some(blind) = &mut self.blind {
            blind.restart(signal, grids, probe_interval);
        }
    }

    /// Adopts another probe interval: evidence from sparse probes stays valid for longer.
    pub(super) fn set_probe_interval(&mut self, probe_interval: Option<Duration>) {
        self.probe_interval = probe_interval;
        self.seeing.set_probe_interval(probe_interval);
        if let Some(blind) = &mut self.blind {
            blind.set_probe_interval(probe_interval);
        }
    }

    /// How often the target is probed, if at all.
    pub(super) fn probe_interval(&self) -> Option<Duration> {
        self.probe_interval
    }

    /// What to publish of one signal.
    pub(super) fn publish(&self, signal: Signal, grids: &Grids) -> Verdict {
        let (state, is_aged) = self.seeing.publish(signal, grids);
        let seeing = Verdict { state, is_aged, by_the_blind: false };
        let Some(blind) = &self.blind else { return seeing };
        match blind.publish(signal, grids) {
            (worse, _) if worse > SignalState::Healthy && worse > state => {
                Verdict { state: worse, is_aged: false, by_the_blind: true }
            }
            // Its numbers are all there is to show.
            (SignalState::Healthy, _) if state == SignalState::Unknown => {
                Verdict { by_the_blind: true, ..seeing }
            }
            (_, too) if state == SignalState::Unknown => {
                Verdict { is_aged: is_aged || too, ..seeing }
            }
            _ => seeing,
        }
    }

    /// What to show of one signal that is published as `state`.
    pub(super) fn view(&self, signal: Signal, state: SignalState, grids: &Grids) -> SignalView {
        match &self.blind {
            Some(blind) if self.publish(signal, grids).by_the_blind => {
                blind.view(signal, state, grids)
            }
            Some(_) | None => self.seeing.view(signal, state, grids),
        }
    }
}
