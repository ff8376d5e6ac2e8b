//! What is computed once, for alerts and dashboards: counts of first attempts, the ratios of the
//! signals, and how much the ratios prove.

use std::collections::BTreeSet;

use super::super::promql::{Series, Window};
use super::super::recorded::{self, Level};
use super::{Group, Options, REPLICA, Rule};
use crate::answers::metrics::names;
use crate::domain::outcome::{Attempt, Class, Signal, Source};

/// Windows that the dashboards read, whatever the alerts do.
const OF_DASHBOARDS: [Window; 4] =
    [Window::minutes(5), Window::minutes(30), Window::hours(1), Window::hours(6)];

/// Over which window clients are listened for before they count as silent.
pub(super) const SILENCE: Window = Window::minutes(15);

const COMMENT: &str = "\
One group, because its rules read each other: rules of a group are evaluated in order.
Ok is all but the errors. Both are extrapolated on their own and may differ by a hair: never below \
zero. Nor is a lower bound.";

const REPORTS: &str = "What clients reported, first attempts and retries.";

const ARTICLE: &str = "For those who know the metric by this name.";

pub(super) fn group(options: &Options) -> Group {
    let windows = [options.critical, options.warning].map(|both| [both.long, both.short]);
    let windows = windows.concat().into_iter().chain(OF_DASHBOARDS).chain([options.surge_window]);
    let windows: BTreeSet<_> = windows.collect();
    let mut rules: Vec<_> = windows.into_iter().flat_map(|window| over(options, window)).collect();
    rules.push(client_requests(options));
    rules.push(known_from_the_article(options));
    Group { name: "brownout.recording", comment: COMMENT.to_owned(), rules }
}

/// Everything over one window.
fn over(options: &Options, window: Window) -> Vec<Rule> {
    let mut rules = vec![ok(options, window)];
    rules.extend(Signal::ALL.map(|signal| errors(options, signal, window)));
    rules.push(attempts(options, window));
    rules.push(ratio(options, Level::Model, window));
    for of in [recorded::errors, recorded::attempts] {
        let models = options.within(of(Level::Model, window));
        let expr = format!("sum without (model) ({models})");
        rules.push(Rule::record(&of(Level::Provider, window), expr));
    }
    rules.push(ratio(options, Level::Provider, window));
    rules.extend(Level::ALL.map(|level| lower_bound(options, level, window)));
    rules
}

fn ok(options: &Options, window: Window) -> Rule {
    let first = |series: Series| series.is("attempt", Attempt::First.as_str());
    let all = first(options.of(names::REQUESTS));
    let failed = first(options.of(names::REQUEST_ERRORS));
    let expr = format!(
        "clamp_min(\n    {}\n  - {},\n  0)",
        indented(&added_up(&all, &["source", "attempt"], window), 4),
        indented(&added_up(&failed, &["source", "attempt", "reason"], window), 4),
    );
    Rule::record(&recorded::ok(window), expr).because(format!("=== {window} ==="))
}

fn errors(options: &Options, signal: Signal, window: Window) -> Rule {
    let reasons = Class::errors().filter(|class| class.signal() == Some(signal));
    let reasons: Vec<_> = reasons.map(Class::as_str).collect();
    let series = options.of(names::REQUEST_ERRORS).is("attempt", Attempt::First.as_str());
    let series = match reasons.as_slice() {
        [reason] => series.is("reason", reason),
        several => series.matches("reason", &several.join("|")),
    };
    let expr = added_up(&series, &["source", "attempt", "reason"], window);
    Rule::record(&recorded::errors(Level::Model, window), expr)
        .labelled(vec![("signal".to_owned(), signal.as_str().to_owned())])
}

fn attempts(options: &Options, window: Window) -> Rule {
    let errors = options.within(recorded::errors(Level::Model, window));
    let ok = options.within(recorded::ok(window));
    let expr = format!("  {errors}\n+ ignoring (signal) group_left ()\n  {ok}");
    Rule::record(&recorded::attempts(Level::Model, window), expr)
}

fn ratio(options: &Options, level: Level, window: Window) -> Rule {
    let errors = options.within(recorded::errors(level, window));
    let attempts = options.within(recorded::attempts(level, window));
    let expr = format!("  {errors}\n/ ({attempts} > 0)");
    Rule::record(&recorded::ratio(level, window), expr)
}

fn lower_bound(options: &Options, level: Level, window: Window) -> Rule {
    let p = options.within(recorded::ratio(level, window));
    let n = options.within(recorded::attempts(level, window));
    let expr = format!(
        "clamp_min(
    (
        {p}
      + 1.353 / ({n} > 0)
      - 1.645 * sqrt(
            {p}
          * (1 - {p})
          / ({n} > 0)
          + 0.6765 / ({n} > 0) ^ 2
        )
    )
  / (1 + 2.706 / ({n} > 0)),
  0)"
    );
    Rule::record(&recorded::lower_bound(level, window), expr)
}

fn client_requests(options: &Options) -> Rule {
    let series = options.of(names::REQUESTS).is("source", Source::Client.as_str());
    let gone = ["provider", "model", "source", "attempt"];
    Rule::record(&recorded::client_requests(SILENCE), added_up(&series, &gone, SILENCE))
        .because(REPORTS)
}

fn known_from_the_article(options: &Options) -> Rule {
    let series = options.of(names::HTTP_RESPONSES);
    let series = series.is("provider", "anthropic").matches("code", "[45]..");
    let expr = format!(
        "sum by (job, instance, status_code) (
  label_replace(
    {series},
    \"status_code\", \"$1\", \"code\", \"(.*)\"
  )
)"
    );
    Rule::record(&recorded::anthropic_api_errors(), expr).because(ARTICLE)
}

/// The increase over a window, added up over replicas and some labels.
///
/// # Panics
/// If the series have no such label.
fn added_up(series: &Series, labels: &[&str], window: Window) -> String {
    for label in labels {
        assert!(series.has(label), "{} has no label {label}", series.name());
    }
    let over = series.over(window);
    format!("sum without ({REPLICA}, {}) (\n  increase({over})\n)", labels.join(", "))
}

/// Text of several lines whose later lines are moved to the right.
fn indented(text: &str, by: usize) -> String {
    text.replace('\n', &format!("\n{:by$}", ""))
}
