//! Durations in fixed buckets: exact counts for Prometheus, and quantiles by interpolation.

use std::time::Duration;

/// Upper bounds of the buckets in seconds. They span a cached first token (50 ms) to the longest
/// answer that callers wait for (10 min), at most a factor 2.5 apart.
pub const BOUNDS_S: [f64; 14] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 600.0];

/// Counts of durations by bucket, the last bucket being everything above the last bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: [u64; BOUNDS_S.len() + 1],
    sum_s: f64,
}

impl Histogram {
    /// Counts `count` observations of one duration.
    pub fn observe(&mut self, duration: Duration, count: u64) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS_S.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS_S.len());
        self.counts[bucket] += count;
        self.sum_s += seconds * count as f64;
    }

    /// Adds another histogram's counts to this one.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.sum_s += other.sum_s;
    }

    /// How many observations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Sum of all observations in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_s
    }

    /// `(upper bound in seconds, cumulative count)` of each finite bucket, in rising order.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        BOUNDS_S.iter().zip(&self.counts).scan(0, |total, (bound, count)| {
            *total += count;
            Some((*bound, *total))
        })
    }

    /// The `q`-quantile (0 to 1), interpolated linearly inside its bucket as Prometheus'
    /// `histogram_quantile` does; the last finite bound for what lies above it; `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * total as f64;
        let mut lower = 0.0;
        let mut below = 0_u64;
        for (bound, count) in BOUNDS_S.iter().zip(self.counts) {
            if count > 0 && (below + count) as f64 >= rank {
                let inside = ((rank - below as f64) / count as f64).clamp(0.0, 1.0);
                return Some(Duration::from_secs_f64(lower + (bound - lower) * inside));
            }
            below += count;
            lower = *bound;
        }
        Some(Duration::from_secs_f64(lower))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_inclusive_of_their_bound() {
        let mut histogram = Histogram::default();
        histogram.observe(Duration::from_millis(50), 2);
        histogram.observe(Duration::from_millis(700), 1);
        histogram.observe(Duration::from_secs(5_000), 1);
        let cumulative: Vec<_> = histogram.cumulative().collect();
        assert_eq!(cumulative[0], (0.05, 2));
        assert_eq!(cumulative[4], (1.0, 3));
        assert_eq!(cumulative.last(), Some(&(600.0, 3)));
        assert_eq!(histogram.count(), 4);
        assert!((histogram.sum_seconds() - 5_000.8).abs() < 1e-9);
    }

    #[test]
    fn quantiles_interpolate_and_need_evidence() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.observe(Duration::from_millis(1_500), 10);
        assert_eq!(histogram.quantile(0.5), Some(Duration::from_millis(1_500)));
        histogram.observe(Duration::from_secs(9_999), 90);
        assert_eq!(histogram.quantile(0.5), Some(Duration::from_secs(600)));
    }
}
