//! How long successes take: sketches that forget.

use crate::domain::outcome::Outcome;
use crate::domain::sketch::Sketch;
use crate::domain::time::{MINUTE_MS, Timestamp};

use super::snapshot::LatencyView;

/// Each latency sketch covers this long; quantiles read the running one and the one before.
const LATENCY_SPAN_MS: u64 = 5 * MINUTE_MS;

/// Two generations of sketches, so that quantiles forget.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency {
    span: u64,
    duration: [Sketch; 2],
    time_to_first_token: [Sketch; 2],
}

impl Latency {
    /// Takes a success that ended at `at`.
    pub(super) fn observe(&mut self, outcome: &Outcome, at: Timestamp, now: Timestamp) {
        self.turn(now);
        let span = at.millis() / LATENCY_SPAN_MS;
        let Some(generation) = self.span.checked_sub(span).filter(|age| *age < 2) else {
            return;
        };
        let generation = usize::from(generation == 1);
        if let Some(duration) = outcome.duration {
            self.duration[generation].observe(duration, outcome.count);
        }
        if let Some(ttft) = outcome.time_to_first_token {
            self.time_to_first_token[generation].observe(ttft, outcome.count);
        }
    }

    /// Moves to the span of `now`, keeping the span before it; a clock that stepped back starts
    /// afresh.
    fn turn(&mut self, now: Timestamp) {
        let span = now.millis() / LATENCY_SPAN_MS;
        match span.checked_sub(self.span) {
            Some(0) => return,
            Some(1) => {
                self.duration = [Sketch::default(), self.duration[0]];
                self.time_to_first_token = [Sketch::default(), self.time_to_first_token[0]];
            }
            Some(2..) | None => {
                self.duration = Default::default();
                self.time_to_first_token = Default::default();
            }
        }
        self.span = span;
    }

    /// The quantiles as of `now`.
    pub(super) fn view(&self, now: Timestamp) -> LatencyView {
        let mut current = self.clone();
        current.turn(now);
        let [new, old] = &current.duration;
        let [new_ttft, old_ttft] = &current.time_to_first_token;
        LatencyView {
            p50: new.quantile(old, 0.5),
            p95: new.quantile(old, 0.95),
            ttft_p50: new_ttft.quantile(old_ttft, 0.5),
        }
    }
}
