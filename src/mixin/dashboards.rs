//! Our dashboards: what each shows. How Grafana wants it written is in [`super::grafana`].
//!
//! All selectors go by the variables at the dashboard's head, `job` and `instance` always and
//! `provider` and `model` where the series have them.

use super::grafana::{Annotation, Colour, Dashboard, Step, Variable, by_threshold};
use super::promql::Series;
use crate::answers::metrics::names::{self, Metric};
use crate::domain::bounds::Bounds;
use crate::ground::self_stats::rows;

mod overview;

/// Every dashboard, in the order in which one reads them.
pub fn all() -> Vec<Dashboard> {
    vec![overview::dashboard()]
}

/// Colours of a ratio of overload: the thresholds of the states, which are those of the alerts.
fn by_overload() -> Vec<Step> {
    let bounds = Bounds::OVERLOAD;
    let above = [(bounds.healthy(), Colour::Yellow), (bounds.overloaded(), Colour::Vermilion)];
    by_threshold(Colour::Green, &above)
}

/// The series of a row that the variables select.
fn chosen(row: Metric) -> Series {
    by_variables(Series::of(row))
}

/// The buckets of a histogram that the variables select.
fn chosen_buckets(row: Metric) -> Series {
    by_variables(Series::buckets(row))
}

/// Those of some series that the variables select.
fn by_variables(series: Series) -> Series {
    ["job", "instance", "provider", "model"].into_iter().fold(series, |series, label| {
        if series.has(label) { series.matches(label, &format!("${label}")) } else { series }
    })
}

/// The variables `job`, `instance`, `provider` and `model`, each of which narrows the next.
fn variables() -> Vec<Variable> {
    let built = || Series::of(rows::BUILD_INFO);
    let targets = || Series::of(names::TARGET_INFO).matches("job", "$job");
    let targets = || targets().matches("instance", "$instance");
    vec![
        Variable::label_values("job", "Job", &built(), "job"),
        Variable::label_values("instance", "Instance", &built().matches("job", "$job"), "instance"),
        Variable::label_values("provider", "Provider", &targets(), "provider"),
        Variable::label_values(
            "model",
            "Model",
            &targets().matches("provider", "$provider"),
            "model",
        ),
    ]
}

/// Marks where an alert of ours fires.
fn firing_alerts() -> Annotation {
    let firing = Series::alerts()
        .matches("alertname", "Brownout.+")
        .is("alertstate", "firing")
        .matches("job", "$job");
    Annotation::new(
        "Firing alerts",
        Colour::Vermilion,
        format!("max by (alertname, provider, model) ({firing})"),
        ["{{alertname}}", "{{provider}} {{model}}"],
    )
}
