//! What differs between installations: where the rules look, what they hold to be too much, over
//! which windows, and where their links lead.

use super::super::RUNBOOKS;
use super::super::promql::{Series, Window};
use crate::answers::metrics::names::{self, Metric};
use crate::domain::bounds::{Bounds, BoundsError};

/// Shortest window: a rate needs two scrapes, and most people scrape twice or more in a minute.
const WINDOW_MIN: Window = Window::minutes(1);

/// Longest window: Prometheus keeps 15 days unless told otherwise.
const WINDOW_MAX: Window = Window::hours(14 * 24);

/// Labels that our rules and Prometheus's alerts give a meaning of their own.
const OURS: [&str; 10] = [
    "instance",
    "pod",
    "node",
    "le",
    "signal",
    "alertname",
    "alertstate",
    "severity",
    "scope",
    "status_code",
];

/// What the rules are printed for.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The job under which Prometheus scrapes brownout.
    pub job: String,
    /// What else a series must match.
    pub selector: Selector,
    /// How much overload is too much.
    pub thresholds: Thresholds,
    /// Over which window a surge is measured.
    pub surge_window: Window,
    /// Over which windows overload that pages is measured.
    pub critical: Windows,
    /// Over which windows overload that warns is measured.
    pub warning: Windows,
    /// The address of the folder of runbooks.
    pub runbooks: String,
    /// The address of Grafana; empty where links are paths, for templates that know it.
    pub dashboards: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            job: "brownout".to_owned(),
            selector: Selector::default(),
            thresholds: Thresholds::default(),
            surge_window: Window::minutes(5),
            critical: Windows { long: Window::hours(1), short: Window::minutes(5) },
            warning: Windows { long: Window::hours(6), short: Window::minutes(30) },
            runbooks: RUNBOOKS.to_owned(),
            dashboards: String::new(),
        }
    }
}

/// Why something cannot be an option.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// Thresholds that are no pair.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    /// A surge below what is overloaded anyway.
    #[error("surge ({surge}) must be above overloaded ({overloaded}) and below 1")]
    Surge {
        /// The ratio of a surge.
        surge: f64,
        /// The ratio of overload.
        overloaded: f64,
    },
    /// Windows in the wrong order.
    #[error("windows must be long/short, as in 1h/5m: {long} is not longer than {short}")]
    Order {
        /// The one that was to be the longer.
        long: Window,
        /// The other.
        short: Window,
    },
    /// A window that Prometheus cannot fill.
    #[error("{0} is not between {WINDOW_MIN} and {WINDOW_MAX}")]
    Window(Window),
    /// A job without a name.
    #[error("expected the value of the label job, as in brownout")]
    Job,
    /// Text that is no address.
    #[error("expected an address like https://grafana.example.org/ops, without a password")]
    Address,
    /// Text that is no selector.
    #[error("{0}; expected label matchers like cluster=\"eu\",env=~\"prod.*\"")]
    Selector(String),
}

/// Ratios of overload: healthy below the first, overloaded above the second, surging above the
/// third.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    bounds: Bounds,
    surge: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { bounds: Bounds::OVERLOAD, surge: 0.1 }
    }
}

impl Thresholds {
    /// Checks three ratios.
    ///
    /// # Errors
    /// Unless 0 < healthy < overloaded < 0.5 and overloaded < surge < 1.
    pub fn new(healthy: f64, overloaded: f64, surge: f64) -> Result<Self, OptionsError> {
        let bounds = Bounds::new(healthy, overloaded)?;
        if overloaded < surge && surge < 1.0 {
            Ok(Self { bounds, surge })
        } else {
            Err(OptionsError::Surge { surge, overloaded })
        }
    }

    pub(super) fn healthy(self) -> f64 {
        self.bounds.healthy()
    }

    pub(super) fn overloaded(self) -> f64 {
        self.bounds.overloaded()
    }

    pub(super) fn surge(self) -> f64 {
        self.surge
    }
}

/// Two windows that must agree: the long one proves it, the short one proves that it still goes
/// on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub(super) long: Window,
    pub(super) short: Window,
}

impl Windows {
    /// Checks a pair.
    ///
    /// # Errors
    /// Unless the long one is longer and Prometheus can fill both.
    pub fn new(long: Window, short: Window) -> Result<Self, OptionsError> {
        if long <= short {
            return Err(OptionsError::Order { long, short });
        }
        Ok(Self { long: fitting(long)?, short: fitting(short)? })
    }
}

/// A window that Prometheus can fill.
///
/// # Errors
/// For one that is too short for two scrapes or longer than Prometheus remembers.
fn fitting(window: Window) -> Result<Window, OptionsError> {
    if (WINDOW_MIN..=WINDOW_MAX).contains(&window) {
        Ok(window)
    } else {
        Err(OptionsError::Window(window))
    }
}

/// Label matchers of the scraped targets, as in `cluster="eu",env=~"prod.*"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    text: String,
    /// The labels that are given a value: what is absent would have them.
    pub(super) equal: Vec<(String, String)>,
}

impl Selector {
    /// The matchers, as they stand between braces; empty where there are none.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads matchers separated by commas, braces around them or not.
    ///
    /// # Errors
    /// For what Prometheus would not take, and for labels that scraped targets do not have as
    /// a whole: such a selector would select nothing, and `absent` would always fire.
    pub fn parse(text: &str) -> Result<Self, OptionsError> {
        let wrong = OptionsError::Selector;
        let inner = text.trim();
        let inner = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let mut rest = inner.unwrap_or(text).trim();
        let mut matchers = Vec::new();
        let mut equal = Vec::new();
        while !rest.is_empty() {
            let (label, operator, value, after) = matcher(rest).map_err(wrong)?;
            if !is_of_targets(label) {
                let why = "is not one of the scraped targets, such as cluster, namespace or env";
                return Err(wrong(format!("the label {label} {why}")));
            }
            matchers.push(format!("{label}{operator}\"{value}\""));
            if operator == "=" {
                equal.push((label.to_owned(), unescaped(value)));
            }
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return Err(wrong(format!("no comma before {after:?}"))),
            };
        }
        Ok(Self { text: matchers.join(","), equal })
    }
}

/// The first matcher of a text: label, operator, value without its quotes, and what follows.
fn matcher(text: &str) -> Result<(&str, &str, &str, &str), String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let label = &text[..text.find(|c| !word(c)).unwrap_or(text.len())];
    if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("{text:?} does not begin with the name of a label"));
    }
    let after = text[label.len()..].trim_start();
    let operator = ["=~", "!~", "!=", "="].into_iter().find(|known| after.starts_with(known));
    let Some(operator) = operator else {
        return Err(format!("no =, !=, =~ or !~ after {label}"));
    };
    let Some(quoted) = after[operator.len()..].trim_start().strip_prefix('"') else {
        return Err(format!("the value of {label} is not in double quotes"));
    };
    let mut escaped = false;
    let end = quoted.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else {
        return Err(format!("the value of {label} has no closing quote"));
    };
    let value = &quoted[..end];
    if value.is_empty() || !is_plain(value) {
        return Err(format!("the value of {label} is empty, or has control characters or {{{{"));
    }
    Ok((label, operator, value, quoted[end + 1..].trim_start()))
}

/// Whether every series of a scraped target can have a label, `up` included.
fn is_of_targets(label: &str) -> bool {
    let of_rows = names::all().any(|row| row.labels.contains(&label));
    !of_rows && !OURS.contains(&label) && !label.starts_with("__")
}

/// Whether Prometheus takes a text for what it is, in labels of alerts too, which are templates.
fn is_plain(text: &str) -> bool {
    !text.contains(char::is_control) && !text.contains("{{")
}

/// A value without the backslashes before quotes and backslashes.
fn unescaped(value: &str) -> String {
    value.replace("\\\"", "\"").replace("\\\\", "\\")
}

impl Options {
    /// Checks the name of a job.
    ///
    /// # Errors
    /// Where there is none.
    pub fn parse_job(text: &str) -> Result<String, OptionsError> {
        if text.is_empty() || !is_plain(text) {
            return Err(OptionsError::Job);
        }
        Ok(text.to_owned())
    }

    /// Checks an address that links begin with; a slash at its end is dropped.
    ///
    /// # Errors
    /// For anything but a plain `http` or `https` address.
    pub fn parse_address(text: &str) -> Result<String, OptionsError> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/%[]+".contains(c);
        match rest {
            Some(rest) if rest.len() > 1 && rest.chars().all(plain) => {
                Ok(text.trim_end_matches('/').to_owned())
            }
            _ => Err(OptionsError::Address),
        }
    }

    /// Reads one window, as for a surge.
    ///
    /// # Errors
    /// For one that Prometheus cannot fill.
    pub fn check_window(window: Window) -> Result<Window, OptionsError> {
        fitting(window)
    }

    /// The samples of a row, as far as the rules are about them.
    pub(super) fn of(&self, row: Metric) -> Series {
        self.within(Series::of(row))
    }

    /// Whether instances of the job can be scraped.
    pub(super) fn up(&self) -> Series {
        self.within(Series::up().is("job", &self.job))
    }

    /// Those of some series that the rules are about.
    pub(super) fn within(&self, series: Series) -> Series {
        series.within(self.selector.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_as_prometheus_reads_them() {
        for (text, expected) in [
            ("", ""),
            ("cluster=\"eu\"", "cluster=\"eu\""),
            ("{ cluster = \"eu\" , env =~ \"prod.*|x\", }", "cluster=\"eu\",env=~\"prod.*|x\""),
            ("a!=\"1\",b!~\"2,3\"", "a!=\"1\",b!~\"2,3\""),
            (r#"a="q\"u\\o""#, r#"a="q\"u\\o""#),
        ] {
            assert_eq!(Selector::parse(text).map(|it| it.text), Ok(expected.to_owned()), "{text}");
        }
        let read = Selector::parse(r#"a="q\"u\\o",b=~"c",d="e""#).unwrap();
        let expected = [("a", "q\"u\\o"), ("d", "e")];
        assert_eq!(read.equal, expected.map(|(label, value)| (label.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_wrong_with_a_selector_is_said() {
        for (text, expected) in [
            ("cluster", "no =, !=, =~ or !~ after cluster"),
            ("cluster=eu", "the value of cluster is not in double quotes"),
            ("cluster=\"eu", "the value of cluster has no closing quote"),
            ("cluster=\"\"", "the value of cluster is empty"),
            (
                "cluster=\"{{ .x }}\"",
                "the value of cluster is empty, or has control characters or {{",
            ),
            ("1a=\"b\"", "does not begin with the name of a label"),
            ("a=\"b\" c=\"d\"", "no comma before"),
            ("provider=\"openai\"", "the label provider is not one of the scraped targets"),
            ("instance=\"a\"", "the label instance is not one of the scraped targets"),
            ("__name__=\"up\"", "the label __name__ is not one of the scraped targets"),
        ] {
            let error = Selector::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.ends_with("expected label matchers like cluster=\"eu\",env=~\"prod.*\""));
        }
    }

    #[test]
    fn windows_and_thresholds_out_of_order_are_refused() {
        let (short, long) = (Window::minutes(5), Window::hours(1));
        assert!(Windows::new(long, short).is_ok());
        for (long, short) in [
            (short, long),
            (short, short),
            (long, "30s".parse().unwrap()),
            (Window::hours(24 * 365), short),
        ] {
            assert!(Windows::new(long, short).is_err(), "{long}/{short}");
        }
        assert!(Thresholds::new(0.005, 0.02, 0.1).is_ok());
        for (healthy, overloaded, surge) in
            [(0.02, 0.005, 0.1), (0.005, 0.02, 0.02), (0.005, 0.02, 1.0), (0.0, 0.02, f64::NAN)]
        {
            assert!(Thresholds::new(healthy, overloaded, surge).is_err(), "{healthy} {overloaded}");
        }
    }

    #[test]
    fn addresses_are_plain() {
        let address = "https://grafana.example.org/ops/";
        assert_eq!(Options::parse_address(address).unwrap(), "https://grafana.example.org/ops");
        for text in ["", "/d", "ftp://x.org", "https://", "https://u:p@x.org", "http://x.org/{{y}}"]
        {
            assert!(Options::parse_address(text).is_err(), "{text}");
        }
    }
}
