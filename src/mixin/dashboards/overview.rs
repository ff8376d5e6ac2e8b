//! Which provider and model is in trouble now, since when, and how badly.

use super::Options;
use crate::answers::metrics::names;
use crate::domain::outcome::Signal;
use crate::mixin::grafana::{Dashboard, Heading, Layout, Panel, Query, Unit};
use crate::mixin::promql::Window;
use crate::mixin::recorded::{self, Level};

const HEADING: Heading = Heading {
    uid: "brownout-overview",
    title: "Overview",
    description: "Which LLM providers and models shed load, since when, and how badly. \
                  Ratios need the recording rules of brownout's alerts folder.",
    from: "now-6h",
    refresh: "1m",
};

pub(super) fn dashboard(options: &Options) -> Dashboard {
    let panels = Layout::default()
        .line(4, [(24, overloaded_targets(options))])
        .headline("How badly")
        .line(10, [(16, overload_ratio(options)), (8, time_to_first_token(options))]);
    Dashboard::new(HEADING, options.variables(), vec![options.firing_alerts()], panels)
}

fn overloaded_targets(options: &Options) -> Panel {
    let overloaded = options.chosen(names::TARGET_STATE).is("state", "overloaded");
    let expr = format!("sum (max by (provider, model) ({overloaded}))");
    Panel::stat("Overloaded targets", "Targets that shed load now: 529 and its likes.", Unit::Count)
        .query(Query::instant(expr, "__auto"))
}

fn overload_ratio(options: &Options) -> Panel {
    let ratio = recorded::ratio(Level::Model, Window::minutes(5));
    let ratio = options.by_variables(ratio).is("signal", Signal::Overload.as_str());
    let [healthy, overloaded] = options.percent(Signal::Overload);
    Panel::time_series(
        "Overload ratio by model",
        format!(
            "Share of first attempts answered 529 or its likes over five minutes: \
             overloaded / (ok + overloaded). The dashed lines are the thresholds {healthy} and \
             {overloaded}."
        ),
        Unit::Ratio,
    )
    .query(Query::range(format!("max by (provider, model) ({ratio})"), "{{provider}}/{{model}}"))
    .thresholds(&options.colours(Signal::Overload))
    .drawn("thresholdsStyle", serde_json::json!({"mode": "dashed"}))
}

fn time_to_first_token(options: &Options) -> Panel {
    let rate = options.chosen_buckets(names::TIME_TO_FIRST_TOKEN).over("$__rate_interval");
    let expr = format!("histogram_quantile(0.95, sum by (provider, model, le) (rate({rate})))");
    Panel::time_series(
        "Time to first token",
        "From sending to the first content, of attempts that ended ok.",
        Unit::Seconds,
    )
    .query(Query::range(expr, "{{provider}}/{{model}} 95 %"))
}
