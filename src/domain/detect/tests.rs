//! The worked examples of the specification: 1e-6 on probabilities, exact on times and states.

use super::*;
use crate::domain::bounds::Bounds;
use crate::domain::state::SignalState;

const TOLERANCE: f64 = 1e-6;

struct Bench {
    grid: Grid,
    filter: Filter,
    evidence: Evidence,
}

impl Bench {
    fn fresh() -> Self {
        let grid = Grid::new(Bounds::OVERLOAD);
        let filter = Filter::new(&grid);
        Self { grid, filter, evidence: Evidence::new(None) }
    }

    fn tick(&mut self, n: u64, failures: u64) -> Decision {
        self.evidence.tick(n);
        self.filter.tick(&self.grid, n, failures)
    }

    /// Passes `seconds`, each fed by `feed(i)`, and gives the changes as (second from 1, decision).
    fn run(&mut self, seconds: u64, feed: impl Fn(u64) -> (u64, u64)) -> Vec<(u64, Decision)> {
        let mut changes = Vec::new();
        for second in 0..seconds {
            let before = self.filter.decision();
            let (n, failures) = feed(second);
            let after = self.tick(n, failures);
            if after != before {
                changes.push((second + 1, after));
            }
        }
        changes
    }

    #[track_caller]
    fn believes(&self, probabilities: [f64; 3], estimate: f64, decision: Decision) -> Posterior {
        let posterior = self.filter.posterior(&self.grid);
        let actual = [posterior.p_healthy, posterior.p_degraded, posterior.p_overloaded];
        for (actual, expected) in actual.into_iter().zip(probabilities) {
            assert!((actual - expected).abs() <= TOLERANCE, "{posterior:?}");
        }
        assert!((posterior.estimate - estimate).abs() <= TOLERANCE, "{posterior:?}");
        assert_eq!(self.filter.decision(), decision);
        posterior
    }

    fn published(&self) -> (SignalState, bool) {
        let posterior = self.filter.posterior(&self.grid);
        self.evidence.publish(self.filter.decision(), posterior.p_overloaded)
    }
}

#[track_caller]
fn near(actual: f64, expected: f64, tolerance: f64) {
    assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
}

#[test]
fn e1_a_fresh_target_is_probably_healthy() {
    let bench = Bench::fresh();
    let posterior = bench.believes([0.97, 0.0105, 0.0195], 0.007_653, Decision::Healthy);
    assert_eq!(posterior.confidence, Confidence::None);
    assert_eq!(bench.published(), (SignalState::Unknown, false));
}

#[test]
fn e2_one_failure_of_twenty_is_no_proof() {
    let mut bench = Bench::fresh();
    bench.tick(20, 1);
    let posterior = bench.believes([0.834_730, 0.062_635, 0.102_635], 0.009_290, Decision::Healthy);
    assert_eq!((posterior.low, posterior.high), (0.0005, bench.grid.rates[11]));
    near(posterior.high, 0.05, 1e-15);
    assert_eq!(posterior.confidence, Confidence::Low);
    assert_eq!(bench.published(), (SignalState::Healthy, false));
}

#[test]
fn e3_three_failures_in_a_row_are() {
    let mut bench = Bench::fresh();
    bench.run(3, |_| (1, 1));
    let posterior = bench.filter.posterior(&bench.grid);
    near(posterior.p_healthy, 0.000_026, TOLERANCE);
    near(posterior.p_degraded, 0.000_014, TOLERANCE);
    near(posterior.p_overloaded, 0.999_960, TOLERANCE);
    assert_eq!(posterior.confidence, Confidence::None);
    near(posterior.n_eff, 3.0, 0.005);
    assert_eq!(bench.published(), (SignalState::Overloaded, false));
}

#[test]
fn e4_to_e6_an_overload_comes_and_goes() {
    let mut bench = Bench::fresh();
    assert_eq!(bench.run(600, |_| (2, 0)), []);
    let posterior = bench.believes([0.998_148, 0.001_591, 0.000_262], 0.000_765, Decision::Healthy);
    assert_eq!(posterior.confidence, Confidence::High);
    near(posterior.n_eff, 866.12, 0.005);

    let changes = bench.run(60, |second| (2, u64::from(second % 5 == 0)));
    assert_eq!(changes, [(11, Decision::Degraded), (16, Decision::Overloaded)]);
    let posterior =
        bench.believes([0.032_459, 0.001_780, 0.965_760], 0.089_319, Decision::Overloaded);
    near(posterior.low, 0.05, 1e-15);
    near(posterior.high, 0.14, 1e-15);
    for (t_s, chance) in [(30.0, 0.8896), (60.0, 0.8238), (300.0, 0.5802)] {
        near(bench.filter.survive(&bench.grid, t_s), chance, 5e-5);
    }
    let delays = [1.0, 2.0, 4.0, 8.0, 16.0];
    for (retries, chance) in [(1, 0.8997), (2, 0.9891), (3, 0.9987), (4, 0.9998), (5, 1.0)] {
        near(bench.filter.p_success(&bench.grid, &delays[..retries]), chance, 5e-5);
    }

    assert_eq!(bench.run(200, |_| (2, 0)), [(25, Decision::Healthy)]);
    let posterior = bench.filter.posterior(&bench.grid);
    near(posterior.p_healthy, 0.996_808, TOLERANCE);
    near(posterior.p_degraded, 0.002_926, TOLERANCE);
    near(posterior.p_overloaded, 0.000_266, TOLERANCE);
}

#[test]
fn e7_probes_alone_need_two_failures() {
    let mut bench = Bench::fresh();
    let probe = |second: u64| u64::from(second.is_multiple_of(60));
    assert_eq!(bench.run(3600, |second| (probe(second), 0)), []);
    let posterior = bench.filter.posterior(&bench.grid);
    near(posterior.p_healthy, 0.956_665, TOLERANCE);
    near(posterior.p_degraded, 0.032_061, TOLERANCE);
    near(posterior.p_overloaded, 0.011_274, TOLERANCE);
    near(posterior.n_eff, 13.73, 0.005);
    assert_eq!(posterior.confidence, Confidence::Low);

    let mut changes = Vec::new();
    for (probe_number, chance) in [(1, 0.558_297), (2, 0.990_702), (3, 0.999_606)] {
        let until = bench.run(60, |second| (u64::from(second == 59), u64::from(second == 59)));
        changes.extend(until.into_iter().map(|(_, decision)| (probe_number, decision)));
        near(bench.filter.posterior(&bench.grid).p_overloaded, chance, TOLERANCE);
    }
    assert_eq!(changes.last(), Some(&(2, Decision::Overloaded)), "{changes:?}");
}

#[test]
fn e8_dense_traffic_decides_in_seconds() {
    let mut bench = Bench::fresh();
    assert_eq!(bench.run(30, |_| (1000, 3)), []);
    bench.believes([0.999_934, 0.000_066, 0.0], 0.002_831, Decision::Healthy);
    let changes = bench.run(20, |_| (1000, 30));
    assert_eq!(changes, [(2, Decision::Degraded), (3, Decision::Overloaded)]);
    let posterior = bench.filter.posterior(&bench.grid);
    near(posterior.p_overloaded, 0.999_886, TOLERANCE);
    near(posterior.estimate, 0.030_757, TOLERANCE);
}

#[test]
fn e9_and_e10_one_per_cent_is_degraded_until_nobody_knows() {
    let mut bench = Bench::fresh();
    let changes = bench.run(600, |second| (10, u64::from(second % 10 == 9)));
    assert_eq!(changes, [(120, Decision::Degraded)]);
    bench.believes([0.003_491, 0.996_138, 0.000_371], 0.010_201, Decision::Degraded);
    assert_eq!(bench.published(), (SignalState::Degraded, false));

    bench.run(1800, |_| (0, 0));
    let posterior = bench.filter.posterior(&bench.grid);
    near(posterior.p_healthy, 0.480_086, TOLERANCE);
    near(posterior.p_degraded, 0.501_570, TOLERANCE);
    near(posterior.p_overloaded, 0.018_343, TOLERANCE);
    assert_eq!(bench.filter.decision(), Decision::Degraded);
    assert_eq!(bench.published(), (SignalState::Unknown, true));
}

#[test]
fn a_pause_equals_that_many_empty_ticks() {
    let fed: [(&str, u64, u64, u64); 5] = [
        ("healthy", 10, 0, 300),
        ("one per cent", 100, 1, 300),
        ("three", 100, 3, 300),
        ("ten", 10, 1, 600),
        ("down", 5, 5, 3_000),
    ];
    for (name, n, failures, seconds) in fed {
        for pause in [0, 1, 59, 100, 1_000, 5_000, 12_000, 21_599, 21_600, 21_601, 40_000] {
            let mut slow = Bench::fresh();
            slow.run(seconds, |_| (n, failures));
            let mut fast = slow.filter.clone();
            slow.run(pause, |_| (0, 0));
            fast.run_idle(&slow.grid, pause);
            assert_eq!(fast.decision(), slow.filter.decision(), "{name}, {pause} s");
            for (fast, slow) in fast.weights.iter().zip(slow.filter.weights) {
                near(*fast, slow, 1e-10);
            }
            near(fast.n_eff, slow.filter.n_eff, 1e-9);
            // And they go on alike, the reset included.
            let after = (fast.tick(&slow.grid, 1, 1), slow.tick(1, 1));
            assert_eq!(after.0, after.1, "{name}, {pause} s");
        }
    }
}

#[test]
fn six_idle_hours_are_a_reset() {
    let mut bench = Bench::fresh();
    bench.run(600, |_| (5, 5));
    let fresh = Filter::new(&bench.grid);
    let mut endless = bench.filter.clone();
    endless.run_idle(&bench.grid, u64::MAX);
    bench.run(21_599, |_| (0, 0));
    assert_ne!(bench.filter.weights, fresh.weights);
    bench.tick(0, 0);
    assert_eq!(bench.filter.weights, fresh.weights);
    assert_eq!(bench.filter, endless);
    assert_eq!(bench.filter.decision(), Decision::Healthy);
    bench.tick(0, 0);
    assert_eq!(bench.filter, endless);
}

#[test]
fn absurd_counts_neither_panic_nor_break_the_belief() {
    for (n, failures) in [(0, 5), (1, 2), (u64::MAX, u64::MAX), (u64::MAX, 0), (u64::MAX, 1)] {
        let mut bench = Bench::fresh();
        bench.run(100, |_| (n, failures));
        let posterior = bench.filter.posterior(&bench.grid);
        let total = posterior.p_healthy + posterior.p_degraded + posterior.p_overloaded;
        near(total, 1.0, 1e-9);
        assert!((0.0..=1.0).contains(&posterior.estimate), "{posterior:?}");
        assert!(posterior.low <= posterior.high, "{posterior:?}");
    }
    // More failures than attempts are all of them.
    let (mut clamped, mut all) = (Bench::fresh(), Bench::fresh());
    clamped.tick(3, 9);
    all.tick(3, 3);
    assert_eq!(clamped.filter, all.filter);
}

#[test]
fn every_signal_finds_its_own_thresholds() {
    for bounds in [Bounds::OVERLOAD, Bounds::OUTAGE, Bounds::RATE_LIMIT] {
        let grid = Grid::new(bounds);
        let between = (bounds.healthy() * bounds.overloaded()).sqrt();
        for (rate, decision) in [
            (bounds.healthy() / 5.0, Decision::Healthy),
            (between, Decision::Degraded),
            (bounds.overloaded() * 2.0, Decision::Overloaded),
        ] {
            let mut filter = Filter::new(&grid);
            let mut due = 0.0;
            for _ in 0..1_800 {
                due += 100.0 * rate;
                let failures = due as u64;
                due -= failures as f64;
                filter.tick(&grid, 100, failures);
            }
            assert_eq!(filter.decision(), decision, "{bounds:?} at {rate}");
        }
    }
}
