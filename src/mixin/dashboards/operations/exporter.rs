//! The process: is it late, does it complain, how much does it need.

use crate::answers::metrics::names;
use crate::ground::self_stats::rows;
use crate::mixin::dashboards::Options;
use crate::mixin::grafana::{Override, Panel, Query, Unit};
use crate::mixin::promql::{Beside, Series};

const NOT_SCRAPED: &str = "not scraped";

fn lines(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    Panel::time_series(title, description, unit).silent(NOT_SCRAPED)
}

pub(super) fn lateness(options: &Options) -> Panel {
    let scrape = options.chosen(rows::SCRAPE_DURATION);
    let lag = options.chosen(rows::TICK_LAG);
    lines(
        "Scrape and tick",
        "How long it took to write a scrape, and how late the one-second tick of the detectors \
         was. Milliseconds are usual; a second means that the machine is too busy.",
        Unit::Seconds,
    )
    .query(Query::range(format!("max by (instance) ({scrape})"), "scrape {{instance}}"))
    .query(Query::range(format!("max by (instance) ({lag})"), "tick lag {{instance}}"))
}

pub(super) fn should_be_zero(options: &Options) -> Panel {
    let increase = |row, label| {
        let series = options.chosen(row).over("$__rate_interval");
        format!("sum by (instance{label}) (increase({series}))")
    };
    lines(
        "What should stay at zero",
        "Warnings and errors in the log, ticks that were missed, steps of the clock backwards, and \
         outcomes counted under other because a bound on series was reached; since the point \
         before.",
        Unit::Count,
    )
    .query(Query::range(increase(rows::LOG_MESSAGES, ", level"), "{{level}} {{instance}}"))
    .query(Query::range(increase(rows::TICKS_MISSED, ""), "missed ticks {{instance}}"))
    .query(Query::range(increase(names::CLOCK_STEPS, ""), "clock steps {{instance}}"))
    .query(Query::range(increase(names::SERIES_DROPPED, ", reason"), "{{reason}} {{instance}}"))
    .decimals(0)
    .drawn("axisSoftMax", 1)
}

pub(super) fn requests(options: &Options) -> Panel {
    let requests = options.chosen(rows::SERVER_REQUESTS).over("$__rate_interval");
    lines(
        "Requests to brownout",
        "Requests per second by route and class of the answer, those of more than none.",
        Unit::RequestsPerSecond,
    )
    .query(Query::range(
        format!("sum by (route, code) (rate({requests})) > 0"),
        "{{route}} {{code}}",
    ))
    .silent("no requests")
}

fn beside(options: &Options, one: Beside) -> Series {
    options.by_variables(Series::beside(one))
}

pub(super) fn memory(options: &Options) -> Panel {
    let memory = beside(options, Beside::ProcessMemory);
    lines(
        "Memory",
        "Resident memory of each instance. It grows with the number of targets, not with traffic.",
        Unit::Bytes,
    )
    .query(Query::range(format!("max by (instance) ({memory})"), "{{instance}}"))
}

pub(super) fn cpu(options: &Options) -> Panel {
    let cpu = beside(options, Beside::ProcessCpu).over("$__rate_interval");
    lines("CPU", "CPU of each instance: 100 % is one core.", Unit::Ratio)
        .query(Query::range(format!("max by (instance) (rate({cpu}))"), "{{instance}}"))
}

pub(super) fn files(options: &Options) -> Panel {
    let open = beside(options, Beside::ProcessOpenFiles);
    let limit = beside(options, Beside::ProcessMaxFiles);
    lines(
        "Files and sockets",
        "Open files and sockets of each instance, as a share of those that it may have.",
        Unit::Ratio,
    )
    .query(Query::range(format!("max by (instance) ({open} / ({limit} > 0))"), "{{instance}}"))
}

pub(super) fn builds(options: &Options) -> Panel {
    let build = options.chosen(rows::BUILD_INFO);
    let started = beside(options, Beside::ProcessStart);
    let loaded = options.chosen(rows::RELOAD_SUCCESS_TIMESTAMP);
    let samples = beside(options, Beside::ScrapeSamples);
    let by_instance = |expr: String| Query::rows(format!("max by (instance) ({expr})"));
    Panel::table(
        "Instances",
        "What runs where, since when, when its configuration was last loaded, and how many samples \
         a scrape of it has: some two hundred for each target.",
    )
    .query(Query::rows(format!("max by (instance, version, revision) ({build})")))
    .query(by_instance(format!("1000 * {started}")))
    .query(by_instance(format!("1000 * {loaded}")))
    .query(by_instance(samples.to_string()))
    .columns(&[
        ("instance", "Instance"),
        ("version", "Version"),
        ("revision", "Revision"),
        ("Value #A", ""),
        ("Value #B", "Started"),
        ("Value #C", "Configuration loaded"),
        ("Value #D", "Samples"),
    ])
    .except([
        Override::of("Started").set("unit", Unit::FromNow),
        Override::of("Configuration loaded").set("unit", Unit::FromNow),
        Override::of("Samples").set("unit", Unit::Count).set("decimals", 0),
    ])
    .sorted_by("Instance", false)
    .silent(NOT_SCRAPED)
}
