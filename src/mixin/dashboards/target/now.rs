//! The line of numbers: the state now.

use serde_json::json;

use super::Of;
use crate::answers::metrics::names;
use crate::domain::outcome::Signal;
use crate::mixin::dashboards::words;
use crate::mixin::grafana::{Colour, Override, Panel, Query, Unit, by_threshold};

pub(super) fn state(of: Of<'_>) -> Panel {
    let state = words::state_number(&of.one(names::TARGET_STATE), "provider, model");
    Panel::stat(
        "State",
        "What the daemon judges by evidence. Overloaded: sheds load (529). Unavailable: fails \
         (503, 5xx, timeouts, no connection). Degraded: between the thresholds of either. \
         Unknown: too little or too old evidence, never good news.",
        Unit::None,
    )
    .query(Query::instant(state, "__auto"))
    .field("mappings", words::state_words())
    .silent("no such target")
}

/// The last minute at which the state that holds now did not hold.
pub(super) fn since(of: Of<'_>) -> Panel {
    let states = of.one(names::TARGET_STATE);
    let expr =
        format!("1000 * max (max_over_time(timestamp({states} == 0)[1d:1m]) and {states} == 1)");
    Panel::stat(
        "In this state since",
        "When the target came into its present state, to the minute. Only the last day is looked \
         through.",
        Unit::FromNow,
    )
    .query(Query::instant(expr, "__auto"))
    .thresholds(&by_threshold(Colour::Clear, &[]))
    .silent("a day or more")
}

pub(super) fn changes(of: Of<'_>) -> Panel {
    let transitions = of.one(names::TARGET_TRANSITIONS).over("1d");
    Panel::stat(
        "Changes in a day",
        "How often the state changed in the last day. Many changes mean a rate close to a \
         threshold, or too few attempts to be sure of it.",
        Unit::Count,
    )
    .decimals(0)
    .query(Query::instant(format!("max (increase({transitions}))"), "__auto"))
    .thresholds(&by_threshold(Colour::Clear, &[]))
    .silent("no such target")
}

pub(super) fn estimates(of: Of<'_>) -> Panel {
    let panel = Panel::stat(
        "Failure rates now, as estimated",
        "What the detector holds the failure rate of each signal to be at this moment, its \
         posterior mean. Overload is 529 and its likes; outage is 503, 5xx, timeouts and lost \
         connections; rate limit is 429 on your account. A signal without evidence is left out. \
         Colours follow the thresholds; states weigh the evidence too and may differ.",
        Unit::Ratio,
    )
    .decimals(2)
    .option("textMode", "value_and_name")
    .option("orientation", "vertical")
    .silent("unknown: no evidence");
    Signal::ALL.into_iter().fold(panel, |panel, signal| {
        let steps = json!({"mode": "absolute", "steps": of.0.colours(signal)});
        panel
            .query(Query::instant(estimate(of, signal), words::title(signal)))
            .except([Override::of(words::title(signal)).set("thresholds", steps)])
    })
}

/// The estimate of a signal of which something is known.
fn estimate(of: Of<'_>, signal: Signal) -> String {
    let estimate = of.one(names::SIGNAL_ESTIMATE).is("signal", signal.as_str());
    let unknown = of.one(names::SIGNAL_STATE).is("signal", signal.as_str()).is("state", "unknown");
    format!("max ({estimate}) unless max ({unknown}) == 1")
}

pub(super) fn last(of: Of<'_>) -> Panel {
    let last = of.one(names::LAST_OUTCOME);
    Panel::stat(
        "Last attempt",
        "When the latest attempt ended that a client reported or a probe made.",
        Unit::FromNow,
    )
    .query(Query::instant(format!("1000 * max ({last})"), "__auto"))
    .thresholds(&by_threshold(Colour::Clear, &[]))
    .silent("never")
}
