//! The fleet: every simulated model with its weather, and the ledger of what became of requests.
//!
//! One cheap-to-clone handle over a mutex that is held for a few lines. A request draws its fate
//! and enters the ledger in the same step, so nothing is counted that was not drawn and nothing
//! drawn is forgotten. Two requests of one seed and order draw the same fates; each model has its
//! own generator, so traffic on one does not change the fates of another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::dialect::Dialect;
use super::draw::Draw;
use super::fate::{Fate, pace, timed};
use super::ledger::{Entry, Ledger, LedgerRow};
use super::scenario::{Plan, Scenario};
use super::weather::{Weather, WeatherError};
use crate::domain::outcome::Attempt;
use crate::domain::target::Target;
use crate::domain::time::Timestamp;

/// A request as the fleet sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// First try or a later one.
    pub attempt: Attempt,
}

/// A target that is not in the scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{target} is not in the scenario, add it to the file")]
pub struct UnknownTarget {
    /// The target asked for.
    pub target: Target,
}

/// The handle on all simulated models.
#[derive(Clone, Debug)]
pub struct Fleet {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    exact: bool,
    plays: BTreeMap<Target, Play>,
    ledger: Ledger,
    /// The run's share of request ids: ids of two runs differ.
    run: u64,
    requests: u64,
}

/// One model being played.
#[derive(Debug)]
struct Play {
    plan: Plan,
    phase: usize,
    /// When its first request came: phases count from here.
    started: Option<Timestamp>,
    draw: Draw,
    rng: StdRng,
    served: u64,
}

impl Fleet {
    /// Sets up every model of the scenario. Without a seed each run is different.
    pub fn new(scenario: Scenario, seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(rand::random);
        let exact = scenario.exact;
        let play = |(target, plan): (Target, Plan)| {
            let seed = seed ^ fingerprint(&target);
            let play = Play {
                plan,
                phase: 0,
                started: None,
                draw: Draw::new(exact),
                rng: StdRng::seed_from_u64(seed),
                served: 0,
            };
            (target, play)
        };
        let shared = Shared {
            exact,
            plays: scenario.plans.into_iter().map(play).collect(),
            ledger: Ledger::default(),
            run: rand::random(),
            requests: 0,
        };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Draws what becomes of a request of the provider's usual dialect, and enters it.
    ///
    /// # Errors
    /// [`UnknownTarget`] when the scenario does not have the target; nothing is entered then.
    pub fn fate(&self, target: &Target, call: Call, now: Timestamp) -> Result<Fate, UnknownTarget> {
        self.fate_in(Dialect::of(target.provider.as_str()), target, call, now)
    }

    /// The same in a dialect of the client's choice.
    pub(super) fn fate_in(
        &self,
        dialect: Dialect,
        target: &Target,
        call: Call,
        now: Timestamp,
    ) -> Result<Fate, UnknownTarget> {
        let mut shared = self.lock();
        let Some(play) = shared.plays.get_mut(target) else {
            return Err(UnknownTarget { target: target.clone() });
        };
        let fate = play.next(dialect, target, call, now);
        shared.ledger.enter(&entry(target, call, &fate));
        Ok(fate)
    }

    /// Enters an exchange that had no fate: a refusal.
    pub(super) fn enter(&self, entry: &Entry) {
        self.lock().ledger.enter(entry);
    }

    /// Enters what became of an exchange that was entered as something else.
    pub(super) fn correct(&self, intended: &Entry, actual: &Entry) {
        self.lock().ledger.correct(intended, actual);
    }

    /// Every row of the ledger.
    pub fn ledger(&self) -> Vec<LedgerRow> {
        self.lock().ledger.rows()
    }

    /// Starts the ledger again from nothing.
    pub fn reset_ledger(&self) {
        self.lock().ledger.clear();
    }

    /// The targets played and the requests per second their simulated clients send.
    pub fn traffic(&self) -> Vec<(Target, f64)> {
        let rate =
            |(target, play): (&Target, &Play)| (target.clone(), play.plan.requests_per_second);
        self.lock().plays.iter().map(rate).collect()
    }

    /// The weather of a target as it is now, if the scenario has it.
    pub fn weather(&self, target: &Target) -> Option<Weather> {
        let shared = self.lock();
        let play = shared.plays.get(target)?;
        Some(play.plan.weather_in(play.phase).clone())
    }

    /// Gives a target other weather, constant from now on.
    ///
    /// # Errors
    /// [`UnknownTarget`] when the scenario does not have it.
    pub fn set_weather(&self, target: &Target, weather: Weather) -> Result<(), UnknownTarget> {
        self.change_weather(target, |_| Ok(weather)).map(|_| ())
    }

    /// Changes a target's weather as it is now, in one step.
    ///
    /// # Errors
    /// [`UnknownTarget`] when the scenario does not have it. What the change itself finds wrong
    /// is the inner result; the weather stays as it was then.
    pub(super) fn change_weather(
        &self,
        target: &Target,
        change: impl FnOnce(&Weather) -> Result<Weather, Vec<WeatherError>>,
    ) -> Result<Result<Weather, Vec<WeatherError>>, UnknownTarget> {
        let mut shared = self.lock();
        let Some(play) = shared.plays.get_mut(target) else {
            return Err(UnknownTarget { target: target.clone() });
        };
        let changed = change(play.plan.weather_in(play.phase));
        if let Ok(weather) = &changed {
            play.plan = Plan::constant(weather.clone(), play.plan.requests_per_second);
            play.phase = 0;
            play.draw.restart();
        }
        Ok(changed)
    }

    /// A request id that no other request has.
    pub(super) fn request_id(&self) -> String {
        let mut shared = self.lock();
        shared.requests += 1;
        format!("req_{:016x}{:08x}", shared.run, shared.requests)
    }

    /// How many requests of this target have drawn a fate.
    pub(super) fn served(&self, target: &Target) -> u64 {
        self.lock().plays.get(target).map_or(0, |play| play.served)
    }

    /// Whether rates are kept exactly.
    pub fn is_exact(&self) -> bool {
        self.lock().exact
    }

    /// A panic while the lock was held cannot leave counts half-written, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Play {
    fn next(&mut self, dialect: Dialect, target: &Target, call: Call, now: Timestamp) -> Fate {
        let started = *self.started.get_or_insert(now);
        let phase = self.plan.phase_at(started, now);
        if phase != self.phase {
            self.phase = phase;
            self.draw.restart();
        }
        self.served += 1;
        let weather = self.plan.weather_in(self.phase);
        let drawn = self.draw.next(weather.ratios(), &mut self.rng);
        let kind = if call.stream { drawn } else { drawn.unstreamed() };
        let pace = pace(&mut self.rng);
        timed(kind, (dialect, target), weather, pace)
    }
}

fn entry(target: &Target, call: Call, fate: &Fate) -> Entry {
    Entry { target: target.clone(), attempt: call.attempt, class: fate.class, code: fate.code }
}

/// A number of a target's name that is the same in every run and on every machine (FNV-1a).
pub(super) fn fingerprint(target: &Target) -> u64 {
    target.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::kind::Kind;
    use super::*;
    use crate::domain::outcome::Class;

    const STREAMED: Call = Call { stream: true, attempt: Attempt::First };

    fn fleet(settings: &[(&str, f64)], exact: bool, seed: u64) -> (Fleet, Target) {
        let target = Target::parse("anthropic/m").unwrap();
        let weather = Weather::default().changed(settings).unwrap();
        let plans = [(target.clone(), Plan::constant(weather, 1.0))].into();
        (Fleet::new(Scenario { exact, plans }, Some(seed)), target)
    }

    #[test]
    fn every_fate_is_in_the_ledger_once() {
        let settings = [("overloaded", 0.07), ("stream_overloaded", 0.02)];
        let (fleet, target) = fleet(&settings, true, 1);
        for n in 0..1_000 {
            let attempt = if n < 900 { Attempt::First } else { Attempt::Retry };
            let call = Call { attempt, ..STREAMED };
            fleet.fate(&target, call, Timestamp::from_secs(n)).unwrap();
        }
        let rows: Vec<_> = fleet
            .ledger()
            .into_iter()
            .map(|row| (row.attempt, row.class, row.code, row.count))
            .collect();
        let first = Attempt::First;
        assert_eq!(rows.iter().map(|row| row.3).sum::<u64>(), 1_000);
        assert_eq!(rows[0], (first, Class::Ok, Some(200), 819));
        assert_eq!(rows[1], (first, Class::Overloaded, Some(200), 18));
        assert_eq!(rows[2], (first, Class::Overloaded, Some(529), 63));
        fleet.reset_ledger();
        assert_eq!(fleet.ledger(), []);
    }

    #[test]
    fn the_same_seed_draws_the_same_fates_and_another_does_not() {
        let draw = |seed| {
            let (fleet, target) = fleet(&[("overloaded", 0.5)], false, seed);
            let fate = |n| fleet.fate(&target, STREAMED, Timestamp::from_secs(n)).unwrap();
            (0..100).map(fate).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn a_request_that_does_not_stream_has_no_fate_in_a_stream() {
        let (fleet, target) = fleet(&[("stream_overloaded", 1.0)], true, 1);
        let whole = fleet.fate(&target, Call::default(), Timestamp::default()).unwrap();
        assert_eq!((whole.kind, whole.code), (Kind::Overloaded, Some(529)));
        assert!(whole.error_body(&target).unwrap().contains("overloaded_error"));
        let streamed = fleet.fate(&target, STREAMED, Timestamp::default()).unwrap();
        assert_eq!((streamed.kind, streamed.code), (Kind::StreamOverloaded, Some(200)));
        assert!(streamed.error_body(&target).unwrap().starts_with("event: error\n"));
    }

    #[test]
    fn new_weather_holds_from_the_next_request_and_bad_weather_changes_nothing() {
        let (fleet, target) = fleet(&[], true, 1);
        let weather = Weather::default().with(Kind::RateLimited, 1.0).unwrap();
        fleet.set_weather(&target, weather.clone()).unwrap();
        let fate = fleet.fate(&target, STREAMED, Timestamp::default()).unwrap();
        assert_eq!(fate.class, Class::RateLimited);
        assert_eq!(fate.retry_after, Some(Duration::from_secs(1)));
        let bad = fleet.change_weather(&target, |now| now.changed(&[("slow", 2.0)])).unwrap();
        assert_eq!(bad.unwrap_err().len(), 1);
        assert_eq!(fleet.weather(&target), Some(weather));
        let unknown = Target::parse("a/b").unwrap();
        let error = fleet.fate(&unknown, STREAMED, Timestamp::default()).unwrap_err();
        assert_eq!(error.to_string(), "a/b is not in the scenario, add it to the file");
    }
}
