//! The line of numbers at the top.

use crate::answers::metrics::names;
use crate::ground::self_stats::rows;
use crate::mixin::dashboards::Options;
use crate::mixin::grafana::{Colour, Panel, Query, Unit, by_threshold};
use crate::mixin::promql::Series;

/// How old what is served may be before something is wrong: a view is taken each second.
const AGE_MAX_S: f64 = 5.0;

const NOT_SCRAPED: &str = "not scraped";

pub(super) fn instances(options: &Options) -> Panel {
    let up = options.by_variables(Series::up());
    Panel::stat(
        "Instances down",
        "Instances of the selected jobs that Prometheus cannot scrape.",
        Unit::None,
    )
    .query(Query::instant(format!("count({up} == 0) or 0 * count({up})"), "__auto"))
    .thresholds(&by_threshold(Colour::Green, &[(1.0, Colour::Vermilion)]))
    .silent("no instance is known")
}

pub(super) fn age(options: &Options) -> Panel {
    let taken = options.chosen(names::SNAPSHOT_TIMESTAMP);
    Panel::stat(
        "Age of the view",
        "How old the view of the targets was when it was scraped, the oldest of all instances. \
         A new one is taken each second; more than a few mean that the daemon is stuck.",
        Unit::Seconds,
    )
    .query(Query::instant(format!("max(timestamp({taken}) - {taken})"), "__auto"))
    .decimals(1)
    .thresholds(&by_threshold(Colour::Green, &[(AGE_MAX_S, Colour::Vermilion)]))
    .silent(NOT_SCRAPED)
}

pub(super) fn configuration(options: &Options) -> Panel {
    let good = options.chosen(rows::RELOAD_SUCCESSFUL);
    flag(
        "Last reload",
        "Whether the latest attempt to load the configuration succeeded, on all instances. After a \
         failure the old one serves on; the log says what is wrong with the new one.",
        format!("1 - min({good})"),
        [("good", Colour::Green), ("failed", Colour::Vermilion)],
    )
}

pub(super) fn egress(options: &Options) -> Panel {
    let failing = options.chosen(names::EGRESS_FAILING);
    flag(
        "Our own network",
        "Whether every provider with traffic fails on the network at once, which means that the \
         fault is on our side. States of targets are unknown meanwhile.",
        format!("max({failing})"),
        [("good", Colour::Green), ("failing", Colour::Vermilion)],
    )
}

pub(super) fn budget(options: &Options) -> Panel {
    let all = options.chosen(names::BUDGET_EXHAUSTED);
    let one = options.chosen(names::PROVIDER_BUDGET_EXHAUSTED);
    flag(
        "Budget of probes",
        "Whether the day's budget is used up, the whole or that of a provider, on any instance: \
         probes are left out until midnight UTC.",
        format!("max({all} or {one})"),
        [("within", Colour::Green), ("used up", Colour::Yellow)],
    )
}

pub(super) fn misconfigured(options: &Options) -> Panel {
    let wrong = options.chosen(names::PROBE_MISCONFIGURED);
    Panel::stat(
        "Misconfigured probes",
        "Targets whose probes are answered in a way that means a wrong key, a missing payment or a \
         wrong request. Such answers say nothing about the provider.",
        Unit::None,
    )
    .query(Query::instant(format!("sum(max by (provider, model) ({wrong}))"), "__auto"))
    .thresholds(&by_threshold(Colour::Green, &[(1.0, Colour::Yellow)]))
    .silent("no probes")
}

/// A stat of two words, for 0 and 1.
fn flag(
    title: &'static str,
    description: &'static str,
    expr: String,
    [zero, one]: [(&str, Colour); 2],
) -> Panel {
    Panel::stat(title, description, Unit::None)
        .query(Query::instant(expr, "__auto"))
        .words(&[(0, zero.0, zero.1), (1, one.0, one.1)])
        .thresholds(&by_threshold(Colour::Grey, &[]))
        .silent(NOT_SCRAPED)
}
