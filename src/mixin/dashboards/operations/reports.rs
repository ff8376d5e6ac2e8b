//! What clients report, and what becomes of it.

use crate::ground::self_stats::rows::{self, Metric};
use crate::mixin::dashboards::Options;
use crate::mixin::grafana::{Panel, Query, Unit};

const NO_REPORTS: &str = "nothing was reported";

/// A sum of rates by a label, those that are more than none, or of all.
fn rate(options: &Options, row: Metric, label: Option<&str>) -> String {
    let rate = format!("(rate({}))", options.chosen(row).over("$__rate_interval"));
    match label {
        Some(label) => format!("sum by ({label}) {rate} > 0"),
        None => format!("sum{rate}"),
    }
}

/// Reports are few enough for a minute to say more than a second.
fn per_minute(rate: &str) -> String {
    format!("60 * ({rate})")
}

fn lines(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    Panel::time_series(title, description, unit).silent(NO_REPORTS)
}

pub(super) fn records(options: &Options) -> Panel {
    lines(
        "Records reported per minute",
        "Records per minute: counted, left out because they were seen before, refused by what was \
         wrong with them, and telemetry that is in order and not counted, by why not. A refused \
         record is lost; the reporter was told which and why.",
        Unit::Count,
    )
    .query(Query::range(per_minute(&rate(options, rows::INGEST_ACCEPTED, None)), "accepted"))
    .query(Query::range(per_minute(&rate(options, rows::INGEST_DUPLICATE, None)), "duplicate"))
    .query(Query::range(
        per_minute(&rate(options, rows::INGEST_REJECTED, Some("reason"))),
        "refused: {{reason}}",
    ))
    .query(Query::range(
        per_minute(&rate(options, rows::INGEST_IGNORED, Some("reason"))),
        "not counted: {{reason}}",
    ))
}

pub(super) fn requests(options: &Options) -> Panel {
    lines(
        "Requests with reports, by answer",
        "Requests per second to the endpoints that take reports, by the status of the answer. \
         429 and 503 are asked to come again, 4xx will not get better by themselves.",
        Unit::RequestsPerSecond,
    )
    .query(Query::range(rate(options, rows::INGEST_REQUESTS, Some("code")), "{{code}}"))
}

pub(super) fn classified(options: &Options) -> Panel {
    lines(
        "Classified per minute, by what decided",
        "Attempts per minute by the rule that told their class, reported ones and probes. Much of \
         provider_status or generic_token means that bodies are not reported along: statuses alone \
         cannot tell overload from an outage everywhere.",
        Unit::Count,
    )
    .query(Query::range(
        per_minute(&rate(options, rows::CLASSIFIED, Some("matched_by"))),
        "{{matched_by}}",
    ))
}

pub(super) fn bytes(options: &Options) -> Panel {
    lines(
        "Bytes reported",
        "Bodies of reports as received, and after decompression.",
        Unit::BytesPerSecond,
    )
    .query(Query::range(rate(options, rows::INGEST_BODY_BYTES, None), "received"))
    .query(Query::range(rate(options, rows::INGEST_DECODED_BYTES, None), "decompressed"))
}
