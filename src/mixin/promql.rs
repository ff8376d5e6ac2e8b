//! Series selectors of `PromQL`, by the rows of the table of metrics.
//!
//! Only selectors are typed, for they hold the names. The functions and operators around them
//! are written out as text: Prometheus checks those, in `promtool check rules` and in the tests
//! that run every query, better than types of ours could.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::answers::metrics::names::{Kind, Metric};

/// Labels that Prometheus puts on everything it scrapes.
const OF_TARGET: [&str; 2] = ["job", "instance"];

/// Labels that an alert of ours may have.
const OF_ALERTS: &[&str] =
    &["alertname", "alertstate", "severity", "scope", "provider", "model", "job", "instance"];

/// Series of one name, narrowed down by labels. Shown as `PromQL`: `name{label="value",…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    name: String,
    labels: Vec<&'static str>,
    matchers: Vec<String>,
}

impl Series {
    /// The samples of a row that is no histogram.
    ///
    /// # Panics
    /// For a histogram, which has no samples of its own name.
    pub fn of(row: Metric) -> Self {
        assert!(row.kind != Kind::Histogram, "{}: take its buckets", row.name);
        let labels = row.labels.iter().copied().chain(OF_TARGET).collect();
        Self { name: row.name.to_owned(), labels, matchers: Vec::new() }
    }

    /// The buckets of a histogram.
    ///
    /// # Panics
    /// For a row that is no histogram.
    pub fn buckets(row: Metric) -> Self {
        assert!(row.kind == Kind::Histogram, "{} has no buckets", row.name);
        let labels = row.labels.iter().copied().chain(OF_TARGET).chain(["le"]).collect();
        Self { name: format!("{}_bucket", row.name), labels, matchers: Vec::new() }
    }

    /// Series that a recording rule makes.
    pub(super) fn recorded(name: String, labels: &[&'static str]) -> Self {
        let labels = labels.iter().copied().chain(["job"]).collect();
        Self { name, labels, matchers: Vec::new() }
    }

    /// Whether Prometheus could scrape an instance.
    pub fn up() -> Self {
        Self { name: "up".to_owned(), labels: OF_TARGET.to_vec(), matchers: Vec::new() }
    }

    /// Series that are exported beside the table.
    pub fn beside(one: Beside) -> Self {
        Self { name: one.name().to_owned(), labels: OF_TARGET.to_vec(), matchers: Vec::new() }
    }

    /// Alerts that are pending or firing, as Prometheus records them.
    pub fn alerts() -> Self {
        Self { name: "ALERTS".to_owned(), labels: OF_ALERTS.to_vec(), matchers: Vec::new() }
    }

    /// Its name, without labels.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the series have a label.
    pub fn has(&self, label: &str) -> bool {
        self.labels.contains(&label)
    }

    /// Only those where `label` is `value`.
    ///
    /// # Panics
    /// If the series have no such label.
    #[must_use]
    pub fn is(self, label: &str, value: &str) -> Self {
        self.matching(label, "=", value)
    }

    /// Only those where `label` is not `value`.
    ///
    /// # Panics
    /// If the series have no such label.
    #[must_use]
    pub fn is_not(self, label: &str, value: &str) -> Self {
        self.matching(label, "!=", value)
    }

    /// Only those where all of `label` matches `regex`.
    ///
    /// # Panics
    /// If the series have no such label.
    #[must_use]
    pub fn matches(self, label: &str, regex: &str) -> Self {
        self.matching(label, "=~", regex)
    }

    /// Only those that match what someone else wrote, `cluster="eu",env=~"prod.*"`; nothing where
    /// that is empty. It is put first.
    #[must_use]
    pub fn within(mut self, matchers: &str) -> Self {
        if !matchers.is_empty() {
            self.matchers.insert(0, matchers.to_owned());
        }
        self
    }

    /// The last `window` of the series, for `rate` and its likes.
    pub fn over(&self, window: impl fmt::Display) -> String {
        format!("{self}[{window}]")
    }

    fn matching(mut self, label: &str, operator: &str, value: &str) -> Self {
        assert!(self.has(label), "{} has no label {label}, only {:?}", self.name, self.labels);
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        self.matchers.push(format!("{label}{operator}\"{value}\""));
        self
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.matchers.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", self.matchers.join(","))
    }
}

/// What is exported of an instance beside our table: by the library that watches the process,
/// and by Prometheus about its scrape. The names are theirs, so no row of ours can hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Seconds of CPU, a counter.
    ProcessCpu,
    /// Bytes of memory that are resident.
    ProcessMemory,
    /// Files and sockets that are open.
    ProcessOpenFiles,
    /// As many as may be.
    ProcessMaxFiles,
    /// When the process started, in seconds since 1970.
    ProcessStart,
    /// Samples of a scrape.
    ScrapeSamples,
}

impl Beside {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ProcessCpu,
        Self::ProcessMemory,
        Self::ProcessOpenFiles,
        Self::ProcessMaxFiles,
        Self::ProcessStart,
        Self::ScrapeSamples,
    ];

    /// Its name, as it is exported.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProcessCpu => "process_cpu_seconds_total",
            Self::ProcessMemory => "process_resident_memory_bytes",
            Self::ProcessOpenFiles => "process_open_fds",
            Self::ProcessMaxFiles => "process_max_fds",
            Self::ProcessStart => "process_start_time_seconds",
            Self::ScrapeSamples => "scrape_samples_scraped",
        }
    }
}

/// A length of time as `PromQL` writes it: `5m`, `1h`, `90m`. Whole seconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    seconds: u64,
}

impl Window {
    /// A window of minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self { seconds: minutes * 60 }
    }

    /// A window of hours.
    pub const fn hours(hours: u64) -> Self {
        Self::minutes(hours * 60)
    }

    /// How long it is.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m"), (1, "s")];
        let (length, unit) = units
            .into_iter()
            .find(|(length, _)| self.seconds.is_multiple_of(*length))
            .expect("every number of seconds is a multiple of one second");
        write!(f, "{}{unit}", self.seconds / length)
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
        if duration.subsec_nanos() > 0 || duration.is_zero() {
            return Err(format!("{text} is not a number of whole seconds"));
        }
        Ok(Self { seconds: duration.as_secs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::metrics::names;

    #[test]
    fn selectors_are_written_as_prometheus_reads_them() {
        let errors = || Series::of(names::REQUEST_ERRORS);
        for (series, expected) in [
            (errors(), "brownout_request_errors_total"),
            (errors().is("attempt", "first"), "brownout_request_errors_total{attempt=\"first\"}"),
            (
                errors().is_not("model", "other").matches("reason", "a|b").within("cluster=\"eu\""),
                "brownout_request_errors_total{cluster=\"eu\",model!=\"other\",reason=~\"a|b\"}",
            ),
            (
                errors().is("model", "a\"b\\c").within(""),
                r#"brownout_request_errors_total{model="a\"b\\c"}"#,
            ),
            (
                Series::buckets(names::REQUEST_DURATION).is("le", "1.0"),
                "brownout_request_duration_seconds_bucket{le=\"1.0\"}",
            ),
            (Series::up().is("job", "brownout"), "up{job=\"brownout\"}"),
        ] {
            assert_eq!(series.to_string(), expected);
        }
        assert_eq!(errors().over(Window::minutes(5)), "brownout_request_errors_total[5m]");
    }

    #[test]
    fn a_label_that_the_table_does_not_have_is_refused() {
        let refused = std::panic::catch_unwind(|| Series::of(names::REQUESTS).is("reason", "x"));
        assert!(refused.is_err());
    }

    #[test]
    fn windows_are_read_as_people_write_them_and_written_in_one_unit() {
        for (text, expected) in [
            ("5m", "5m"),
            ("300s", "5m"),
            ("1h 30m", "90m"),
            ("60min", "1h"),
            ("24h", "1d"),
            ("45s", "45s"),
        ] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "0s", "5", "1500ms", "x"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }
}
