//! The line of numbers: how many targets are in which state, and whether we could know.

use super::in_state;
use crate::answers::metrics::names;
use crate::domain::state::TargetState;
use crate::ground::self_stats::rows;
use crate::mixin::dashboards::{Options, words};
use crate::mixin::grafana::{Colour, Panel, Query, Unit, by_threshold};
use crate::mixin::promql::Series;

pub(super) fn panels(options: &Options) -> [Panel; 8] {
    let [first, second, third, fourth] = states(options);
    let [fifth, sixth] = [firing_alerts(options), probes(options)];
    [first, second, third, fourth, fifth, sixth, instances(options), requests(options)]
}

fn states(options: &Options) -> [Panel; 4] {
    [
        (
            TargetState::Unavailable,
            "Unavailable",
            "Targets that are down: 503, another 5xx, timeouts or no connection.",
        ),
        (TargetState::Overloaded, "Overloaded", "Targets that shed load: 529 and its likes."),
        (
            TargetState::Degraded,
            "Degraded",
            "Targets between the two thresholds of overload or of outage: worth a look, no page.",
        ),
        (
            TargetState::Unknown,
            "Unknown",
            "Targets about which there is too little or too old evidence: nobody reports or \
             probes them.",
        ),
    ]
    .map(|(state, title, description)| {
        Panel::stat(title, description, Unit::Count)
            .decimals(0)
            .query(Query::instant(in_state(options, state), "__auto"))
            .thresholds(&by_threshold(Colour::Clear, &[(1.0, words::of_state(state))]))
            .silent("no target")
    })
}

fn firing_alerts(options: &Options) -> Panel {
    let expr = format!("count ({}) or vector(0)", options.firing());
    Panel::stat(
        "Alerts",
        "Alerts of brownout's rules that fire for the chosen jobs, about providers or about \
         brownout itself. The table below names them.",
        Unit::Count,
    )
    .decimals(0)
    .query(Query::instant(expr, "__auto"))
    .thresholds(&by_threshold(Colour::Clear, &[(1.0, Colour::Vermilion)]))
    .silent("no answer")
}

fn probes(options: &Options) -> Panel {
    let success = options.chosen(names::PROBE_SUCCESS);
    Panel::stat("Probes ok", "Share of the probed targets whose last probe ended ok.", Unit::Ratio)
        .decimals(0)
        .query(Query::instant(format!("avg (min by (provider, model) ({success}))"), "__auto"))
        .thresholds(&by_threshold(
            Colour::Vermilion,
            &[(0.5, Colour::Yellow), (0.999, Colour::Clear)],
        ))
        .silent("no probes")
}

/// Only jobs that have our metrics: with all jobs chosen `up` is about everything.
fn instances(options: &Options) -> Panel {
    let up = options.by_variables(Series::up());
    let ours = options.chosen(rows::BUILD_INFO);
    Panel::stat(
        "Instances up",
        "Instances of brownout that Prometheus reaches. Without any, everything here is old.",
        Unit::Count,
    )
    .decimals(0)
    .query(Query::instant(format!("sum ({up} and on (job) {ours})"), "__auto"))
    .thresholds(&by_threshold(Colour::Vermilion, &[(1.0, Colour::Clear)]))
    .silent("none")
}

fn requests(options: &Options) -> Panel {
    let rate = options.chosen(names::REQUESTS).over("$__rate_interval");
    Panel::stat(
        "Attempts",
        "Attempts per second that clients reported and probes made, whatever they ended as: the \
         evidence behind the states.",
        Unit::RequestsPerSecond,
    )
    .query(Query::instant(format!("sum (rate({rate}))"), "__auto"))
    .thresholds(&by_threshold(Colour::Clear, &[]))
    .silent("none")
}
