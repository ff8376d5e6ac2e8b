//! Whether a decision may be published, or the honest answer is `unknown`.
//!
//! The filter relaxes slowly in silence and would go on saying what it last knew. What is
//! published needs outcomes that are recent and, unless the filter is all but certain of an
//! overload, more than two or three of them.

use std::time::Duration;

use super::filter::Decision;
use crate::domain::state::SignalState;

/// A signal is stale without an outcome in the longer of this time and five probe intervals.
const STALE_S: u64 = 300;
const STALE_INTERVALS: u64 = 5;
/// Half-life of the evidence: the longer of this and ten probe intervals.
const HALF_LIFE_S: f64 = 600.0;
const HALF_LIFE_INTERVALS: f64 = 10.0;
/// Least evidence that may be published.
const N_EFF_MIN: f64 = 3.0;
/// P(overloaded) above which even less will do: three failures in a row are no accident.
const CERTAIN: f64 = 0.99;

/// The evidence behind one signal of one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    n_eff: f64,
    idle_s: u64,
    seen: bool,
    stale_after_s: u64,
    half_life_s: f64,
}

impl Evidence {
    /// No evidence yet; `probe_interval` is the target's, if it is probed.
    pub fn new(probe_interval: Option<Duration>) -> Self {
        let mut evidence =
            Self { n_eff: 0.0, idle_s: 0, seen: false, stale_after_s: 0, half_life_s: 0.0 };
        evidence.set_probe_interval(probe_interval);
        evidence
    }

    /// Changes the probe interval, as after a reload; what was seen stays seen.
    pub fn set_probe_interval(&mut self, probe_interval: Option<Duration>) {
        let interval = probe_interval.unwrap_or_default();
        self.stale_after_s = STALE_S.max(interval.as_secs().saturating_mul(STALE_INTERVALS));
        self.half_life_s = HALF_LIFE_S.max(interval.as_secs_f64() * HALF_LIFE_INTERVALS);
    }

    /// Passes one second in which `n` outcomes of the signal ended.
    pub fn tick(&mut self, n: u64) {
        self.run_idle(1);
        if n > 0 {
            self.n_eff += n as f64;
            self.idle_s = 0;
            self.seen = true;
        }
    }

    /// Passes seconds without any outcome.
    pub fn run_idle(&mut self, seconds: u64) {
        self.n_eff *= (-std::f64::consts::LN_2 * seconds as f64 / self.half_life_s).exp();
        self.idle_s = self.idle_s.saturating_add(seconds);
    }

    /// What to publish for a filter's decision, and whether it is `unknown` because the last
    /// outcome is too old (and not because there never was enough).
    pub fn publish(&self, decision: Decision, p_overloaded: f64) -> (SignalState, bool) {
        if !self.seen {
            return (SignalState::Unknown, false);
        }
        if self.idle_s >= self.stale_after_s {
            return (SignalState::Unknown, true);
        }
        if self.n_eff < N_EFF_MIN && p_overloaded <= CERTAIN {
            return (SignalState::Unknown, false);
        }
        let state = match decision {
            Decision::Healthy => SignalState::Healthy,
            Decision::Degraded => SignalState::Degraded,
            Decision::Overloaded => SignalState::Overloaded,
        };
        (state, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_target_is_unknown_not_healthy() {
        // outcomes, then silence, probe interval -> state, stale
        let minute = Some(Duration::from_secs(60));
        let hour = Some(Duration::from_secs(3_600));
        for (outcomes, silence_s, interval, state, stale) in [
            (0, 0, None, SignalState::Unknown, false),
            (0, 86_400, None, SignalState::Unknown, false),
            (2, 0, None, SignalState::Unknown, false),
            (4, 0, None, SignalState::Healthy, false),
            (100, 299, None, SignalState::Healthy, false),
            (100, 300, None, SignalState::Unknown, true),
            (100, 300, minute, SignalState::Unknown, true),
            (100, 17_999, hour, SignalState::Healthy, false),
            (100, 18_000, hour, SignalState::Unknown, true),
            (100, u64::MAX, hour, SignalState::Unknown, true),
        ] {
            let mut evidence = Evidence::new(interval);
            evidence.tick(outcomes);
            evidence.run_idle(silence_s);
            assert_eq!(
                evidence.publish(Decision::Healthy, 0.01),
                (state, stale),
                "{outcomes} outcomes, {silence_s} s, {interval:?}"
            );
        }
    }

    #[test]
    fn little_evidence_will_do_for_a_certain_overload() {
        let mut evidence = Evidence::new(None);
        for _ in 0..3 {
            evidence.tick(1);
        }
        let overloaded = Decision::Overloaded;
        assert_eq!(evidence.publish(overloaded, 0.95), (SignalState::Unknown, false));
        assert_eq!(evidence.publish(overloaded, 0.99), (SignalState::Unknown, false));
        assert_eq!(evidence.publish(overloaded, 0.999), (SignalState::Overloaded, false));
    }

    #[test]
    fn a_slow_probe_keeps_its_target_known() {
        let mut evidence = Evidence::new(Some(Duration::from_secs(1_800)));
        for _ in 0..10 {
            evidence.tick(1);
            evidence.run_idle(1_799);
        }
        assert_eq!(evidence.publish(Decision::Healthy, 0.01), (SignalState::Healthy, false));
        evidence.run_idle(5 * 1_800);
        assert_eq!(evidence.publish(Decision::Healthy, 0.01), (SignalState::Unknown, true));
    }
}
