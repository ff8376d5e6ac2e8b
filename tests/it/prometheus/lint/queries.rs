//! Rules about queries, of panels and of annotations.

use serde_json::{Value, json};

use super::super::dashboard::Dashboard;
use super::super::promql::{self, Read, Selector};
use super::{Mutation, panel_of};

pub(super) const MUTATIONS: &[Mutation] = &[
    ("target-promql", "sum(x", |json| set(json, "sum(x")),
    ("target-promql", "asks for no metric", |json| set(json, "vector(1)")),
    ("target-rate-interval", "is under a rate over another window", |json| {
        set(json, "sum(rate(a_total{job=~\"$job\",instance=~\"$instance\"}[5m]))");
    }),
    ("target-job", "brownout_target_state", |json| set(json, "sum(brownout_target_state)")),
    ("target-instance", "brownout_target_state", |json| {
        set(json, "sum(brownout_target_state{job=~\"$job\"})");
    }),
    ("target-counter-agg", "brownout_requests_total", |json| {
        set(json, "sum(brownout_requests_total{job=~\"$job\",instance=~\"$instance\"})");
    }),
    ("target-counter-agg", "brownout_x_seconds_bucket", |json| {
        set(json, "sum by (le) (brownout_x_seconds_bucket{job=~\"$job\",instance=~\"$instance\"})");
    }),
    ("target-no-nan", "a:brownout_b:c", |json| {
        set(json, "sum(x{job=~\"$job\",instance=~\"$instance\"}) / a:brownout_b:c{job=~\"$job\"}");
    }),
    ("target-aggregated", "brownout_target_state", |json| {
        set(json, "brownout_target_state{job=~\"$job\",instance=~\"$instance\"} == 1");
    }),
];

/// Aggregations; all that of several replicas make one.
const AGGREGATIONS: [&str; 11] = [
    "sum",
    "max",
    "min",
    "avg",
    "count",
    "topk",
    "bottomk",
    "group",
    "stddev",
    "quantile",
    "count_values",
];

fn set(json: &mut Value, expr: &str) {
    panel_of(json, "timeseries")["targets"][0]["expr"] = json!(expr);
}

/// What is wrong with each query that can be read.
fn each(dashboard: &Dashboard, rule: impl Fn(&Read) -> Vec<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for query in dashboard.queries() {
        let Ok(read) = promql::read(&query.expr) else { continue };
        findings.extend(rule(&read).into_iter().map(|finding| format!("{}: {finding}", query.of)));
    }
    findings
}

/// What is wrong with each use of a metric: those for which `wrong` says something.
fn each_use(dashboard: &Dashboard, wrong: impl Fn(&Selector) -> Option<&str>) -> Vec<String> {
    each(dashboard, |read| {
        let of = |one: &Selector| wrong(one).map(|finding| format!("{} {finding}", one.metric));
        read.selectors.iter().filter_map(of).collect()
    })
}

pub(super) fn promql(dashboard: &Dashboard) -> Vec<String> {
    let wrong = |expr: &str| match promql::read(expr) {
        Err(error) => Some(error),
        Ok(read) if read.selectors.is_empty() => Some("asks for no metric".to_owned()),
        Ok(_) => None,
    };
    let queries = dashboard.queries().into_iter();
    queries
        .filter_map(|query| Some(format!("{}: {}: {}", query.of, wrong(&query.expr)?, query.expr)))
        .collect()
}

pub(super) fn rate_interval(dashboard: &Dashboard) -> Vec<String> {
    each_use(dashboard, |one| {
        let fitted = !one.is_within(&["rate", "irate"]) || one.has_rate_interval();
        (!fitted).then_some("is under a rate over another window than $__rate_interval")
    })
}

pub(super) fn job(dashboard: &Dashboard) -> Vec<String> {
    each_use(dashboard, |one| selected(one, "job=~\"$job\""))
}

pub(super) fn instance(dashboard: &Dashboard) -> Vec<String> {
    each_use(dashboard, |one| selected(one, "instance=~\"$instance\""))
}

fn selected(one: &Selector, matcher: &str) -> Option<&'static str> {
    let found = one.matchers.iter().any(|written| written == matcher);
    (!found).then_some("is not narrowed by the variable")
}

pub(super) fn counter(dashboard: &Dashboard) -> Vec<String> {
    each_use(dashboard, |one| {
        let counts = ["_total", "_bucket", "_sum", "_count"];
        let counter = counts.iter().any(|suffix| one.metric.ends_with(suffix));
        let risen = one.is_within(&["rate", "irate", "increase"]);
        (counter && !risen).then_some("is a counter without rate or increase")
    })
}

/// A division by zero is NaN, which breaks sums and scales.
pub(super) fn no_nan(dashboard: &Dashboard) -> Vec<String> {
    each(dashboard, |read| {
        read.unguarded.iter().map(|one| format!("may divide by zero: {one}")).collect()
    })
}

/// With two replicas there are two of everything.
pub(super) fn aggregated(dashboard: &Dashboard) -> Vec<String> {
    each_use(dashboard, |one| {
        (!one.is_within(&AGGREGATIONS)).then_some("is not made one over instances")
    })
}
