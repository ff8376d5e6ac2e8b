//! The last probes as JSON, and one that was asked for in the manner of the blackbox exporter.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::domain::outcome::Class;
use crate::domain::target::Target;
use crate::domain::time::{decimal_millis_of, millis_of};
use crate::store::journal::ProbeRun;

/// Probes in the list of all.
pub const LATEST_MAX: usize = 200;

/// The list of all, compact.
#[derive(Serialize)]
struct LatestDocument<'a> {
    probes: Vec<CompactDocument<'a>>,
}

#[derive(Serialize)]
struct CompactDocument<'a> {
    provider: &'a str,
    model: &'a str,
    at: String,
    class: &'static str,
    http_status: Option<u16>,
    total_ms: Option<f64>,
    on_demand: bool,
}

/// The probes of one target.
#[derive(Serialize)]
struct TargetDocument<'a> {
    provider: &'a str,
    model: &'a str,
    probes: Vec<RunDocument<'a>>,
}

#[derive(Serialize)]
struct RunDocument<'a> {
    at: String,
    class: &'static str,
    matched_by: &'static str,
    http_status: Option<u16>,
    connect_ms: Option<f64>,
    ttfb_ms: Option<f64>,
    ttft_ms: Option<f64>,
    total_ms: Option<f64>,
    cost_usd: Option<f64>,
    request_id: Option<&'a str>,
    retry_after_ms: Option<u64>,
    misconfigured: Option<&'a str>,
    on_demand: bool,
}

/// The probes of all targets as JSON, in the order given.
pub fn latest(runs: &[(Target, ProbeRun)]) -> Vec<u8> {
    let probes = runs.iter().map(|(target, run)| CompactDocument {
        provider: target.provider.as_str(),
        model: target.model.as_str(),
        at: run.at.to_string(),
        class: run.class.as_str(),
        http_status: run.http_status,
        total_ms: run.phases.total.map(decimal_millis_of),
        on_demand: run.on_demand,
    });
    to_json(&LatestDocument { probes: probes.collect() })
}

/// The probes of one target as JSON, in the order given.
pub fn of_target(target: &Target, runs: &[ProbeRun]) -> Vec<u8> {
    let probes = runs.iter().map(|run| RunDocument {
        at: run.at.to_string(),
        class: run.class.as_str(),
        matched_by: run.matched_by.as_str(),
        http_status: run.http_status,
        connect_ms: run.phases.connect.map(decimal_millis_of),
        ttfb_ms: run.phases.ttfb.map(decimal_millis_of),
        ttft_ms: run.phases.ttft.map(decimal_millis_of),
        total_ms: run.phases.total.map(decimal_millis_of),
        cost_usd: run.cost_usd,
        request_id: run.request_id.as_deref(),
        retry_after_ms: run.retry_after.map(millis_of),
        misconfigured: run.misconfigured.as_deref(),
        on_demand: run.on_demand,
    });
    let (provider, model) = (target.provider.as_str(), target.model.as_str());
    to_json(&TargetDocument { provider, model, probes: probes.collect() })
}

fn to_json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("plain structs serialise")
}

/// One probe in the text format 0.0.4; `took` is how long the answer took in all.
///
/// The names are those of the blackbox exporter where it has them, so that its users find what
/// they know, and are not ours: they never meet those of `/metrics`, which is another job.
pub fn exposition(run: &ProbeRun, took: Duration) -> String {
    let mut page = head(run.class == Class::Ok, false, took);
    let status = f64::from(run.http_status.unwrap_or(0));
    family(&mut page, "probe_http_status_code", "HTTP status, 0 where no response came.", status);
    let measured = run.phases.named().map(|(phase, took)| Some((phase, took?.as_secs_f64())));
    labelled(
        &mut page,
        "probe_http_duration_seconds",
        "Time from sending to the end of a phase; connect is absent on a warm connection.",
        "phase",
        measured.into_iter().flatten(),
    );
    let classes = Class::ALL.map(|class| (class.as_str(), flag(class == run.class)));
    let help = "1 for what the probe ended as, 0 for the others.";
    labelled(&mut page, "probe_class", help, "class", classes);
    if let Some(usd) = run.cost_usd {
        family(&mut page, "probe_cost_usd", "What the probe cost in US dollars.", usd);
    }
    let misconfigured = flag(run.misconfigured.is_some());
    let help = "1 if the answer means that key, payment or request is wrong.";
    family(&mut page, "probe_misconfigured", help, misconfigured);
    let help = "1 if it was made for this request, 0 if one of the schedule was in flight.";
    family(&mut page, "probe_on_demand", help, flag(run.on_demand));
    page
}

/// The exposition of a probe that goes on when the time to answer is up.
pub fn unfinished(took: Duration) -> String {
    head(false, true, took)
}

fn head(success: bool, unfinished: bool, took: Duration) -> String {
    let mut page = String::new();
    family(&mut page, "probe_success", "Whether the probe ended ok.", flag(success));
    let help = "1 if the time to answer was up first; the probe goes on and counts.";
    family(&mut page, "probe_unfinished", help, flag(unfinished));
    let help = "How long the answer to this request took.";
    family(&mut page, "probe_duration_seconds", help, took.as_secs_f64());
    page
}

fn family(page: &mut String, name: &str, help: &str, value: f64) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
}

fn labelled<'a>(
    page: &mut String,
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'a str, f64)>,
) {
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (of, value) in values {
        let _ = writeln!(page, "{name}{{{label}=\"{of}\"}} {value}");
    }
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
