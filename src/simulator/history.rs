//! A back-dated stretch of traffic for the demo: quiet nights, busy afternoons, some incidents.
//!
//! Per target and minute it gives a few aggregated outcomes. The shape is by UTC hour: least
//! traffic and least trouble from 00 to 08, most from 14 to 18. Trouble grows with the load up
//! to the scenario's own ratios, which hold in the last minutes, so that the history leads up
//! to what the live fleet shows. An outage has no daily rhythm: it exists only in incidents and
//! in those last minutes.
//!
//! It is scenery, not a second simulation: counts are expected values with a little noise, and
//! the ledger does not hold them. Clients try some of what failed a second time, in the same
//! weather.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::dialect::Dialect;
use super::fate::{Fate, pace, timed};
use super::fleet::fingerprint;
use super::kind::{Kind, Trouble};
use super::scenario::Scenario;
use super::weather::Weather;
use crate::domain::outcome::{Attempt, Outcome};
use crate::domain::target::Target;
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};

/// How long before its end the history already shows the scenario's own ratios.
const LEAD_UP: Duration = Duration::from_secs(15 * 60);

/// Incidents per target and day.
const INCIDENTS_PER_DAY: u64 = 2;

/// How many times worse overload is in an incident.
const INCIDENT_FACTOR: f64 = 4.0;

/// Largest ratio of one kind: even an incident lets some requests through.
const RATIO_MAX: f64 = 0.8;

/// Share of the busiest hour's traffic by UTC hour, straight lines between.
const LOAD: [(f64, f64); 8] = [
    (0.0, 0.25),
    (3.0, 0.2),
    (8.0, 0.25),
    (10.0, 0.6),
    (14.0, 0.95),
    (16.0, 1.0),
    (18.0, 0.9),
    (24.0, 0.25),
];

/// Good answers of a minute come in three paces: most usual, some slower, a few slow.
const PACES: [(f64, f64); 3] = [(0.55, 0.8), (0.35, 1.1), (0.10, 2.0)];

/// Share of the refusals worth another try that clients do try again.
const RETRIED: f64 = 0.5;

/// Some requests of one minute that fared alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Bygone {
    /// Whom they were for.
    pub target: Target,
    /// First tries or later ones.
    pub attempt: Attempt,
    /// The middle of their minute.
    pub at: Timestamp,
    /// How many, at least one.
    pub count: u32,
    /// What became of each.
    pub fate: Fate,
}

impl Bygone {
    /// The same as one outcome with a count.
    pub fn outcome(&self) -> Outcome {
        Outcome { count: self.count, ..self.fate.outcome(&self.target, self.attempt, self.at) }
    }
}

/// The past of one target.
struct Past {
    target: Target,
    requests_per_minute: f64,
    weather: Weather,
    incidents: Vec<(Timestamp, Timestamp)>,
    rng: StdRng,
    /// What is left of the expected counts once whole requests are taken.
    owed: [f64; Kind::COUNT],
    /// The same of the second tries.
    owed_again: f64,
}

/// The history of every target that has traffic, in whole minutes from `from` to before `to`,
/// target by target. The same arguments give the same history.
pub fn history(
    scenario: &Scenario,
    seed: u64,
    from: Timestamp,
    to: Timestamp,
) -> impl Iterator<Item = Bygone> + use<> {
    let minutes = from.millis().div_ceil(MINUTE_MS)..to.millis() / MINUTE_MS;
    let pasts: Vec<_> = scenario
        .plans
        .iter()
        .filter(|(_, plan)| plan.requests_per_second > 0.0)
        .map(|(target, plan)| {
            let mut rng = StdRng::seed_from_u64(seed ^ fingerprint(target));
            Past {
                target: target.clone(),
                requests_per_minute: plan.requests_per_second * 60.0,
                weather: plan.weather().clone(),
                incidents: incidents(&mut rng, from, to),
                rng,
                owed: [0.0; Kind::COUNT],
                owed_again: 0.0,
            }
        })
        .collect();
    pasts.into_iter().flat_map(move |mut past| {
        minutes.clone().flat_map(move |minute| {
            let start = Timestamp::from_millis(minute * MINUTE_MS);
            past.minute(start, start.plus(LEAD_UP) >= to)
        })
    })
}

impl Past {
    fn minute(&mut self, start: Timestamp, leads_up: bool) -> Vec<Bygone> {
        // The middle of the minute stands for all of it.
        let at = start.plus(Duration::from_millis(MINUTE_MS / 2));
        let load = load(at);
        let incident = self.incidents.iter().any(|(begin, end)| (*begin..*end).contains(&at));
        let noise = self.rng.random_range(0.9..1.1);
        let requests = self.requests_per_minute * load * noise;
        let mut left = requests;
        let (mut bygones, mut again) = (Vec::new(), 0.0);
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Ok) {
            let factor = trouble(kind, load, incident, leads_up);
            let expected = requests * (self.weather.ratio(kind) * factor).min(RATIO_MAX);
            let expected = expected.min(left);
            left -= expected;
            let count = self.whole(kind, expected);
            if kind.trouble().is_some_and(Trouble::is_retryable) {
                again += f64::from(count) * RETRIED;
            }
            bygones.extend(self.bygone(kind, at, count, 1.0));
        }
        let retries = self.retries(again, requests, &bygones);
        bygones.extend(retries);
        let mut fine = self.whole(Kind::Ok, left);
        for (share, usual) in PACES.into_iter().rev() {
            // The first pace, last in turn, takes what rounding left.
            let count = if share == PACES[0].0 { fine } else { (f64::from(fine) * share) as u32 };
            fine -= count;
            // A busy provider is a slower one.
            let slower = usual * (1.0 + 0.4 * load);
            bygones.extend(self.bygone(Kind::Ok, at, count, slower));
        }
        bygones
    }

    /// What became of the second tries: they fare as the first ones of their minute did.
    fn retries(&mut self, tries: f64, requests: f64, first: &[Bygone]) -> Vec<Bygone> {
        self.owed_again += tries;
        let mut left = self.owed_again.floor() as u32;
        self.owed_again -= f64::from(left);
        let mut retries = Vec::new();
        for bygone in first {
            let share = f64::from(bygone.count) / requests.max(1.0);
            let count = ((share * f64::from(left)).round() as u32).min(left);
            left -= count;
            retries.extend(self.bygone(bygone.fate.kind, bygone.at, count, 1.0));
        }
        if let Some(bygone) = first.first() {
            retries.extend(self.bygone(Kind::Ok, bygone.at, left, 1.0));
        }
        retries.into_iter().map(|bygone| Bygone { attempt: Attempt::Retry, ..bygone }).collect()
    }

    /// Whole requests out of an expected number; the rest is owed to the next minute.
    fn whole(&mut self, kind: Kind, expected: f64) -> u32 {
        let owed = &mut self.owed[kind.index()];
        *owed += expected;
        let whole = owed.floor();
        *owed -= whole;
        whole as u32
    }

    fn bygone(&mut self, kind: Kind, at: Timestamp, count: u32, slower: f64) -> Option<Bygone> {
        let pace = pace(&mut self.rng) * slower;
        let dialect = Dialect::of(self.target.provider.as_str());
        let fate = timed(kind, (dialect, &self.target), &self.weather, pace);
        let target = self.target.clone();
        (count > 0).then_some(Bygone { target, attempt: Attempt::First, at, count, fate })
    }
}

/// Share of the busiest hour's traffic at this moment.
fn load(at: Timestamp) -> f64 {
    let hour = (at.millis() % DAY_MS) as f64 / HOUR_MS as f64;
    let line = LOAD.windows(2).find(|line| hour < line[1].0).expect("the last point is 24 h");
    let ((from, low), (to, high)) = (line[0], line[1]);
    low + (high - low) * (hour - from) / (to - from)
}

/// What the scenario's ratio of a kind is multiplied by.
fn trouble(kind: Kind, load: f64, incident: bool, leads_up: bool) -> f64 {
    match kind {
        Kind::Overloaded | Kind::StreamOverloaded => {
            let worse = if incident { INCIDENT_FACTOR } else { 1.0 };
            if leads_up { 1.0 } else { load * load * worse }
        }
        // Our own limit is hit only when we are busy ourselves.
        Kind::RateLimited => {
            if leads_up {
                1.0
            } else {
                ((load - 0.5) * 2.0).max(0.0)
            }
        }
        Kind::Unavailable | Kind::ServerError | Kind::Reset | Kind::StreamReset => {
            f64::from(u8::from(incident || leads_up))
        }
        Kind::Ok
        | Kind::Slow
        | Kind::QuotaExhausted
        | Kind::Billing
        | Kind::Auth
        | Kind::Drip
        | Kind::HalfOpen
        | Kind::WrongType
        | Kind::Redirect
        | Kind::Huge => 1.0,
    }
}

/// Some stretches of 15 to 40 minutes.
fn incidents(rng: &mut StdRng, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let span = to.millis().saturating_sub(from.millis());
    let count = (span * INCIDENTS_PER_DAY).div_ceil(DAY_MS);
    (0..count)
        .map(|_| {
            let begin = from.millis() + rng.random_range(0..span.max(1));
            let lasts = rng.random_range(15 * MINUTE_MS..40 * MINUTE_MS);
            (Timestamp::from_millis(begin), Timestamp::from_millis(begin + lasts))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::showcase::demo;
    use super::*;
    use crate::domain::outcome::{Class, Signal};
    use crate::domain::tally::Tally;

    /// Noon of some day, and the day before it.
    const TO: Timestamp = Timestamp::from_secs(1_777_032_000);

    fn tally(target: &str, hours: std::ops::Range<usize>) -> Tally {
        let from = TO.minus(Duration::from_millis(DAY_MS));
        let mut tally = Tally::default();
        for outcome in history(&demo(), 7, from, TO).map(|bygone| bygone.outcome()) {
            if outcome.target.to_string() == target && hours.contains(&outcome.at.hour().of_day()) {
                tally.add(outcome.class, outcome.attempt, u64::from(outcome.count));
            }
        }
        tally
    }

    #[test]
    fn nights_are_quiet_and_afternoons_are_not() {
        let opus = "anthropic/claude-opus-4-7";
        let (night, day) = (tally(opus, 0..8), tally(opus, 13..19));
        assert!(night.attempts < day.attempts / 2, "{night:?} {day:?}");
        let (quiet, busy) = (night.ratio(Signal::Overload), day.ratio(Signal::Overload));
        assert!(quiet.unwrap() < 0.02, "{quiet:?}");
        assert!(busy.unwrap() > 0.05, "{busy:?}");
        assert_eq!(tally("moonshot/kimi-k2-6", 0..24).attempts, 0);
        let outage = tally("deepseek/deepseek-v4-pro", 0..24).ratio(Signal::Outage);
        assert!((0.005..0.2).contains(&outage.unwrap()), "{outage:?}");
    }

    #[test]
    fn a_day_is_bounded_repeatable_and_inside_its_limits() {
        let from = TO.minus(Duration::from_millis(DAY_MS));
        let day: Vec<_> = history(&demo(), 7, from, TO).map(|bygone| bygone.outcome()).collect();
        assert!(day.len() < 50_000, "{}", day.len());
        assert!(day.iter().all(|outcome| outcome.at >= from && outcome.at < TO));
        assert!(day.iter().all(|outcome| outcome.count > 0));
        assert!(day.iter().any(|outcome| outcome.code == Some(529)));
        let mut failed = day.iter().filter(|outcome| outcome.class != Class::Ok);
        assert!(failed.clone().any(|outcome| outcome.code == Some(503)));
        let retried = |outcome: &&Outcome| outcome.attempt == Attempt::Retry;
        let attempts = |outcomes: &mut dyn Iterator<Item = &Outcome>| {
            outcomes.map(|outcome| u64::from(outcome.count)).sum::<u64>()
        };
        let (again, failed) = (attempts(&mut day.iter().filter(retried)), attempts(&mut failed));
        assert!((failed / 4..failed).contains(&again), "{again} of {failed}");
        let same = history(&demo(), 7, from, TO).map(|bygone| bygone.outcome());
        assert!(same.eq(day));
        assert_eq!(history(&demo(), 7, TO, from).count(), 0);
    }
}
