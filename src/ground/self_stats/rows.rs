//! The rows of the metrics table that this process counts about itself, and the type of a row.
//!
//! A row is the one home of a metric's name, help text, kind and labels. The rows about targets
//! are in `answers/metrics/names`, which lists both; the type is here because this floor is the
//! lowest that exports anything.

/// One metric as it is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The full name, with `_total` where it is a counter and `_info` where it is an info metric.
    pub name: &'static str,
    /// The help text: what is counted, in one sentence or two.
    pub help: &'static str,
    /// What its samples are.
    pub kind: Kind,
    /// Its label names, in the order they are written; `le` of histograms is not listed.
    pub labels: &'static [&'static str],
}

/// What the samples of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises while the process lives; the name ends in `_total`.
    Counter,
    /// A value of the moment.
    Gauge,
    /// Durations in buckets, with sum and count.
    Histogram,
    /// Always 1; the labels are the information. The name ends in `_info`.
    Info,
}

impl Kind {
    /// The word for it in the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, help, kind: Kind::Counter, labels }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help, kind: Kind::Gauge, labels: &[] }
}

/// Version and revision of the program.
pub const BUILD_INFO: Metric = Metric {
    name: "brownout_build_info",
    help: "Always 1; the version and source revision of this program.",
    kind: Kind::Info,
    labels: &["version", "revision"],
};

/// Records counted.
pub const INGEST_ACCEPTED: Metric =
    counter("brownout_ingest_records_accepted_total", &[], "Reported records that were counted.");

/// Records seen before.
pub const INGEST_DUPLICATE: Metric = counter(
    "brownout_ingest_records_duplicate_total",
    &[],
    "Reported records that were left out because their id, or their batch, was seen before.",
);

/// Records refused.
pub const INGEST_REJECTED: Metric = counter(
    "brownout_ingest_records_rejected_total",
    &["reason"],
    "Reported records that were refused, by what was wrong with them.",
);

/// Records that are in order and make no outcome.
pub const INGEST_IGNORED: Metric = counter(
    "brownout_ingest_records_ignored_total",
    &["reason"],
    "Records of telemetry that are in order and were not counted, by why not.",
);

/// Requests to the reporting endpoints.
pub const INGEST_REQUESTS: Metric = counter(
    "brownout_ingest_requests_total",
    &["code"],
    "Requests to the endpoints that take reports, by the status they were answered with.",
);

/// Bytes of reports as they came.
pub const INGEST_BODY_BYTES: Metric = counter(
    "brownout_ingest_body_bytes_total",
    &[],
    "Bytes of report bodies as received, before decompression.",
);

/// Bytes of reports after decompression.
pub const INGEST_DECODED_BYTES: Metric = counter(
    "brownout_ingest_decoded_bytes_total",
    &[],
    "Bytes of report bodies after decompression.",
);

/// Which rule of the classification decided.
pub const CLASSIFIED: Metric = counter(
    "brownout_classified_total",
    &["matched_by"],
    "Attempts classified, by the rule that decided; attempts reported with a class need none.",
);

/// All requests to this process.
pub const SERVER_REQUESTS: Metric = counter(
    "brownout_server_requests_total",
    &["route", "code"],
    "Requests to this process, by route and class of the status they were answered with.",
);

/// Warnings and errors in the log.
pub const LOG_MESSAGES: Metric = counter(
    "brownout_log_messages_total",
    &["level"],
    "Lines logged at the levels that someone should look at.",
);

/// Whether the last reload worked.
pub const RELOAD_SUCCESSFUL: Metric = gauge(
    "brownout_config_last_reload_successful",
    "Whether the last attempt to load the configuration succeeded; the old one serves on if not.",
);

/// When the last reload worked.
pub const RELOAD_SUCCESS_TIMESTAMP: Metric = gauge(
    "brownout_config_last_reload_success_timestamp_seconds",
    "When the configuration was last loaded successfully, in seconds since 1970.",
);

/// How long a scrape takes.
pub const SCRAPE_DURATION: Metric = gauge(
    "brownout_scrape_duration_seconds",
    "How long it took to write the scrape before this one.",
);

/// How late the tick is.
pub const TICK_LAG: Metric = gauge(
    "brownout_tick_lag_seconds",
    "How late the last one-second tick of the detectors started.",
);

/// How many ticks were made up for.
pub const TICKS_MISSED: Metric = counter(
    "brownout_ticks_missed_total",
    &[],
    "One-second ticks that did not happen at their time; the detectors advance over them.",
);

/// All rows of this module.
pub const ALL: [Metric; 16] = [
    INGEST_ACCEPTED,
    INGEST_DUPLICATE,
    INGEST_REJECTED,
    INGEST_IGNORED,
    INGEST_REQUESTS,
    INGEST_BODY_BYTES,
    INGEST_DECODED_BYTES,
    CLASSIFIED,
    SERVER_REQUESTS,
    LOG_MESSAGES,
    RELOAD_SUCCESSFUL,
    RELOAD_SUCCESS_TIMESTAMP,
    SCRAPE_DURATION,
    TICK_LAG,
    TICKS_MISSED,
    BUILD_INFO,
];
