//! The alerts: whom they wake, when, and what they tell.
//!
//! Each waits (`for`) longer than one failed scrape or a start of Prometheus lasts, and those
//! that end by themselves keep firing for a while, so that one trouble is one message.

use super::super::promql::{Series, Window};
use super::super::recorded::{self, Level};
use super::options::{Options, Windows};
use super::{Body, Group, Pairs, Rule, Shown, Text};
use crate::domain::bounds::Bounds;
use crate::domain::outcome::Signal;
use crate::domain::target::Model;
use crate::mixin::in_percent;

mod exporter;
mod failures;
mod overload;
mod probes;

pub(super) fn groups(options: &Options) -> Vec<Group> {
    let group = |name, alerts: Vec<Alert>| {
        let rules = alerts.into_iter().map(|alert| alert.rule(options)).collect();
        Group { name, comment: String::new(), rules }
    };
    vec![
        group("brownout.overload", overload::alerts(options)),
        group("brownout.quota_and_outage", failures::alerts(options)),
        group("brownout.self", [probes::alerts(options), exporter::alerts(options)].concat()),
    ]
}

/// How soon somebody must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Critical,
    Warning,
}

/// What an alert is about. A replica is one instance of the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Model,
    Provider,
    Exporter,
    Replica,
    /// An exporter of which there is nothing, so that no label tells where to look.
    Nobody,
}

impl Scope {
    const fn label(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Exporter | Self::Replica | Self::Nobody => "exporter",
        }
    }

    /// The page of Grafana that shows it.
    const fn page(self) -> &'static str {
        match self {
            Self::Model => {
                "/d/brownout-target?var-provider={{ $labels.provider | urlquery }}\
                 &var-model={{ $labels.model | urlquery }}"
            }
            Self::Provider => "/d/brownout-overview?var-provider={{ $labels.provider | urlquery }}",
            Self::Exporter => "/d/brownout-operations?var-job={{ $labels.job | urlquery }}",
            Self::Replica => {
                "/d/brownout-operations?var-job={{ $labels.job | urlquery }}\
                 &var-instance={{ $labels.instance | urlquery }}"
            }
            Self::Nobody => "/d/brownout-operations",
        }
    }
}

/// An alert, before it is written out.
#[derive(Clone, Debug)]
struct Alert {
    name: &'static str,
    severity: Severity,
    scope: Scope,
    /// Why it is as it is.
    comment: &'static str,
    expr: String,
    /// How long it must be so before it fires.
    wait: Window,
    /// How long it goes on firing when it is no more so.
    keep: Option<Window>,
    summary: String,
    description: String,
    /// Labels that the expression loses.
    labels: Vec<(String, String)>,
}

impl Alert {
    fn rule(self, options: &Options) -> Rule {
        let severity = match self.severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
        };
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let labels = [("severity", severity), ("scope", self.scope.label())].map(own);
        let annotations = vec![
            ("summary".to_owned(), self.summary),
            ("description".to_owned(), self.description),
            ("runbook_url".to_owned(), format!("{}/{}.md", options.runbooks, self.name)),
            ("dashboard_url".to_owned(), format!("{}{}", options.dashboards, self.scope.page())),
        ];
        let body = Body {
            record: None,
            alert: Some(self.name),
            expr: Text(self.expr),
            wait: Some(Shown(self.wait)),
            keep: self.keep.map(Shown),
            labels: Some(serde_saphyr::FlowMap(Pairs([labels.to_vec(), self.labels].concat()))),
            annotations: Some(Pairs(annotations)),
        };
        Rule { comment: self.comment.to_owned(), body }
    }
}

/// A signal of a level that is too high, with proof.
struct TooHigh {
    level: Level,
    signal: Signal,
    windows: Windows,
    /// Both windows' ratios are above this.
    above: f64,
    /// The long window's ratio is, 19 times out of 20, truly above this.
    surely_above: f64,
    /// The long window has at least so many errors.
    events: u32,
}

impl TooHigh {
    /// What must be so, all of it. The value is the long window's ratio.
    fn conditions(&self, options: &Options) -> Vec<String> {
        let of = Of { options, level: self.level, signal: self.signal };
        let Windows { long, short } = self.windows;
        vec![
            format!("{} > {}", of.named(recorded::ratio, long), self.above),
            format!("{} > {}", of.all(recorded::ratio, short), self.above),
            format!("{} > {}", of.all(recorded::lower_bound, long), self.surely_above),
            format!("{} >= {}", of.all(recorded::errors, long), self.events),
        ]
    }
}

/// Recorded series of a level, by signal.
#[derive(Clone, Copy)]
struct Of<'a> {
    options: &'a Options,
    level: Level,
    signal: Signal,
}

impl Of<'_> {
    /// With what came in over the cap on targets.
    fn all(self, recorded: fn(Level, Window) -> Series, window: Window) -> Series {
        self.options.within(recorded(self.level, window)).is("signal", self.signal.as_str())
    }

    /// Only models that have a name, where it is about models.
    fn named(self, recorded: fn(Level, Window) -> Series, window: Window) -> Series {
        let series = self.all(recorded, window);
        match self.level {
            Level::Model => series.is_not("model", Model::other().as_str()),
            Level::Provider => series,
        }
    }
}

/// Conditions that must all be so, one below the other.
fn all_of(conditions: &[String]) -> String {
    let conditions: Vec<_> = conditions.iter().map(|one| one.replace('\n', "\n    ")).collect();
    format!("    {}", conditions.join("\nand "))
}

/// A ratio as people read it.
fn percent(ratio: f64) -> String {
    format!("{}%", in_percent(ratio))
}

/// A window as people say it: `hour`, `6 hours`, `5 minutes`.
fn words(window: Window) -> String {
    let seconds = window.duration().as_secs();
    let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute"), (1, "second")];
    let unit = units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length));
    let (length, unit) = unit.unwrap_or((1, "second"));
    match seconds / length {
        1 => unit.to_owned(),
        several => format!("{several} {unit}s"),
    }
}

/// What a reader of the alerts should know first.
pub(super) fn comment(options: &Options, with_records: bool) -> String {
    let needs = if with_records { "" } else { "They need the recording rules. " };
    let (healthy, overloaded) = (options.thresholds.healthy(), options.thresholds.overloaded());
    let links = if options.dashboards.is_empty() {
        "\n`dashboard_url` is a path: brownout.tmpl puts the address of your Grafana before it.\n"
    } else {
        ""
    };
    format!(
        "
Alerts for people. A router needs seconds and asks the health API; these take minutes, on \
purpose. {needs}Two windows agree before overload fires: the long one proves it, the short one \
proves that it still goes on. Overload pages above {} and warns above {}.

The outage signal of the states turns at {}, for routers; people are woken at {}. The model \"{}\" \
holds what came in over the cap on targets: it is a mixture and never raises an alert about a \
model. Instances are added up, so that one of two replicas may die in the middle of an alert.
{links}",
        percent(overloaded),
        percent(healthy),
        percent(Bounds::OUTAGE.overloaded()),
        percent(failures::OUTAGE),
        Model::other(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_say_them() {
        for (ratio, expected) in
            [(0.005, "0.5%"), (0.02, "2%"), (0.07, "7%"), (0.0025, "0.25%"), (0.25, "25%")]
        {
            assert_eq!(percent(ratio), expected);
        }
        for (window, expected) in [
            (Window::minutes(5), "5 minutes"),
            (Window::hours(1), "hour"),
            (Window::minutes(90), "90 minutes"),
            (Window::hours(48), "2 days"),
        ] {
            assert_eq!(words(window), expected);
        }
    }
}
