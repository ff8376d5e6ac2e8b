//! Ids seen in the last minutes, so that a client's retry is not counted twice.
//!
//! Two generations of hashes: an id is remembered for at least one generation and at most two.
//! Hashes are 128 bits wide and seeded per process, so neither chance nor a hostile client can
//! make one id hide another. Memory is bounded by turning generations early under a flood.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use crate::domain::time::{MINUTE_MS, Timestamp};

/// An id is remembered for at least this long: the longest retry of the usual clients.
const REMEMBERED_MS: u64 = 15 * MINUTE_MS;

/// Ids in one generation, at 16 bytes each (about 8 MiB with the table's slack); beyond this rate
/// (280 a second with ids, sustained) ids are remembered for less than 15 minutes.
const GENERATION_MAX: usize = 250_000;

/// The memory of ids.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hashers: [RandomState; 2],
    current: HashSet<[u64; 2]>,
    previous: HashSet<[u64; 2]>,
    started: Timestamp,
}

impl Seen {
    /// Whether this (kind, id) is new; it is not new afterwards.
    pub(super) fn first_time(&mut self, id: (&str, &str), now: Timestamp) -> bool {
        let expired = now.since(self.started).as_millis() >= u128::from(REMEMBERED_MS);
        if expired || self.current.len() >= GENERATION_MAX {
            self.previous = std::mem::take(&mut self.current);
            if now.since(self.started).as_millis() >= 2 * u128::from(REMEMBERED_MS) {
                self.previous.clear();
            }
            self.started = now;
        }
        let hash = self.hashers.each_ref().map(|hasher| hasher.hash_one(id));
        !self.previous.contains(&hash) && self.current.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_remembered_for_fifteen_minutes_and_not_for_ever() {
        let mut seen = Seen::default();
        let at = |minutes: u64| Timestamp::from_secs(1_000_000 + minutes * 60);
        assert!(seen.first_time(("record", "a"), at(0)));
        assert!(!seen.first_time(("record", "a"), at(14)));
        assert!(seen.first_time(("batch", "a"), at(14)), "kinds are apart");
        assert!(!seen.first_time(("record", "a"), at(16)), "in the older generation");
        assert!(seen.first_time(("record", "a"), at(60)));
    }

    #[test]
    fn a_flood_of_ids_is_bounded() {
        let mut seen = Seen::default();
        for id in 0..3 * GENERATION_MAX {
            seen.first_time(("record", &id.to_string()), Timestamp::from_secs(1_000_000));
        }
        assert!(seen.current.len() + seen.previous.len() <= 2 * GENERATION_MAX);
    }
}
