//! The moving part: what is believed of one signal of one target, a second at a time.

use super::grid::{BANDS, DEGRADED, Grid, OVERLOADED, POINTS, Weights, sum};

/// Most attempts that one second may speak for: a batch that fails together is one event, not a
/// thousand. Costs one to four seconds of delay at 1000 attempts a second.
const ATTEMPTS_MAX: f64 = 200.0;
/// Least weight of a state after an update, so that none is ever ruled out for good.
const FLOOR: f64 = 1e-12;
/// Half-life of the effective sample size in seconds, and what a second leaves: 0.5^(1/600).
const HALF_LIFE_S: f64 = 600.0;
const LEFT_PER_S: f64 = 0.998_845_421_738_030_1;
/// Idle seconds after which a filter starts afresh: what was known six hours ago says nothing.
const RESET_S: u32 = 21_600;

/// Into overloaded above this P(overloaded), out of it below the other: hysteresis against flaps.
const OVERLOADED_ABOVE: f64 = 0.90;
const OVERLOADED_UNTIL: f64 = 0.25;
/// Into degraded above this P(not healthy), out of it below the other.
const DEGRADED_ABOVE: f64 = 0.85;
const DEGRADED_UNTIL: f64 = 0.30;
/// An overload that ends leaves degraded behind if P(not healthy) is above this.
const DEGRADED_AFTER: f64 = 0.5;

/// The filter's own decision: step 5 of the specification, before `unknown` and `stale`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Below the lower threshold.
    #[default]
    Healthy,
    /// Between the thresholds.
    Degraded,
    /// Above the upper threshold.
    Overloaded,
}

impl Decision {
    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Overloaded => "overloaded",
        }
    }
}

/// Belief about one signal of one target. About 400 bytes, no allocation.
///
/// It belongs to the [`Grid`] it was made with; ticking it with another grid gives nonsense, but
/// never a panic.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub(super) weights: Weights,
    pub(super) n_eff: f64,
    idle_s: u32,
    decision: Decision,
}

impl Filter {
    /// The belief about a target of which nothing is known.
    pub fn new(grid: &Grid) -> Self {
        Self { weights: grid.prior, n_eff: 0.0, idle_s: 0, decision: Decision::Healthy }
    }

    /// Passes one second in which `n` first attempts ended, `failures` of them as a failure of the
    /// signal (more failures than attempts count as all of them).
    pub fn tick(&mut self, grid: &Grid, n: u64, failures: u64) -> Decision {
        if n == 0 {
            return self.tick_idle(grid);
        }
        self.idle_s = 0;
        grid.pass_second(&mut self.weights);
        self.observe(grid, n as f64, failures.min(n) as f64);
        self.n_eff = self.n_eff * LEFT_PER_S + n as f64;
        self.decide()
    }

    /// Passes seconds without any attempt, as after a pause of the process. Equals that many empty
    /// ticks; the cost is bounded however long the pause, beyond six hours it is a reset.
    pub fn run_idle(&mut self, grid: &Grid, seconds: u64) -> Decision {
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        if self.idle_s.saturating_add(seconds) >= RESET_S {
            self.reset(grid);
            return self.decision;
        }
        // An overload may end in two ways, depending on what is believed in the second it ends.
        // All other changes can be told from the end: without evidence P(overloaded) only falls
        // when it is near 0.9, P(not healthy) only falls when it is above 0.27, so that nothing
        // is entered and degraded is left at most once.
        let mut left = seconds;
        while left > 0 && self.decision == Decision::Overloaded {
            self.tick_idle(grid);
            left -= 1;
        }
        self.idle_s += left;
        grid.pass_seconds(&mut self.weights, left);
        self.n_eff *= left_after(left);
        self.decide()
    }

    /// The decision of the last tick.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    fn tick_idle(&mut self, grid: &Grid) -> Decision {
        self.idle_s = self.idle_s.saturating_add(1);
        if self.idle_s > RESET_S {
            self.idle_s = RESET_S;
            return self.decision;
        }
        if self.idle_s == RESET_S {
            self.reset(grid);
            return self.decision;
        }
        grid.pass_second(&mut self.weights);
        self.n_eff *= LEFT_PER_S;
        self.decide()
    }

    fn reset(&mut self, grid: &Grid) {
        *self = Self { idle_s: RESET_S, ..Self::new(grid) };
    }

    /// Bayes' rule: each state weighs as likely as it makes what was seen.
    fn observe(&mut self, grid: &Grid, n: f64, failures: f64) {
        let scale = (ATTEMPTS_MAX / n).min(1.0);
        let (failed, passed) = (scale * failures, scale * (n - failures));
        let mut likelihoods = [0.0; POINTS];
        let mut best = f64::NEG_INFINITY;
        for ((likelihood, ln_rate), ln_rest) in
            likelihoods.iter_mut().zip(&grid.ln_rates).zip(&grid.ln_rests)
        {
            *likelihood = failed * ln_rate + passed * ln_rest;
            best = best.max(*likelihood);
        }
        for likelihood in &mut likelihoods {
            *likelihood = (*likelihood - best).exp();
        }
        for band in BANDS {
            let weights = &mut self.weights[band.first..band.first + band.len];
            for (weight, likelihood) in weights.iter_mut().zip(&likelihoods[band.point..]) {
                *weight = *weight * likelihood + FLOOR;
            }
        }
        let scale = 1.0 / sum(&self.weights);
        for weight in &mut self.weights {
            *weight *= scale;
        }
    }

    fn decide(&mut self) -> Decision {
        let overloaded = sum(&self.weights[OVERLOADED..]);
        let bad = overloaded + sum(&self.weights[DEGRADED..OVERLOADED]);
        self.decision = match self.decision {
            Decision::Overloaded if overloaded >= OVERLOADED_UNTIL => Decision::Overloaded,
            Decision::Overloaded if bad > DEGRADED_AFTER => Decision::Degraded,
            Decision::Overloaded => Decision::Healthy,
            Decision::Healthy | Decision::Degraded if overloaded > OVERLOADED_ABOVE => {
                Decision::Overloaded
            }
            Decision::Healthy if bad > DEGRADED_ABOVE => Decision::Degraded,
            Decision::Degraded if bad < DEGRADED_UNTIL => Decision::Healthy,
            Decision::Healthy => Decision::Healthy,
            Decision::Degraded => Decision::Degraded,
        };
        self.decision
    }
}

/// What is left of the effective sample size after some seconds.
fn left_after(seconds: u32) -> f64 {
    (-std::f64::consts::LN_2 * f64::from(seconds) / HALF_LIFE_S).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_leaves_what_the_half_life_says() {
        assert!((left_after(1) - LEFT_PER_S).abs() < 1e-15, "{}", left_after(1));
        assert!((left_after(600) - 0.5).abs() < 1e-15);
    }
}
