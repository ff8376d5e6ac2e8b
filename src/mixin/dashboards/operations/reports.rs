//! What clients report, and what becomes of it.

use crate::ground::self_stats::rows::{self, Metric};
use crate::mixin::dashboards::Options;
use crate::mixin::grafana::{Panel, Query, Unit};

const NO_REPORTS: &str = "nothing was reported";

/// A sum of rates by a label, or of all.
fn rate(options: &Options, row: Metric, label: Option<&str>) -> String {
    let rate = format!("(rate({}))", options.chosen(row).over("$__rate_interval"));
    match label {
        Some(label) => format!("sum by ({label}) {rate}"),
        None => format!("sum{rate}"),
    }
}

fn lines(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    Panel::time_series(title, description, unit).silent(NO_REPORTS)
}

pub(super) fn records(options: &Options) -> Panel {
    lines(
        "Records reported",
        "Records per second: counted, left out because they were seen before, and refused by what \
         was wrong with them. A refused record is lost; the reporter was told which and why.",
        Unit::PerSecond,
    )
    .query(Query::range(rate(options, rows::INGEST_ACCEPTED, None), "accepted"))
    .query(Query::range(rate(options, rows::INGEST_DUPLICATE, None), "duplicate"))
    .query(Query::range(
        format!("{} > 0", rate(options, rows::INGEST_REJECTED, Some("reason"))),
        "refused: {{reason}}",
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
        "Classified, by the rule that decided",
        "Attempts per second by what told their class, reported ones and probes. Much of \
         provider_status or generic_token means that bodies are not reported along: statuses alone \
         cannot tell overload from an outage everywhere.",
        Unit::PerSecond,
    )
    .query(Query::range(rate(options, rows::CLASSIFIED, Some("matched_by")), "{{matched_by}}"))
    .stacked_areas()
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
