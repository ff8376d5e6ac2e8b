//! What this process did, counted directly: reports taken, requests answered, reloads, log lines.
//!
//! What is *known about targets* is not here; that is read from the store at scrape time, so that
//! it is kept once. Every handle is a clone of one set of instruments in a registry of its own:
//! there is no global, two daemons in one process (as in tests) do not see each other's counts.
//! Label values are closed sets that exist at 0 from the start; a value outside its set counts
//! as `other`, so that nothing a client sends can make a series.

pub mod rows;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::domain::time::{SECOND_MS, Timestamp};
use rows::Metric;

/// What a refused record is refused for.
const REJECT_REASONS: [&str; 6] =
    ["malformed", "missing_field", "invalid_field", "too_old", "too_new", "too_large"];

/// Why a record of telemetry that is in order is not counted.
const IGNORED_REASONS: [&str; 4] = ["unrelated", "wrapper", "gateway", "no_model"];

/// The rules of the classification.
const MATCHED_BY: [&str; 11] = [
    "transport",
    "intermediary",
    "stream_event",
    "upstream",
    "provider_token",
    "token",
    "message",
    "provider_status",
    "generic_token",
    "status",
    "ok",
];

/// The statuses that the reporting endpoints answer with.
const INGEST_CODES: [&str; 10] =
    ["200", "400", "401", "403", "405", "408", "413", "415", "429", "503"];

/// The classes of a status.
const CODE_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The value of everything outside a closed set.
const OTHER: &str = "other";

/// Where a request to this process went: the values of the `route` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Reports of outcomes.
    Outcomes,
    /// Telemetry that clients send anyway: OTLP and LiteLLM's callback.
    Telemetry,
    /// The health documents.
    Health,
    /// The hour rows.
    Hours,
    /// Probes: those asked for and the log of the last ones.
    Probes,
    /// The scrape.
    Metrics,
    /// The status page and what belongs to it.
    Page,
    /// Health, readiness and reload of the process itself.
    Lifecycle,
    /// Everything else, unknown paths among it.
    Other,
}

impl Route {
    /// How many there are.
    pub const COUNT: usize = 9;

    /// All routes, in the order of their declaration.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Outcomes,
        Self::Telemetry,
        Self::Health,
        Self::Hours,
        Self::Probes,
        Self::Metrics,
        Self::Page,
        Self::Lifecycle,
        Self::Other,
    ];

    /// The value of the `route` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outcomes => "outcomes",
            Self::Telemetry => "telemetry",
            Self::Health => "health",
            Self::Hours => "hours",
            Self::Probes => "probes",
            Self::Metrics => "metrics",
            Self::Page => "page",
            Self::Lifecycle => "lifecycle",
            Self::Other => OTHER,
        }
    }
}

/// A handle on this process's own counters. Cheap to clone.
#[derive(Clone)]
pub struct SelfStats {
    instruments: Arc<Instruments>,
}

struct Instruments {
    registry: Registry,
    accepted: IntCounter,
    duplicate: IntCounter,
    rejected: ByLabel,
    ignored: ByLabel,
    ingest_requests: ByLabel,
    body_bytes: IntCounter,
    decoded_bytes: IntCounter,
    classified: ByLabel,
    server_requests: [ByLabel; Route::COUNT],
    log_warnings: IntCounter,
    log_errors: IntCounter,
    reload_successful: Gauge,
    reload_success_timestamp: Gauge,
    scrape_duration: Gauge,
    tick_lag: Gauge,
    ticks_missed: IntCounter,
}

impl fmt::Debug for SelfStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelfStats").finish_non_exhaustive()
    }
}

impl Default for SelfStats {
    fn default() -> Self {
        Self::new()
    }
}

impl SelfStats {
    /// A fresh set of counters, all series at 0.
    pub fn new() -> Self {
        let registry = Registry::new();
        register(&registry, ProcessCollector::for_self());
        let build_info = IntGaugeVec::new(opts(&rows::BUILD_INFO), rows::BUILD_INFO.labels)
            .expect("the table's names are valid");
        let revision = option_env!("BROWNOUT_REVISION").unwrap_or("unknown");
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION"), revision]).set(1);
        register(&registry, build_info);
        let levels = counters(&registry, &rows::LOG_MESSAGES);
        let requests = counters(&registry, &rows::SERVER_REQUESTS);
        let instruments = Instruments {
            accepted: counter(&registry, &rows::INGEST_ACCEPTED),
            duplicate: counter(&registry, &rows::INGEST_DUPLICATE),
            rejected: ByLabel::new(&registry, &rows::INGEST_REJECTED, &REJECT_REASONS),
            ignored: ByLabel::new(&registry, &rows::INGEST_IGNORED, &IGNORED_REASONS),
            ingest_requests: ByLabel::new(&registry, &rows::INGEST_REQUESTS, &INGEST_CODES),
            body_bytes: counter(&registry, &rows::INGEST_BODY_BYTES),
            decoded_bytes: counter(&registry, &rows::INGEST_DECODED_BYTES),
            classified: ByLabel::new(&registry, &rows::CLASSIFIED, &MATCHED_BY),
            server_requests: Route::ALL.map(|route| {
                ByLabel::of(&CODE_CLASSES, |class| {
                    requests.with_label_values(&[route.as_str(), class])
                })
            }),
            log_warnings: levels.with_label_values(&["warn"]),
            log_errors: levels.with_label_values(&["error"]),
            reload_successful: gauge(&registry, &rows::RELOAD_SUCCESSFUL),
            reload_success_timestamp: gauge(&registry, &rows::RELOAD_SUCCESS_TIMESTAMP),
            scrape_duration: gauge(&registry, &rows::SCRAPE_DURATION),
            tick_lag: gauge(&registry, &rows::TICK_LAG),
            ticks_missed: counter(&registry, &rows::TICKS_MISSED),
            registry,
        };
        Self { instruments: Arc::new(instruments) }
    }

    /// Counts records that went into the store.
    pub fn count_accepted(&self, records: u64) {
        self.instruments.accepted.inc_by(records);
    }

    /// Counts records that were seen before.
    pub fn count_duplicate(&self, records: u64) {
        self.instruments.duplicate.inc_by(records);
    }

    /// Counts one refused record by the name of its reason.
    pub fn count_rejected(&self, reason: &str) {
        self.instruments.rejected.add(reason, 1);
    }

    /// Counts one record of telemetry that is in order and not counted, by the name of its reason.
    pub fn count_ignored(&self, reason: &str) {
        self.instruments.ignored.add(reason, 1);
    }

    /// Counts one request to an endpoint that takes reports, by the status it was answered with.
    pub fn count_ingest_request(&self, code: u16) {
        // No allocation: the few codes of the set are compared as numbers would be.
        let digits = [code / 100 % 10, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8);
        let code = std::str::from_utf8(&digits).unwrap_or(OTHER);
        self.instruments.ingest_requests.add(code, 1);
    }

    /// Counts the bytes of one report's body, as received and after decompression.
    pub fn count_ingest_bytes(&self, body: u64, decoded: u64) {
        self.instruments.body_bytes.inc_by(body);
        self.instruments.decoded_bytes.inc_by(decoded);
    }

    /// Counts `attempts` whose class the rule `matched_by` decided.
    pub fn count_classified(&self, matched_by: &str, attempts: u64) {
        self.instruments.classified.add(matched_by, attempts);
    }

    /// Counts one answered request of any kind.
    pub fn count_request(&self, route: Route, code: u16) {
        let class = usize::from(code / 100).checked_sub(2).and_then(|i| CODE_CLASSES.get(i));
        self.instruments.server_requests[route as usize].add(class.unwrap_or(&OTHER), 1);
    }

    /// Counts one line logged as a warning.
    pub fn count_log_warning(&self) {
        self.instruments.log_warnings.inc();
    }

    /// Counts one line logged as an error.
    pub fn count_log_error(&self) {
        self.instruments.log_errors.inc();
    }

    /// Notes that the configuration was loaded, at start or by a reload.
    pub fn note_reload(&self, now: Timestamp) {
        self.instruments.reload_successful.set(1.0);
        self.instruments.reload_success_timestamp.set(now.millis() as f64 / SECOND_MS as f64);
    }

    /// Notes that a reload failed and the old configuration serves on.
    pub fn note_failed_reload(&self) {
        self.instruments.reload_successful.set(0.0);
    }

    /// Notes how long it took to write a scrape.
    pub fn note_scrape(&self, took: Duration) {
        self.instruments.scrape_duration.set(took.as_secs_f64());
    }

    /// Notes one tick: how late it started, and how many before it did not happen.
    pub fn note_tick(&self, lag: Duration, missed: u64) {
        self.instruments.tick_lag.set(lag.as_secs_f64());
        self.instruments.ticks_missed.inc_by(missed);
    }

    /// Everything as families sorted by name, the operating system's view of the process included.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.instruments.registry.gather()
    }
}

/// The children of one label, found by comparing a handful of short strings, which is quicker
/// than hashing them.
struct ByLabel {
    children: Vec<(&'static str, IntCounter)>,
    other: IntCounter,
}

impl ByLabel {
    fn new(registry: &Registry, metric: &Metric, values: &[&'static str]) -> Self {
        let vec = counters(registry, metric);
        Self::of(values, |value| vec.with_label_values(&[value]))
    }

    fn of(values: &[&'static str], child: impl Fn(&'static str) -> IntCounter) -> Self {
        let children = values.iter().map(|value| (*value, child(value))).collect();
        Self { children, other: child(OTHER) }
    }

    fn add(&self, value: &str, count: u64) {
        let child = self.children.iter().find(|(known, _)| *known == value);
        child.map_or(&self.other, |(_, child)| child).inc_by(count);
    }
}

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

fn register(registry: &Registry, collector: impl Collector + 'static) {
    registry.register(Box::new(collector)).expect("the table names every metric once");
}

fn counter(registry: &Registry, metric: &Metric) -> IntCounter {
    let counter = IntCounter::with_opts(opts(metric)).expect("the table's names are valid");
    register(registry, counter.clone());
    counter
}

fn counters(registry: &Registry, metric: &Metric) -> IntCounterVec {
    let counters =
        IntCounterVec::new(opts(metric), metric.labels).expect("the table's names are valid");
    register(registry, counters.clone());
    counters
}

fn gauge(registry: &Registry, metric: &Metric) -> Gauge {
    let gauge = Gauge::with_opts(opts(metric)).expect("the table's names are valid");
    register(registry, gauge.clone());
    gauge
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of the series of `name` whose label values are `values`, in any order.
    fn value(stats: &SelfStats, name: &str, values: &[&str]) -> Option<f64> {
        let families = stats.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        let series = family.get_metric().iter().find(|series| {
            values.iter().all(|value| series.get_label().iter().any(|pair| pair.value() == *value))
        })?;
        Some(series.get_counter().get_value() + series.get_gauge().get_value())
    }

    #[test]
    fn every_row_exists_from_the_start() {
        let families = SelfStats::new().gather();
        for row in rows::ALL {
            let family = families.iter().find(|family| family.name() == row.name);
            assert!(family.is_some_and(|f| f.help() == row.help), "{}", row.name);
        }
        let own = families.iter().filter(|family| family.name().starts_with("brownout_")).count();
        assert_eq!(own, rows::ALL.len());
    }

    #[test]
    fn a_value_outside_its_closed_set_counts_as_other() {
        let stats = SelfStats::new();
        stats.count_rejected("too_old");
        stats.count_rejected("<script>");
        stats.count_classified("upstream", 3);
        stats.count_ingest_request(200);
        stats.count_ingest_request(418);
        stats.count_request(Route::Health, 304);
        stats.count_request(Route::Other, 999);
        for (name, labels, expected) in [
            ("brownout_ingest_records_rejected_total", vec!["too_old"], Some(1.0)),
            ("brownout_ingest_records_rejected_total", vec!["other"], Some(1.0)),
            ("brownout_ingest_records_rejected_total", vec!["malformed"], Some(0.0)),
            ("brownout_ingest_records_rejected_total", vec!["<script>"], None),
            ("brownout_classified_total", vec!["upstream"], Some(3.0)),
            ("brownout_ingest_requests_total", vec!["200"], Some(1.0)),
            ("brownout_ingest_requests_total", vec!["other"], Some(1.0)),
            ("brownout_server_requests_total", vec!["health", "3xx"], Some(1.0)),
            ("brownout_server_requests_total", vec!["health", "2xx"], Some(0.0)),
        ] {
            assert_eq!(value(&stats, name, &labels), expected, "{name} {labels:?}");
        }
    }

    #[test]
    fn two_sets_in_one_process_do_not_see_each_other() {
        let (one, two) = (SelfStats::new(), SelfStats::new());
        one.clone().count_accepted(5);
        assert_eq!(value(&one, "brownout_ingest_records_accepted_total", &[]), Some(5.0));
        assert_eq!(value(&two, "brownout_ingest_records_accepted_total", &[]), Some(0.0));
    }

    #[test]
    fn a_failed_reload_keeps_the_time_of_the_good_one() {
        let stats = SelfStats::new();
        stats.note_reload(Timestamp::from_millis(1_500));
        stats.note_failed_reload();
        assert_eq!(value(&stats, rows::RELOAD_SUCCESSFUL.name, &[]), Some(0.0));
        assert_eq!(value(&stats, rows::RELOAD_SUCCESS_TIMESTAMP.name, &[]), Some(1.5));
    }
}
