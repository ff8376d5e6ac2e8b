//! The plan for people.

use std::fmt::Write as _;

use crate::domain::time::{HOUR_MS, MINUTE_MS};
use crate::ground::config::{Config, Schedule, WhenClientsReport};
use crate::intake::probe::INPUT_TOKENS;
use crate::intake::schedule::{Bill, DAYS_OF_MONTH, PriceBasis, Sum};

use super::warnings::warnings;

/// What stands for a sum over all providers.
const ALL: &str = "all";

/// The whole text.
pub(super) fn text(config: &Config, bill: &Bill) -> String {
    let mut text = String::new();
    if bill.lines.is_empty() {
        text.push_str("nothing is probed, so probes cost nothing\n");
        if config.probes.schedule.is_none() {
            text.push_str("a probes section in the configuration, or --probe, asks for probes\n");
        }
    } else {
        heading(config, bill, &mut text);
        table(bill, &mut text);
        notes(config, bill, &mut text);
    }
    if !bill.not_probed.is_empty() {
        text.push_str("\nnot probed:\n");
        for (target, why) in &bill.not_probed {
            let _ = writeln!(text, "  {target}: {why}");
        }
    }
    let warnings = warnings(config, bill);
    if !warnings.is_empty() {
        text.push('\n');
    }
    for warning in warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

fn heading(config: &Config, bill: &Bill, text: &mut String) {
    let when = match &config.probes.schedule {
        Some(Schedule::Every(every)) => format!("every {}", humantime::format_duration(*every)),
        Some(Schedule::Cron(cron)) => format!("by cron \"{}\" (UTC)", cron.with_seconds()),
        None => "never".to_owned(),
    };
    let targets = bill.lines.len();
    let _ = writeln!(text, "probes {when}, targets: {targets}; prices in US dollars\n");
}

fn table(bill: &Bill, text: &mut String) {
    let by_provider = bill.by_provider();
    let names = bill.lines.iter().map(|line| line.target.to_string());
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0).max(6);
    let _ = writeln!(
        text,
        "{:width$}  {:>10}  {:>7}  {:>7}  {:>11}  {:>9}  {:>9}  {:>12}",
        "TARGET",
        "PROBES/DAY",
        "TOKENS",
        "PRICE",
        "PER PROBE",
        "PER DAY",
        "PER MONTH",
        "TROUBLED/DAY"
    );
    for line in &bill.lines {
        let free = |usd_text: String| match line.price {
            PriceBasis::Free => "free".to_owned(),
            PriceBasis::Known | PriceBasis::Assumed => usd_text,
        };
        let _ = writeln!(
            text,
            "{:width$}  {:>10}  {:>7}  {:>7}  {:>11}  {:>9}  {:>9}  {:>12}",
            line.target.to_string(),
            count(line.probes_per_day),
            format!("{INPUT_TOKENS}+{}", line.output_tokens),
            line.price.as_str(),
            free(usd(line.usd_per_probe)),
            free(usd(line.usd_per_day())),
            free(usd(line.usd_per_day() * DAYS_OF_MONTH)),
            free(usd(line.usd_per_day_troubled())),
        );
    }
    let mut sum_line = |name: &str, sum: &Sum| {
        let _ = writeln!(
            text,
            "{name:width$}  {:>10}  {:>7}  {:>7}  {:>11}  {:>9}  {:>9}  {:>12}",
            "",
            "",
            "",
            "",
            usd(sum.usd_per_day),
            usd(sum.usd_per_month()),
            usd(sum.usd_per_day_troubled),
        );
    };
    if by_provider.len() > 1 {
        for (provider, sum) in &by_provider {
            sum_line(provider.as_str(), sum);
        }
    }
    sum_line(ALL, &bill.total());
}

fn notes(config: &Config, bill: &Bill, text: &mut String) {
    let mut note = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    note("");
    let most = usd(bill.usd_per_day_max());
    match bill.budget.usd_per_day {
        None => note(&format!("budget: none; a day of trouble everywhere costs about {most}")),
        Some(limit) => {
            let limit = usd(limit);
            let usual = usd(bill.usd_per_day_within_budget());
            note(&format!(
                "budget: {limit} a UTC day, which nothing exceeds; a usual day: {usual}"
            ));
        }
    }
    for (provider, limit) in &bill.budget.per_provider {
        note(&format!("budget of {provider} within it: {}", usd(*limit)));
    }
    note("TROUBLED/DAY: a target that is not healthy is probed more often, here all day long");
    note(match config.probes.when_clients_report {
        WhenClientsReport::Skip => "probes are skipped while clients report enough: it costs less",
        WhenClientsReport::Reduce => {
            "one probe in five is made while clients report enough: it costs less"
        }
        WhenClientsReport::Always => {
            "probes are made even while clients report; when_clients_report: skip would save them"
        }
    });
}

/// Dollars with three significant digits, and cents at least.
pub(super) fn usd(amount: f64) -> String {
    if amount < 1e-12 {
        return "$0".to_owned();
    }
    let decimals = (2 - amount.log10().floor() as i32).max(2) as usize;
    let text = format!("{amount:.decimals$}");
    let (whole, cents) = text.split_once('.').unwrap_or((&text, "00"));
    let (cents, rest) = cents.split_at(2);
    format!("${whole}.{cents}{}", rest.trim_end_matches('0'))
}

/// Probes a day, which are fewer than one for some cron expressions.
fn count(number: f64) -> String {
    let decimals = if number.fract() < 0.005 || number >= 100.0 { 0 } else { 2 };
    format!("{number:.decimals$}")
}

/// Hours and minutes.
pub(super) fn moment(millis: u64) -> String {
    let (hours, minutes) = (millis / HOUR_MS, millis % HOUR_MS / MINUTE_MS);
    match hours {
        0 => format!("{minutes} min"),
        hours => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_three_digits_and_cents() {
        for (amount, text) in [
            (0.0, "$0"),
            (7.5e-5, "$0.000075"),
            (1.5e-6, "$0.0000015"),
            (0.108, "$0.108"),
            (0.5, "$0.50"),
            (3.24, "$3.24"),
            (22.896, "$22.90"),
            (1234.5, "$1234.50"),
        ] {
            assert_eq!(usd(amount), text);
        }
        for (number, text) in [(1440.0, "1440"), (111.43, "111"), (0.1429, "0.14"), (0.0, "0")] {
            assert_eq!(count(number), text);
        }
        for (millis, text) in [(34_800_000, "9 h 40 min"), (600_000, "10 min"), (0, "0 min")] {
            assert_eq!(moment(millis), text);
        }
    }
}
