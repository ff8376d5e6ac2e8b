//! The ledger: what the simulated providers did, each exchange exactly once.
//!
//! It holds the class a right classifier gives, not what any classifier gave: the truth that
//! tests hold the daemon's counts against.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::outcome::{Attempt, Class};
use crate::domain::target::{Model, Provider, Target};

/// Most targets with rows of their own: names of unknown models are whatever clients send.
const TARGETS_MAX: usize = 500;

/// What one exchange is entered under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whom the request was for.
    pub(super) target: Target,
    /// First try or a later one.
    pub(super) attempt: Attempt,
    /// What it ended as.
    pub(super) class: Class,
    /// The HTTP status; `None` where there was no answer.
    pub(super) code: Option<u16>,
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// Who served.
    pub provider: Provider,
    /// What was asked for; `other` where no model could be read.
    pub model: Model,
    /// First try or a later one (`x-stainless-retry-count` of the official SDKs).
    pub attempt: Attempt,
    /// What a right classifier says.
    pub class: Class,
    /// The HTTP status; `None` where the connection was cut before one.
    pub code: Option<u16>,
    /// How many exchanges.
    pub count: u64,
}

type Key = (Target, usize, Class, Option<u16>);

/// Counts by target, attempt, class and status.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    targets: BTreeSet<Target>,
    counts: BTreeMap<Key, u64>,
}

impl Ledger {
    /// Enters one exchange.
    pub(super) fn enter(&mut self, entry: &Entry) {
        let key = self.key(entry);
        *self.counts.entry(key).or_default() += 1;
    }

    /// Moves one exchange from what was intended to what became of it.
    pub(super) fn correct(&mut self, intended: &Entry, actual: &Entry) {
        let key = self.key(intended);
        // After a reset of the ledger there may be nothing to take back.
        let Some(count) = self.counts.get_mut(&key) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&key);
        }
        self.enter(actual);
    }

    /// Starts again from nothing.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Every row, in the order of target, attempt, class and status.
    pub(super) fn rows(&self) -> Vec<LedgerRow> {
        let row = |((target, attempt, class, code), count): (&Key, &u64)| LedgerRow {
            provider: target.provider.clone(),
            model: target.model.clone(),
            attempt: Attempt::ALL[*attempt],
            class: *class,
            code: *code,
            count: *count,
        };
        self.counts.iter().map(row).collect()
    }

    fn key(&mut self, entry: &Entry) -> Key {
        let target = if self.targets.contains(&entry.target) {
            entry.target.clone()
        } else if self.targets.len() < TARGETS_MAX {
            self.targets.insert(entry.target.clone());
            entry.target.clone()
        } else {
            Target::new(Provider::new("other").expect("`other` is a valid label"), Model::other())
        };
        (target, entry.attempt.index(), entry.class, entry.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: &str, class: Class, code: Option<u16>) -> Entry {
        let target = Target::parse(target).unwrap();
        Entry { target, attempt: Attempt::First, class, code }
    }

    #[test]
    fn a_correction_moves_one_exchange_and_keeps_the_sum() {
        let mut ledger = Ledger::default();
        let intended = entry("a/m", Class::Ok, Some(200));
        let actual = entry("a/m", Class::Timeout, None);
        ledger.enter(&intended);
        ledger.enter(&intended);
        ledger.correct(&intended, &actual);
        let rows: Vec<_> =
            ledger.rows().iter().map(|row| (row.class, row.code, row.count)).collect();
        assert_eq!(rows, [(Class::Ok, Some(200), 1), (Class::Timeout, None, 1)]);
        ledger.clear();
        ledger.correct(&intended, &actual);
        assert_eq!(ledger.rows(), []);
    }

    #[test]
    fn names_sent_by_clients_cannot_grow_it_without_end() {
        let mut ledger = Ledger::default();
        for n in 0..2 * TARGETS_MAX {
            ledger.enter(&entry(&format!("a/m{n}"), Class::InvalidRequest, Some(404)));
        }
        let rows = ledger.rows();
        assert_eq!(rows.len(), TARGETS_MAX + 1);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 2 * TARGETS_MAX as u64);
    }
}
