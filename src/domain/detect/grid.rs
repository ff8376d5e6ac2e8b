//! The fixed part of the filter: 49 states and how one turns into another in a second.
//!
//! States lie in six bands, each a run of rates that share a class and a hazard (how soon such a
//! spell ends): one healthy band, two degraded, three overloaded. The bands of a class repeat the
//! same rates, so there are only 21 distinct *points*, and a likelihood is computed per point.
//!
//! No rate lies on a threshold, so nothing sits on the fence by construction; a true rate between
//! the points around a threshold is inherently ambiguous and stays so.

use crate::domain::bounds::Bounds;

/// How many states there are.
pub(super) const STATES: usize = 49;
/// How many distinct rates there are.
pub(super) const POINTS: usize =
    HEALTHY_RATES.len() + DEGRADED_RATES.len() + OVERLOADED_RATES.len();

/// Rates at the thresholds 0.5 % and 2 %; other thresholds move them.
const HEALTHY_RATES: [f64; 5] = [0.0002, 0.0005, 0.001, 0.002, 0.0035];
const DEGRADED_RATES: [f64; 4] = [0.0065, 0.009, 0.0125, 0.0165];
const OVERLOADED_RATES: [f64; 12] =
    [0.025, 0.035, 0.05, 0.07, 0.10, 0.14, 0.20, 0.30, 0.45, 0.65, 0.85, 0.98];
/// How common each healthy rate is among healthy targets.
const HEALTHY_WEIGHTS: [f64; 5] = [0.10, 0.20, 0.35, 0.25, 0.10];

/// Chance that a fresh target is healthy.
const PRIOR_HEALTHY: f64 = 0.97;
/// Share of the bad spells that begin as degraded.
const ENTRY_DEGRADED: f64 = 0.35;
/// Chance that a bad spell ends in health and not in another bad spell.
pub(super) const EXIT_TO_HEALTHY: f64 = 0.9;
/// Time in which a rate drifts to its neighbour on the grid, in seconds: ramps are followed.
const DRIFT_S: f64 = 300.0;

/// The idle steps kept as matrices: 2^6 up to 2^14 seconds, whose sum exceeds the reset gap.
const POWER_FIRST: u32 = 6;
const POWERS: usize = 9;

/// A run of states with the same class and hazard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    /// Index of its first state.
    pub(super) first: usize,
    /// Index of its first rate among the points.
    pub(super) point: usize,
    /// How many states it has.
    pub(super) len: usize,
    /// Mean length of a spell in seconds.
    spell_s: f64,
    /// Probability of the band among the entries into its class.
    weight: f64,
}

/// Index of the first degraded and of the first overloaded state.
pub(super) const DEGRADED: usize = 5;
pub(super) const OVERLOADED: usize = 13;

const DEGRADED_POINT: usize = HEALTHY_RATES.len();
const OVERLOADED_POINT: usize = DEGRADED_POINT + DEGRADED_RATES.len();

/// The six bands. Bad spells last from half a minute to hours (heavy-tailed, as published incident
/// histories are); a healthy spell lasts three hours.
pub(super) const BANDS: [Band; 6] = [
    Band { first: 0, point: 0, len: 5, spell_s: 10_800.0, weight: 1.0 },
    Band { first: DEGRADED, point: DEGRADED_POINT, len: 4, spell_s: 300.0, weight: 0.6 },
    Band { first: 9, point: DEGRADED_POINT, len: 4, spell_s: 3_600.0, weight: 0.4 },
    Band { first: OVERLOADED, point: OVERLOADED_POINT, len: 12, spell_s: 30.0, weight: 0.45 },
    Band { first: 25, point: OVERLOADED_POINT, len: 12, spell_s: 300.0, weight: 0.30 },
    Band { first: 37, point: OVERLOADED_POINT, len: 12, spell_s: 3_600.0, weight: 0.25 },
];

/// One number per state.
pub(super) type Weights = [f64; STATES];

/// Everything about a signal's states that does not change with the evidence.
///
/// Built once per pair of thresholds and shared by the filters of all targets.
#[derive(Clone, Debug)]
pub struct Grid {
    bounds: Bounds,
    /// Distinct rates, ascending.
    pub(super) rates: [f64; POINTS],
    /// ln r and ln(1 - r) of each distinct rate.
    pub(super) ln_rates: [f64; POINTS],
    pub(super) ln_rests: [f64; POINTS],
    /// Hazard of each state, per second.
    pub(super) hazards: Weights,
    /// Probability that a spell ends within a second, and that it does not.
    jumps: Weights,
    stays: Weights,
    /// Where bad spells begin, and where they end.
    entry: Weights,
    exit: Weights,
    /// Flow from a state to the next one in a second; zero at the end of a band.
    drifts: [f64; STATES - 1],
    /// What is believed of a fresh target.
    pub(super) prior: Weights,
    /// Matrices of 2^6, 2^7, … idle seconds, column by column.
    powers: Vec<Vec<Weights>>,
}

impl Grid {
    /// Places the grid around a signal's thresholds.
    pub fn new(bounds: Bounds) -> Self {
        let rates = place(bounds);
        let mut grid = Self {
            bounds,
            rates,
            ln_rates: rates.map(f64::ln),
            ln_rests: rates.map(|rate| (1.0 - rate).ln()),
            hazards: [0.0; STATES],
            jumps: [0.0; STATES],
            stays: [0.0; STATES],
            entry: [0.0; STATES],
            exit: [0.0; STATES],
            drifts: [0.0; STATES - 1],
            prior: [0.0; STATES],
            powers: Vec::with_capacity(POWERS),
        };
        grid.exit[..DEGRADED].copy_from_slice(&HEALTHY_WEIGHTS);
        for band in BANDS {
            grid.fill(band);
        }
        grid.fill_powers();
        grid
    }

    /// The thresholds it was built for.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn fill(&mut self, band: Band) {
        let drift = 0.5 * (1.0 - (-1.0 / DRIFT_S).exp());
        let hazard = 1.0 / band.spell_s;
        let end = band.first + band.len;
        for state in band.first..end {
            self.hazards[state] = hazard;
            self.jumps[state] = 1.0 - (-hazard).exp();
            self.stays[state] = (-hazard).exp();
            let share = band.weight / band.len as f64;
            self.entry[state] = match state {
                ..DEGRADED => 0.0,
                DEGRADED..OVERLOADED => ENTRY_DEGRADED * share,
                OVERLOADED.. => (1.0 - ENTRY_DEGRADED) * share,
            };
            self.prior[state] =
                PRIOR_HEALTHY * self.exit[state] + (1.0 - PRIOR_HEALTHY) * self.entry[state];
            if state + 1 < end {
                self.drifts[state] = drift;
            }
        }
    }

    /// The matrix of 64 idle seconds from its effect on each state, the others by squaring.
    fn fill_powers(&mut self) {
        let columns = (0..STATES)
            .map(|state| {
                let mut column = [0.0; STATES];
                column[state] = 1.0;
                for _ in 0..1 << POWER_FIRST {
                    self.pass_second(&mut column);
                }
                column
            })
            .collect::<Vec<_>>();
        self.powers.push(columns);
        for power in 1..POWERS {
            let last = &self.powers[power - 1];
            let columns = last.iter().map(|column| times(last, column)).collect();
            self.powers.push(columns);
        }
    }

    /// One second of the chain: spells end and begin, rates drift to their neighbours.
    pub(super) fn pass_second(&self, weights: &mut Weights) {
        let healthy_ends = self.jumps[0] * sum(&weights[..DEGRADED]);
        let bad_ends = dot(&self.jumps[DEGRADED..], &weights[DEGRADED..]);
        let to_bad = healthy_ends + bad_ends * (1.0 - EXIT_TO_HEALTHY);
        let to_healthy = bad_ends * EXIT_TO_HEALTHY;
        let mut moved = [0.0; STATES];
        for state in 0..STATES {
            moved[state] = weights[state] * self.stays[state]
                + to_bad * self.entry[state]
                + to_healthy * self.exit[state];
        }
        let mut inflow = 0.0;
        for state in 0..STATES - 1 {
            let flow = self.drifts[state] * (moved[state + 1] - moved[state]);
            weights[state] = moved[state] + inflow + flow;
            inflow = -flow;
        }
        weights[STATES - 1] = moved[STATES - 1] + inflow;
    }

    /// Many seconds of the chain at once. Equal to that many calls of [`Grid::pass_second`], at
    /// the cost of at most 63 of them and nine products, for up to 2^15 - 1 seconds.
    pub(super) fn pass_seconds(&self, weights: &mut Weights, seconds: u32) {
        debug_assert!(seconds >> POWER_FIRST < 1 << POWERS, "longer than the reset gap");
        for _ in 0..seconds % (1 << POWER_FIRST) {
            self.pass_second(weights);
        }
        for (power, columns) in self.powers.iter().enumerate() {
            if (seconds >> POWER_FIRST) >> power & 1 == 1 {
                *weights = times(columns, weights);
            }
        }
    }
}

/// Puts the listed rates where the thresholds are: healthy ones in proportion to the lower
/// threshold, degraded ones evenly in the logarithm between the two, overloaded ones by odds
/// above the upper. Ascending for all thresholds, and the listed ones at 0.5 % and 2 %.
fn place(bounds: Bounds) -> [f64; POINTS] {
    let base = Bounds::OVERLOAD;
    let (low, high) = (bounds.healthy(), bounds.overloaded());
    let odds_ratio = odds(high) / odds(base.overloaded());
    let log_span = (base.overloaded() / base.healthy()).ln();
    let healthy = HEALTHY_RATES.map(|rate| rate * (low / base.healthy()));
    let degraded =
        DEGRADED_RATES.map(|rate| low * (high / low).powf((rate / base.healthy()).ln() / log_span));
    let overloaded = OVERLOADED_RATES.map(|rate| {
        let odds = odds(rate) * odds_ratio;
        odds / (1.0 + odds)
    });
    let mut rates = [0.0; POINTS];
    for (slot, rate) in rates.iter_mut().zip(healthy.into_iter().chain(degraded).chain(overloaded))
    {
        // Thresholds at the edge of what a float can hold must not make a logarithm infinite.
        *slot = rate.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
    }
    rates
}

fn odds(ratio: f64) -> f64 {
    ratio / (1.0 - ratio)
}

/// A matrix, given by its columns, times a vector.
fn times(columns: &[Weights], vector: &Weights) -> Weights {
    let mut product = [0.0; STATES];
    for (column, factor) in columns.iter().zip(vector) {
        for (slot, value) in product.iter_mut().zip(column) {
            *slot += value * factor;
        }
    }
    product
}

/// How many partial sums are kept apart, so that additions need not wait for each other.
const LANES: usize = 4;

/// The sum of the values.
pub(super) fn sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}

/// The sum of the products, pair by pair.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    for (left, right) in left.chunks(LANES).zip(right.chunks(LANES)) {
        for ((lane, left), right) in lanes.iter_mut().zip(left).zip(right) {
            *lane += left * right;
        }
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_thresholds_give_the_listed_rates() {
        let listed = HEALTHY_RATES.into_iter().chain(DEGRADED_RATES).chain(OVERLOADED_RATES);
        for (placed, listed) in place(Bounds::OVERLOAD).into_iter().zip(listed) {
            assert!((placed - listed).abs() <= 1e-15, "{placed} {listed}");
        }
    }

    #[test]
    fn other_thresholds_move_the_grid_and_keep_its_order() {
        let rates = place(Bounds::OUTAGE);
        assert!((rates[OVERLOADED_POINT] - 0.1225).abs() < 5e-5, "{rates:?}");
        assert!((rates[POINTS - 1] - 0.9963).abs() < 5e-5, "{rates:?}");
        for (low, high) in [
            (0.005, 0.02),
            (0.01, 0.10),
            (0.01, 0.05),
            (0.1, 0.499),
            (0.0199, 0.02),
            (1e-9, 0.4),
            (f64::MIN_POSITIVE, 0.4),
            (5e-324, 1e-323),
        ] {
            let bounds = Bounds::new(low, high).unwrap();
            let rates = place(bounds);
            assert!(rates.is_sorted(), "{low} {high}: {rates:?}");
            assert!(rates.iter().all(|rate| *rate > 0.0 && *rate < 1.0), "{rates:?}");
            assert!(Grid::new(bounds).ln_rates.iter().all(|ln| ln.is_finite()));
        }
    }

    #[test]
    fn probability_is_neither_made_nor_lost_by_a_second() {
        let grid = Grid::new(Bounds::OVERLOAD);
        for weights in [&grid.entry, &grid.exit, &grid.prior] {
            assert!((sum(weights) - 1.0).abs() < 1e-15);
        }
        for state in 0..STATES {
            let mut weights = [0.0; STATES];
            weights[state] = 1.0;
            grid.pass_second(&mut weights);
            assert!((sum(&weights) - 1.0).abs() < 1e-14, "{state}");
            assert!(weights.iter().all(|weight| *weight >= 0.0), "{state}");
        }
    }

    #[test]
    fn many_seconds_at_once_are_many_seconds() {
        let grid = Grid::new(Bounds::OVERLOAD);
        for seconds in [0, 1, 63, 64, 65, 1_000, 21_599] {
            for state in [0, 7, 20, 48] {
                let mut slow = [0.0; STATES];
                slow[state] = 1.0;
                let mut fast = slow;
                for _ in 0..seconds {
                    grid.pass_second(&mut slow);
                }
                grid.pass_seconds(&mut fast, seconds);
                for (slow, fast) in slow.iter().zip(fast) {
                    assert!((slow - fast).abs() < 1e-12, "{seconds} s from {state}");
                }
            }
        }
    }
}
