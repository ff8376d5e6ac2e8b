//! What is counted of a target beside its classified attempts: operations, and attempts of which
//! only is known that they happened. Made when the first of them comes; coarser windows than those
//! of attempts, because no state follows from them.

use crate::domain::layer::Basis;
use crate::domain::outcome::{Attempt, Class, Outcome};
use crate::domain::tally::Tally;
use crate::domain::time::{MINUTE_MS, SECOND_MS, Timestamp};

use super::ring::Ring;
use super::snapshot::{OperationCounters, OperationWindow, OperationsView};

/// Counts in a slot: the tally's, and the unclassified attempts.
const COUNTS: usize = Tally::COUNTS + 1;

#[derive(Clone, Debug)]
pub(super) struct OperationCounts {
    five_minutes: Ring<10, COUNTS>,
    one_hour: Ring<20, COUNTS>,
    one_day: Ring<24, COUNTS>,
    counters: OperationCounters,
}

impl Default for OperationCounts {
    fn default() -> Self {
        Self {
            five_minutes: Ring::new(30 * SECOND_MS),
            one_hour: Ring::new(3 * MINUTE_MS),
            one_day: Ring::new(60 * MINUTE_MS),
            counters: OperationCounters::default(),
        }
    }
}

impl OperationCounts {
    /// Counts the operation, if it is one, and the unclassified attempts of an outcome that ended
    /// at `at`; the counters only if it is `live`.
    pub(super) fn add(&mut self, outcome: &Outcome, at: Timestamp, live: bool, now: Timestamp) {
        let count = u64::from(outcome.count);
        let unclassified = u64::from(outcome.unclassified) * count;
        let is_operation = outcome.basis == Basis::Operation;
        if let Some(then) = outcome.replaces.filter(|_| is_operation) {
            self.take_back_ok(then.min(now), count, live, now);
        }
        let mut tally = Tally::default();
        if is_operation {
            tally.add(outcome.class, Attempt::First, count);
        }
        self.each_slot(at, now, |slot| {
            let mut sum = tally_of(slot);
            sum.merge(&tally);
            *slot = counts_of(&sum, u64::from(slot[COUNTS - 1]) + unclassified);
        });
        if live {
            self.counters.unclassified += unclassified;
            if is_operation {
                self.counters.by_class[outcome.class.index()] += count;
            }
        }
    }

    fn take_back_ok(&mut self, then: Timestamp, count: u64, live: bool, now: Timestamp) {
        self.each_slot(then, now, |slot| {
            let mut sum = tally_of(slot);
            sum.take_back(Class::Ok, Attempt::First, count);
            *slot = counts_of(&sum, u64::from(slot[COUNTS - 1]));
        });
        if live {
            let ok = &mut self.counters.by_class[Class::Ok.index()];
            *ok = ok.saturating_sub(count);
        }
    }

    fn each_slot(&mut self, at: Timestamp, now: Timestamp, change: impl Fn(&mut [u32; COUNTS])) {
        let slots = [
            self.five_minutes.slot_mut(at, now),
            self.one_hour.slot_mut(at, now),
            self.one_day.slot_mut(at, now),
        ];
        slots.into_iter().flatten().for_each(change);
    }

    pub(super) fn view(&self, now: Timestamp) -> OperationsView {
        OperationsView {
            five_minutes: window(self.five_minutes.sum(now)),
            one_hour: window(self.one_hour.sum(now)),
            one_day: window(self.one_day.sum(now)),
            counters: self.counters,
        }
    }
}

fn tally_of(slot: &[u32; COUNTS]) -> Tally {
    window(slot.map(u64::from)).operations
}

fn window(sums: [u64; COUNTS]) -> OperationWindow {
    let [tally @ .., unclassified] = sums;
    OperationWindow { operations: Tally::from_counts(tally), unclassified }
}

fn counts_of(tally: &Tally, unclassified: u64) -> [u32; COUNTS] {
    let mut counts = [0; COUNTS];
    let all = tally.to_counts().into_iter().chain([unclassified]);
    for (narrow, wide) in counts.iter_mut().zip(all) {
        *narrow = u32::try_from(wide).unwrap_or(u32::MAX);
    }
    counts
}
