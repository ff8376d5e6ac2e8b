//! Every query of every dashboard has an answer over a realistic day, and one that can be drawn.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::dashboard::{self, Dashboard, items, text};
use super::day::{self, Day, STEP_S};
use super::server::Series;

/// Queries that may have no series over this day, by dashboard and panel, each with the reason.
const EMPTY: &[(&str, &str, &str)] = &[
    (
        "brownout-operations.json",
        "What the providers' status pages say A",
        "the demo's providers have no status pages",
    ),
    (
        "brownout-operations.json",
        "Probes left out in an hour A",
        "no probe of the one chosen target was left out",
    ),
    (
        "brownout-operations.json",
        "Records reported per minute D",
        "the demo's clients report natively and send no telemetry",
    ),
];

/// Labels that a series may lack: Prometheus takes an empty label for none.
const EMPTY_LABELS: [&str; 1] = ["account"];

/// Most series that a panel may draw of six targets: more is a lost aggregation.
const SERIES_MAX: usize = 100;

/// Steps that a panel of usual width draws.
const POINTS: u64 = 300;

/// Most steps that Prometheus evaluates in one query.
const POINTS_MAX: u64 = 11_000;

/// What is selected when one value of each variable is: one that has seen all kinds of trouble.
const ONE: [(&str, &str); 2] = [("provider", "anthropic"), ("model", "claude-opus-4-7")];

/// What a viewer has selected: the value of each variable, as Grafana puts it into a query.
type Selection = BTreeMap<String, String>;

/// A query as it is asked.
struct Asked<'a> {
    of: String,
    expr: String,
    legend: &'a str,
    /// In seconds; `None` asks for the values at the end only.
    step: Option<u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_every_dashboard_draws_the_day() {
    let day = Day::new().await;
    the_day_has_seen_everything(&day).await;
    let mut findings = Vec::new();
    let mut empty = BTreeSet::new();
    for dashboard in dashboard::all() {
        let all = select(&day, &dashboard, true, &mut findings).await;
        let one = select(&day, &dashboard, false, &mut findings).await;
        for (what, selection) in [("all", all), ("one", one)] {
            let found = check(&day, &dashboard, &selection, &mut empty).await;
            let name = &dashboard.name;
            findings.extend(found.into_iter().map(|found| format!("{name} ({what}): {found}")));
        }
    }
    for (name, of, reason) in EMPTY {
        let exists = dashboard::all().iter().any(|dashboard| dashboard.name == *name);
        if exists && !empty.contains(&((*name).to_owned(), (*of).to_owned())) {
            findings.push(format!("{name}: {of} is not empty any more, though {reason}"));
        }
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// A day on which nothing happened would prove nothing.
async fn the_day_has_seen_everything(day: &Day) {
    let now = Some(day::end_s() as f64);
    for expr in [
        "max_over_time(brownout_target_state{state=\"degraded\"}[1d]) == 1",
        "max_over_time(brownout_target_state{state=\"overloaded\"}[1d]) == 1",
        "max_over_time(brownout_target_state{state=\"unavailable\"}[1d]) == 1",
        "min_over_time(brownout_target_state{state=\"unknown\"}[1d]) == 1",
        "increase(brownout_request_errors_total{reason=\"rate_limited\"}[1d]) > 1000",
        "increase(brownout_request_errors_total{attempt=\"retry\"}[1d]) > 0",
        "increase(brownout_http_responses_total{source=\"probe\",code=\"529\"}[1d]) > 0",
        "increase(brownout_probe_cost_usd_total[1d]) > 0",
        "increase(brownout_probe_skipped_total{reason=\"budget\"}[1d]) > 0",
        "increase(brownout_probe_skipped_total{reason=\"clients_report\"}[1d]) > 0",
        "max_over_time(brownout_probe_provider_budget_exhausted[1d]) == 1",
        "min_over_time(brownout_quota_remaining[1d]) > 0",
        "min_over_time(brownout_config_last_reload_successful[1d]) == 0",
        "increase(brownout_ingest_records_rejected_total[1d]) > 0",
        "increase(brownout_ingest_records_duplicate_total[1d]) > 0",
        "max_over_time(ALERTS{alertname=~\".*Overload.*\",alertstate=\"firing\"}[1d])",
        "max_over_time(ALERTS{alertname=~\".*Outage\",alertstate=\"firing\"}[1d])",
    ] {
        assert!(!day.prometheus.query(expr, now).await.is_empty(), "{expr} is not so");
    }
}

/// Everything, or one value of each variable, as the variables of the dashboard offer it.
async fn select(
    day: &Day,
    dashboard: &Dashboard,
    all: bool,
    findings: &mut Vec<String>,
) -> Selection {
    let mut selection = Selection::new();
    for variable in dashboard.variables() {
        let name = text(&variable["name"]);
        let offered = match variable["type"].as_str() {
            Some("datasource") => continue,
            Some("query") => offered(day, variable, &selection).await,
            _ => items(&variable["options"]).iter().map(|one| text(&one["value"])).collect(),
        };
        if offered.is_empty() {
            findings.push(format!("{}: variable {name} offers nothing", dashboard.name));
        }
        let wanted = ONE.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        let current = text(&variable["current"]["value"]);
        let one = [wanted, Some(current)].into_iter().flatten().find(|one| offered.contains(one));
        let one = one.or_else(|| offered.first().cloned()).unwrap_or_default();
        let everything = all && variable["includeAll"] == true;
        let value = if everything { text(&variable["allValue"]) } else { one };
        selection.insert(name, value);
    }
    selection
}

/// The values of a label that a variable asks for.
async fn offered(day: &Day, variable: &Value, selection: &Selection) -> Vec<String> {
    let definition = text(&variable["definition"]);
    let inside = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (selector, label) = inside.unwrap().rsplit_once(", ").unwrap();
    let expr = filled(selector, selection, STEP_S, 1);
    let expr = format!("group by ({label}) (last_over_time({expr}[1d]))");
    let series = day.prometheus.query(&expr, Some(day::end_s() as f64)).await;
    series.iter().map(|series| text(&series.labels[label])).collect()
}

/// What is wrong with the answers to one selection.
async fn check(
    day: &Day,
    dashboard: &Dashboard,
    selection: &Selection,
    empty: &mut BTreeSet<(String, String)>,
) -> Vec<String> {
    let mut findings = Vec::new();
    let range = range_s(&dashboard.json);
    for panel in dashboard.panels() {
        let mut columns = BTreeSet::from(["Time".to_owned(), "Value".to_owned()]);
        for asked in queries(panel, selection, range) {
            let series = match answer(day, &asked, range).await {
                Ok(series) => series,
                Err(error) => {
                    findings.push(format!("{}: {error}: {}", asked.of, asked.expr));
                    continue;
                }
            };
            if series.is_empty() {
                let key = (dashboard.name.clone(), asked.of.clone());
                let allowed = EMPTY.iter().any(|(name, of, _)| (*name, *of) == (&key.0, &key.1));
                if !allowed {
                    findings.push(format!("{} has no series: {}", asked.of, asked.expr));
                }
                empty.insert(key);
            }
            findings.extend(wrong(&asked, &series));
            columns.insert(format!("Value #{}", asked.of.rsplit(' ').next().unwrap()));
            for labels in series.iter().filter_map(|series| series.labels.as_object()) {
                columns.extend(labels.keys().cloned());
            }
        }
        for named in named_columns(panel).filter(|named| !columns.contains(named)) {
            findings.push(format!("{}: no column is named {named}", text(&panel["title"])));
        }
    }
    // One target may have had nothing to mark.
    let is_one = selection.values().all(|value| value != ".+");
    for annotation in items(&dashboard.json["annotations"]["list"]) {
        let expr = filled(&text(&annotation["expr"]), selection, STEP_S, range);
        let of = text(&annotation["name"]);
        // Never more points than Prometheus gives, as Grafana sees to.
        let step = seconds(&text(&annotation["step"])).max(range.div_ceil(POINTS_MAX));
        let asked = Asked { of, expr, legend: "", step: Some(step) };
        match answer(day, &asked, range).await {
            Ok(series) if series.is_empty() && !is_one => {
                findings.push(format!("annotation {} is empty: {}", asked.of, asked.expr));
            }
            Ok(series) => findings.extend(wrong(&asked, &series)),
            Err(error) => findings.push(format!("annotation {}: {error}", asked.of)),
        }
    }
    findings
}

/// The queries of a panel as Grafana asks them.
fn queries<'a>(panel: &'a Value, selection: &Selection, range: u64) -> Vec<Asked<'a>> {
    let asked = |target: &'a Value| {
        let least = target["interval"].as_str().map_or(STEP_S, seconds);
        let step = (range / POINTS).max(least);
        Asked {
            of: format!("{} {}", text(&panel["title"]), text(&target["refId"])),
            expr: filled(&text(&target["expr"]), selection, step, range),
            legend: target["legendFormat"].as_str().unwrap_or_default(),
            step: (target["instant"] != true).then_some(step),
        }
    };
    items(&panel["targets"]).iter().map(asked).collect()
}

async fn answer(day: &Day, asked: &Asked<'_>, range: u64) -> Result<Vec<Series>, String> {
    let end = day::end_s();
    match asked.step {
        None => day.prometheus.try_query(&asked.expr, end as f64).await,
        Some(step) => {
            // As Grafana does, at multiples of the step.
            let [start, end] = [end - range, end].map(|at| at / step * step);
            day.prometheus.try_range(&asked.expr, [start, end, step]).await
        }
    }
}

/// What cannot be drawn, or would be drawn wrongly.
fn wrong(asked: &Asked<'_>, series: &[Series]) -> Vec<String> {
    let (of, expr) = (&asked.of, &asked.expr);
    let mut findings = Vec::new();
    if series.len() > SERIES_MAX {
        findings.push(format!("{of} draws {} series: {expr}", series.len()));
    }
    let values = || series.iter().flat_map(|series| &series.values);
    if let Some(value) = values().find(|value| !value.is_finite()) {
        findings.push(format!("{of} draws {value}: {expr}"));
    }
    let named = labels_of(asked.legend).filter(|label| !EMPTY_LABELS.contains(label));
    for label in named {
        if let Some(without) = series.iter().find(|series| series.labels[label].is_null()) {
            findings.push(format!("{of} has no label {label} in {}: {expr}", without.labels));
        }
    }
    findings
}

/// The labels that a legend names: `model` of `{{model}} now`.
fn labels_of(legend: &str) -> impl Iterator<Item = &str> {
    legend
        .split("{{")
        .skip(1)
        .filter_map(|rest| rest.split_once("}}"))
        .map(|(label, _)| label.trim())
}

/// The columns that a table renames, orders or hides.
fn named_columns(panel: &Value) -> impl Iterator<Item = String> {
    let organised = items(&panel["transformations"]).iter().filter(|one| one["id"] == "organize");
    let maps = organised.flat_map(|one| {
        ["renameByName", "indexByName", "excludeByName"].map(|key| &one["options"][key])
    });
    // Columns may carry the number that joining tables gives them: `provider 1`.
    let numbered = |name: &String| {
        let (name, number) = name.rsplit_once(' ')?;
        number.parse::<u32>().ok().map(|_| name.to_owned())
    };
    maps.filter_map(Value::as_object)
        .flat_map(|map| map.keys().cloned())
        .map(move |name| numbered(&name).unwrap_or(name))
}

/// How far a dashboard looks back when it is opened, in seconds.
fn range_s(dashboard: &Value) -> u64 {
    let from = text(&dashboard["time"]["from"]);
    seconds(from.strip_prefix("now-").unwrap_or_else(|| panic!("{from} is not before now")))
}

fn seconds(duration: &str) -> u64 {
    let parsed = humantime::parse_duration(duration.trim_start_matches('>'));
    parsed.unwrap_or_else(|error| panic!("{duration}: {error}")).as_secs()
}

/// A query with its variables filled in.
fn filled(expr: &str, selection: &Selection, step: u64, range: u64) -> String {
    let rate = (step + STEP_S).max(4 * STEP_S);
    let mut values = BTreeMap::from([
        ("__rate_interval".to_owned(), format!("{rate}s")),
        ("__interval".to_owned(), format!("{step}s")),
        ("__interval_ms".to_owned(), format!("{}", step * 1000)),
        ("__range".to_owned(), format!("{range}s")),
        ("__range_s".to_owned(), format!("{range}")),
        ("__range_ms".to_owned(), format!("{}", range * 1000)),
    ]);
    values.extend(selection.clone());
    let mut expr = expr.to_owned();
    // The longest names first, for some begin with others.
    let mut names: Vec<_> = values.keys().cloned().collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for name in names {
        let value = &values[&name];
        for written in [format!("${{{name}}}"), format!("${{{name}:regex}}"), format!("${name}")] {
            expr = expr.replace(&written, value);
        }
    }
    expr
}

#[test]
fn variables_are_filled_in_as_grafana_does() {
    let selection = Selection::from([
        ("model".to_owned(), ".+".to_owned()),
        ("model_b".to_owned(), "gpt-5.5".to_owned()),
    ]);
    let expr = "rate(a{m=~\"$model\",n=\"${model_b}\"}[$__rate_interval]) / $__range_s";
    let expected = "rate(a{m=~\".+\",n=\"gpt-5.5\"}[360s]) / 86400";
    assert_eq!(filled(expr, &selection, 300, 86_400), expected);
    assert_eq!(labels_of("{{model}} at {{ code }}").collect::<Vec<_>>(), ["model", "code"]);
    assert_eq!(range_s(&serde_json::json!({"time": {"from": "now-7d"}})), 604_800);
}
