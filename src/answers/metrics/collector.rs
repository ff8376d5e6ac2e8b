//! One snapshot as Prometheus families: constants made for one scrape, nothing counted twice.
//!
//! A collector is made for each scrape and lives as long as it. So all families show the same
//! second (an error ratio cannot exceed 1), a target that leaves the book leaves no series
//! behind, and two scrapes at once do not meet. It reads only; what a scrape remembers, for
//! counters to be born at 0, is decided before in [`super::zero_first`].
//!
//! Every series that can be known exists at 0. What has not happened yet and has no honest zero
//! (the result and time of a first probe, the time of a first outcome) is absent instead: a time
//! stamp of 0 would be an age of decades to a rule. Overflow targets (`model="other"`) have all
//! series of a target; their state never leaves `unknown`.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::domain::outcome::{Attempt, Class, Signal, Source};
use crate::domain::state::{SignalState, TargetState};
use crate::domain::status_page::Indicator;
use crate::domain::time::{SECOND_MS, Timestamp};
use crate::store::snapshot::{Code, Counters, ProbeView, Snapshot, TargetView};

use super::family::Family;
use super::names;
use super::zero_first::{Hold, is_known, known_codes};

/// How long a rate limit is believed after its headers were seen: the longest window of a
/// short-term limit is an hour, after which what remained says nothing.
const QUOTA_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// Hours of the day as label values.
const HOURS: [&str; 24] = [
    "00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15",
    "16", "17", "18", "19", "20", "21", "22", "23",
];

/// Why a probe is left out on purpose; others count under `other`.
const SKIP_REASONS: [&str; 4] = ["budget", "clients_report", "missed", "overlap"];
const OTHER: &str = "other";

/// The view of one scrape.
pub(super) struct Scrape {
    /// What is shown.
    pub snapshot: Arc<Snapshot>,
    /// What is held at 0, for each target of the snapshot.
    pub holds: Vec<Hold>,
    /// The time of the scrape.
    pub now: Timestamp,
    /// Whether the hour-of-day counters are written.
    pub hour_of_day: bool,
    /// The descriptions of [`descriptions`].
    pub descriptions: Arc<[Desc]>,
    /// Counters that show 0, for the targets that are held.
    pub zero: Arc<Counters>,
}

/// One description for each family written from the snapshot.
pub(super) fn descriptions() -> Arc<[Desc]> {
    let describe = |row: names::Metric| {
        let labels = row.labels.iter().map(ToString::to_string).collect();
        Desc::new(row.name.into(), row.help.into(), labels, Default::default())
            .expect("the table's names are valid, as its test shows")
    };
    names::FROM_SNAPSHOT.into_iter().map(describe).collect()
}

impl Collector for Scrape {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::with_capacity(names::FROM_SNAPSHOT.len());
        self.traffic(&mut families);
        self.operations(&mut families);
        if self.hour_of_day {
            self.hours(&mut families);
        }
        self.latencies(&mut families);
        self.targets(&mut families);
        self.signals(&mut families);
        self.probes(&mut families);
        self.budgets(&mut families);
        self.quotas(&mut families);
        self.status_pages(&mut families);
        self.whole(&mut families);
        families
    }
}

impl Scrape {
    /// Each target with its names and what is held back of it.
    fn views(&self) -> impl Iterator<Item = (&TargetView, [&str; 2], &Hold)> {
        self.snapshot.targets.iter().zip(&self.holds).map(|(view, hold)| {
            (view, [view.target.provider.as_str(), view.target.model.as_str()], hold)
        })
    }

    fn counters<'a>(&'a self, view: &'a TargetView, hold: &Hold) -> &'a Counters {
        if hold.everything { &self.zero } else { &view.counters }
    }

    fn traffic(&self, families: &mut Vec<MetricFamily>) {
        let mut requests = Family::new(&names::REQUESTS);
        let mut errors = Family::new(&names::REQUEST_ERRORS);
        let mut responses = Family::new(&names::HTTP_RESPONSES);
        for (view, [provider, model], hold) in self.views() {
            for source in Source::ALL {
                let from = source.as_str();
                let counters = &self.counters(view, hold).by_source[source.index()];
                for attempt in Attempt::ALL {
                    let by_class = &counters.by_class[attempt.index()];
                    let attempts: u64 = by_class.iter().sum();
                    let attempt = attempt.as_str();
                    requests.count(&[provider, model, from, attempt], attempts);
                    for class in Class::errors() {
                        let labels = [provider, model, from, attempt, class.as_str()];
                        errors.count(&labels, by_class[class.index()]);
                    }
                }
                for (code, count) in codes(view, source, hold) {
                    responses.count(&[provider, model, from, &code_label(code)], count);
                }
            }
        }
        families.extend([requests, errors, responses].map(Family::finish));
    }

    /// Only of targets with a source that tells of calls; they are born at 0 like the others.
    fn operations(&self, families: &mut Vec<MetricFamily>) {
        let mut operations = Family::new(&names::OPERATIONS);
        let mut errors = Family::new(&names::OPERATION_ERRORS);
        let mut unclassified = Family::new(&names::ATTEMPTS_UNCLASSIFIED);
        for (view, [provider, model], hold) in self.views() {
            let Some(of) = &view.operations else { continue };
            let counters = if hold.operations { Default::default() } else { of.counters };
            operations.count(&[provider, model], counters.by_class.iter().sum());
            unclassified.count(&[provider, model], counters.unclassified);
            for class in Class::errors() {
                let labels = [provider, model, class.as_str()];
                errors.count(&labels, counters.by_class[class.index()]);
            }
        }
        families.extend([operations, errors, unclassified].map(Family::finish));
    }

    fn hours(&self, families: &mut Vec<MetricFamily>) {
        let mut requests = Family::new(&names::HOUR_REQUESTS);
        let mut errors = Family::new(&names::HOUR_ERRORS);
        for (view, [provider, model], hold) in self.views() {
            for (hour, counts) in HOURS.iter().zip(&self.counters(view, hold).hour_of_day) {
                requests.count(&[provider, model, hour], counts.requests);
                for signal in Signal::ALL {
                    let labels = [provider, model, hour, signal.as_str()];
                    errors.count(&labels, counts.errors[signal.index()]);
                }
            }
        }
        families.extend([requests, errors].map(Family::finish));
    }

    fn latencies(&self, families: &mut Vec<MetricFamily>) {
        let mut duration = Family::new(&names::REQUEST_DURATION);
        let mut first_token = Family::new(&names::TIME_TO_FIRST_TOKEN);
        for (view, labels, hold) in self.views() {
            let counters = self.counters(view, hold);
            duration.histogram(&labels, &counters.duration);
            first_token.histogram(&labels, &counters.time_to_first_token);
        }
        families.extend([duration, first_token].map(Family::finish));
    }

    fn targets(&self, families: &mut Vec<MetricFamily>) {
        let mut states = Family::new(&names::TARGET_STATE);
        let mut transitions = Family::new(&names::TARGET_TRANSITIONS);
        let mut last_outcome = Family::new(&names::LAST_OUTCOME);
        let mut info = Family::new(&names::TARGET_INFO);
        for (view, labels, hold) in self.views() {
            let [provider, model] = labels;
            for state in TargetState::ALL {
                states.flag(&[provider, model, state.as_str()], state == view.state);
            }
            transitions.count(&labels, if hold.everything { 0 } else { view.transitions });
            if let Some(at) = view.last_outcome_at {
                last_outcome.value(&labels, seconds(at));
            }
            let configured = if view.configured { "true" } else { "false" };
            info.flag(&[provider, model, configured], true);
        }
        families.extend([states, transitions, last_outcome, info].map(Family::finish));
    }

    fn signals(&self, families: &mut Vec<MetricFamily>) {
        let mut states = Family::new(&names::SIGNAL_STATE);
        let mut estimates = Family::new(&names::SIGNAL_ESTIMATE);
        let mut probabilities = Family::new(&names::SIGNAL_PROBABILITY);
        for (view, [provider, model], _) in self.views() {
            for signal in Signal::ALL {
                let (of, name) = (&view.signals[signal.index()], signal.as_str());
                estimates.value(&[provider, model, name], of.estimate);
                for state in SignalState::ALL {
                    let labels = [provider, model, name, state.as_str()];
                    states.flag(&labels, state == of.state);
                    let probability = match state {
                        SignalState::Healthy => of.p_healthy,
                        SignalState::Degraded => of.p_degraded,
                        SignalState::Overloaded => of.p_overloaded,
                        // Not a state the detector holds probable; it is about the evidence.
                        SignalState::Unknown => continue,
                    };
                    probabilities.value(&labels, probability);
                }
            }
        }
        families.extend([states, estimates, probabilities].map(Family::finish));
    }

    fn probes(&self, families: &mut Vec<MetricFamily>) {
        let mut success = Family::new(&names::PROBE_SUCCESS);
        let mut duration = Family::new(&names::PROBE_DURATION);
        let mut last_run = Family::new(&names::PROBE_LAST_RUN);
        let mut next_run = Family::new(&names::PROBE_NEXT_RUN);
        let mut cost = Family::new(&names::PROBE_COST);
        let mut skipped = Family::new(&names::PROBE_SKIPPED);
        let mut misconfigured = Family::new(&names::PROBE_MISCONFIGURED);
        for (view, labels, hold) in self.views() {
            let Some(probe) = &view.probe else { continue };
            if let Some(ok) = probe.success {
                success.flag(&labels, ok);
            }
            for (phase, took) in probe.phases.named() {
                let [provider, model] = labels;
                if let Some(took) = took {
                    duration.value(&[provider, model, phase], took.as_secs_f64());
                }
            }
            if let Some(at) = probe.last_run {
                last_run.value(&labels, seconds(at));
            }
            if let Some(at) = probe.next_run {
                next_run.value(&labels, seconds(at));
            }
            cost.value(&labels, if hold.everything { 0.0 } else { probe.cost_usd });
            misconfigured.flag(&labels, probe.misconfigured.is_some());
            for (reason, count) in skips(probe) {
                let [provider, model] = labels;
                let count = if hold.everything { 0 } else { count };
                skipped.count(&[provider, model, reason], count);
            }
        }
        let all = [success, duration, last_run, next_run, cost, skipped, misconfigured];
        families.extend(all.map(Family::finish));
    }

    /// Providers have metrics of their own, so that nobody adds them to the whole.
    fn budgets(&self, families: &mut Vec<MetricFamily>) {
        let budget = &self.snapshot.budget;
        let mut limit = Family::new(&names::BUDGET_LIMIT);
        let mut spent = Family::new(&names::BUDGET_SPENT);
        let mut exhausted = Family::new(&names::BUDGET_EXHAUSTED);
        if let Some(usd) = budget.usd_per_day {
            limit.value(&[], usd);
        }
        spent.value(&[], budget.spent_usd);
        exhausted.flag(&[], budget.exhausted);
        families.extend([limit, spent, exhausted].map(Family::finish));
        let mut limit = Family::new(&names::PROVIDER_BUDGET_LIMIT);
        let mut spent = Family::new(&names::PROVIDER_BUDGET_SPENT);
        let mut exhausted = Family::new(&names::PROVIDER_BUDGET_EXHAUSTED);
        for view in &budget.providers {
            let labels = [view.provider.as_str()];
            limit.value(&labels, view.usd_per_day);
            spent.value(&labels, view.spent_usd);
            exhausted.flag(&labels, view.exhausted);
        }
        families.extend([limit, spent, exhausted].map(Family::finish));
    }

    fn quotas(&self, families: &mut Vec<MetricFamily>) {
        let mut limits = Family::new(&names::QUOTA_LIMIT);
        let mut remaining = Family::new(&names::QUOTA_REMAINING);
        for (key, quota) in &self.snapshot.quotas {
            if self.now.since(quota.at) > QUOTA_AGE_MAX {
                continue;
            }
            let labels = [key.provider.as_str(), &key.account, key.kind];
            if let Some(limit) = quota.limit {
                limits.value(&labels, limit);
            }
            if let Some(left) = quota.remaining {
                remaining.value(&labels, left);
            }
        }
        families.extend([limits, remaining].map(Family::finish));
    }

    fn status_pages(&self, families: &mut Vec<MetricFamily>) {
        let mut indicators = Family::new(&names::STATUS_PAGE_INDICATOR);
        let mut last_success = Family::new(&names::STATUS_PAGE_LAST_SUCCESS);
        for (provider, page) in &self.snapshot.status_pages {
            let provider = provider.as_str();
            let said = page.reading.as_ref().map_or(Indicator::Unknown, |r| r.indicator);
            for indicator in Indicator::ALL {
                indicators.flag(&[provider, indicator.as_str()], indicator == said);
            }
            if let Some(at) = page.as_of {
                last_success.value(&[provider], seconds(at));
            }
        }
        families.extend([indicators, last_success].map(Family::finish));
    }

    fn whole(&self, families: &mut Vec<MetricFamily>) {
        let snapshot = &self.snapshot;
        let mut dropped = Family::new(&names::SERIES_DROPPED);
        dropped.count(&["target_cap"], snapshot.dropped_target_cap);
        dropped.count(&["code_cap"], snapshot.dropped_code_cap);
        let mut egress = Family::new(&names::EGRESS_FAILING);
        egress.flag(&[], snapshot.egress);
        let mut steps = Family::new(&names::CLOCK_STEPS);
        steps.count(&[], snapshot.clock_steps_back);
        let mut taken = Family::new(&names::SNAPSHOT_TIMESTAMP);
        taken.value(&[], seconds(snapshot.at));
        families.extend([dropped, egress, steps, taken].map(Family::finish));
    }
}

/// The statuses of one source: the known ones from 0, then those that were seen.
fn codes(view: &TargetView, source: Source, hold: &Hold) -> impl Iterator<Item = (Code, u64)> {
    let seen = &view.counters.by_source[source.index()].by_code;
    let count_of = move |code: Code| {
        let found = seen.iter().find(|(known, _)| *known == code);
        found.filter(|_| !hold.holds(source, code)).map_or(0, |(_, count)| *count)
    };
    let rare = seen.iter().map(|(code, _)| *code).filter(|code| !is_known(*code));
    known_codes().chain(rare).map(move |code| (code, count_of(code)))
}

fn code_label(code: Code) -> String {
    match code {
        Code::None => "none".to_owned(),
        Code::Status(status) => status.to_string(),
        Code::Other => OTHER.to_owned(),
    }
}

/// Deliberate skips by reason, from 0, reasons we do not know added up under `other`.
fn skips(probe: &ProbeView) -> impl Iterator<Item = (&'static str, u64)> {
    let known = SKIP_REASONS.map(|reason| (reason, *probe.skipped.get(reason).unwrap_or(&0)));
    let unknown = probe.skipped.iter().filter(|(reason, _)| !SKIP_REASONS.contains(reason));
    let other = unknown.map(|(_, count)| count).sum();
    known.into_iter().chain([(OTHER, other)])
}

fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / SECOND_MS as f64
}
