//! What states, signals and classes are to the dashboards: a number, a word, a colour.

use serde_json::{Value, json};

use super::numbered;
use crate::domain::outcome::{Class, Signal};
use crate::domain::state::TargetState;
use crate::mixin::grafana::{Annotation, Colour, Override};
use crate::mixin::promql::Series;

/// States from the best to the worst. Their numbers are their places, from 1; what a score adds
/// to a number stays below 1 and keeps the word.
fn ladder() -> impl Iterator<Item = (u32, TargetState)> {
    let mut states = TargetState::ALL;
    states.sort_unstable();
    (1..).zip(states)
}

/// The worst state of `series` by some labels as a number, 1 for healthy to 5 for unavailable.
///
/// Replicas agree on states but for moments, and the worst of what they say is shown.
pub(super) fn state_number(series: &Series, by: &str) -> String {
    let states: Vec<_> = ladder().map(|(_, state)| state.as_str()).collect();
    format!("max by ({by}) ({})", numbered(series, "state", &states))
}

/// The words and colours of [`state_number`].
pub(super) fn state_words() -> Value {
    let ranges = ladder().map(|(number, state)| {
        json!({
            "type": "range",
            "options": {
                "from": number, "to": f64::from(number) + 0.99,
                "result": {"text": state.as_str(), "color": of_state(state), "index": number},
            },
        })
    });
    ranges.collect()
}

/// Marks where targets come into another state; of what is new, the first state is no change.
pub(super) fn state_changes(states: &Series) -> Annotation {
    let by = "max by (provider, model, state)";
    let before = format!("{by} ({states} offset 1m)");
    let expr =
        format!("{by} ({states}) == 1 unless {before} == 1 and on (provider, model) {before}");
    let text = ["{{provider}}/{{model}} is {{state}}", "{{provider}}/{{model}}"];
    Annotation::new("State changes", Colour::Blue, expr, text)
}

/// A link to the dashboard of one target; `provider` and `model` are what Grafana knows its names
/// by where the link is.
pub(super) fn link_to_target(provider: &str, model: &str) -> Value {
    let url = format!(
        "/d/brownout-target?${{datasource:queryparam}}&${{job:queryparam}}\
         &${{instance:queryparam}}&var-provider=${{{provider}:percentencode}}\
         &var-model=${{{model}:percentencode}}&${{__url_time_range}}"
    );
    json!({"title": "This target alone", "url": url, "targetBlank": false})
}

/// The colours of the severities of alerts.
pub(super) fn severities() -> Value {
    let severity = |text: &str, colour: Colour| json!({"text": text, "color": colour});
    let options = json!({
        "critical": severity("critical", Colour::Vermilion),
        "warning": severity("warning", Colour::Yellow),
    });
    json!([{"type": "value", "options": options}])
}

/// The colour of a state.
pub(super) const fn of_state(state: TargetState) -> Colour {
    match state {
        TargetState::Healthy => Colour::Green,
        TargetState::Unknown => Colour::Grey,
        TargetState::Degraded => Colour::Yellow,
        TargetState::Overloaded => Colour::Vermilion,
        TargetState::Unavailable => Colour::Wine,
    }
}

/// The colour of a signal.
pub(super) const fn of_signal(signal: Signal) -> Colour {
    match signal {
        Signal::Overload => Colour::Vermilion,
        Signal::Outage => Colour::Wine,
        Signal::RateLimit => Colour::Blue,
    }
}

/// A signal as those know it who know its statuses.
pub(super) const fn title(signal: Signal) -> &'static str {
    match signal {
        Signal::Overload => "529 overload",
        Signal::Outage => "503 outage",
        Signal::RateLimit => "429 rate limit",
    }
}

/// The colours of the reasons of errors: related ones look alike.
pub(super) fn reasons_coloured() -> Vec<Override> {
    let coloured = |class: Class| {
        let colour = match class {
            Class::Ok => Colour::Green,
            Class::Overloaded => Colour::Vermilion,
            Class::RateLimited => Colour::Blue,
            Class::QuotaExhausted => Colour::Sky,
            Class::Unavailable => Colour::Wine,
            Class::ServerError => Colour::Purple,
            Class::Timeout => Colour::Rose,
            Class::Network => Colour::Sand,
            Class::Auth | Class::Billing | Class::InvalidRequest | Class::Other => Colour::Grey,
        };
        Override::of(class.as_str()).coloured(colour)
    };
    Class::errors().map(coloured).collect()
}

/// The colours of the usual statuses, those of the classes they mean.
pub(super) fn statuses_coloured() -> Vec<Override> {
    [
        ("200", Colour::Green),
        ("429", Colour::Blue),
        ("500", Colour::Purple),
        ("503", Colour::Wine),
        ("529", Colour::Vermilion),
        ("none", Colour::Rose),
    ]
    .map(|(status, colour)| Override::of(status).coloured(colour))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::metrics::names;

    #[test]
    fn worse_states_have_larger_numbers() {
        let number = state_number(&Series::of(names::TARGET_STATE), "provider");
        let unknown = "2 * (brownout_target_state{state=\"unknown\"} == 1)";
        let unavailable = "5 * (brownout_target_state{state=\"unavailable\"} == 1)";
        assert!(number.contains(unknown) && number.contains(unavailable), "{number}");
    }
}
