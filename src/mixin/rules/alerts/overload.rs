//! Overload: surges and lasting overload of a model, and of a provider that is short of capacity
//! as a whole.

use super::super::super::promql::Window;
use super::super::super::recorded::{self, Level};
use super::super::options::{Options, Windows};
use super::{Alert, Of, Scope, Severity, TooHigh, all_of, percent, words};
use crate::domain::outcome::Signal;

/// Fewest errors that say something: the bound holds for one look and a rule looks each minute, so
/// that a healthy model with a request or two a minute would page for three of them by chance,
/// several times a week where its ratio is near the threshold.
const EVENTS: u32 = 5;

/// Fewest errors in the short window of a surge.
const EVENTS_OF_SURGE: u32 = 5;

/// Fewest models in trouble that make it their provider's.
const MODELS: u32 = 2;

pub(super) fn alerts(options: &Options) -> Vec<Alert> {
    vec![
        model_surge(options),
        model_critical(options),
        model_warning(options),
        provider_critical(options),
        provider_warning(options),
    ]
}

fn model_surge(options: &Options) -> Alert {
    let of = Of { options, level: Level::Model, signal: Signal::Overload };
    let (surge, window) = (options.thresholds.surge(), options.surge_window);
    let (over, ratio) = (words(window), percent(surge));
    Alert {
        name: "BrownoutModelOverloadSurge",
        severity: Severity::Critical,
        scope: Scope::Model,
        comment: "",
        expr: all_of(&[
            format!("{} > {surge}", of.named(recorded::ratio, window)),
            format!("{} >= {EVENTS_OF_SURGE}", of.all(recorded::errors, window)),
        ]),
        wait: Window::minutes(1),
        keep: Some(Window::minutes(5)),
        summary: format!(
            "{{{{ $labels.provider }}}}/{{{{ $labels.model }}}} overload surge: \
             {{{{ $value | humanizePercentage }}}} shed in {window}"
        ),
        description: format!(
            "More than {ratio} of the requests of the last {over} were answered 529/overloaded. \
             Back off, fall back a tier or fail over now; raising your quota will not help."
        ),
        labels: Vec::new(),
    }
}

/// Overload of a level that pages.
fn critical(options: &Options, level: Level) -> TooHigh {
    TooHigh {
        level,
        signal: Signal::Overload,
        windows: options.critical,
        above: options.thresholds.overloaded(),
        surely_above: options.thresholds.healthy(),
        events: EVENTS,
    }
}

/// Overload of a level that warns.
fn warning(options: &Options, level: Level) -> TooHigh {
    TooHigh {
        level,
        signal: Signal::Overload,
        windows: options.warning,
        above: options.thresholds.healthy(),
        surely_above: options.thresholds.healthy(),
        events: EVENTS,
    }
}

fn model_critical(options: &Options) -> Alert {
    let Windows { long, short } = options.critical;
    let ratio = percent(options.thresholds.overloaded());
    let (over, still) = (words(long), words(short));
    Alert {
        name: "BrownoutModelOverloadCritical",
        severity: Severity::Critical,
        scope: Scope::Model,
        comment: "",
        expr: all_of(&critical(options, Level::Model).conditions(options)),
        wait: Window::minutes(1),
        keep: Some(Window::minutes(10)),
        summary: format!(
            "{{{{ $labels.provider }}}}/{{{{ $labels.model }}}} is shedding load \
             ({{{{ $value | humanizePercentage }}}} of requests overloaded over {long})"
        ),
        description: format!(
            "More than {ratio} of requests were answered 529/overloaded in both the last {over} \
             and the last {still}. Back off, fall back a tier or fail over; raising your quota \
             will not help."
        ),
        labels: Vec::new(),
    }
}

fn model_warning(options: &Options) -> Alert {
    let Windows { long, short } = options.warning;
    let ratio = percent(options.thresholds.healthy());
    let (over, still) = (words(long), words(short));
    Alert {
        name: "BrownoutModelOverloadWarning",
        severity: Severity::Warning,
        scope: Scope::Model,
        comment: "",
        expr: all_of(&warning(options, Level::Model).conditions(options)),
        wait: Window::minutes(5),
        keep: Some(Window::minutes(30)),
        summary: format!(
            "{{{{ $labels.provider }}}}/{{{{ $labels.model }}}} is above the {ratio} healthy \
             overload baseline ({{{{ $value | humanizePercentage }}}} over {long})"
        ),
        description: format!(
            "Overload is above the healthy baseline in both the last {over} and the last {still}. \
             Retries absorb this; move what can wait to a quiet hour."
        ),
        labels: Vec::new(),
    }
}

/// The provider's own conditions, and enough models of it that meet theirs now: one that has
/// recovered is where to fall back to.
fn of_provider(options: &Options, of: fn(&Options, Level) -> TooHigh) -> String {
    let models = all_of(&of(options, Level::Model).conditions(options));
    let mut conditions = of(options, Level::Provider).conditions(options);
    conditions.push(format!("count without (model) (\n{models}\n) >= {MODELS}"));
    all_of(&conditions)
}

fn provider_critical(options: &Options) -> Alert {
    let Windows { long, .. } = options.critical;
    let ratio = percent(options.thresholds.overloaded());
    Alert {
        name: "BrownoutProviderOverloadCritical",
        severity: Severity::Critical,
        scope: Scope::Provider,
        comment: "Two named models at once, each by all that makes its own alert: the provider \
                  is short of capacity, not one model of it.",
        expr: of_provider(options, critical),
        wait: Window::minutes(1),
        keep: Some(Window::minutes(10)),
        summary: format!(
            "{{{{ $labels.provider }}}} is overloaded across models \
             ({{{{ $value | humanizePercentage }}}} over {long})"
        ),
        description: format!(
            "At least two models of this provider are above {ratio}: tier fallback inside the \
             provider will not help, fail over to another provider."
        ),
        labels: Vec::new(),
    }
}

fn provider_warning(options: &Options) -> Alert {
    let Windows { long, short } = options.warning;
    let ratio = percent(options.thresholds.healthy());
    let (over, still) = (words(long), words(short));
    Alert {
        name: "BrownoutProviderOverloadWarning",
        severity: Severity::Warning,
        scope: Scope::Provider,
        comment: "",
        expr: of_provider(options, warning),
        wait: Window::minutes(5),
        keep: Some(Window::minutes(30)),
        summary: format!(
            "{{{{ $labels.provider }}}} is above the {ratio} healthy overload baseline across \
             models ({{{{ $value | humanizePercentage }}}} over {long})"
        ),
        description: format!(
            "At least two models of this provider are above the healthy baseline over the last \
             {over}, and the provider still is over the last {still}. Retries absorb this; move \
             what can wait to a quiet hour."
        ),
        labels: Vec::new(),
    }
}
