//! The exact counts of one target: totals, windows, hours, latency.

use std::collections::VecDeque;

use crate::domain::outcome::{Attempt, Class, Outcome, Scope, Signal, Source};
use crate::domain::sketch::Sketch;
use crate::domain::tally::Tally;
use crate::domain::time::{Hour, MINUTE_MS, SECOND_MS, Timestamp};

use super::ring::Ring;
use super::snapshot::{Code, Counters, LatencyView, SourceCounters, Windows};

/// Different status codes kept per series; the next one counts as `other`. Providers use about a
/// dozen, so more means garbage from a client.
const CODES_MAX: usize = 16;

/// Series (source, region, account) per target; more regions and accounts than this count under
/// the default scope.
const SERIES_MAX: usize = 32;

/// Hour rows held in memory: an outcome may be 24 h late, so 24 full hours, the running one and
/// the one that the oldest minute lies in.
const HOURS_KEPT: usize = 26;

/// Each latency sketch covers this long; quantiles read the running one and the one before.
const LATENCY_SPAN_MS: u64 = 5 * MINUTE_MS;

/// Counts in a window's slot: the tally's nine, in the order of [`tally_counts`].
const TALLY_COUNTS: usize = 9;

/// Everything counted about one target.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    series: Vec<Series>,
    counters: Shared,
    five_minutes: Ring<30, TALLY_COUNTS>,
    one_hour: Ring<60, TALLY_COUNTS>,
    one_day: Ring<144, TALLY_COUNTS>,
    /// Attempts by source, beside `five_minutes`.
    recent_by_source: Ring<30, { Source::COUNT }>,
    latency: Latency,
    last_outcome_at: Option<Timestamp>,
}

/// Counters that are not split by source.
#[derive(Clone, Debug, Default)]
struct Shared {
    hour_of_day: [super::snapshot::HourOfDay; 24],
    duration: crate::domain::histogram::Histogram,
    time_to_first_token: crate::domain::histogram::Histogram,
}

/// The counts of one (source, region, account).
#[derive(Clone, Debug)]
struct Series {
    source: Source,
    scope: Scope,
    counters: SourceCounters,
    /// Clock hours with at least one attempt, oldest first.
    hours: VecDeque<(Hour, Tally)>,
}

/// Two generations of sketches, so that quantiles forget.
#[derive(Clone, Debug, Default)]
struct Latency {
    span: u64,
    duration: [Sketch; 2],
    time_to_first_token: [Sketch; 2],
}

/// How an outcome came: as it happens, or as history that only hours and windows want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Reported or probed while the process runs: counted everywhere.
    Live,
    /// Imported: it fills hours and windows, but neither Prometheus counters, which only ever
    /// count what this process saw, nor the detectors.
    History,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self {
            series: Vec::new(),
            counters: Shared::default(),
            five_minutes: Ring::new(10 * SECOND_MS),
            one_hour: Ring::new(MINUTE_MS),
            one_day: Ring::new(10 * MINUTE_MS),
            recent_by_source: Ring::new(10 * SECOND_MS),
            latency: Latency::default(),
            last_outcome_at: None,
        }
    }

    /// Counts one outcome everywhere it belongs. Returns whether its status code had to be
    /// counted as `other`.
    pub(super) fn add(&mut self, outcome: &Outcome, arrival: Arrival, now: Timestamp) -> bool {
        // A client's clock may run ahead a little: its slot must not lie in the future, or it
        // would shut out what really happens then.
        let at = outcome.at.min(now);
        let count = u64::from(outcome.count);
        // A misconfigured probe says something about us: Prometheus counts it, health does not.
        let about_us = outcome.source == Source::Probe && outcome.class.is_misconfigured_probe();
        let series = self.series_mut(outcome);
        if !about_us {
            add_to_hour(&mut series.hours, at.hour(), outcome, now.hour());
        }
        let mut code_overflowed = false;
        if arrival == Arrival::Live {
            series.counters.by_class[outcome.attempt.index()][outcome.class.index()] += count;
            code_overflowed = add_code(&mut series.counters, outcome.code, count);
        }
        if about_us {
            return code_overflowed;
        }
        if arrival == Arrival::Live {
            self.add_shared(outcome, at);
        }
        self.add_to_windows(outcome, at, now);
        if outcome.class == Class::Ok {
            self.latency.observe(outcome, at, now);
        }
        // What lies ahead was seen before the clock stepped back.
        let earlier = self.last_outcome_at.filter(|last| *last <= now);
        self.last_outcome_at = Some(earlier.map_or(at, |last| last.max(at)));
        code_overflowed
    }

    fn series_mut(&mut self, outcome: &Outcome) -> &mut Series {
        let position = |scope: &Scope| {
            self.series.iter().position(|s| s.source == outcome.source && s.scope == *scope)
        };
        let plain = Scope::default();
        let index = position(&outcome.scope).or_else(|| {
            let full = self.series.len() >= SERIES_MAX;
            full.then(|| position(&plain)).flatten()
        });
        let index = index.unwrap_or_else(|| {
            let full = self.series.len() >= SERIES_MAX;
            self.series.push(Series {
                source: outcome.source,
                scope: if full { plain } else { outcome.scope.clone() },
                counters: SourceCounters::default(),
                hours: VecDeque::new(),
            });
            self.series.len() - 1
        });
        &mut self.series[index]
    }

    fn add_shared(&mut self, outcome: &Outcome, at: Timestamp) {
        let count = u64::from(outcome.count);
        if outcome.attempt == Attempt::First {
            let hour = &mut self.counters.hour_of_day[at.hour().of_day()];
            let signal = outcome.class.signal();
            if outcome.class == Class::Ok || signal.is_some() {
                hour.requests += count;
            }
            if let Some(signal) = signal {
                hour.errors[signal.index()] += count;
            }
        }
        if outcome.class == Class::Ok {
            if let Some(duration) = outcome.duration {
                self.counters.duration.observe(duration, count);
            }
            if let Some(ttft) = outcome.time_to_first_token {
                self.counters.time_to_first_token.observe(ttft, count);
            }
        }
    }

    fn add_to_windows(&mut self, outcome: &Outcome, at: Timestamp, now: Timestamp) {
        let mut tally = Tally::default();
        tally.add(outcome.class, outcome.attempt, u64::from(outcome.count));
        let counts = tally_counts(&tally);
        for slot in [
            self.five_minutes.slot_mut(at, now),
            self.one_hour.slot_mut(at, now),
            self.one_day.slot_mut(at, now),
        ]
        .into_iter()
        .flatten()
        {
            for (sum, count) in slot.iter_mut().zip(counts) {
                *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
        if let Some(slot) = self.recent_by_source.slot_mut(at, now) {
            let sum = &mut slot[outcome.source.index()];
            *sum = sum.saturating_add(outcome.count);
        }
    }

    pub(super) fn windows(&self, now: Timestamp) -> Windows {
        Windows {
            five_minutes: tally_of(self.five_minutes.sum(now)),
            one_hour: tally_of(self.one_hour.sum(now)),
            one_day: tally_of(self.one_day.sum(now)),
        }
    }

    pub(super) fn recent_by_source(&self, now: Timestamp) -> [u64; Source::COUNT] {
        self.recent_by_source.sum(now)
    }

    pub(super) fn last_minute_by_source(&self, now: Timestamp) -> [u64; Source::COUNT] {
        self.recent_by_source.sum_of_last(6, now)
    }

    pub(super) fn latency(&self, now: Timestamp) -> LatencyView {
        self.latency.view(now)
    }

    pub(super) fn last_outcome_at(&self) -> Option<Timestamp> {
        self.last_outcome_at
    }

    /// The counters that Prometheus sees, regions and accounts added up.
    pub(super) fn counters(&self) -> Counters {
        let mut counters = Counters {
            hour_of_day: self.counters.hour_of_day,
            duration: self.counters.duration,
            time_to_first_token: self.counters.time_to_first_token,
            ..Counters::default()
        };
        for series in &self.series {
            let sum = &mut counters.by_source[series.source.index()];
            for (mine, theirs) in sum
                .by_class
                .as_flattened_mut()
                .iter_mut()
                .zip(series.counters.by_class.as_flattened())
            {
                *mine += theirs;
            }
            for (code, count) in &series.counters.by_code {
                add_to_code(sum, *code, *count);
            }
        }
        counters
    }

    /// The clock hours with attempts, all series added up, oldest first.
    pub(super) fn hours(&self) -> Vec<(Hour, Tally)> {
        let mut hours: Vec<(Hour, Tally)> = Vec::with_capacity(HOURS_KEPT);
        for (hour, tally) in self.series.iter().flat_map(|series| &series.hours) {
            match hours.binary_search_by_key(hour, |(hour, _)| *hour) {
                Ok(index) => hours[index].1.merge(tally),
                Err(index) => hours.insert(index, (*hour, *tally)),
            }
        }
        hours
    }
}

/// Adds to the row of one clock hour, and lets go of rows too old to be written again.
fn add_to_hour(hours: &mut VecDeque<(Hour, Tally)>, hour: Hour, outcome: &Outcome, newest: Hour) {
    let oldest = (newest.index() + 1).saturating_sub(HOURS_KEPT as u64);
    while hours.front().is_some_and(|(hour, _)| hour.index() < oldest) {
        hours.pop_front();
    }
    // Rows of a future that a stepped-back clock has not reached.
    while hours.back().is_some_and(|(hour, _)| *hour > newest) {
        hours.pop_back();
    }
    if hour.index() < oldest {
        return;
    }
    let index = match hours.binary_search_by_key(&hour, |(hour, _)| *hour) {
        Ok(index) => index,
        Err(index) => {
            hours.insert(index, (hour, Tally::default()));
            index
        }
    };
    hours[index].1.add(outcome.class, outcome.attempt, u64::from(outcome.count));
}

/// Counts a status code; true when it had to go to `other`.
fn add_code(counters: &mut SourceCounters, code: Option<u16>, count: u64) -> bool {
    let code = code.map_or(Code::None, Code::Status);
    let known = counters.by_code.iter().any(|(known, _)| *known == code);
    let room = counters.by_code.iter().filter(|(code, _)| *code != Code::Other).count() < CODES_MAX;
    if known || room {
        add_to_code(counters, code, count);
        return false;
    }
    add_to_code(counters, Code::Other, count);
    true
}

fn add_to_code(counters: &mut SourceCounters, code: Code, count: u64) {
    match counters.by_code.iter_mut().find(|(known, _)| *known == code) {
        Some((_, sum)) => *sum += count,
        None => counters.by_code.push((code, count)),
    }
}

fn tally_counts(tally: &Tally) -> [u64; TALLY_COUNTS] {
    let [overload, outage, rate_limit] = tally.first_failures;
    [
        tally.attempts,
        tally.ok,
        tally.overloaded,
        tally.rate_limited,
        tally.unavailable,
        tally.first_ok,
        overload,
        outage,
        rate_limit,
    ]
}

fn tally_of(counts: [u64; TALLY_COUNTS]) -> Tally {
    let [attempts, ok, overloaded, rate_limited, unavailable, first_ok, rest @ ..] = counts;
    let first_failures: [u64; Signal::COUNT] = rest;
    Tally { attempts, ok, overloaded, rate_limited, unavailable, first_ok, first_failures }
}

impl Latency {
    fn observe(&mut self, outcome: &Outcome, at: Timestamp, now: Timestamp) {
        self.turn(now);
        let span = at.millis() / LATENCY_SPAN_MS;
        let Some(generation) = self.span.checked_sub(span).filter(|age| *age < 2) else {
            return;
        };
        let generation = usize::from(generation == 1);
        if let Some(duration) = outcome.duration {
            self.duration[generation].observe(duration, outcome.count);
        }
        if let Some(ttft) = outcome.time_to_first_token {
            self.time_to_first_token[generation].observe(ttft, outcome.count);
        }
    }

    /// Moves to the span of `now`, keeping the span before it; a clock that stepped back starts
    /// afresh.
    fn turn(&mut self, now: Timestamp) {
        let span = now.millis() / LATENCY_SPAN_MS;
        match span.checked_sub(self.span) {
            Some(0) => return,
            Some(1) => {
                self.duration = [Sketch::default(), self.duration[0]];
                self.time_to_first_token = [Sketch::default(), self.time_to_first_token[0]];
            }
            Some(2..) | None => {
                self.duration = Default::default();
                self.time_to_first_token = Default::default();
            }
        }
        self.span = span;
    }

    fn view(&self, now: Timestamp) -> LatencyView {
        let mut current = self.clone();
        current.turn(now);
        let [new, old] = &current.duration;
        let [new_ttft, old_ttft] = &current.time_to_first_token;
        LatencyView {
            p50: new.quantile(old, 0.5),
            p95: new.quantile(old, 0.95),
            ttft_p50: new_ttft.quantile(old_ttft, 0.5),
        }
    }
}
