//! One table of metrics: what rules and dashboards use is exported, and what is exported is used.

use std::collections::BTreeSet;

use brownout::answers::metrics::names;
use brownout::mixin::promql::Beside;

use super::dashboard::{self, text};
use super::{promql, rules};

/// Metrics that no rule and no dashboard shows, each with the reason.
const NOT_SHOWN: &[(&str, &str)] = &[
    ("brownout_operations_total", "beside attempts they would be read as the same thing"),
    ("brownout_operation_errors_total", "the same"),
    ("brownout_attempts_unclassified_total", "exists only for clients that tell of calls"),
];

/// What every Prometheus has of its own.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];

/// Names in rules and in queries and variables of dashboards, and for each an expression with it.
fn used() -> Vec<(String, String)> {
    let dashboards = dashboard::all();
    let queries =
        dashboards.iter().flat_map(|one| [one.queries(), one.variable_queries()].concat());
    let exprs = rules::all().into_iter().map(|rule| text(&rule["expr"]));
    exprs
        .chain(queries.map(|query| query.expr))
        .flat_map(|expr| {
            let selectors = promql::selectors(&expr);
            selectors
                .into_iter()
                .map(move |one| (promql::family(&one.metric).to_owned(), expr.clone()))
        })
        .collect()
}

#[test]
fn every_metric_that_is_used_is_exported_or_recorded() {
    let recorded: BTreeSet<_> = rules::all().iter().map(|rule| text(&rule["record"])).collect();
    let exported: BTreeSet<_> = names::all().map(|row| row.name).collect();
    let beside = Beside::ALL.map(Beside::name);
    for (metric, expr) in used() {
        let known = recorded.contains(&metric)
            || [exported.contains(&*metric), beside.contains(&&*metric)].contains(&true)
            || OF_PROMETHEUS.contains(&&*metric);
        assert!(known, "{metric} is neither exported nor recorded: {expr}");
    }
}

/// That each is documented is held by `exposition::table`.
#[test]
fn every_metric_that_is_exported_is_used_or_left_out_with_a_reason() {
    let used: BTreeSet<_> = used().into_iter().map(|(metric, _)| metric).collect();
    let left_out = |name: &str| NOT_SHOWN.iter().any(|(one, _reason)| *one == name);
    let all = || names::all().map(|row| row.name).chain(Beside::ALL.map(Beside::name));
    let nowhere: Vec<_> = all().filter(|name| !used.contains(*name) && !left_out(name)).collect();
    assert!(nowhere.is_empty(), "{nowhere:?} are shown nowhere");
    let shown: Vec<_> = all().filter(|name| used.contains(*name) && left_out(name)).collect();
    assert!(shown.is_empty(), "{shown:?} are shown, and said not to be");
}
