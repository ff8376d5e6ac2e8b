//! What a filter believes, in the words of its readers. Nothing here changes a filter.

use super::filter::Filter;
use super::grid::{BANDS, DEGRADED, Grid, OVERLOADED, POINTS, STATES, sum};

/// Probability left out at each end of the published 90 % interval.
const TAIL: f64 = 0.05;
/// Chance that an attempt fails although the spell is over.
const RATE_OK: f64 = 0.001;

/// A reader's view of a filter at one second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// Probability that the rate is below the lower threshold.
    pub p_healthy: f64,
    /// Probability that it is between the thresholds.
    pub p_degraded: f64,
    /// Probability that it is above the upper threshold.
    pub p_overloaded: f64,
    /// Mean of the rate, 0 to 1.
    pub estimate: f64,
    /// Lower end of its 90 % interval.
    pub low: f64,
    /// Upper end of its 90 % interval.
    pub high: f64,
    /// Effective sample size: attempts seen, halved every ten minutes.
    pub n_eff: f64,
    /// The same as a grade.
    pub confidence: Confidence,
}

/// How much evidence stands behind a posterior.
///
/// By the rule of three, attempts without a failure rule out 2 % at 95 % only from 150 on, and
/// 0.5 % only from 600 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// An effective sample size below 3.
    #[default]
    None,
    /// Below 150.
    Low,
    /// Below 600.
    Medium,
    /// 600 or more.
    High,
}

impl Confidence {
    /// The grade of an effective sample size.
    pub fn of(n_eff: f64) -> Self {
        if n_eff < 3.0 {
            Self::None
        } else if n_eff < 150.0 {
            Self::Low
        } else if n_eff < 600.0 {
            Self::Medium
        } else {
            Self::High
        }
    }

    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Filter {
    /// What the filter believes now.
    pub fn posterior(&self, grid: &Grid) -> Posterior {
        let mut masses = [0.0; POINTS];
        for band in BANDS {
            let weights = &self.weights[band.first..band.first + band.len];
            for (mass, weight) in masses[band.point..].iter_mut().zip(weights) {
                *mass += weight;
            }
        }
        let estimate = masses.iter().zip(&grid.rates).map(|(mass, rate)| mass * rate).sum();
        let p_healthy = sum(&self.weights[..DEGRADED]);
        let p_overloaded = sum(&self.weights[OVERLOADED..]);
        Posterior {
            p_healthy,
            p_degraded: (1.0 - p_healthy - p_overloaded).max(0.0),
            p_overloaded,
            estimate,
            low: quantile(grid, &masses, TAIL),
            high: quantile(grid, &masses, 1.0 - TAIL),
            n_eff: self.n_eff,
            confidence: Confidence::of(self.n_eff),
        }
    }

    /// Probability that an overload, if there is one, still lasts after `t_s` seconds.
    pub fn survive(&self, grid: &Grid, t_s: f64) -> f64 {
        let overloaded = sum(&self.weights[OVERLOADED..]);
        if overloaded <= 0.0 {
            return 0.0;
        }
        let lasting: f64 = (OVERLOADED..STATES)
            .map(|state| self.weights[state] * (-grid.hazards[state] * t_s.max(0.0)).exp())
            .sum();
        lasting / overloaded
    }

    /// Probability that at least one retry succeeds, given that an attempt has just failed.
    /// `delays` are the waits in seconds before each retry, one after the other.
    ///
    /// Attempts are taken as independent within a spell, which flatters retries that stick to one
    /// overloaded shard.
    pub fn p_success(&self, grid: &Grid, delays: &[f64]) -> f64 {
        let mut failure = 0.0;
        let mut failed = 0.0;
        for band in BANDS {
            for offset in 0..band.len {
                let state = band.first + offset;
                let rate = grid.rates[band.point + offset];
                let weight = self.weights[state] * rate;
                failed += weight;
                failure += weight * all_fail(grid.hazards[state], rate, delays, state < DEGRADED);
            }
        }
        1.0 - failure / failed
    }
}

/// Probability that all retries fail in a spell with this hazard (per second) and rate: the spell
/// ends before retry j + 1, for each j, after which only the odd attempt fails.
fn all_fail(hazard: f64, rate: f64, delays: &[f64], healthy: bool) -> f64 {
    if healthy {
        return delays.iter().map(|_| rate).product();
    }
    let mut at_s = 0.0;
    let mut lasting = 1.0;
    let mut in_spell = 1.0;
    let mut total = 0.0;
    for (index, delay) in delays.iter().enumerate() {
        at_s += delay.max(0.0);
        let lasts = (-hazard * at_s).exp();
        let after = (index..delays.len()).map(|_| RATE_OK).product::<f64>();
        total += (lasting - lasts) * in_spell * after;
        lasting = lasts;
        in_spell *= rate;
    }
    total + lasting * in_spell
}

/// The first rate at which the cumulative probability reaches `share`.
fn quantile(grid: &Grid, masses: &[f64; POINTS], share: f64) -> f64 {
    let mut cumulative = 0.0;
    for (mass, rate) in masses.iter().zip(grid.rates) {
        cumulative += mass;
        if cumulative >= share {
            return rate;
        }
    }
    grid.rates[POINTS - 1]
}
