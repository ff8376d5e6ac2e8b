//! What differs between installations: where the rules look, what they hold to be too much, over
//! which windows, and where their links lead.

use super::super::RUNBOOKS;
use super::super::promql::{Series, Window};
use super::super::selector::{Selector, is_plain};
use crate::answers::metrics::names::Metric;
use crate::domain::bounds::{Bounds, BoundsError};

/// Shortest window: a rate needs two scrapes, and most people scrape twice or more in a minute.
const WINDOW_MIN: Window = Window::minutes(1);

/// Longest window: Prometheus keeps 15 days unless told otherwise.
const WINDOW_MAX: Window = Window::hours(14 * 24);

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
