//! What a user may want otherwise in the dashboards, and the selectors that follow from it.

use crate::answers::metrics::names::{self, Metric};
use crate::domain::bounds::Thresholds;
use crate::domain::outcome::Signal;
use crate::ground::self_stats::rows;
use crate::mixin::grafana::{Annotation, Colour, Step, Variable, by_threshold};
use crate::mixin::promql::Series;
use crate::mixin::selector::Selector;
use crate::mixin::{RUNBOOKS, in_percent};

/// What can be changed in the dashboards without editing them.
#[derive(Clone, Debug)]
pub struct Options {
    /// The thresholds that lines, colours and words speak of.
    pub thresholds: Thresholds,
    /// What every series must match, beside the variables.
    pub selector: Selector,
    /// Where the runbooks are, without a slash at the end.
    pub runbooks: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            selector: Selector::default(),
            runbooks: RUNBOOKS.to_owned(),
        }
    }
}

impl Options {
    /// The series of a row that the variables select.
    pub(super) fn chosen(&self, row: Metric) -> Series {
        self.by_variables(Series::of(row))
    }

    /// The buckets of a histogram that the variables select.
    pub(super) fn chosen_buckets(&self, row: Metric) -> Series {
        self.by_variables(Series::buckets(row))
    }

    /// Those of some series that the variables select, by the labels that the series have.
    pub(super) fn by_variables(&self, series: Series) -> Series {
        let labels = ["job", "instance", "provider", "model"].into_iter();
        labels.fold(series.within(self.selector.as_str()), |series, label| {
            if series.has(label) { series.matches(label, &format!("${label}")) } else { series }
        })
    }

    /// Those of some series that are of the one target that the variables name.
    pub(super) fn of_one_target(&self, series: Series) -> Series {
        let labels = ["job", "instance", "provider", "model"].into_iter();
        labels.fold(series.within(self.selector.as_str()), |series, label| match label {
            _ if !series.has(label) => series,
            "provider" | "model" => series.is(label, &format!("${label}")),
            _ => series.matches(label, &format!("${label}")),
        })
    }

    /// The variables `job` and `instance`, the second narrowed by the first.
    pub(super) fn variables_of_exporters(&self) -> Vec<Variable> {
        let built = || Series::of(rows::BUILD_INFO).within(self.selector.as_str());
        let of_job = built().matches("job", "$job");
        vec![
            Variable::label_values("job", "Job", &built(), "job"),
            Variable::label_values("instance", "Instance", &of_job, "instance"),
        ]
    }

    /// The variables `job`, `instance`, `provider` and `model`, each of which narrows the next.
    pub(super) fn variables(&self) -> Vec<Variable> {
        let targets = Series::of(names::TARGET_INFO).within(self.selector.as_str());
        let targets = targets.matches("job", "$job").matches("instance", "$instance");
        let of_provider = targets.clone().matches("provider", "$provider");
        let mut variables = self.variables_of_exporters();
        variables.push(Variable::label_values("provider", "Provider", &targets, "provider"));
        variables.push(Variable::label_values("model", "Model", &of_provider, "model"));
        variables
    }

    /// The same variables, of which `provider` and `model` have one value each.
    pub(super) fn variables_of_one_target(&self) -> Vec<Variable> {
        let targets = Series::of(names::TARGET_INFO).within(self.selector.as_str());
        let targets = targets.matches("job", "$job").matches("instance", "$instance");
        let of_provider = targets.clone().is("provider", "$provider");
        let mut variables = self.variables_of_exporters();
        variables.push(Variable::one_label_value("provider", "Provider", &targets, "provider"));
        variables.push(Variable::one_label_value("model", "Model", &of_provider, "model"));
        variables
    }

    /// Alerts of ours that fire.
    pub(super) fn firing(&self) -> Series {
        Series::alerts()
            .within(self.selector.as_str())
            .matches("alertname", "Brownout.+")
            .is("alertstate", "firing")
            .matches("job", "$job")
    }

    /// Marks where an alert of ours begins to fire.
    pub(super) fn firing_alerts(&self) -> Annotation {
        Self::marked(&[self.firing()])
    }

    /// Marks where an alert about the exporter itself begins to fire.
    pub(super) fn firing_alerts_about_exporters(&self) -> Annotation {
        Self::marked(&[self.firing().is("scope", "exporter")])
    }

    /// Marks where some alerts begin to fire. For as long as they fire would colour whole days.
    pub(super) fn marked(firing: &[Series]) -> Annotation {
        let by = "max by (alertname, provider, model)";
        let any = |suffix: &str| {
            let each: Vec<_> = firing.iter().map(|one| format!("{one}{suffix}")).collect();
            each.join(" or ")
        };
        let (now, before) = (any(""), any(" offset 1m"));
        Annotation::new(
            "Firing alerts",
            Colour::Vermilion,
            format!("{by} ({now}) unless {by} ({before})"),
            ["{{alertname}}", "{{provider}} {{model}}"],
        )
    }

    /// Colours of a ratio of a signal: the thresholds are those of the states.
    pub(super) fn colours(&self, signal: Signal) -> Vec<Step> {
        self.colours_above(Colour::Green, signal)
    }

    /// The same with another colour below the thresholds.
    pub(super) fn colours_above(&self, lowest: Colour, signal: Signal) -> Vec<Step> {
        let bounds = self.thresholds.of(signal);
        let above = [(bounds.healthy(), Colour::Yellow), (bounds.overloaded(), Colour::Vermilion)];
        by_threshold(lowest, &above)
    }

    /// How far an axis reaches at least, so that both thresholds are seen.
    pub(super) fn axis(&self, signal: Signal) -> f64 {
        self.thresholds.of(signal).overloaded() * 1.25
    }

    /// The two thresholds of a signal as words: `["0.5 %", "2 %"]`.
    pub(super) fn percent(&self, signal: Signal) -> [String; 2] {
        let bounds = self.thresholds.of(signal);
        [bounds.healthy(), bounds.overloaded()].map(percent)
    }
}

/// A label's value as a number that panels can colour: its place in `values`, from 1. For series
/// that are 1 where their label has the value and 0 elsewhere.
pub(super) fn numbered(series: &Series, label: &str, values: &[&str]) -> String {
    let one =
        |(place, value)| format!("{} * ({} == 1)", place + 1, series.clone().is(label, value));
    let numbered: Vec<_> = values.iter().copied().enumerate().map(one).collect();
    numbered.join(" or ")
}

/// A ratio as people write it: `0.5 %`.
fn percent(ratio: f64) -> String {
    format!("{} %", in_percent(ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_written_as_people_do() {
        for (ratio, expected) in
            [(0.005, "0.5 %"), (0.02, "2 %"), (0.1, "10 %"), (0.0029, "0.29 %")]
        {
            assert_eq!(percent(ratio), expected);
        }
    }

    #[test]
    fn what_a_user_adds_to_selectors_stands_before_the_variables() {
        let options =
            Options { selector: Selector::parse("cluster=\"eu\"").unwrap(), ..Options::default() };
        assert_eq!(
            options.chosen(names::QUOTA_LIMIT).to_string(),
            "brownout_quota_limit{cluster=\"eu\",job=~\"$job\",instance=~\"$instance\",\
             provider=~\"$provider\"}"
        );
    }

    #[test]
    fn one_target_is_selected_by_equality() {
        let options = Options::default();
        assert_eq!(
            options.of_one_target(Series::of(names::PROBE_SUCCESS)).to_string(),
            "brownout_probe_success{job=~\"$job\",instance=~\"$instance\",\
             provider=\"$provider\",model=\"$model\"}"
        );
    }
}
