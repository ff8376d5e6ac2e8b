//! A small log-linear sketch of durations, for quantiles of the last minutes.
//!
//! The Prometheus histogram is too coarse to read a median from (its buckets are up to a factor
//! 2.5 wide); this one has four buckets an octave, so a quantile is at most 12 % off, in 320 bytes.

use std::time::Duration;

use super::time::millis_of;

/// Sub-buckets per doubling of the duration.
const PER_OCTAVE: u32 = 4;
/// Doublings covered, from 1 ms to 2^20 ms (17 minutes).
const OCTAVES: u32 = 20;
const BUCKETS: usize = (PER_OCTAVE * OCTAVES) as usize;

/// Counts of durations on a logarithmic scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch {
    counts: [u32; BUCKETS],
}

impl Default for Sketch {
    fn default() -> Self {
        Self { counts: [0; BUCKETS] }
    }
}

impl Sketch {
    /// Counts `count` observations of one duration.
    pub fn observe(&mut self, duration: Duration, count: u32) {
        let slot = &mut self.counts[bucket_of(millis_of(duration))];
        *slot = slot.saturating_add(count);
    }

    /// The `q`-quantile (0 to 1) over this sketch and an older one; `None` when both are empty.
    pub fn quantile(&self, older: &Self, q: f64) -> Option<Duration> {
        let count =
            |bucket: usize| u64::from(self.counts[bucket]) + u64::from(older.counts[bucket]);
        let total: u64 = (0..BUCKETS).map(count).sum();
        if total == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * total as f64;
        let mut below = 0;
        for bucket in 0..BUCKETS {
            below += count(bucket);
            if below > 0 && below as f64 >= rank {
                return Some(middle_of(bucket));
            }
        }
        None
    }
}

/// Octave by the highest set bit, sub-bucket by the two bits below it.
fn bucket_of(millis: u64) -> usize {
    let millis = millis.max(1);
    let octave = millis.ilog2();
    if octave >= OCTAVES {
        return BUCKETS - 1;
    }
    let inside = ((millis - (1 << octave)) * u64::from(PER_OCTAVE)) >> octave;
    (octave * PER_OCTAVE) as usize + inside as usize
}

/// The middle of a bucket.
fn middle_of(bucket: usize) -> Duration {
    let octave = bucket / PER_OCTAVE as usize;
    let inside = bucket % PER_OCTAVE as usize;
    let base = f64::from(1_u32 << octave);
    let width = base / f64::from(PER_OCTAVE);
    // Below 4 ms the buckets are narrower than a millisecond and hold a single value.
    let middle = base + width * inside as f64 + if width >= 1.0 { width / 2.0 } else { 0.0 };
    Duration::from_secs_f64(middle / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_an_eighth() {
        for millis in [1_u64, 2, 3, 7, 50, 333, 700, 1_500, 45_000, 1_000_000] {
            let mut sketch = Sketch::default();
            sketch.observe(Duration::from_millis(millis), 3);
            let median = sketch.quantile(&Sketch::default(), 0.5).unwrap().as_secs_f64() * 1_000.0;
            assert!((median / millis as f64 - 1.0).abs() < 0.125, "{millis} -> {median}");
        }
        assert_eq!(Sketch::default().quantile(&Sketch::default(), 0.5), None);
    }

    #[test]
    fn both_generations_count_and_extremes_do_not_panic() {
        let mut new = Sketch::default();
        let mut old = Sketch::default();
        old.observe(Duration::from_millis(100), 90);
        new.observe(Duration::MAX, u32::MAX);
        new.observe(Duration::MAX, u32::MAX);
        assert!(new.quantile(&old, 0.95).unwrap() > Duration::from_secs(600));
        assert!(new.quantile(&old, 0.0).is_some());
    }
}
