//! Which evidence means trouble, with the real detectors; and who hears of it.

use super::*;
use crate::domain::outcome::{Class, Outcome, Source};
use crate::store::{Arrival, Options, Store};

const MINUTE: Duration = Duration::from_secs(60);

/// A store that knows one probed target, and its clock.
struct Stage {
    store: Store,
    target: Target,
    now: Timestamp,
}

impl Stage {
    fn new() -> Self {
        let now = Timestamp::from_secs(1_777_000_000);
        let target = Target::parse("anthropic/m").unwrap();
        let probed = vec![(target.clone(), MINUTE)];
        let options = Options { probed, targets_max: 10, ..Options::default() };
        Self { store: Store::new(&options, now), target, now }
    }

    /// Lets seconds pass; every `apart` of them brings an outcome.
    fn pass(&mut self, seconds: u64, outcome: Option<(Class, u64)>) {
        for second in 0..seconds {
            self.now = self.now.plus(Duration::from_secs(1));
            if let Some((class, apart)) = outcome
                && second % apart == 0
            {
                let outcome = Outcome::new(self.target.clone(), Source::Probe, self.now, class);
                self.store.record(&[outcome], Arrival::Live, self.now);
            }
            self.store.tick(self.now);
        }
    }

    fn is_troubled(&self) -> bool {
        let snapshot = self.store.snapshot(self.now);
        is_troubled(snapshot.target(&self.target).unwrap())
    }
}

#[test]
fn trouble_takes_evidence_and_ends_with_it() {
    // phases of (seconds, class and how far apart) -> troubled
    type Phase = (u64, Option<(Class, u64)>);
    let ok: Phase = (3_600, Some((Class::Ok, 60)));
    let silence: Phase = (7_200, None);
    let overload: Phase = (120, Some((Class::Overloaded, 60)));
    let outage: Phase = (120, Some((Class::Unavailable, 60)));
    let throttled: Phase = (600, Some((Class::RateLimited, 60)));
    let refused: Phase = (600, Some((Class::Auth, 60)));
    let recovery: Phase = (600, Some((Class::Ok, 5)));
    for (phases, troubled) in [
        (&[] as &[Phase], false),
        (&[(60, None)], false),
        (&[silence], false),
        (&[ok], false),
        (&[ok, silence], false),
        (&[overload], true),
        (&[ok, overload], true),
        (&[ok, outage], true),
        (&[ok, overload, silence], false),
        (&[ok, overload, (60, None)], true),
        (&[ok, overload, recovery], false),
        (&[ok, throttled], false),
        (&[refused], false),
    ] {
        let mut stage = Stage::new();
        for (seconds, outcome) in phases {
            stage.pass(*seconds, *outcome);
        }
        assert_eq!(stage.is_troubled(), troubled, "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_hears_only_what_changes() {
    let mut stage = Stage::new();
    let standings = Standings::default();
    let standing = standings.of(&stage.target);
    let mut heard = standing.watch();
    let mut wakes = Vec::new();
    for (class, seconds) in [(Class::Ok, 600), (Class::Overloaded, 60), (Class::Ok, 600)] {
        for _ in 0..seconds {
            stage.pass(1, Some((class, 1)));
            standings.update(&stage.store.snapshot(stage.now));
            if heard.has_changed().unwrap() {
                wakes.push(heard.borrow_and_update().is_some());
            }
        }
    }
    assert_eq!(wakes, [true, false]);
    // When our own network is down, it says nothing about any provider.
    stage.pass(60, Some((Class::Overloaded, 1)));
    let mut snapshot = stage.store.snapshot(stage.now);
    for (egress, troubled) in [(false, true), (true, false)] {
        snapshot.egress = egress;
        standings.update(&snapshot);
        assert_eq!(standing.is_troubled(), troubled, "egress {egress}");
    }
    // One that is not probed any more is forgotten.
    standings.update(&stage.store.snapshot(stage.now));
    standings.keep_only([&stage.target]);
    assert!(standings.of(&stage.target).is_troubled());
    standings.keep_only([]);
    assert!(!standings.of(&stage.target).is_troubled());
}
