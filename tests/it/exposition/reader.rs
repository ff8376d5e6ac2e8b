//! A strict little reader of what was written, so that tests speak of series and not of lines.

use std::collections::BTreeMap;

/// Samples by series, as written: `name{label="value",…}`.
pub(super) type Samples = BTreeMap<String, f64>;

/// Reads every sample; panics on a line that is none, and on a series written twice.
pub(super) fn read(text: &str) -> Samples {
    let mut samples = Samples::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value = match value {
            "+Inf" => f64::INFINITY,
            value => value.parse().unwrap(),
        };
        assert!(samples.insert(series.to_owned(), value).is_none(), "{series} twice");
    }
    samples
}

/// The family a sample belongs to.
pub(super) fn family(series: &str) -> &str {
    let name = series.split('{').next().unwrap();
    let plain = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    plain.unwrap_or(name)
}

/// The label names of a series, `le` left out, in the order written.
pub(super) fn labels(series: &str) -> Vec<String> {
    let mut names = Vec::new();
    let Some((_, mut rest)) = series.split_once('{') else { return names };
    while let Some((name, tail)) = rest.split_once("=\"") {
        names.push(name.trim_start_matches(',').to_owned());
        let mut escaped = false;
        let end = tail
            .find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })
            .unwrap();
        rest = &tail[end + 1..];
    }
    assert_eq!(rest, "}", "{series}");
    names.retain(|name| name != "le");
    names
}

/// Whether what is written about a series can only rise.
pub(super) fn is_cumulative(series: &str) -> bool {
    let name = series.split('{').next().unwrap();
    ["_total", "_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix))
}
