//! Reads of `PromQL` what the tests need, with a parser: selectors and what stands around them.

use std::time::Duration;

use promql_parser::label::Matchers;
use promql_parser::parser::{self, Expr, token};

/// Windows that Grafana fills in, and what stands for each while an expression is read: lengths
/// that nobody writes.
const FILLED_IN: [(&str, &str, Duration); 3] = [
    ("$__rate_interval", "8869987s", Duration::from_secs(8_869_987)),
    ("$__interval", "8869993s", Duration::from_secs(8_869_993)),
    ("$__range", "8870003s", Duration::from_secs(8_870_003)),
];

/// A use of a metric in an expression.
#[derive(Debug)]
pub(super) struct Selector {
    pub(super) metric: String,
    /// Its matchers as they are written, `job=~"$job"`.
    pub(super) matchers: Vec<String>,
    /// Its window, if it has one.
    range: Option<Duration>,
    /// The functions and aggregations around it, the innermost first.
    pub(super) within: Vec<String>,
}

impl Selector {
    /// Whether its window is the one that Grafana fits to the scrapes and the width of the graph.
    pub(super) fn has_rate_interval(&self) -> bool {
        self.range == Some(FILLED_IN[0].2)
    }

    /// Whether a function or aggregation of this name is around it, at any distance.
    pub(super) fn is_within(&self, names: &[&str]) -> bool {
        self.within.iter().any(|around| names.contains(&around.as_str()))
    }
}

/// What an expression says.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) selectors: Vec<Selector>,
    /// Divisors that may be zero.
    pub(super) unguarded: Vec<String>,
}

/// Reads an expression, its variables unfilled.
pub(super) fn read(expr: &str) -> Result<Read, String> {
    let filled = FILLED_IN
        .iter()
        .fold(expr.to_owned(), |expr, (variable, length, _)| expr.replace(variable, length));
    let mut read = Read::default();
    visit(&parser::parse(&filled)?, &[], &mut read);
    Ok(read)
}

/// Every use of a metric in an expression that must be good.
pub(super) fn selectors(expr: &str) -> Vec<Selector> {
    read(expr).unwrap_or_else(|error| panic!("{error}: {expr}")).selectors
}

/// The metric that a family exports: `x` of `x_bucket`, `x_sum` and `x_count`.
pub(super) fn family(metric: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| metric.strip_suffix(suffix))
        .unwrap_or(metric)
}

fn visit(expr: &Expr, around: &[String], read: &mut Read) {
    let within = |name: String| [&[name], around].concat();
    let mut all = |parts: &[&Expr], around: &[String]| {
        parts.iter().for_each(|part| visit(part, around, read));
    };
    match expr {
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        Expr::Paren(paren) => all(&[&paren.expr], around),
        Expr::Unary(unary) => all(&[&unary.expr], around),
        Expr::Subquery(subquery) => all(&[&subquery.expr], around),
        Expr::Call(call) => {
            let arguments: Vec<_> = call.args.args.iter().map(AsRef::as_ref).collect();
            all(&arguments, &within(call.func.name.to_owned()));
        }
        Expr::Aggregate(aggregate) => {
            let parts: Vec<&Expr> =
                aggregate.param.as_deref().into_iter().chain([&*aggregate.expr]).collect();
            all(&parts, &within(aggregate.op.to_string()));
        }
        Expr::Binary(binary) => {
            all(&[&binary.lhs, &binary.rhs], around);
            if binary.op.id() == token::T_DIV && !is_guarded(&binary.rhs) {
                read.unguarded.push(binary.rhs.to_string());
            }
        }
        Expr::VectorSelector(vector) => {
            read.selectors.push(selector(vector, None, around));
        }
        Expr::MatrixSelector(matrix) => {
            read.selectors.push(selector(&matrix.vs, Some(matrix.range), around));
        }
    }
}

fn selector(
    vector: &parser::VectorSelector,
    range: Option<Duration>,
    around: &[String],
) -> Selector {
    let Matchers { matchers, or_matchers } = &vector.matchers;
    assert!(or_matchers.is_empty(), "no alternatives of matchers: {vector}");
    let written = |one: &promql_parser::label::Matcher| {
        let value = one.value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{}{}\"{value}\"", one.name, one.op)
    };
    Selector {
        metric: vector.name.clone().unwrap_or_default(),
        matchers: matchers.iter().map(written).collect(),
        range,
        within: around.to_vec(),
    }
}

/// Whether a divisor is not zero: a number, or what a comparison leaves.
fn is_guarded(divisor: &Expr) -> bool {
    match divisor {
        Expr::Paren(paren) => is_guarded(&paren.expr),
        Expr::NumberLiteral(number) => number.val != 0.0,
        Expr::Binary(binary) => {
            [token::T_GTR, token::T_GTE].contains(&binary.op.id()) && !binary.return_bool()
        }
        _ => false,
    }
}

#[test]
fn metrics_windows_and_divisors_are_found() {
    let expr = "sum by (x) (rate(brownout_a_total{b=\"c\",brownout=~\"brownout_no\"}[5m]))\n\
                / p:brownout_b:c";
    let Read { selectors, unguarded } = read(expr).unwrap();
    assert_eq!(selectors.len(), 2, "{selectors:?}");
    let [total, recorded] = [&selectors[0], &selectors[1]];
    assert_eq!(total.metric, "brownout_a_total");
    assert_eq!(total.matchers, ["b=\"c\"", "brownout=~\"brownout_no\""]);
    assert_eq!(total.within, ["rate", "sum"]);
    assert!(!total.has_rate_interval());
    assert_eq!((recorded.metric.as_str(), recorded.within.len()), ("p:brownout_b:c", 0));
    assert_eq!(unguarded, ["p:brownout_b:c"]);
    for (expr, fitted, unguarded) in [
        ("rate(x[$__rate_interval]) / (y > 0)", true, 0),
        ("rate(x[$__range] offset -1d) / 3", false, 0),
        ("rate(x[$__interval]) / (y >= bool 1)", false, 1),
    ] {
        let read = read(expr).unwrap();
        assert_eq!(read.selectors[0].has_rate_interval(), fitted, "{expr}");
        assert_eq!(read.unguarded.len(), unguarded, "{expr}");
    }
    for broken in ["sum(x", "x{a=b}", "rate(x)", "rate(x[$__other])"] {
        assert!(read(broken).is_err(), "{broken}");
    }
    assert_eq!(
        family("brownout_request_duration_seconds_bucket"),
        "brownout_request_duration_seconds"
    );
}
