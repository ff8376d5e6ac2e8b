//! What the store tells its readers: one immutable view of every target at one second.
//!
//! A snapshot is taken in one critical section, so a ratio can never exceed 1 and a state always
//! belongs to the counts beside it. It holds plain domain values; turning them into metrics or
//! JSON is the readers' job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::histogram::Histogram;
use crate::domain::layer::{Basis, Layer};
use crate::domain::outcome::{Attempt, Class, Signal, Source};
use crate::domain::state::{Reason, SignalState, TargetState};
use crate::domain::status_page::PageReading;
use crate::domain::tally::Tally;
use crate::domain::target::{Provider, Target};
use crate::domain::time::{Hour, Timestamp};

use super::journal::Phases;

/// The whole book at one second.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Timestamp,
    /// Whether every provider with traffic fails on the network at once.
    pub egress: bool,
    /// Every target, sorted by provider, then model.
    pub targets: Vec<TargetView>,
    /// Latest rate-limit headers seen, sorted by key.
    pub quotas: BTreeMap<QuotaKey, QuotaView>,
    /// Configured status pages, by the provider that each tells of.
    pub status_pages: BTreeMap<Provider, StatusPageView>,
    /// The money for probes.
    pub budget: BudgetView,
    /// Outcomes counted under `model="other"` because the cap on targets was reached.
    pub dropped_target_cap: u64,
    /// Responses counted under `code="other"` because a target showed more than the bound of codes.
    pub dropped_code_cap: u64,
    /// How often the wall clock was seen to step backwards.
    pub clock_steps_back: u64,
}

/// One target at one second.
#[derive(Clone, Debug)]
pub struct TargetView {
    /// Which one.
    pub target: Target,
    /// Whether the configuration names it; then it exists from the start.
    pub configured: bool,
    /// When it was first known.
    pub first_seen: Timestamp,
    /// Its state.
    pub state: TargetState,
    /// Why.
    pub reason: Reason,
    /// Since when it has been in this state.
    pub since: Timestamp,
    /// Whether the evidence is too old to tell.
    pub stale: bool,
    /// How often the state changed since the start of the process.
    pub transitions: u64,
    /// The three signals, in the order of [`Signal::ALL`].
    pub signals: [SignalView; Signal::COUNT],
    /// The sliding windows.
    pub windows: Windows,
    /// Attempts of the last five minutes by source, in the order of [`Source::ALL`].
    pub recent_by_source: [u64; Source::COUNT],
    /// Those of clients that tell as much as a probe would.
    pub evident: Evident,
    /// Quantiles of the last minutes.
    pub latency: LatencyView,
    /// When the latest outcome ended.
    pub last_outcome_at: Option<Timestamp>,
    /// Everything counted since the start of the process.
    pub counters: Counters,
    /// Rows of the last hours that saw an attempt, oldest first.
    pub hours: Vec<(Hour, Tally)>,
    /// The probe of this target, if one is configured.
    pub probe: Option<ProbeView>,
    /// Operations, where a source told of any.
    pub operations: Option<OperationsView>,
    /// Which sources told of it, best first.
    pub coverage: Vec<Heard>,
}

/// First attempts of clients that see whatever a probe would see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evident {
    /// Of the last five minutes.
    pub five_minutes: u64,
    /// Of the last minute.
    pub last_minute: u64,
}

/// A source that told of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What kind of source.
    pub layer: Layer,
    /// What its outcomes stood for.
    pub basis: Basis,
    /// When the latest of them ended.
    pub last_at: Timestamp,
}

/// What is known of a target beside its classified attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationsView {
    /// The last five minutes.
    pub five_minutes: OperationWindow,
    /// The last hour.
    pub one_hour: OperationWindow,
    /// The last 24 hours.
    pub one_day: OperationWindow,
    /// Since the start of the process.
    pub counters: OperationCounters,
}

/// Operations over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationWindow {
    /// The operations, by what they ended as.
    pub operations: Tally,
    /// Attempts of which it is only known that they happened.
    pub unclassified: u64,
}

/// Operations since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationCounters {
    /// In the order of [`Class::ALL`].
    pub by_class: [u64; Class::COUNT],
    /// Attempts of which it is only known that they happened.
    pub unclassified: u64,
}

/// One signal of one target.
#[derive(Clone, Copy, Debug)]
pub struct SignalView {
    /// Published state.
    pub state: SignalState,
    /// What the state and the numbers follow from.
    pub basis: Basis,
    /// Posterior mean of the failure rate, 0 to 1.
    pub estimate: f64,
    /// Lower end of the 90 % interval.
    pub low: f64,
    /// Upper end of the 90 % interval.
    pub high: f64,
    /// P(healthy).
    pub p_healthy: f64,
    /// P(degraded).
    pub p_degraded: f64,
    /// P(overloaded).
    pub p_overloaded: f64,
    /// `none`, `low`, `medium` or `high`, by effective sample size.
    pub confidence: &'static str,
}

/// Sliding windows over all sources.
#[derive(Clone, Copy, Debug, Default)]
pub struct Windows {
    /// The last five minutes.
    pub five_minutes: Tally,
    /// The last hour.
    pub one_hour: Tally,
    /// The last 24 hours.
    pub one_day: Tally,
}

/// Quantiles over the last minutes, `ok` outcomes only.
#[derive(Clone, Copy, Debug, Default)]
pub struct LatencyView {
    /// Median time to the end of the answer.
    pub p50: Option<Duration>,
    /// 95th percentile of the same.
    pub p95: Option<Duration>,
    /// Median time to first token.
    pub ttft_p50: Option<Duration>,
}

/// Counts since the start of the process: what Prometheus sees.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// By source, in the order of [`Source::ALL`].
    pub by_source: [SourceCounters; Source::COUNT],
    /// By hour of the day in UTC.
    pub hour_of_day: [HourOfDay; 24],
    /// Durations of `ok` outcomes.
    pub duration: Histogram,
    /// Times to first token of `ok` outcomes.
    pub time_to_first_token: Histogram,
}

/// Counts of one source since the start of the process.
#[derive(Clone, Debug, Default)]
pub struct SourceCounters {
    /// `by_class[attempt][class]`, in the orders of [`Attempt::ALL`] and [`Class::ALL`].
    pub by_class: [[u64; Class::COUNT]; Attempt::COUNT],
    /// By raw status, in order of first appearance.
    pub by_code: Vec<(Code, u64)>,
}

/// A raw HTTP status as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// There was no response.
    None,
    /// The status itself.
    Status(u16),
    /// One more than the bound on codes per target.
    Other,
}

/// One hour of the day: first attempts only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourOfDay {
    /// `ok` plus the three signals' failures.
    pub requests: u64,
    /// Failures by signal, in the order of [`Signal::ALL`].
    pub errors: [u64; Signal::COUNT],
}

/// What is known of one target's probe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeView {
    /// Whether the last probe ended `ok`; `None` before the first.
    pub success: Option<bool>,
    /// When the last probe started.
    pub last_run: Option<Timestamp>,
    /// The times of the last probe.
    pub phases: Phases,
    /// When the next is due; advances on deliberate skips.
    pub next_run: Option<Timestamp>,
    /// Charged to the budget since the start of the process in US dollars, estimated where the
    /// bill is not known.
    pub cost_usd: f64,
    /// Why the last answer means a misconfigured probe, redacted; `None` when it does not.
    pub misconfigured: Option<String>,
    /// Deliberate skips by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Why the last due probe was left out; `None` when it was not.
    pub left_out: Option<&'static str>,
}

/// The money for probes on one UTC day, in US dollars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BudgetView {
    /// Most for the day; `None` is no limit.
    pub usd_per_day: Option<f64>,
    /// Spent, or set aside for probes in flight.
    pub spent_usd: f64,
    /// Whether a probe was left out for it that would not fit now either.
    pub exhausted: bool,
    /// When the next day begins.
    pub resets_at: Timestamp,
    /// Providers with a limit of their own, by name.
    pub providers: Vec<ProviderBudgetView>,
}

/// The same for one provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderBudgetView {
    /// Which one.
    pub provider: Provider,
    /// Most for the day.
    pub usd_per_day: f64,
    /// Spent, or set aside for probes in flight.
    pub spent_usd: f64,
    /// Whether a probe was left out for it that would not fit now either.
    pub exhausted: bool,
}

/// Whose rate limit, and of what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaKey {
    /// The provider that sent the headers.
    pub provider: Provider,
    /// The configured account name, or empty.
    pub account: String,
    /// `requests`, `tokens`, `input_tokens`, …: one of a closed set.
    pub kind: &'static str,
}

/// The latest values of one rate limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuotaView {
    /// The limit, if the headers told it.
    pub limit: Option<f64>,
    /// What remains of it, if the headers told it.
    pub remaining: Option<f64>,
    /// When the headers were seen.
    pub at: Timestamp,
}

/// What is known of a provider's status page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusPageView {
    /// Where the page is, as configured.
    pub url: String,
    /// What it said last; `None` before it was read, and when that is too long ago.
    pub reading: Option<Arc<PageReading>>,
    /// When it was last read.
    pub as_of: Option<Timestamp>,
    /// Whether the attempts to read it since then failed.
    pub failing: bool,
}

impl Snapshot {
    /// The view of one target.
    pub fn target(&self, target: &Target) -> Option<&TargetView> {
        self.targets
            .binary_search_by(|view| view.target.cmp(target))
            .ok()
            .map(|index| &self.targets[index])
    }

    /// The views of one provider's targets.
    pub fn provider(&self, provider: &Provider) -> &[TargetView] {
        let start = self.targets.partition_point(|view| view.target.provider < *provider);
        let rest = &self.targets[start..];
        &rest[..rest.partition_point(|view| view.target.provider == *provider)]
    }
}
