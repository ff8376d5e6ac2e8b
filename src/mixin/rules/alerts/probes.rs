//! Trouble with probes. Replicas are taken together: a target is probed by whichever of them
//! lives, and one that dies neither raises an alert nor ends one.

use super::super::super::promql::Window;
use super::super::REPLICA;
use super::super::options::Options;
use super::{Alert, Scope, Severity};
use crate::answers::metrics::names;

pub(super) fn alerts(options: &Options) -> Vec<Alert> {
    vec![failing(options), misconfigured(options), stale(options), budget(options)]
}

/// Instances gone, so that a scrape that fails once does not end the alert and begin another.
const KEEP: Window = Window::minutes(5);

/// Over which windows probes that all failed are trouble, and how many runs beyond the first there
/// must be: from probes each minute to some in a day.
const FAILING: [(Window, u32); 4] = [
    (Window::minutes(15), 2),
    (Window::hours(1), 3),
    (Window::hours(6), 3),
    (Window::hours(24), 3),
];

fn failing(options: &Options) -> Alert {
    let success = options.of(names::PROBE_SUCCESS);
    let last_run = options.of(names::PROBE_LAST_RUN);
    let skipped = options.of(names::PROBE_SKIPPED).matches("reason", "budget|clients_report");
    let misconfigured = options.of(names::PROBE_MISCONFIGURED);
    let over = FAILING.map(|(window, least)| {
        let [success, last_run] = [&success, &last_run].map(|series| series.over(window));
        let skipped = skipped.over(window);
        format!(
            "    max without ({REPLICA}) (max_over_time({success}) and changes({last_run}) > 0) \
             == 0\n    \
             and sum without ({REPLICA}) (changes({last_run})) >= {least}\n    \
             unless sum without ({REPLICA}, reason) (increase({skipped})) > 0"
        )
    });
    Alert {
        name: "BrownoutProbeFailing",
        severity: Severity::Warning,
        scope: Scope::Model,
        comment: "Several runs that all failed, over windows that fit probes each minute, each \
                  quarter of an hour, each hour and each few hours. The last result of a probe \
                  that is left out on purpose says nothing, nor does that of a replica whose \
                  probes do not run.",
        expr: format!(
            "(\n{}\n)\nunless max without ({REPLICA}) ({misconfigured}) == 1",
            over.join("\n  or\n")
        ),
        wait: Window::minutes(5),
        keep: Some(KEEP),
        summary: "Every probe of {{ $labels.provider }}/{{ $labels.model }} fails".to_owned(),
        description: "All probes of the last 15 minutes, or of a day where they are rare, \
                      failed with something other than a wrong key or request."
            .to_owned(),
        labels: Vec::new(),
    }
}

fn misconfigured(options: &Options) -> Alert {
    let misconfigured = options.of(names::PROBE_MISCONFIGURED);
    Alert {
        name: "BrownoutProbeMisconfigured",
        severity: Severity::Warning,
        scope: Scope::Model,
        comment: "",
        expr: format!("max without ({REPLICA}) ({misconfigured}) == 1"),
        wait: Window::minutes(10),
        keep: Some(KEEP),
        summary: "Probe of {{ $labels.provider }}/{{ $labels.model }} is refused for its key, \
                  payment or request"
            .to_owned(),
        description: "The provider answers, and says that the probe asks wrongly. Its answers say \
                      nothing about overload until that is repaired."
            .to_owned(),
        labels: Vec::new(),
    }
}

fn stale(options: &Options) -> Alert {
    let next_run = options.of(names::PROBE_NEXT_RUN);
    Alert {
        name: "BrownoutProbeStale",
        severity: Severity::Warning,
        scope: Scope::Model,
        comment: "The next run moves on when a probe is left out on purpose or out of budget, and \
                  every 30 seconds while one waits for its turn or is in flight, so overdue means \
                  stuck; and with the replica that is least overdue, stuck everywhere.",
        expr: format!("time() - max without ({REPLICA}) ({next_run} > 0) > 120"),
        wait: Window::minutes(2),
        keep: Some(KEEP),
        summary: "Probe scheduler of {{ $labels.provider }}/{{ $labels.model }} is stuck (overdue \
                  by {{ $value | humanizeDuration }})"
            .to_owned(),
        description: "The probe is neither run nor left out on purpose. Its target has no \
                      evidence but what clients report."
            .to_owned(),
        labels: Vec::new(),
    }
}

fn budget(options: &Options) -> Alert {
    let whole = options.of(names::BUDGET_EXHAUSTED);
    let of_one = options.of(names::PROVIDER_BUDGET_EXHAUSTED);
    Alert {
        name: "BrownoutProbeBudgetExhausted",
        severity: Severity::Warning,
        scope: Scope::Replica,
        comment: "Of the whole, or of one provider that has a limit of its own.",
        expr: format!("{whole} == 1 or {of_one} == 1"),
        wait: Window::minutes(5),
        keep: Some(KEEP),
        summary: "The budget of brownout {{ $labels.instance }} for probes{{ with \
                  $labels.provider }} of {{ . }}{{ end }} is spent for today"
            .to_owned(),
        description: "Probes that do not fit are left out until midnight UTC. Until then their \
                      targets have no evidence but what clients report."
            .to_owned(),
        labels: Vec::new(),
    }
}
