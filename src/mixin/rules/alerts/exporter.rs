//! Trouble with brownout itself: what it is told, what it has room for, whether it is there.

use super::super::super::promql::{Series, Window};
use super::super::super::recorded;
use super::super::options::Options;
use super::super::recording::SILENCE;
use super::{Alert, Scope, Severity};
use crate::answers::metrics::names;
use crate::ground::self_stats::rows;

/// Fewest reports in a quarter of an hour that make traffic steady: if it went on as before,
/// a quarter without any would be chance once in 20,000.
const STEADY: u32 = 10;

pub(super) fn alerts(options: &Options) -> Vec<Alert> {
    vec![
        reports_stopped(options),
        series_dropped(options),
        down(options),
        absent(options),
        reload_failed(options),
    ]
}

fn reports_stopped(options: &Options) -> Alert {
    const NAME: &str = "BrownoutClientReportsStopped";
    let reports = options.within(recorded::client_requests(SILENCE));
    let hour = reports.over(Window::hours(1));
    let firing = Series::alerts().is("alertname", NAME).is("alertstate", "firing");
    let firing = options.within(firing);
    let up = options.up().over(Window::minutes(5));
    Alert {
        name: NAME,
        severity: Severity::Warning,
        scope: Scope::Exporter,
        comment: "Nothing for a quarter of an hour after an hour of steady traffic, unless that is \
                  usual: at this time a week ago there was a lull as well, or yesterday where \
                  Prometheus does not remember the week. Of all providers and replicas together, \
                  for failing over and balancing move traffic on purpose. Once it fires it goes on \
                  until somebody reports again, though the steady hour is then long ago and a \
                  restart may have forgotten who reported.",
        expr: format!(
            "    {reports} == 0\n\
             and count_over_time(({reports} >= {STEADY})[1h:5m] offset 30m) >= 12\n\
             unless (\n    \
             min_over_time({hour} offset 167h30m) < {STEADY}\n  \
             or\n    \
             min_over_time({hour} offset 23h30m) < {STEADY}\n    \
             unless min_over_time({hour} offset 167h30m) >= {STEADY}\n\
             )\n\
             or  max without (alertname, alertstate, severity, scope) ({firing})\n\
             and on (job) max_over_time({up}) == 1\n\
             unless {reports} > 0"
        ),
        wait: Window::minutes(10),
        keep: None,
        summary: "No client reports to {{ $labels.job }} any more".to_owned(),
        description: "Clients reported steadily and have been silent for a quarter of an hour or \
                      more. Without them the states go by probes alone, or by nothing."
            .to_owned(),
        labels: Vec::new(),
    }
}

fn series_dropped(options: &Options) -> Alert {
    let dropped = options.of(names::SERIES_DROPPED).is("reason", "target_cap");
    Alert {
        name: "BrownoutSeriesDropped",
        severity: Severity::Warning,
        scope: Scope::Replica,
        comment: "",
        expr: format!("increase({}) > 0", dropped.over(Window::hours(1))),
        wait: Window::minutes(5),
        keep: None,
        summary: "brownout {{ $labels.instance }} counts models it has no room for as \"other\""
            .to_owned(),
        description: "The cap on targets is reached: {{ $value | humanize }} outcomes of the last \
                      hour belong to models that have no series, no state and no alert of their \
                      own."
            .to_owned(),
        labels: Vec::new(),
    }
}

fn down(options: &Options) -> Alert {
    Alert {
        name: "BrownoutDown",
        severity: Severity::Warning,
        scope: Scope::Replica,
        comment: "One replica; the others go on, and if there is none, BrownoutAbsent pages.",
        expr: format!("{} == 0", options.up()),
        wait: Window::minutes(3),
        keep: None,
        summary: "brownout {{ $labels.instance }} cannot be scraped".to_owned(),
        description: "Prometheus finds the target and gets no answer from it. Routers that ask it \
                      fail open."
            .to_owned(),
        labels: Vec::new(),
    }
}

fn absent(options: &Options) -> Alert {
    let labels = [("job".to_owned(), options.job.clone())].into_iter();
    let others = options.selector.equal.iter().filter(|(label, _)| label != "job").cloned();
    Alert {
        name: "BrownoutAbsent",
        severity: Severity::Critical,
        scope: Scope::Nobody,
        comment: "No replica answers, or none is configured. What is absent has no labels, so they \
                  are set here.",
        expr: format!("absent({} == 1)", options.up()),
        wait: Window::minutes(5),
        keep: None,
        summary: format!("No brownout of the job {} answers", options.job),
        description: "Prometheus can scrape no target of the job, so no other alert about \
                      providers can fire, and routers that ask brownout fail open."
            .to_owned(),
        labels: labels.chain(others).collect(),
    }
}

fn reload_failed(options: &Options) -> Alert {
    let successful = options.of(rows::RELOAD_SUCCESSFUL).over(Window::minutes(5));
    Alert {
        name: "BrownoutConfigReloadFailed",
        severity: Severity::Warning,
        scope: Scope::Replica,
        comment: "",
        expr: format!("max_over_time({successful}) == 0"),
        wait: Window::minutes(10),
        keep: None,
        summary: "brownout {{ $labels.instance }} runs an old configuration".to_owned(),
        description: "The last attempt to load the configuration failed; the one before it is \
                      still in force."
            .to_owned(),
        labels: Vec::new(),
    }
}
