//! How fast the target answers: of attempts that ended ok, and of the last probe.

use serde_json::json;

use super::Of;
use crate::answers::metrics::names::{self, Metric};
use crate::mixin::grafana::{Colour, Override, Panel, Query, Unit};

const NONE: &str = "No attempt ended ok with a time";

pub(super) fn first_token(of: Of<'_>) -> Panel {
    heatmap(
        of,
        "Time to first token",
        "How many attempts took how long from sending to the first content, of those that ended \
         ok; the lighter, the more. Slower answers often announce an overload.",
        names::TIME_TO_FIRST_TOKEN,
    )
}

pub(super) fn duration(of: Of<'_>) -> Panel {
    heatmap(
        of,
        "Duration",
        "How many attempts took how long from sending to the end of the answer, of those that \
         ended ok; the lighter, the more. Long answers take long: compare like with like.",
        names::REQUEST_DURATION,
    )
}

fn heatmap(of: Of<'_>, title: &'static str, description: &'static str, row: Metric) -> Panel {
    let buckets = of.buckets(row).over("$__rate_interval");
    Panel::heatmap(title, description, Unit::Seconds)
        .query(Query::buckets(format!("sum by (le) (increase({buckets}))")).every("5m"))
        .silent(NONE)
}

pub(super) fn quantiles(of: Of<'_>) -> Panel {
    let quantile = |q: f64, row: Metric| {
        let buckets = of.buckets(row).over("$__rate_interval");
        format!("histogram_quantile({q}, sum by (le) (rate({buckets}))) > 0")
    };
    let (first, whole) = (names::TIME_TO_FIRST_TOKEN, names::REQUEST_DURATION);
    Panel::time_series(
        "Quantiles",
        "Half of the attempts that ended ok were faster than p50, 95 % faster than p95; to the \
         first content and to the end of the answer. The axis is logarithmic.",
        Unit::Seconds,
    )
    .query(Query::range(quantile(0.5, first), "first token p50"))
    .query(Query::range(quantile(0.95, first), "first token p95"))
    .query(Query::range(quantile(0.5, whole), "duration p50"))
    .query(Query::range(quantile(0.95, whole), "duration p95"))
    .drawn("scaleDistribution", json!({"type": "log", "log": 10}))
    .except([
        Override::of("first token p50").coloured(Colour::Sky),
        Override::of("first token p95").coloured(Colour::Blue),
        Override::of("duration p50").coloured(Colour::Sand),
        Override::of("duration p95").coloured(Colour::Rose),
    ])
    .silent(NONE)
}

pub(super) fn last_probe(of: Of<'_>) -> Panel {
    let phases = of.one(names::PROBE_DURATION);
    Panel::time_series(
        "Last probe: phases",
        "How long the last probe took from sending to the end of each phase: connect (absent \
         where a connection was warm), headers (ttfb), first content (ttft), total. A phase that \
         it did not reach is absent.",
        Unit::Seconds,
    )
    .query(Query::range(format!("max by (phase) ({phases})"), "{{phase}}"))
    .except([
        Override::of("connect").coloured(Colour::Grey),
        Override::of("ttfb").coloured(Colour::Sky),
        Override::of("ttft").coloured(Colour::Blue),
        Override::of("total").coloured(Colour::Rose),
    ])
    .drawn("drawStyle", "points")
    .drawn("pointSize", 4)
    .silent("This target is not probed")
}
