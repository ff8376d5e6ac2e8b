//! What is not overload: an account's quota, outages, and our own network.

use super::super::super::promql::Window;
use super::super::super::recorded::{self, Level};
use super::super::REPLICA;
use super::super::options::Options;
use super::{Alert, Of, Scope, Severity, all_of};
use crate::answers::metrics::names;
use crate::domain::bounds::Bounds;
use crate::domain::outcome::Signal;

/// People are woken for this ratio of outages; states turn at [`Bounds::OUTAGE`], for routers.
pub(super) const OUTAGE: f64 = 0.25;

/// Fewest errors. More than 25 % of few attempts with three errors among them is, by Wilson's
/// interval, 19 times out of 20 truly above 11 %, so that a lower bound besides would add nothing.
const EVENTS: u32 = 3;

/// Over which quota and outages are measured.
const WINDOW: Window = Window::minutes(5);

/// How long a model counts as used that nobody asked since: probes may be far between.
const IN_USE: Window = Window::hours(6);

pub(super) fn alerts(options: &Options) -> Vec<Alert> {
    vec![quota(options), model_outage(options), provider_outage(options), egress(options)]
}

/// The signal of a level is above a ratio, with enough errors.
fn above(options: &Options, level: Level, signal: Signal, ratio: f64) -> Vec<String> {
    let of = Of { options, level, signal };
    vec![
        format!("{} > {ratio}", of.named(recorded::ratio, WINDOW)),
        format!("{} >= {EVENTS}", of.all(recorded::errors, WINDOW)),
    ]
}

fn quota(options: &Options) -> Alert {
    let ratio = Bounds::RATE_LIMIT.overloaded();
    Alert {
        name: "BrownoutQuotaRateLimited",
        severity: Severity::Warning,
        scope: Scope::Model,
        comment: "",
        expr: all_of(&above(options, Level::Model, Signal::RateLimit, ratio)),
        wait: Window::minutes(5),
        keep: Some(Window::minutes(10)),
        summary: "Account quota reached at {{ $labels.provider }}/{{ $labels.model }} \
                  ({{ $value | humanizePercentage }} refused for quota)"
            .to_owned(),
        description: "429 is your own quota, not provider capacity: slow down or raise the limit."
            .to_owned(),
        labels: Vec::new(),
    }
}

fn model_outage(options: &Options) -> Alert {
    Alert {
        name: "BrownoutModelOutage",
        severity: Severity::Critical,
        scope: Scope::Model,
        comment: "One of many models that is down does not bring its provider to 25%. Three errors \
                  of that ratio are proof enough: the true ratio is above 11% 19 times out of 20, \
                  and the signal turns at 10%.",
        expr: all_of(&above(options, Level::Model, Signal::Outage, OUTAGE)),
        wait: Window::minutes(2),
        keep: Some(Window::minutes(5)),
        summary: "{{ $labels.provider }}/{{ $labels.model }} looks down \
                  ({{ $value | humanizePercentage }} of requests failed with 503, 5xx, timeouts \
                  or connection errors)"
            .to_owned(),
        description: "This is an outage, not load shedding: fall back to another model or fail \
                      over."
            .to_owned(),
        labels: Vec::new(),
    }
}

fn provider_outage(options: &Options) -> Alert {
    let of = Of { options, level: Level::Model, signal: Signal::Outage };
    let mut conditions = above(options, Level::Provider, Signal::Outage, OUTAGE);
    conditions.push(format!(
        "(\n    count without (model) ({} > {}) >= 2\n  or count without (model) ({} > 0) == 1\n)",
        of.all(recorded::ratio, WINDOW),
        Bounds::OUTAGE.overloaded(),
        of.all(recorded::attempts, IN_USE),
    ));
    Alert {
        name: "BrownoutProviderOutage",
        severity: Severity::Critical,
        scope: Scope::Provider,
        comment: "Two models in trouble, or the only one that is used: one bad model among good \
                  ones is told as that.",
        expr: all_of(&conditions),
        wait: Window::minutes(2),
        keep: Some(Window::minutes(5)),
        summary: "{{ $labels.provider }} looks down ({{ $value | humanizePercentage }} of \
                  requests failed with 503, 5xx, timeouts or connection errors)"
            .to_owned(),
        description: "This is an outage, not load shedding: fail over.".to_owned(),
        labels: Vec::new(),
    }
}

fn egress(options: &Options) -> Alert {
    let failing = options.of(names::EGRESS_FAILING);
    Alert {
        name: "BrownoutEgressFailing",
        severity: Severity::Critical,
        scope: Scope::Exporter,
        comment: "Only when all replicas say so: one that sees the providers means that one \
                  machine is cut off.",
        expr: format!("min without ({REPLICA}) ({failing}) == 1"),
        wait: Window::minutes(2),
        keep: Some(Window::minutes(5)),
        summary: "Every provider fails on the network at once as seen from {{ $labels.job }}"
            .to_owned(),
        description: "The fault is on our side of the network: states are unknown until it is \
                      repaired, and outage alerts are held back."
            .to_owned(),
        labels: Vec::new(),
    }
}
