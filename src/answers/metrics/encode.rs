//! Families to bytes, in the text format 0.0.4 and in OpenMetrics 1.0.
//!
//! An own small writer, because the `prometheus` crate writes no OpenMetrics and writes a bucket
//! bound of one second as `le="1"`, which Prometheus 2 takes for another series than OpenMetrics'
//! `le="1.0"`: here both formats write the canonical bound, so that changing the format never
//! splits a series. Exemplars, `_created` and time stamps are deliberately not written.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

use super::format::Format;

/// Bytes that a sample takes on average, to allocate once.
const SAMPLE_BYTES: usize = 120;
/// Largest magnitude below which every whole number is exact in a float: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// Suffixes of names that are units in the sense of OpenMetrics.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

/// Writes families in their order. They must be sorted by name and their rows complete.
pub(super) fn encode(format: Format, families: &[MetricFamily]) -> Vec<u8> {
    let samples: usize = families.iter().map(samples_of).sum();
    let mut out = String::with_capacity(samples * SAMPLE_BYTES + families.len() * 2 * SAMPLE_BYTES);
    for family in families {
        let Some(kind) = kind_of(format, family) else { continue };
        write_head(&mut out, format, family, kind);
        for row in family.get_metric() {
            let (name, labels) = (family.name(), row.get_label());
            match family.get_field_type() {
                MetricType::COUNTER => {
                    sample(&mut out, name, labels, row.get_counter().get_value());
                }
                MetricType::GAUGE => sample(&mut out, name, labels, row.get_gauge().get_value()),
                MetricType::HISTOGRAM => histogram(&mut out, name, labels, row.get_histogram()),
                MetricType::SUMMARY | MetricType::UNTYPED => {}
            }
        }
    }
    match format {
        Format::Text004 => {}
        Format::OpenMetrics100 => out.push_str("# EOF\n"),
    }
    out.into_bytes()
}

fn samples_of(family: &MetricFamily) -> usize {
    family.get_metric().iter().map(|row| row.get_histogram().get_bucket().len() + 3).sum()
}

/// The word after `# TYPE`; `None` for the kinds that nothing here makes.
fn kind_of(format: Format, family: &MetricFamily) -> Option<&'static str> {
    match (family.get_field_type(), format) {
        (MetricType::COUNTER, _) => Some("counter"),
        (MetricType::GAUGE, Format::OpenMetrics100) if family.name().ends_with("_info") => {
            Some("info")
        }
        (MetricType::GAUGE, _) => Some("gauge"),
        (MetricType::HISTOGRAM, _) => Some("histogram"),
        (MetricType::SUMMARY | MetricType::UNTYPED, _) => None,
    }
}

/// `# HELP`, `# TYPE` and, in OpenMetrics, `# UNIT`. There the family's name lacks the suffix
/// that its samples carry.
fn write_head(out: &mut String, format: Format, family: &MetricFamily, kind: &str) {
    let mut name = family.name();
    if format == Format::OpenMetrics100 {
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        name = name.strip_suffix(suffix).unwrap_or(name);
    }
    push_all(out, &["# HELP ", name, " "]);
    escape(out, family.help(), format == Format::OpenMetrics100);
    push_all(out, &["\n# TYPE ", name, " ", kind, "\n"]);
    if format == Format::OpenMetrics100
        && let Some((_, last)) = name.rsplit_once('_')
        && UNITS.contains(&last)
    {
        push_all(out, &["# UNIT ", name, " ", last, "\n"]);
    }
}

fn histogram(
    out: &mut String,
    name: &str,
    labels: &[LabelPair],
    histogram: &prometheus::proto::Histogram,
) {
    let mut bound = String::new();
    let count = histogram.get_sample_count() as f64;
    for bucket in histogram.get_bucket().iter().filter(|b| b.upper_bound().is_finite()) {
        bound.clear();
        // `Debug` of a float always shows a point or an exponent: the canonical form.
        let _ = write!(bound, "{:?}", bucket.upper_bound());
        write_sample(
            out,
            (name, "_bucket"),
            labels,
            Some(&bound),
            bucket.cumulative_count() as f64,
        );
    }
    write_sample(out, (name, "_bucket"), labels, Some("+Inf"), count);
    write_sample(out, (name, "_sum"), labels, None, histogram.get_sample_sum());
    write_sample(out, (name, "_count"), labels, None, count);
}

fn sample(out: &mut String, name: &str, labels: &[LabelPair], value: f64) {
    write_sample(out, (name, ""), labels, None, value);
}

fn write_sample(
    out: &mut String,
    (name, suffix): (&str, &str),
    labels: &[LabelPair],
    bound: Option<&str>,
    value: f64,
) {
    push_all(out, &[name, suffix]);
    let mut separator = "{";
    for pair in labels {
        push_all(out, &[separator, pair.name(), "=\""]);
        escape(out, pair.value(), true);
        out.push('"');
        separator = ",";
    }
    if let Some(bound) = bound {
        push_all(out, &[separator, "le=\"", bound, "\""]);
        separator = ",";
    }
    out.push_str(if separator == "," { "} " } else { " " });
    number(out, value);
    out.push('\n');
}

/// Whole numbers without a point, others with as many digits as tell them apart.
fn number(out: &mut String, value: f64) {
    // Writing to a `String` cannot fail.
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        write!(out, "{}", value as i64)
    } else {
        write!(out, "{value:?}")
    };
}

/// Backslash and newline are escaped everywhere; the quote in labels, and in OpenMetrics' help.
fn escape(out: &mut String, text: &str, quote: bool) {
    let special = |c: char| c == '\\' || c == '\n' || (quote && c == '"');
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        let (plain, tail) = rest.split_at(at);
        let escaped = match tail.as_bytes()[0] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        };
        push_all(out, &[plain, escaped]);
        rest = &tail[1..];
    }
    out.push_str(rest);
}

fn push_all(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_both_formats_read_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (12_345_678_901.0, "12345678901"),
            (0.5, "0.5"),
            (1_795_474_395.638, "1795474395.638"),
            (1e-7, "1e-7"),
            (1e300, "1e300"),
            (-2.5, "-2.5"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn quotes_are_escaped_in_labels_and_not_in_classic_help() {
        for (text, quote, expected) in [
            ("plain", true, "plain"),
            ("say \"hi\"", true, "say \\\"hi\\\""),
            ("say \"hi\"", false, "say \"hi\""),
            ("C:\\dir\nnext", false, "C:\\\\dir\\nnext"),
            ("\\n is not a newline", true, "\\\\n is not a newline"),
            ("größe\u{1f525}\"", true, "größe\u{1f525}\\\""),
        ] {
            let mut out = String::new();
            escape(&mut out, text, quote);
            assert_eq!(out, expected);
        }
    }
}
