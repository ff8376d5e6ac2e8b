//! The one table of every metric: name, help, kind and labels.
//!
//! The collector writes by these rows, `docs/metrics.md` lists exactly them, rules and dashboards
//! take their names from here; tests hold all three together. Rows about targets and the store
//! are below, those about this process come from [`rows`]. `process_*`, which a library exports
//! for the operating system's view, is not ours to name and not listed.

use crate::ground::self_stats::rows;
pub use crate::ground::self_stats::rows::{Kind, Metric};

const TARGET: &[&str] = &["provider", "model"];

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, help, kind, labels }
}

/// Attempts.
pub const REQUESTS: Metric = metric(
    "brownout_requests_total",
    Kind::Counter,
    &["provider", "model", "source", "attempt"],
    "Attempts that ended, whatever they ended as.",
);

/// Attempts that failed.
pub const REQUEST_ERRORS: Metric = metric(
    "brownout_request_errors_total",
    Kind::Counter,
    &["provider", "model", "source", "attempt", "reason"],
    "Attempts that did not end ok, by what they ended as: overloaded is HTTP 529 and its likes.",
);

/// Raw statuses.
pub const HTTP_RESPONSES: Metric = metric(
    "brownout_http_responses_total",
    Kind::Counter,
    &["provider", "model", "source", "code"],
    "Attempts by raw HTTP status; none where no response came, other past the bound on codes.",
);

/// Attempts by hour of the day.
pub const HOUR_REQUESTS: Metric = metric(
    "brownout_hour_of_day_requests_total",
    Kind::Counter,
    &["provider", "model", "hour"],
    "First attempts that ended ok or failed by a signal, by hour of the day in UTC.",
);

/// Failures by hour of the day.
pub const HOUR_ERRORS: Metric = metric(
    "brownout_hour_of_day_errors_total",
    Kind::Counter,
    &["provider", "model", "hour", "signal"],
    "First attempts that failed by a signal, by hour of the day in UTC.",
);

/// Operations.
pub const OPERATIONS: Metric = metric(
    "brownout_operations_total",
    Kind::Counter,
    TARGET,
    "Calls that ended, retries included, from sources that tell of calls; apart from attempts.",
);

/// Operations that failed.
pub const OPERATION_ERRORS: Metric = metric(
    "brownout_operation_errors_total",
    Kind::Counter,
    &["provider", "model", "reason"],
    "Calls that did not end ok after their retries, by what the last attempt ended as.",
);

/// Attempts without a class.
pub const ATTEMPTS_UNCLASSIFIED: Metric = metric(
    "brownout_attempts_unclassified_total",
    Kind::Counter,
    TARGET,
    "Attempts of which a source tells that they were retried, not what they ended as.",
);

/// State of a target.
pub const TARGET_STATE: Metric = metric(
    "brownout_target_state",
    Kind::Gauge,
    &["provider", "model", "state"],
    "1 for the state the target is in, 0 for the others.",
);

/// Changes of state.
pub const TARGET_TRANSITIONS: Metric = metric(
    "brownout_target_transitions_total",
    Kind::Counter,
    TARGET,
    "Changes of the state of the target.",
);

/// When the last outcome ended.
pub const LAST_OUTCOME: Metric = metric(
    "brownout_target_last_outcome_timestamp_seconds",
    Kind::Gauge,
    TARGET,
    "When the latest known attempt ended, in seconds since 1970; absent before the first.",
);

/// What is known of a target.
pub const TARGET_INFO: Metric = metric(
    "brownout_target_info",
    Kind::Info,
    &["provider", "model", "configured"],
    "Always 1; whether the configuration names the target or it was first seen in a report.",
);

/// State of a signal.
pub const SIGNAL_STATE: Metric = metric(
    "brownout_signal_state",
    Kind::Gauge,
    &["provider", "model", "signal", "state"],
    "1 for the state the signal of the target is in, 0 for the others.",
);

/// Estimate of a signal.
pub const SIGNAL_ESTIMATE: Metric = metric(
    "brownout_signal_estimate_ratio",
    Kind::Gauge,
    &["provider", "model", "signal"],
    "Failure rate of the signal as the detector believes it to be now, its posterior mean.",
);

/// Probabilities of a signal.
pub const SIGNAL_PROBABILITY: Metric = metric(
    "brownout_signal_probability",
    Kind::Gauge,
    &["provider", "model", "signal", "state"],
    "How probable the detector holds each state of the signal to be; the three add up to 1.",
);

/// Durations.
pub const REQUEST_DURATION: Metric = metric(
    "brownout_request_duration_seconds",
    Kind::Histogram,
    TARGET,
    "Time from sending to the end of the answer, of attempts that ended ok.",
);

/// Times to first token.
pub const TIME_TO_FIRST_TOKEN: Metric = metric(
    "brownout_time_to_first_token_seconds",
    Kind::Histogram,
    TARGET,
    "Time from sending to the first content of the answer, of attempts that ended ok.",
);

/// Result of the last probe.
pub const PROBE_SUCCESS: Metric = metric(
    "brownout_probe_success",
    Kind::Gauge,
    TARGET,
    "Whether the last probe ended ok; absent before the first. Probes run on their own schedule.",
);

/// Times of the last probe.
pub const PROBE_DURATION: Metric = metric(
    "brownout_probe_duration_seconds",
    Kind::Gauge,
    &["provider", "model", "phase"],
    "Time of the last probe from sending to the end of a phase; absent where it did not get there.",
);

/// When the last probe started.
pub const PROBE_LAST_RUN: Metric = metric(
    "brownout_probe_last_run_timestamp_seconds",
    Kind::Gauge,
    TARGET,
    "When the last probe started, in seconds since 1970; absent before the first.",
);

/// When the next probe is due.
pub const PROBE_NEXT_RUN: Metric = metric(
    "brownout_probe_next_run_timestamp_seconds",
    Kind::Gauge,
    TARGET,
    "When the next probe is due, in seconds since 1970; moves on when one is left out on purpose.",
);

/// Money.
pub const PROBE_COST: Metric = metric(
    "brownout_probe_cost_usd_total",
    Kind::Counter,
    TARGET,
    "Charged to the budget for probes in US dollars, estimated where the bill is not known.",
);

/// Probes left out.
pub const PROBE_SKIPPED: Metric = metric(
    "brownout_probe_skipped_total",
    Kind::Counter,
    &["provider", "model", "reason"],
    "Probes that were due and left out on purpose.",
);

/// Probes that ask wrongly.
pub const PROBE_MISCONFIGURED: Metric = metric(
    "brownout_probe_misconfigured",
    Kind::Gauge,
    TARGET,
    "1 while the probe's answers mean that its key, payment or request is wrong.",
);

/// The day's money.
pub const BUDGET_LIMIT: Metric = metric(
    "brownout_probe_budget_limit_usd",
    Kind::Gauge,
    &[],
    "Most US dollars for all probes of one UTC day; absent when there is no limit.",
);

/// What is spent of it.
pub const BUDGET_SPENT: Metric = metric(
    "brownout_probe_budget_spent_usd",
    Kind::Gauge,
    &[],
    "US dollars spent on probes this UTC day, or set aside for those in flight.",
);

/// Whether it is gone.
pub const BUDGET_EXHAUSTED: Metric = metric(
    "brownout_probe_budget_exhausted",
    Kind::Gauge,
    &[],
    "1 while probes are left out until the end of the UTC day, as they would exceed its budget.",
);

/// The day's money of one provider.
pub const PROVIDER_BUDGET_LIMIT: Metric = metric(
    "brownout_probe_provider_budget_limit_usd",
    Kind::Gauge,
    &["provider"],
    "Most US dollars for the probes of one provider in one UTC day, where it has such a limit.",
);

/// What is spent of it.
pub const PROVIDER_BUDGET_SPENT: Metric = metric(
    "brownout_probe_provider_budget_spent_usd",
    Kind::Gauge,
    &["provider"],
    "US dollars spent this UTC day on probes of a provider that has a limit of its own.",
);

/// Whether it is gone.
pub const PROVIDER_BUDGET_EXHAUSTED: Metric = metric(
    "brownout_probe_provider_budget_exhausted",
    Kind::Gauge,
    &["provider"],
    "1 while probes are left out until the end of the UTC day, as they exceed their provider's.",
);

/// Rate limits.
pub const QUOTA_LIMIT: Metric = metric(
    "brownout_quota_limit",
    Kind::Gauge,
    &["provider", "account", "kind"],
    "Rate limit of the account by the latest headers; absent when those are older than an hour.",
);

/// What remains of rate limits.
pub const QUOTA_REMAINING: Metric = metric(
    "brownout_quota_remaining",
    Kind::Gauge,
    &["provider", "account", "kind"],
    "What remains of the limit by the latest headers; absent when those are older than an hour.",
);

/// What a status page says.
pub const STATUS_PAGE_INDICATOR: Metric = metric(
    "brownout_status_page_indicator",
    Kind::Gauge,
    &["provider", "indicator"],
    "1 for what the provider's status page says, 0 for the rest; unknown once it is unreadable.",
);

/// When a status page was last read.
pub const STATUS_PAGE_LAST_SUCCESS: Metric = metric(
    "brownout_status_page_last_success_timestamp_seconds",
    Kind::Gauge,
    &["provider"],
    "When the status page was last read, in seconds since 1970; absent before the first time.",
);

/// Series left out to keep the number of series bounded.
pub const SERIES_DROPPED: Metric = metric(
    "brownout_series_dropped_total",
    Kind::Counter,
    &["reason"],
    "Outcomes counted under other because the cap on targets, or on codes of one, was reached.",
);

/// Whether the fault is ours.
pub const EGRESS_FAILING: Metric = metric(
    "brownout_egress_failing",
    Kind::Gauge,
    &[],
    "1 while every provider with traffic fails on the network at once: the fault is on our side.",
);

/// Steps of the wall clock.
pub const CLOCK_STEPS: Metric = metric(
    "brownout_clock_steps_back_total",
    Kind::Counter,
    &[],
    "How often the wall clock was seen to step backwards.",
);

/// Age of everything above.
pub const SNAPSHOT_TIMESTAMP: Metric = metric(
    "brownout_snapshot_timestamp_seconds",
    Kind::Gauge,
    &[],
    "When the view that this scrape shows was taken, in seconds since 1970; one each second.",
);

/// The rows that are written from the snapshot.
pub const FROM_SNAPSHOT: [Metric; 38] = [
    REQUESTS,
    REQUEST_ERRORS,
    HTTP_RESPONSES,
    OPERATIONS,
    OPERATION_ERRORS,
    ATTEMPTS_UNCLASSIFIED,
    HOUR_REQUESTS,
    HOUR_ERRORS,
    TARGET_STATE,
    TARGET_TRANSITIONS,
    LAST_OUTCOME,
    TARGET_INFO,
    SIGNAL_STATE,
    SIGNAL_ESTIMATE,
    SIGNAL_PROBABILITY,
    REQUEST_DURATION,
    TIME_TO_FIRST_TOKEN,
    PROBE_SUCCESS,
    PROBE_DURATION,
    PROBE_LAST_RUN,
    PROBE_NEXT_RUN,
    PROBE_COST,
    PROBE_SKIPPED,
    PROBE_MISCONFIGURED,
    BUDGET_LIMIT,
    BUDGET_SPENT,
    BUDGET_EXHAUSTED,
    PROVIDER_BUDGET_LIMIT,
    PROVIDER_BUDGET_SPENT,
    PROVIDER_BUDGET_EXHAUSTED,
    QUOTA_LIMIT,
    QUOTA_REMAINING,
    STATUS_PAGE_INDICATOR,
    STATUS_PAGE_LAST_SUCCESS,
    SERIES_DROPPED,
    EGRESS_FAILING,
    CLOCK_STEPS,
    SNAPSHOT_TIMESTAMP,
];

/// The whole table: what is written from the snapshot, then what the process counts of itself.
pub fn all() -> impl Iterator<Item = Metric> {
    FROM_SNAPSHOT.into_iter().chain(rows::ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_their_kind() {
        let mut seen = std::collections::BTreeSet::new();
        for row in all() {
            assert!(seen.insert(row.name), "{} twice", row.name);
            assert!(row.name.starts_with("brownout_"), "{}", row.name);
            assert_eq!(row.name.ends_with("_total"), row.kind == Kind::Counter, "{}", row.name);
            assert_eq!(row.name.ends_with("_info"), row.kind == Kind::Info, "{}", row.name);
            assert!(row.help.ends_with('.') && row.help.is_ascii(), "{}", row.help);
            for label in row.labels {
                let clashes = ["job", "instance", "le", "quantile", "type", "region", "service"];
                assert!(!clashes.contains(label), "{} {label}", row.name);
            }
        }
    }
}
