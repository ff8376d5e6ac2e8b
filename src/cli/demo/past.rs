//! The demo's past in the order of time: who asked what in which five seconds.
//!
//! The simulator's history tells minutes. Here each minute is spread over slots as clients that
//! report in batches would spread it; one of a kind falls into a slot drawn at random.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::record::Record;
use crate::domain::target::{Provider, Target};
use crate::domain::time::{MINUTE_MS, Timestamp};
use crate::simulator::{self, Bygone, Fate, Scenario};

/// The clients of the past report this often, and the detectors advance with them.
pub(super) const SLOT: Duration = Duration::from_secs(5);

/// Slots in a minute.
pub(super) const SLOTS: u32 = 12;

/// The minutes of the past, the latest of which is being told.
pub(super) struct Past {
    minutes: BTreeMap<u64, Vec<Bygone>>,
    rng: StdRng,
    minute: Vec<(Bygone, u32)>,
}

impl Past {
    /// The past of the scenario between two whole minutes.
    pub(super) fn new(scenario: &Scenario, seed: u64, from: Timestamp, to: Timestamp) -> Self {
        let mut minutes = BTreeMap::<u64, Vec<Bygone>>::new();
        for bygone in simulator::history(scenario, seed, from, to) {
            minutes.entry(bygone.at.millis() / MINUTE_MS).or_default().push(bygone);
        }
        Self { minutes, rng: StdRng::seed_from_u64(seed), minute: Vec::new() }
    }

    /// Turns to the minute that begins at `start`.
    pub(super) fn turn_to(&mut self, start: Timestamp) {
        let bygones = self.minutes.remove(&(start.millis() / MINUTE_MS)).unwrap_or_default();
        let rng = &mut self.rng;
        let shifted = bygones.into_iter().map(|bygone| (bygone, rng.random_range(0..SLOTS)));
        self.minute = shifted.collect();
    }

    /// What clients report at the end of a slot of the minute, as NDJSON.
    pub(super) fn reports(&self, slot: u32) -> serde_json::Result<Vec<u8>> {
        let mut batch = Vec::new();
        for (bygone, shift) in &self.minute {
            let n = in_slot(bygone.count, (slot + shift) % SLOTS);
            if n > 0 {
                serde_json::to_writer(&mut batch, &Record::many(bygone, n))?;
                batch.push(b'\n');
            }
        }
        Ok(batch)
    }

    /// What became of one request to the target in this minute, drawn from all of them.
    pub(super) fn fate(&mut self, target: &Target) -> Option<Fate> {
        let bygones = || self.minute.iter().map(|(bygone, _)| bygone);
        let total: u32 = bygones().filter(|one| one.target == *target).map(|one| one.count).sum();
        let mut left = (total > 0).then(|| self.rng.random_range(0..total))?;
        let drawn = bygones().filter(|one| one.target == *target).find(|one| {
            let found = left < one.count;
            left = left.saturating_sub(one.count);
            found
        });
        drawn.map(|bygone| bygone.fate.clone())
    }

    /// About how many requests the provider has served in this minute by the end of a slot.
    pub(super) fn served(&self, provider: &Provider, slot: u32) -> u64 {
        let of_provider = self.minute.iter().filter(|(one, _)| one.target.provider == *provider);
        let total: u64 = of_provider.map(|(one, _)| u64::from(one.count)).sum();
        total * u64::from(slot + 1) / u64::from(SLOTS)
    }
}

/// The share of a minute's count in one of its slots; the shares add up to the count.
fn in_slot(count: u32, slot: u32) -> u32 {
    let until = |slot: u32| u64::from(count) * u64::from(slot) / u64::from(SLOTS);
    (until(slot + 1) - until(slot)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Class;

    #[test]
    fn the_slots_of_a_minute_add_up() {
        for count in [1, 2, 11, 12, 13, 2_417, u32::MAX] {
            let shares: Vec<_> = (0..SLOTS).map(|slot| in_slot(count, slot)).collect();
            assert_eq!(shares.iter().map(|n| u64::from(*n)).sum::<u64>(), u64::from(count));
            let (least, most) = (shares.iter().min(), shares.iter().max());
            assert!(most.unwrap() - least.unwrap() <= 1, "{count}: {shares:?}");
        }
    }

    #[test]
    fn a_probe_fares_as_the_requests_of_its_minute_do() {
        // Around 16 h UTC the demo's deepseek is still up, until the last quarter of an hour.
        let to = Timestamp::from_secs(1_777_046_400);
        let from = to.minus(Duration::from_secs(600));
        let mut past = Past::new(&simulator::demo(), 7, from, to);
        past.turn_to(from);
        let target = Target::parse("deepseek/deepseek-v4-pro").unwrap();
        let classes: Vec<_> = (0..200).map(|_| past.fate(&target).unwrap().class).collect();
        let failed = classes.iter().filter(|class| **class == Class::Unavailable).count();
        assert!((80..160).contains(&failed), "{failed} of 200, 60 % are expected");
        assert_eq!(past.fate(&Target::parse("moonshot/kimi-k2-6").unwrap()), None);
        let served = past.served(&target.provider, SLOTS - 1);
        assert!((100..400).contains(&served), "{served}");
        past.turn_to(to);
        assert_eq!(past.fate(&target), None, "a minute that was not");
    }
}
