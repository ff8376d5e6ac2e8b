//! A sliding window: counts in fixed slots of equal width, addressed by event time.
//!
//! Each slot remembers which stretch of time it holds, so a slot that comes round again is
//! recognised and cleared, and an event older than the window is dropped here (its clock hour
//! still takes it).

use crate::domain::time::Timestamp;

/// `SLOTS` slots of `width_ms`, each with `N` counts.
#[derive(Clone, Debug)]
pub(super) struct Ring<const SLOTS: usize, const N: usize> {
    width_ms: u64,
    slots: [Slot<N>; SLOTS],
}

#[derive(Clone, Copy, Debug)]
struct Slot<const N: usize> {
    /// Slot numbers since the epoch; `u32` lasts for 1,300 years of 10-second slots.
    number: u32,
    counts: [u32; N],
}

impl<const SLOTS: usize, const N: usize> Ring<SLOTS, N> {
    /// An empty window with slots of `width_ms`.
    pub(super) fn new(width_ms: u64) -> Self {
        Self { width_ms, slots: [Slot { number: 0, counts: [0; N] }; SLOTS] }
    }

    /// The counts of the slot for `at` (not after `now`), or `None` if that slot has fallen out
    /// of the window. A slot from a future that a stepped-back clock has not reached is cleared.
    pub(super) fn slot_mut(&mut self, at: Timestamp, now: Timestamp) -> Option<&mut [u32; N]> {
        let (number, newest) = (self.number_of(at), self.number_of(now));
        let slot = &mut self.slots[number as usize % SLOTS];
        if slot.number > number && slot.number <= newest {
            return None;
        }
        if slot.number != number {
            *slot = Slot { number, counts: [0; N] };
        }
        Some(&mut slot.counts)
    }

    /// The sums over the window that ends at `now`.
    pub(super) fn sum(&self, now: Timestamp) -> [u64; N] {
        self.sum_of_last(SLOTS as u32, now)
    }

    /// The sums over the last `slots` of the window that ends at `now`, the running one included.
    pub(super) fn sum_of_last(&self, slots: u32, now: Timestamp) -> [u64; N] {
        let newest = self.number_of(now);
        let mut sums = [0_u64; N];
        for slot in &self.slots {
            if slot.number <= newest && newest - slot.number < slots {
                for (sum, count) in sums.iter_mut().zip(slot.counts) {
                    *sum += u64::from(count);
                }
            }
        }
        sums
    }

    fn number_of(&self, at: Timestamp) -> u32 {
        u32::try_from(at.millis() / self.width_ms).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    fn add(ring: &mut Ring<3, 1>, seconds: u64, now: u64) -> bool {
        ring.slot_mut(at(seconds), at(now)).map(|counts| counts[0] += 1).is_some()
    }

    #[test]
    fn a_window_forgets_what_left_it_and_refuses_what_is_older() {
        let mut ring = Ring::<3, 1>::new(10_000);
        assert!(add(&mut ring, 0, 0));
        assert!(add(&mut ring, 9, 9));
        assert!(add(&mut ring, 10, 10));
        assert_eq!(ring.sum(at(29)), [3]);
        assert_eq!(ring.sum(at(30)), [1]);
        assert!(add(&mut ring, 35, 35));
        assert!(!add(&mut ring, 5, 35), "its slot was taken over");
        assert!(add(&mut ring, 19, 35), "late, but still inside");
        assert_eq!(ring.sum(at(35)), [3]);
        assert_eq!((ring.sum_of_last(2, at(35)), ring.sum_of_last(1, at(39))), ([1], [1]));
        assert_eq!(ring.sum_of_last(1, at(40)), [0]);
        assert_eq!(ring.sum(at(1_000)), [0]);
    }

    #[test]
    fn a_window_read_before_its_newest_slot_does_not_underflow() {
        let mut ring = Ring::<3, 1>::new(10_000);
        add(&mut ring, 50, 50);
        assert_eq!(ring.sum(at(0)), [0]);
    }

    #[test]
    fn a_clock_that_stepped_back_is_not_shut_out_by_its_own_future() {
        let mut ring = Ring::<3, 1>::new(10_000);
        for seconds in [600, 610, 620] {
            assert!(add(&mut ring, seconds, seconds));
        }
        assert!(add(&mut ring, 0, 0));
        assert_eq!(ring.sum(at(0)), [1]);
    }
}
