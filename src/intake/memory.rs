//! What was told in the last minutes, by hash: bounded, and forgotten in time.
//!
//! Two generations: an entry is remembered for at least one generation and at most two. Hashes are
//! 128 bits wide and seeded per process, so neither chance nor a hostile client can make one entry
//! hide another. Memory is bounded by turning generations early under a flood.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::domain::time::Timestamp;

/// Entries in one generation, at 16 bytes and the value each (about 8 MiB with the table's slack
/// for plain ids); beyond this rate (280 a second, sustained for 15 minutes) they are remembered
/// for less long.
const GENERATION_MAX: usize = 250_000;

/// A bounded memory from keys to small values.
#[derive(Debug)]
pub(super) struct Memory<V> {
    hashers: [RandomState; 2],
    remembered: Duration,
    current: HashMap<[u64; 2], V>,
    previous: HashMap<[u64; 2], V>,
    started: Timestamp,
}

impl<V: Clone> Memory<V> {
    /// A memory of at least this long.
    pub(super) fn new(remembered: Duration) -> Self {
        Self {
            hashers: Default::default(),
            remembered,
            current: HashMap::new(),
            previous: HashMap::new(),
            started: Timestamp::default(),
        }
    }

    /// What is remembered under this key.
    pub(super) fn get(&mut self, key: impl Hash, now: Timestamp) -> Option<V> {
        self.turn(now);
        let hash = self.hash(key);
        self.current.get(&hash).or_else(|| self.previous.get(&hash)).cloned()
    }

    /// Remembers a value, and gives the one that was there.
    pub(super) fn put(&mut self, key: impl Hash, value: V, now: Timestamp) -> Option<V> {
        self.turn(now);
        let hash = self.hash(key);
        let before = self.previous.get(&hash).cloned();
        self.current.insert(hash, value).or(before)
    }

    fn hash(&self, key: impl Hash) -> [u64; 2] {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(&key))
    }

    fn turn(&mut self, now: Timestamp) {
        let age = now.since(self.started);
        if age >= self.remembered || self.current.len() >= GENERATION_MAX {
            self.previous = std::mem::take(&mut self.current);
            if age >= 2 * self.remembered {
                self.previous.clear();
            }
            self.started = now;
        }
    }
}

impl Memory<()> {
    /// Whether this key is new; it is not new afterwards.
    pub(super) fn first_time(&mut self, key: impl Hash, now: Timestamp) -> bool {
        self.put(key, (), now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: Duration = Duration::from_secs(15 * 60);

    #[test]
    fn an_id_is_remembered_for_fifteen_minutes_and_not_for_ever() {
        let mut seen = Memory::new(QUARTER);
        let at = |minutes: u64| Timestamp::from_secs(1_000_000 + minutes * 60);
        assert!(seen.first_time(("record", "a"), at(0)));
        assert!(!seen.first_time(("record", "a"), at(14)));
        assert!(seen.first_time(("batch", "a"), at(14)), "kinds are apart");
        assert!(!seen.first_time(("record", "a"), at(16)), "in the older generation");
        assert!(seen.first_time(("record", "a"), at(60)));
    }

    #[test]
    fn the_latest_value_is_the_one_that_is_remembered() {
        let mut memory = Memory::new(QUARTER);
        let at = |minutes: u64| Timestamp::from_secs(1_000_000 + minutes * 60);
        assert_eq!(memory.put("a", 1, at(0)), None);
        assert_eq!(memory.put("a", 2, at(16)), Some(1));
        assert_eq!(memory.get("a", at(17)), Some(2));
        assert_eq!(memory.get("a", at(60)), None);
    }

    #[test]
    fn a_flood_of_ids_is_bounded() {
        let mut seen = Memory::new(QUARTER);
        for id in 0..3 * GENERATION_MAX {
            seen.first_time(("record", &id.to_string()), Timestamp::from_secs(1_000_000));
        }
        assert!(seen.current.len() + seen.previous.len() <= 2 * GENERATION_MAX);
    }
}
