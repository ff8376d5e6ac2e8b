//! The table of targets, the worst first.

use serde_json::json;

use super::{NO_RATIO, ratio, score};
use crate::answers::metrics::names::{self, Metric};
use crate::domain::outcome::Signal;
use crate::mixin::dashboards::{Options, words};
use crate::mixin::grafana::{Colour, Override, Panel, Query, Unit};
use crate::mixin::promql::Window;
use crate::mixin::recorded::{self, Level};

const HOUR: Window = Window::hours(1);

/// Fields as Grafana names them, and the columns made of them, in their order.
const COLUMNS: [(&str, &str); 11] = [
    ("Value #A", "State"),
    ("provider", "Provider"),
    ("model", "Model"),
    ("Value #B", "Attempts"),
    ("Value #C", "529"),
    ("Value #D", "529 at least"),
    ("Value #E", "503"),
    ("Value #F", "429"),
    ("Value #G", "First token p95"),
    ("Value #H", "Duration p95"),
    ("Value #I", "Last seen"),
];

pub(super) fn targets(options: &Options) -> Panel {
    let attempts = options.chosen(names::REQUESTS).over(HOUR);
    let at_least = options.by_variables(recorded::lower_bound(Level::Model, HOUR));
    let at_least = at_least.is("signal", Signal::Overload.as_str());
    let last = options.chosen(names::LAST_OUTCOME);
    Panel::table(
        "Targets, last hour",
        "The state now, the rest over the last hour. 529, 503 and 429 are the ratios of the \
         signals overload, outage and rate limit, each signal / (ok + signal), over first \
         attempts. \"529 at least\" is the lower end of what the overload can be with so many \
         attempts, at 95 %: what alerts go by. 429 is about your account, not about the provider. \
         Click a model to see it alone.",
    )
    .query(Query::rows(score(options)))
    .query(Query::rows(format!("sum by (provider, model) (increase({attempts}))")))
    .query(Query::rows(ratio(options, Signal::Overload, HOUR)))
    .query(Query::rows(format!("max by (provider, model) ({at_least})")))
    .query(Query::rows(ratio(options, Signal::Outage, HOUR)))
    .query(Query::rows(ratio(options, Signal::RateLimit, HOUR)))
    .query(Query::rows(slow(options, names::TIME_TO_FIRST_TOKEN)))
    .query(Query::rows(slow(options, names::REQUEST_DURATION)))
    .query(Query::rows(format!("1000 * max by (provider, model) ({last})")))
    .columns(&COLUMNS)
    .option("sortBy", json!([{"displayName": "State", "desc": true}]))
    .except(overrides(options))
    .field("noValue", NO_RATIO)
}

/// The 95th percentile of a histogram over the hour; absent where nothing ended ok.
fn slow(options: &Options, row: Metric) -> String {
    let buckets = options.chosen_buckets(row).over(HOUR);
    format!("histogram_quantile(0.95, sum by (provider, model, le) (increase({buckets}))) > 0")
}

fn overrides(options: &Options) -> Vec<Override> {
    let link = words::link_to_target("__data.fields.Provider", "__data.fields.Model");
    let ratio = |column: &str, signal: Signal| {
        let steps = options.colours_above(Colour::Text, signal);
        narrow(column, 90)
            .set("unit", Unit::Ratio)
            .set("decimals", 2)
            .set("thresholds", json!({"mode": "absolute", "steps": steps}))
            .set("custom.cellOptions", json!({"type": "color-text"}))
    };
    [
        narrow("State", 110)
            .set("mappings", words::state_words())
            .set("custom.cellOptions", json!({"type": "color-background", "mode": "basic"}))
            .set("custom.align", "center"),
        narrow("Provider", 120),
        Override::of("Model").set("links", [link]),
        narrow("Attempts", 90).set("unit", Unit::Count).set("decimals", 0),
        ratio("529", Signal::Overload),
        ratio("529 at least", Signal::Overload).set("custom.width", 110),
        ratio("503", Signal::Outage),
        ratio("429", Signal::RateLimit),
        narrow("First token p95", 130).set("unit", Unit::Seconds).set("decimals", 1),
        narrow("Duration p95", 120).set("unit", Unit::Seconds).set("decimals", 1),
        narrow("Last seen", 150).set("unit", Unit::FromNow),
    ]
    .map(|column| column.set("noValue", "–"))
    .into()
}

fn narrow(column: &str, width: u32) -> Override {
    Override::of(column).set("custom.width", width)
}
