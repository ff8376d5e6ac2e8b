//! Which hours of the day are quiet: when to let work run that can wait.
//!
//! Made of the hour-of-day counters: an hour's counter rises in that hour only, so its increase
//! over any number of days is about that hour alone, without twenty-four queries with clocks in
//! them.

use serde_json::json;

use super::{Options, words};
use crate::answers::metrics::names;
use crate::domain::outcome::Signal;
use crate::mixin::grafana::{
    Colour, Dashboard, Heading, Layout, Override, Panel, Query, Unit, by_threshold,
};
use crate::mixin::promql::Window;
use crate::mixin::recorded::{self, Level};

const HEADING: Heading = Heading {
    uid: "brownout-when-to-run",
    title: "When to run",
    description: "Which hours of the day are quiet, in UTC: when to run work that can wait. \
                  An hour without traffic is unknown, not quiet.",
    from: "now-7d",
    refresh: "15m",
};

/// A day that begins at the time of a sample. Samples stand at midnight UTC, because Grafana puts
/// them on multiples of the step; looking forward from there gives each day its own date. What is
/// left of today has no samples yet and is not made up: `increase` extrapolates by less than one
/// scrape.
const DAY: &str = "[1d] offset -1d";

/// The whole time range.
const RANGE: &str = "[$__range]";

pub(super) fn dashboard(options: &Options) -> Dashboard {
    let by_hour_and_day = |signal| by_hour_and_day(options, signal);
    let panels = Layout::default()
        .line(
            4,
            [
                (6, quietest_hour(options)),
                (6, worst_hour(options)),
                (6, this_hour(options)),
                (6, known_hours(options)),
            ],
        )
        .headline("Overload (529): hours of the day, UTC")
        .line(10, [(14, profile(options)), (10, hours(options))])
        .line(14, [(24, by_hour_and_day(Signal::Overload))])
        .headline("Each model: hours of the day, UTC")
        .line(10, [(14, hours_of_targets(options)), (10, trend(options))])
        .headline("Your quota (429) and outages (503): hours of the day, UTC")
        .line(8, [(12, other_signals(options)), (12, attempts(options))])
        .line(
            14,
            [(12, by_hour_and_day(Signal::RateLimit)), (12, by_hour_and_day(Signal::Outage))],
        );
    // A week of alerts would hide the lines: they are marked when asked for.
    let marks = vec![options.firing_alerts().off()];
    Dashboard::new(HEADING, options.variables(), marks, panels)
}

/// The counts of a signal by some labels over a range: failures, and attempts that say something
/// about it.
struct Counts {
    errors: String,
    attempts: String,
}

impl Counts {
    fn new(options: &Options, signal: Signal, labels: &str, range: &str) -> Self {
        let errors = options.chosen(names::HOUR_ERRORS);
        let others = errors.clone().is_not("signal", signal.as_str());
        let errors = errors.is("signal", signal.as_str());
        let requests = options.chosen(names::HOUR_REQUESTS);
        let sum = |series| format!("sum by ({labels}) (increase({series}{range}))");
        Self { errors: sum(errors), attempts: format!("({} - {})", sum(requests), sum(others)) }
    }

    /// The ratio of the hours with this many attempts.
    fn ratio(&self, attempts_min: f64) -> String {
        let Self { errors, attempts } = self;
        format!("{errors} / ({attempts} >= {attempts_min})")
    }
}

/// Any attempt at all. Half a one and not more than zero: increases are not whole numbers, and
/// where everything was another signal's, their difference is a hair beside zero.
const ANY: f64 = 0.5;

/// As many attempts as show one failure at the healthy threshold: fewer cannot tell a quiet hour.
fn enough(options: &Options) -> f64 {
    (1.0 / options.thresholds.of(Signal::Overload).healthy()).ceil()
}

fn overload(options: &Options, labels: &str, range: &str, attempts_min: f64) -> String {
    Counts::new(options, Signal::Overload, labels, range).ratio(attempts_min)
}

fn too_few(options: &Options) -> String {
    format!("no hour has {} attempts: choose a longer time", enough(options))
}

/// A number that says its hour.
fn hour_stat(options: &Options, title: &'static str, description: String, expr: String) -> Panel {
    Panel::stat(title, description, Unit::Ratio)
        .query(Query::instant(expr, "{{hour}}:00"))
        .option("textMode", "value_and_name")
        .decimals(2)
        .thresholds(&options.colours(Signal::Overload))
}

fn quietest_hour(options: &Options) -> Panel {
    let ratio = overload(options, "hour", RANGE, enough(options));
    let description = format!(
        "The hour of the day, in UTC, with the lowest ratio of overload over the time range, \
         among those with at least {} attempts. Several may be equally quiet: see the table.",
        enough(options)
    );
    hour_stat(options, "Quietest hour (UTC)", description, format!("bottomk(1, {ratio})"))
        .silent(&too_few(options))
}

fn worst_hour(options: &Options) -> Panel {
    let ratio = overload(options, "hour", RANGE, enough(options));
    let description = format!(
        "The hour of the day, in UTC, with the highest ratio of overload over the time range, \
         among those with at least {} attempts.",
        enough(options)
    );
    hour_stat(options, "Worst hour (UTC)", description, format!("topk(1, {ratio})"))
        .silent(&too_few(options))
}

fn this_hour(options: &Options) -> Panel {
    let ratio = overload(options, "hour", RANGE, enough(options));
    // The hour that the clock shows, as a label of the counters' form: 3 is "03".
    let now = "label_replace(count_values(\"hour\", hour(vector(time()))), \
               \"hour\", \"0$1\", \"hour\", \"(.)\")";
    let description = format!(
        "What the hour of the day that it is now usually looks like, over the time range. \
         Not what is happening now: that is on the Overview. Needs {} attempts.",
        enough(options)
    );
    let expr = format!("{ratio} and on (hour) {now}");
    hour_stat(options, "This hour, usually", description, expr)
        .silent("too little seen at this hour: unknown")
}

fn known_hours(options: &Options) -> Panel {
    let ratio = overload(options, "hour", RANGE, enough(options));
    Panel::stat(
        "Hours with enough traffic",
        format!(
            "How many of the 24 hours have at least {} attempts in the time range. \
             The others are unknown, not quiet.",
            enough(options)
        ),
        Unit::None,
    )
    .query(Query::instant(format!("count({ratio}) or vector(0)"), "of 24"))
    .option("textMode", "value_and_name")
    .silent("no traffic in this time")
    .thresholds(&by_threshold(Colour::Grey, &[(1.0, Colour::Sky), (24.0, Colour::Green)]))
}

fn profile(options: &Options) -> Panel {
    let [healthy, overloaded] = options.percent(Signal::Overload);
    Panel::bar_chart(
        "Overload by hour of the day (UTC)",
        format!(
            "Share of first attempts that were shed, for each hour of the day, over the whole time \
             range: overloaded / (ok + overloaded). Coloured from {healthy} and from {overloaded} \
             on. No bar and no hour: no traffic, so nothing is known."
        ),
        Unit::Ratio,
        "hour",
    )
    .query(Query::rows(overload(options, "hour", RANGE, ANY)))
    .columns(&[("hour", "hour"), ("Value", "overload")])
    .sorted_by("hour", false)
    .decimals(2)
    .thresholds(&options.colours(Signal::Overload))
    .dashed()
    .option("legend", json!({"showLegend": false}))
    .silent("no traffic in this time: unknown, not quiet")
}

fn hours(options: &Options) -> Panel {
    let counts = |signal| Counts::new(options, signal, "hour", RANGE);
    let panel = Panel::table(
        "Quiet hours first (UTC)",
        format!(
            "Hours of the day with at least {} attempts in the time range, those with the lowest \
             ratio of overload first. Hours with fewer are left out: they are unknown.",
            enough(options)
        ),
    );
    let overload = counts(Signal::Overload);
    // Only of the hours that have an answer to the first query, or rows would be left half empty.
    let known = format!("and on (hour) ({} >= {})", overload.attempts, enough(options));
    let small = |name| {
        Override::of(name).set("unit", Unit::Ratio).set("decimals", 2).set("custom.width", 80)
    };
    let colours = json!({"mode": "absolute", "steps": options.colours(Signal::Overload)});
    panel
        .query(Query::rows(overload.ratio(enough(options))))
        .query(Query::rows(format!("{} {known}", counts(Signal::RateLimit).ratio(ANY))))
        .query(Query::rows(format!("{} {known}", counts(Signal::Outage).ratio(ANY))))
        .query(Query::rows(format!("{} {known}", overload.attempts)))
        .columns(&[
            ("hour", "Hour"),
            ("Value #A", "Overload"),
            ("Value #B", "429"),
            ("Value #C", "503"),
            ("Value #D", "Attempts"),
        ])
        .sorted_by("Overload", false)
        .except([
            Override::of("Hour").set("custom.width", 60),
            Override::of("Overload")
                .set("custom.width", 100)
                .set("unit", Unit::Ratio)
                .set("decimals", 2)
                .set("thresholds", colours)
                .set("custom.cellOptions", json!({"type": "color-background", "mode": "basic"})),
            small("429"),
            small("503"),
            Override::of("Attempts").set("unit", Unit::Count),
        ])
        .silent(&too_few(options))
}

fn by_hour_and_day(options: &Options, signal: Signal) -> Panel {
    let (title, what) = match signal {
        Signal::Overload => ("Overload by hour of the day (UTC) and day", "shed (529)"),
        Signal::RateLimit => ("Rate limited by hour of the day (UTC) and day", "refused (429)"),
        Signal::Outage => ("Outage by hour of the day (UTC) and day", "lost to an outage (503)"),
    };
    let [healthy, overloaded] = options.percent(signal);
    Panel::status_history(
        title,
        format!(
            "Share of first attempts that were {what}: a row for each hour of the day, a column \
             for each day, both in UTC. Green below {healthy}, vermilion from {overloaded} on. An \
             empty cell had no traffic: it is unknown, not quiet."
        ),
        Unit::Ratio,
    )
    .query(
        Query::range(Counts::new(options, signal, "hour", DAY).ratio(ANY), "{{hour}}").every("1d"),
    )
    .decimals(2)
    .thresholds(&options.colours(signal))
    .silent("no traffic in this time: unknown, not quiet")
}

fn hours_of_targets(options: &Options) -> Panel {
    let ratio = overload(options, "provider, model, hour", RANGE, enough(options));
    // The hour becomes a column of its own, so that both answers fit into one row.
    let as_column = |expr: String, column: &str| {
        let named = format!("label_replace({expr}, \"{column}\", \"$1:00\", \"hour\", \"(.*)\")");
        format!("sum by (provider, model, {column}) ({named})")
    };
    let quietest = as_column(format!("bottomk by (provider, model) (1, {ratio})"), "quietest");
    let worst = as_column(format!("topk by (provider, model) (1, {ratio}) > 0"), "worst");
    let cell = |name| {
        Override::of(name)
            .set("unit", Unit::Ratio)
            .set("decimals", 2)
            .set("custom.width", 90)
            .set("custom.cellOptions", json!({"type": "color-background", "mode": "basic"}))
    };
    Panel::table(
        "Quietest and worst hour of each model (UTC)",
        format!(
            "For each model the hour of the day with the lowest and the one with the highest ratio \
             of overload, over the time range, among hours with at least {} attempts; where \
             several are equal, one of them. No worst hour: nothing was shed at all. A model that \
             is missing has no hour with so many attempts.",
            enough(options)
        ),
    )
    .query(Query::rows(quietest))
    .query(Query::rows(worst))
    .columns(&[
        ("provider", "Provider"),
        ("model", "Model"),
        ("quietest", "Quietest"),
        ("Value #A", "at best"),
        ("worst", "Worst"),
        ("Value #B", "at worst"),
    ])
    .sorted_by("at worst", true)
    .thresholds(&options.colours(Signal::Overload))
    .except([
        cell("at best"),
        cell("at worst").set("noValue", "-"),
        Override::of("Worst").set("noValue", "none"),
    ])
    .silent(&too_few(options))
}

fn trend(options: &Options) -> Panel {
    let ratio = recorded::ratio(Level::Model, Window::hours(1));
    let ratio = options.by_variables(ratio).is("signal", Signal::Overload.as_str());
    let [healthy, overloaded] = options.percent(Signal::Overload);
    Panel::time_series(
        "Overload ratio, hour by hour",
        format!(
            "Share of first attempts that were shed in the hour before each point, each model, by \
             the recording rules. The dashed lines are {healthy} and {overloaded}."
        ),
        Unit::Ratio,
    )
    .query(
        Query::range(format!("max by (provider, model) ({ratio})"), "{{provider}}/{{model}}")
            .every("1h"),
    )
    .thresholds(&options.colours(Signal::Overload))
    .dashed()
    .silent("no traffic, or no recording rules: see brownout's alerts folder")
}

fn other_signals(options: &Options) -> Panel {
    let ratio = |signal| Counts::new(options, signal, "hour", RANGE).ratio(ANY);
    let signals = [Signal::RateLimit, Signal::Outage];
    let [quota, outage] = signals.map(words::title);
    Panel::bar_chart(
        "429 and 503 by hour of the day (UTC)",
        "Share of first attempts that your own quota refused (429), and that were lost to an \
         outage (503 and its likes), for each hour of the day, over the whole time range. \
         A 429 is about your account: another hour helps only if your own traffic is lower then.",
        Unit::Ratio,
        "hour",
    )
    .query(Query::rows(ratio(Signal::RateLimit)))
    .query(Query::rows(ratio(Signal::Outage)))
    .transformed("merge", json!({}))
    .columns(&[("hour", "hour"), ("Value #A", quota), ("Value #B", outage)])
    .sorted_by("hour", false)
    .decimals(2)
    .except(signals.map(|one| Override::of(words::title(one)).coloured(words::of_signal(one))))
    .silent("no traffic in this time: unknown, not quiet")
}

fn attempts(options: &Options) -> Panel {
    let requests = options.chosen(names::HOUR_REQUESTS);
    Panel::bar_chart(
        "Attempts by hour of the day (UTC)",
        "First attempts that ended ok or failed by a signal, for each hour of the day, over the \
         whole time range: how much evidence each hour has, and when you run today.",
        Unit::Count,
        "hour",
    )
    .query(Query::rows(format!("sum by (hour) (increase({requests}{RANGE})) >= {ANY}")))
    .columns(&[("hour", "hour"), ("Value", "attempts")])
    .sorted_by("hour", false)
    .thresholds(&by_threshold(Colour::Sky, &[]))
    .option("legend", json!({"showLegend": false}))
    .silent("no traffic in this time")
}
