//! Which provider and model is in trouble now, since when, and how badly.
//!
//! The first screen answers that in five seconds: the worst targets by name, how many there are
//! of each state, the two ratios that states are made of. What lies below says why.

use serde_json::{Value, json};

use super::{Options, words};
use crate::answers::metrics::names;
use crate::domain::outcome::Signal;
use crate::domain::state::TargetState;
use crate::domain::target::OTHER;
use crate::mixin::grafana::{Dashboard, Heading, Layout, Panel, Query, Unit};
use crate::mixin::promql::{Series, Window};
use crate::mixin::recorded::{self, Level};

mod below;
mod counts;
mod table;

const HEADING: Heading = Heading {
    uid: "brownout-overview",
    title: "Overview",
    description: "Which LLM providers and models shed load, since when, and how badly. \
                  Ratios need the recording rules of brownout's alerts folder.",
    from: "now-6h",
    refresh: "1m",
};

/// How many of the worst targets are named at the top.
const NAMED: usize = 5;

/// What a panel of recorded ratios says without any.
const NO_RATIO: &str = "No ratio: no traffic, or the recording rules of alerts/ are not loaded";

pub(super) fn dashboard(options: &Options) -> Dashboard {
    let panels = Layout::default()
        .line(4, [(24, worst_targets(options))])
        .line(3, counts::panels(options).map(|panel| (3, panel)))
        .line(9, [(14, overload_ratio(options)), (10, outage_ratio(options))])
        .line(8, [(24, states(options))])
        .line(9, [(24, table::targets(options))])
        .headline("Why")
        .line(9, [(12, below::errors_by_reason(options)), (12, below::firing_alerts(options))])
        .line(9, [(12, below::provider_ratio(options)), (12, below::first_token(options))]);
    let alerts = options.firing_alerts().only_on(&panels, &["Overload ratio", "Outage ratio"]);
    let changes = words::state_changes(&target_states(options)).off();
    Dashboard::new(HEADING, options.variables(), vec![alerts, changes], panels)
}

/// The state gauges of the chosen targets. The overflow is no target that one could act on.
fn target_states(options: &Options) -> Series {
    options.chosen(names::TARGET_STATE).is_not("model", OTHER)
}

/// A recorded ratio of the chosen targets.
fn ratio(options: &Options, signal: Signal, window: Window) -> String {
    let ratio = options.by_variables(recorded::ratio(Level::Model, window));
    format!("max by (provider, model) ({})", ratio.is("signal", signal.as_str()))
}

/// The number of a target's state, and behind the point how bad its worse ratio is.
fn score(options: &Options) -> String {
    let state = words::state_number(&target_states(options), "provider, model");
    let ratio = options.by_variables(recorded::ratio(Level::Model, Window::minutes(5)));
    let [overload, outage] = [Signal::Overload, Signal::Outage].map(Signal::as_str);
    let ratio = ratio.matches("signal", &format!("{overload}|{outage}"));
    format!("{state}\n+ (\n    0.9 * max by (provider, model) ({ratio})\n  or 0 * {state}\n)")
}

fn worst_targets(options: &Options) -> Panel {
    Panel::stat(
        "Worst targets now",
        "The targets in the worst state, the worse ratio first among equals. Overloaded: sheds \
         load (529). Unavailable: fails (503, 5xx, timeouts, no connection). Unknown: too little \
         or too old evidence, never good news. Click one to see it alone.",
        Unit::None,
    )
    .query(Query::instant(format!("topk({NAMED}, {})", score(options)), "{{provider}}/{{model}}"))
    .field("mappings", words::state_words())
    .field("links", [link_of_series()])
    .option("textMode", "value_and_name")
    .option("orientation", "vertical")
    .option("wideLayout", false)
    .option("text", json!({"titleSize": 16, "valueSize": 34}))
    .option("justifyMode", "center")
    .silent("No target yet: nothing was reported or probed")
}

fn overload_ratio(options: &Options) -> Panel {
    let [healthy, overloaded] = options.percent(Signal::Overload);
    let description = format!(
        "Share of first attempts answered 529 or its likes over five minutes: \
         overloaded / (ok + overloaded). The dashed lines are the thresholds {healthy} and \
         {overloaded}. A gap is a time without attempts."
    );
    ratio_lines(options, "Overload ratio", description, Signal::Overload)
}

fn outage_ratio(options: &Options) -> Panel {
    let [healthy, overloaded] = options.percent(Signal::Outage);
    let description = format!(
        "Share of first attempts that failed with 503, another 5xx, a timeout or no connection \
         over five minutes: failed / (ok + failed). The dashed lines are the thresholds \
         {healthy} and {overloaded}."
    );
    ratio_lines(options, "Outage ratio", description, Signal::Outage)
}

fn ratio_lines(
    options: &Options,
    title: &'static str,
    description: String,
    signal: Signal,
) -> Panel {
    let ratio = ratio(options, signal, Window::minutes(5));
    Panel::time_series(title, description, Unit::Ratio)
        .query(Query::range(ratio, "{{provider}}/{{model}}"))
        .thresholds(&options.colours(signal))
        .dashed()
        .drawn("axisSoftMax", options.axis(signal))
        .drawn("lineWidth", 2)
        .field("links", [link_of_series()])
        .silent(NO_RATIO)
}

fn states(options: &Options) -> Panel {
    let state = words::state_number(&target_states(options), "provider, model");
    Panel::state_timeline(
        "State of each target",
        "What the daemon judged at each moment, by evidence and not by ratios alone. Unknown \
         means too little or too old evidence, never good news.",
    )
    .query(Query::range(state, "{{provider}}/{{model}}"))
    .field("mappings", words::state_words())
    .field("links", [link_of_series()])
    .silent("No target yet: nothing was reported or probed")
}

/// A link to the target that a series is about.
fn link_of_series() -> Value {
    words::link_to_target("__field.labels.provider", "__field.labels.model")
}

/// How many targets are in a state.
fn in_state(options: &Options, state: TargetState) -> String {
    let states = target_states(options).is("state", state.as_str());
    format!("sum (max by (provider, model) ({states}))")
}
