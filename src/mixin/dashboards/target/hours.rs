//! When the target sheds load: hour by hour, and by the hour of the day.

use serde_json::json;

use super::Of;
use crate::answers::metrics::names;
use crate::domain::outcome::Signal;
use crate::mixin::dashboards::words;
use crate::mixin::grafana::{Override, Panel, Query, Unit};
use crate::mixin::promql::Window;
use crate::mixin::recorded::{self, Level};

pub(super) fn errors(of: Of<'_>) -> Panel {
    let errors = of.0.of_one_target(recorded::errors(Level::Model, Window::hours(1)));
    Panel::time_series(
        "Errors hour by hour",
        "First attempts of each hour that failed by one of the signals: 529 and its likes, 503 \
         and other failures of the provider, 429 on your account. A bar stands at the end of its \
         hour.",
        Unit::Count,
    )
    .query(Query::range(format!("max by (signal) ({errors}) > 0"), "{{signal}}").every("1h"))
    .stacked_bars()
    .except(Signal::ALL.map(|signal| {
        Override::of(signal.as_str())
            .set("displayName", words::title(signal))
            .coloured(words::of_signal(signal))
    }))
    .silent("No errors, or the recording rules of alerts/ are not loaded")
}

pub(super) fn of_day(of: Of<'_>) -> Panel {
    Signal::ALL
        .into_iter()
        .fold(
            Panel::bar_chart(
                "By hour of the day, UTC",
                "The ratio of each signal by the hour of the day in UTC, over the time range of \
                 the dashboard: choose a week or more to see a habit. Bars stand on each other. \
                 An hour without a bar had no errors or no attempts; the dashboard When to run \
                 tells these apart.",
                Unit::Ratio,
                "hour",
            ),
            |panel, signal| panel.query(Query::rows(ratio_by_hour(of, signal))),
        )
        .field("color", json!({"mode": "palette-classic"}))
        .option("stacking", "normal")
        .transformed("merge", json!({}))
        .columns(&[("hour", "hour"), ("Value #A", "a"), ("Value #B", "b"), ("Value #C", "c")])
        .sorted_by("hour", false)
        .except(Signal::ALL.into_iter().zip(["a", "b", "c"]).map(|(signal, column)| {
            Override::of(column)
                .set("displayName", words::title(signal))
                .coloured(words::of_signal(signal))
        }))
        .silent("No attempts, or metrics.hour_of_day is off in the configuration")
}

/// k / (ok + k) of a signal by hour of the day, ok + k being what no other signal failed.
fn ratio_by_hour(of: Of<'_>, signal: Signal) -> String {
    let errors = || of.one(names::HOUR_ERRORS);
    let k = errors().is("signal", signal.as_str()).over("$__range");
    let others = errors().is_not("signal", signal.as_str()).over("$__range");
    let all = of.one(names::HOUR_REQUESTS).over("$__range");
    format!(
        "sum by (hour) (increase({k}))\n/ (\n  (\n      sum by (hour) (increase({all}))\n    - \
         sum by (hour) (increase({others}))\n  ) > 0\n)"
    )
}
