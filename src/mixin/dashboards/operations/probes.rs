//! Probes: when, how they ended, and what they cost.

use serde_json::json;

use crate::answers::metrics::names;
use crate::domain::status_page::Indicator;
use crate::mixin::dashboards::{Options, numbered};
use crate::mixin::grafana::{Colour, Override, Panel, Query, Unit, by_threshold, mappings};
use crate::mixin::promql::Series;

const NO_PROBES: &str = "no probes are configured";

/// Share of a budget from which on it will hardly last.
const NEARLY_SPENT: f64 = 0.8;

pub(super) fn table(options: &Options) -> Panel {
    let chosen = |row| options.chosen(row);
    let of_target = |function, expr| format!("{function} by (provider, model) ({expr})");
    let total = chosen(names::PROBE_DURATION).is("phase", "total");
    let cost = chosen(names::PROBE_COST).over("24h");
    let yes_no = |zero: (&str, Colour), one: (&str, Colour)| {
        mappings(&[(0, zero.0, zero.1), (1, one.0, one.1)])
    };
    let coloured = json!({"type": "color-text"});
    // Grafana reckons times in milliseconds.
    let in_millis = |expr: String| format!("1000 * {expr}");
    Panel::table(
        "Probes",
        "The latest probe of each target by any instance, when the next is due, and what probes of \
         the target cost in 24 hours. One that is due and left out on purpose (budget, clients \
         report enough) moves its next time on, so a next time in the past means a probe that is \
         overdue. The time is that to the end of the answer.",
    )
    .query(Query::rows(of_target("max", chosen(names::PROBE_SUCCESS).to_string())))
    .query(Query::rows(of_target("max", chosen(names::PROBE_MISCONFIGURED).to_string())))
    .query(Query::rows(in_millis(of_target("max", chosen(names::PROBE_LAST_RUN).to_string()))))
    .query(Query::rows(in_millis(of_target("min", chosen(names::PROBE_NEXT_RUN).to_string()))))
    .query(Query::rows(of_target("max", total.to_string())))
    .query(Query::rows(of_target("sum", format!("increase({cost})"))))
    .columns(&[
        ("provider", "Provider"),
        ("model", "Model"),
        ("Value #A", "Result"),
        ("Value #B", "Asks rightly"),
        ("Value #C", "Last"),
        ("Value #D", "Next"),
        ("Value #E", "Took"),
        ("Value #F", "Cost in 24 h"),
    ])
    .sorted_by("Result", false)
    .except([
        Override::of("Result")
            .set("mappings", yes_no(("failed", Colour::Vermilion), ("ok", Colour::Green)))
            .set("custom.cellOptions", &coloured)
            .set("custom.align", "left"),
        Override::of("Asks rightly")
            .set("mappings", yes_no(("yes", Colour::Green), ("no", Colour::Yellow)))
            .set("custom.cellOptions", &coloured)
            .set("custom.align", "left"),
        Override::of("Last").set("unit", Unit::FromNow),
        Override::of("Next").set("unit", Unit::FromNow),
        Override::of("Took").set("unit", Unit::Seconds).set("decimals", 2),
        Override::of("Cost in 24 h").set("unit", Unit::Dollars).set("decimals", 4),
    ])
    .silent(NO_PROBES)
}

pub(super) fn sent(options: &Options) -> Panel {
    let requests = options.chosen(names::REQUESTS).is("source", "probe");
    let errors = options.chosen(names::REQUEST_ERRORS).is("source", "probe");
    let sum = |labels, series: Series| format!("sum by ({labels}) (increase({series}[1h])) > 0");
    Panel::time_series(
        "Probes in an hour, and failed ones",
        "Probes of each provider in the hour before each point, and those that failed by what they \
         ended as.",
        Unit::Count,
    )
    .query(Query::range(sum("provider", requests), "{{provider}}"))
    .query(Query::range(sum("reason", errors), "failed: {{reason}}"))
    .silent(NO_PROBES)
}

pub(super) fn spent(options: &Options) -> Panel {
    let spent = options.chosen(names::BUDGET_SPENT);
    let limit = options.chosen(names::BUDGET_LIMIT);
    let spent_of_one = options.chosen(names::PROVIDER_BUDGET_SPENT);
    let limit_of_one = options.chosen(names::PROVIDER_BUDGET_LIMIT);
    Panel::time_series(
        "Share of the day's budget that is spent",
        "Spent by probes since midnight UTC, of the budget: the whole of each instance, and that \
         of a provider where it has one of its own. At 100 % probes are left out until midnight.",
        Unit::Ratio,
    )
    .query(Query::range(
        format!("max by (instance) ({spent} / ({limit} > 0))"),
        "all on {{instance}}",
    ))
    .query(Query::range(
        format!("max by (provider, instance) ({spent_of_one} / ({limit_of_one} > 0))"),
        "{{provider}} on {{instance}}",
    ))
    .thresholds(&by_threshold(
        Colour::Green,
        &[(NEARLY_SPENT, Colour::Yellow), (1.0, Colour::Vermilion)],
    ))
    .dashed()
    .decimals(0)
    .field("max", 1)
    .silent("no budget: probes are unlimited, or there are none")
}

pub(super) fn cost(options: &Options) -> Panel {
    let cost = options.chosen(names::PROBE_COST).over("24h");
    let limit = options.chosen(names::BUDGET_LIMIT);
    Panel::time_series(
        "Cost of probes in 24 hours",
        "What probes of each provider cost in the 24 hours before each point, and the daily budget \
         of all instances together. Estimated where the bill is not known.",
        Unit::Dollars,
    )
    .query(Query::range(format!("sum by (provider) (increase({cost}))"), "{{provider}}"))
    .query(Query::range(format!("sum({limit})"), "budget per day"))
    .stacked_areas()
    .except([Override::of("budget per day")
        .set("custom.stacking", json!({"mode": "none", "group": "B"}))
        .set("custom.fillOpacity", 0)
        .set("custom.lineStyle", json!({"fill": "dash", "dash": [8, 8]}))
        .coloured(Colour::Vermilion)])
    .silent(NO_PROBES)
}

pub(super) fn skipped(options: &Options) -> Panel {
    let skipped = options.chosen(names::PROBE_SKIPPED);
    Panel::time_series(
        "Probes left out in an hour",
        "Probes that were due and not sent, on purpose, in the hour before each point, by why: \
         budget, because clients report enough, because the one before still ran, or because \
         their time had passed.",
        Unit::Count,
    )
    .query(Query::range(format!("sum by (reason) (increase({skipped}[1h])) > 0"), "{{reason}}"))
    .stacked_areas()
    .silent("no probe was left out")
}

pub(super) fn status_pages(options: &Options) -> Panel {
    let said = options.chosen(names::STATUS_PAGE_INDICATOR);
    let read = options.chosen(names::STATUS_PAGE_LAST_SUCCESS);
    let values = Indicator::ALL.map(Indicator::as_str);
    let words: Vec<_> = (1..).zip(Indicator::ALL).map(|(value, one)| word(value, one)).collect();
    let fresh = format!("max by (provider) (time() - {read}) < 600");
    Panel::state_timeline(
        "What the providers' status pages say",
        "The word of each provider's own status page, where one is configured. It is no \
         measurement, and no state follows from it. Nothing is drawn while a page was not read for \
         ten minutes.",
    )
    .query(Query::range(
        format!(
            "max by (provider) ({}) and on (provider) ({fresh})",
            numbered(&said, "indicator", &values)
        ),
        "{{provider}}",
    ))
    .words(&words)
    .thresholds(&by_threshold(Colour::Grey, &[]))
    .silent("no status page is configured, or none could be read")
}

fn word(value: i64, indicator: Indicator) -> (i64, &'static str, Colour) {
    match indicator {
        Indicator::None => (value, "no trouble", Colour::Green),
        Indicator::Minor => (value, "minor", Colour::Yellow),
        Indicator::Major => (value, "major", Colour::Vermilion),
        Indicator::Critical => (value, "critical", Colour::Wine),
        Indicator::Maintenance => (value, "maintenance", Colour::Sky),
        Indicator::Unknown => (value, "unknown", Colour::Grey),
    }
}
