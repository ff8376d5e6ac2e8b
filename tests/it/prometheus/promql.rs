//! Reads of `PromQL` what the tests need: metric names, their selectors, and ranges.
//!
//! No parser: Prometheus itself parses every expression in `live` and in `promtool check rules`.

/// A metric as it stands in an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selector<'a> {
    pub(super) metric: &'a str,
    /// What stands between the braces; empty without braces.
    pub(super) matchers: &'a str,
}

/// Every use of one of our metrics, of `up` and of `ALERTS`.
pub(super) fn selectors(expr: &str) -> Vec<Selector<'_>> {
    let mut selectors = Vec::new();
    let mut at = 0;
    while at < expr.len() {
        let rest = &expr[at..];
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        if is_metric(word) {
            let inside = after.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            selectors.push(Selector { metric: word, matchers: inside.map_or("", |(in_, _)| in_) });
        }
        // A quoted text is no metric, whatever it says.
        at += length.max(match after.strip_prefix('"').and_then(|rest| rest.find('"')) {
            Some(close) if length == 0 => close + 2,
            _ => after.chars().next().filter(|_| length == 0).map_or(0, char::len_utf8),
        });
    }
    selectors
}

/// The windows of every call of `function`: `5m` of `rate(x[5m])`.
pub(super) fn ranges<'a>(expr: &'a str, function: &str) -> Vec<&'a str> {
    let call = format!("{function}(");
    expr.match_indices(&call)
        .filter(|(at, _)| !expr[..*at].ends_with(is_name))
        .map(|(at, _)| {
            let argument = &expr[at..];
            argument
                .split_once('[')
                .and_then(|(_, rest)| rest.split_once(']'))
                .unwrap_or_default()
                .0
        })
        .collect()
}

/// The metric that a family exports: `x` of `x_bucket`, `x_sum` and `x_count`.
pub(super) fn family(metric: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| metric.strip_suffix(suffix))
        .unwrap_or(metric)
}

fn is_metric(word: &str) -> bool {
    word.starts_with("brownout_") || word.contains(":brownout_") || ["up", "ALERTS"].contains(&word)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

#[test]
fn metrics_and_windows_are_found() {
    let expr = "sum by (x) (rate(brownout_a_total{b=\"c\",brownout=~\"brownout_no\"}[5m]))\n\
                / p:brownout_b:c";
    let found = selectors(expr);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].metric, "brownout_a_total");
    assert_eq!(found[0].matchers, "b=\"c\",brownout=~\"brownout_no\"");
    assert_eq!(found[1], Selector { metric: "p:brownout_b:c", matchers: "" });
    assert_eq!(ranges(expr, "rate"), ["5m"]);
    assert_eq!(ranges("irate(x[1m]) + increase(y[$__range])", "rate"), [""; 0]);
    assert_eq!(
        family("brownout_request_duration_seconds_bucket"),
        "brownout_request_duration_seconds"
    );
}
