//! The three signals over time: what was counted, what that proves, what the detector made of it.

use super::{NO_RATIO, Of};
use crate::answers::metrics::names;
use crate::domain::outcome::Signal;
use crate::mixin::dashboards::words;
use crate::mixin::grafana::{Colour, Override, Panel, Query, Unit};
use crate::mixin::promql::Window;
use crate::mixin::recorded::{self, Level};

const SHORT: Window = Window::minutes(5);

/// Quantile of the normal distribution that leaves 5 % at each end of Wilson's interval.
const Z: f64 = 1.645;

pub(super) fn overload(of: Of<'_>) -> Panel {
    let [healthy, overloaded] = of.0.percent(Signal::Overload);
    let description = format!(
        "Ratio: the share of first attempts of five minutes answered 529 or its likes, \
         overloaded / (ok + overloaded). Band: what the ratio can be with so few or so many \
         attempts, Wilson's interval at 90 %. Estimate: the failure rate that the detector \
         believes in, one of a few steps where there is much evidence, so it may stay \
         somewhat off the ratio. Dashed: the thresholds {healthy} and {overloaded}."
    );
    let signal = Signal::Overload;
    let [low, high] = ["-", "+"].map(|sign| interval(of, signal, sign));
    Panel::time_series("Overload", description, Unit::Ratio)
        .query(Query::range(low, "at least"))
        .query(Query::range(high, "at most"))
        .query(Query::range(ratio(of, signal), "ratio"))
        .query(Query::range(estimate(of, signal), "estimate"))
        .thresholds(&of.0.colours(signal))
        .dashed()
        .drawn("axisSoftMax", of.0.axis(signal))
        .except([
            band("at least"),
            band("at most").set("custom.fillBelowTo", "at least").set("custom.fillOpacity", 25),
            Override::of("ratio").coloured(Colour::Blue).set("custom.lineWidth", 2),
            Override::of("estimate").coloured(Colour::Text),
        ])
        .silent(NO_RATIO)
}

/// A line of the band: seen as its edge only.
fn band(name: &str) -> Override {
    Override::of(name).coloured(Colour::Sky).set("custom.lineWidth", 0)
}

pub(super) fn lines(of: Of<'_>, signal: Signal) -> Panel {
    let [healthy, overloaded] = of.0.percent(signal);
    let (title, what) = match signal {
        Signal::Overload => ("Overload", "answered 529 or its likes"),
        Signal::Outage => {
            ("Outage", "that failed with 503, another 5xx, a timeout or no connection")
        }
        Signal::RateLimit => (
            "Rate limit",
            "answered 429 for your account, which says nothing of the provider's health",
        ),
    };
    let description = format!(
        "Ratio: the share of first attempts of five minutes {what}. Estimate: the failure rate \
         that the detector believes in. Dashed: the thresholds {healthy} and {overloaded}."
    );
    Panel::time_series(title, description, Unit::Ratio)
        .query(Query::range(ratio(of, signal), "ratio"))
        .query(Query::range(estimate(of, signal), "estimate"))
        .thresholds(&of.0.colours(signal))
        .dashed()
        .drawn("axisSoftMax", of.0.axis(signal))
        .except([
            Override::of("ratio").coloured(words::of_signal(signal)).set("custom.lineWidth", 2),
            Override::of("estimate").coloured(Colour::Text),
        ])
        .silent(NO_RATIO)
}

pub(super) fn probabilities(of: Of<'_>) -> Panel {
    let probability = |state: &str| {
        let of_signal = of.one(names::SIGNAL_PROBABILITY).is("signal", Signal::Overload.as_str());
        format!("avg ({})", of_signal.is("state", state))
    };
    let panel = Panel::time_series(
        "Overload: how sure",
        "How probable the detector holds each state of the overload signal to be; the three add \
         up to 100 %. Colours that share the height say that there is little evidence.",
        Unit::Ratio,
    );
    // The worst at the bottom, where its height is read off the axis.
    [("overloaded", Colour::Vermilion), ("degraded", Colour::Yellow), ("healthy", Colour::Green)]
        .into_iter()
        .fold(panel, |panel, (state, colour)| {
            panel
                .query(Query::range(probability(state), state))
                .except([Override::of(state).coloured(colour)])
        })
        .stacked_areas()
        .field("max", 1)
        .silent("No such target")
}

pub(super) fn states(of: Of<'_>) -> Panel {
    let target = words::state_number(&of.one(names::TARGET_STATE), "provider, model");
    let signals = words::state_number(&of.one(names::SIGNAL_STATE), "signal");
    Panel::state_timeline(
        "States",
        "The state of the target and of each of its signals. The rate limit is about your account \
         and never changes the state of the target.",
    )
    .query(Query::range(target, "target"))
    .query(Query::range(signals, "{{signal}}"))
    .field("mappings", words::state_words())
    .silent("No such target")
}

fn ratio(of: Of<'_>, signal: Signal) -> String {
    format!("max ({})", of.ratio(signal, SHORT))
}

fn estimate(of: Of<'_>, signal: Signal) -> String {
    format!("max ({})", of.one(names::SIGNAL_ESTIMATE).is("signal", signal.as_str()))
}

/// An end of Wilson's interval of the ratio: the lower one for `-`, the upper one for `+`. Both
/// sides of its fraction are multiplied by the attempts, which leaves one division.
fn interval(of: Of<'_>, signal: Signal, sign: &str) -> String {
    let ratio = ratio(of, signal);
    let attempts = of.0.of_one_target(recorded::attempts(Level::Model, SHORT));
    let attempts = format!("max ({})", attempts.is("signal", signal.as_str()));
    let [quarter, half, whole] = [4.0, 2.0, 1.0].map(|part| Z * Z / part);
    format!(
        "(\n    {ratio} * {attempts} + {half:.4}\n  {sign} {Z} * sqrt(\n        {ratio} \
         * (1 - {ratio})\n      * {attempts} + {quarter:.4}\n    )\n)\n\
         / ({attempts} + {whole:.4} > 0)"
    )
}
