//! The exact counts of one target: totals, windows, hours, latency.

use std::collections::VecDeque;

use crate::domain::layer::Basis;
use crate::domain::outcome::{Attempt, Class, Outcome, Scope, Source};
use crate::domain::tally::Tally;
use crate::domain::time::{Hour, MINUTE_MS, SECOND_MS, Timestamp};

use super::latency::Latency;
use super::operations::OperationCounts;
use super::ring::Ring;
use super::snapshot::{
    Code, Counters, Evident, Heard, LatencyView, OperationsView, SourceCounters, Windows,
};

/// Different status codes kept per series; the next one counts as `other`. Providers use about a
/// dozen, so more means garbage from a client.
const CODES_MAX: usize = 16;

/// Series (source, region, account) per target; more regions and accounts than this count under
/// the default scope.
const SERIES_MAX: usize = 32;

/// Hour rows held in memory: an outcome may be 24 h late, so 24 full hours, the running one and
/// the one that the oldest minute lies in.
const HOURS_KEPT: usize = 26;

/// Everything counted about one target.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    series: Vec<Series>,
    counters: Shared,
    five_minutes: Ring<30, { Tally::COUNTS }>,
    one_hour: Ring<60, { Tally::COUNTS }>,
    one_day: Ring<144, { Tally::COUNTS }>,
    /// Attempts by source, beside `five_minutes`, and those of clients that make a probe needless.
    recent_by_source: Ring<30, { Source::COUNT + 1 }>,
    latency: Latency,
    last_outcome_at: Option<Timestamp>,
    /// Made when the first operation, or attempt without a class, comes.
    operations: Option<Box<OperationCounts>>,
    /// Which sources told, and when last.
    coverage: Vec<Heard>,
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
            operations: None,
            coverage: Vec::new(),
        }
    }

    /// Counts one outcome everywhere it belongs. Returns whether its status code had to be
    /// counted as `other`.
    pub(super) fn add(&mut self, outcome: &Outcome, arrival: Arrival, now: Timestamp) -> bool {
        // A client's clock may run ahead a little: its slot must not lie in the future, or it
        // would shut out what really happens then.
        let at = outcome.at.min(now);
        // A misconfigured probe says something about us: Prometheus counts it, health does not.
        let about_us = outcome.source == Source::Probe && outcome.class.is_misconfigured_probe();
        if !about_us {
            self.note(outcome, at, now);
        }
        let live = arrival == Arrival::Live;
        if outcome.basis == Basis::Operation || outcome.unclassified > 0 {
            self.operations.get_or_insert_default().add(outcome, at, live, now);
        }
        if outcome.basis == Basis::Operation {
            return false;
        }
        if let Some(then) = outcome.replaces {
            self.take_back_ok(outcome, then.min(now), live, now);
        }
        let series = self.series_mut(outcome);
        let row = (!about_us).then(|| hour_row(&mut series.hours, at.hour(), now.hour())).flatten();
        if let Some(tally) = row {
            tally.add(outcome.class, outcome.attempt, u64::from(outcome.count));
        }
        let mut code_overflowed = false;
        if live {
            let count = u64::from(outcome.count);
            series.counters.by_class[outcome.attempt.index()][outcome.class.index()] += count;
            // The response of what is replaced was counted when its headers came.
            if outcome.replaces.is_none() {
                code_overflowed = add_code(&mut series.counters, outcome.code, count);
            }
        }
        if about_us {
            return code_overflowed;
        }
        if live {
            self.add_shared(outcome, at);
        }
        self.add_to_windows(outcome, at, now);
        if outcome.class == Class::Ok {
            self.latency.observe(outcome, at, now);
        }
        code_overflowed
    }

    /// Remembers who told of what, and when.
    fn note(&mut self, outcome: &Outcome, at: Timestamp, now: Timestamp) {
        // What lies ahead was seen before the clock stepped back.
        let later = |last: Timestamp| if last <= now { last.max(at) } else { at };
        self.last_outcome_at = Some(self.last_outcome_at.map_or(at, later));
        let (layer, basis) = (outcome.layer, outcome.basis);
        match self.coverage.iter_mut().find(|heard| heard.layer == layer && heard.basis == basis) {
            Some(heard) => heard.last_at = later(heard.last_at),
            None => self.coverage.push(Heard { layer, basis, last_at: at }),
        }
    }

    /// Takes the success back that this outcome replaces. The number of attempts that Prometheus
    /// sees stays: what was a success becomes a failure.
    fn take_back_ok(&mut self, outcome: &Outcome, then: Timestamp, live: bool, now: Timestamp) {
        let (attempt, count) = (outcome.attempt, u64::from(outcome.count));
        let take_back = |slot: &mut [u32; Tally::COUNTS]| {
            let mut tally = Tally::from_counts(slot.map(u64::from));
            tally.take_back(Class::Ok, attempt, count);
            // Less than what fitted before.
            *slot = tally.to_counts().map(|count| count as u32);
        };
        let slots = [
            self.five_minutes.slot_mut(then, now),
            self.one_hour.slot_mut(then, now),
            self.one_day.slot_mut(then, now),
        ];
        slots.into_iter().flatten().for_each(take_back);
        if let Some(slot) = self.recent_by_source.slot_mut(then, now) {
            let [by_source @ .., evident] = slot;
            let sum = &mut by_source[outcome.source.index()];
            *sum = sum.saturating_sub(outcome.count);
            if outcome.is_evident() {
                *evident = evident.saturating_sub(outcome.count);
            }
        }
        let series = self.series_mut(outcome);
        if let Some((_, tally)) = series.hours.iter_mut().find(|(hour, _)| *hour == then.hour()) {
            tally.take_back(Class::Ok, attempt, count);
        }
        if live {
            let ok = &mut series.counters.by_class[attempt.index()][Class::Ok.index()];
            *ok = ok.saturating_sub(count);
        }
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
            // A counter cannot take back the request that it counted with a success.
            if outcome.replaces.is_none() && (outcome.class == Class::Ok || signal.is_some()) {
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
        let counts = tally.to_counts();
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
            let [by_source @ .., evident] = slot;
            let sum = &mut by_source[outcome.source.index()];
            *sum = sum.saturating_add(outcome.count);
            if outcome.is_evident() {
                *evident = evident.saturating_add(outcome.count);
            }
        }
    }

    pub(super) fn windows(&self, now: Timestamp) -> Windows {
        Windows {
            five_minutes: Tally::from_counts(self.five_minutes.sum(now)),
            one_hour: Tally::from_counts(self.one_hour.sum(now)),
            one_day: Tally::from_counts(self.one_day.sum(now)),
        }
    }

    pub(super) fn recent_by_source(&self, now: Timestamp) -> [u64; Source::COUNT] {
        let [by_source @ .., _] = self.recent_by_source.sum(now);
        by_source
    }

    pub(super) fn evident(&self, now: Timestamp) -> Evident {
        let [.., five_minutes] = self.recent_by_source.sum(now);
        let [.., last_minute] = self.recent_by_source.sum_of_last(6, now);
        Evident { five_minutes, last_minute }
    }

    pub(super) fn latency(&self, now: Timestamp) -> LatencyView {
        self.latency.view(now)
    }

    pub(super) fn operations(&self, now: Timestamp) -> Option<OperationsView> {
        self.operations.as_ref().map(|operations| operations.view(now))
    }

    /// Which sources told, best first.
    pub(super) fn coverage(&self) -> Vec<Heard> {
        let mut coverage = self.coverage.clone();
        coverage.sort_unstable_by_key(|heard| (heard.layer, heard.basis));
        coverage
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

/// The row of one clock hour, unless it is too old to be kept; lets go of rows too old to be
/// written again.
fn hour_row(hours: &mut VecDeque<(Hour, Tally)>, hour: Hour, newest: Hour) -> Option<&mut Tally> {
    let oldest = (newest.index() + 1).saturating_sub(HOURS_KEPT as u64);
    while hours.front().is_some_and(|(hour, _)| hour.index() < oldest) {
        hours.pop_front();
    }
    // Rows of a future that a stepped-back clock has not reached.
    while hours.back().is_some_and(|(hour, _)| *hour > newest) {
        hours.pop_back();
    }
    if hour.index() < oldest {
        return None;
    }
    let index = match hours.binary_search_by_key(&hour, |(hour, _)| *hour) {
        Ok(index) => index,
        Err(index) => {
            hours.insert(index, (hour, Tally::default()));
            index
        }
    };
    Some(&mut hours[index].1)
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
