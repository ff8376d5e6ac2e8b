//! Weather: how often a model's requests end in each way, and how long they take.
//!
//! The settings have one list of names, [`Weather::NAMES`], used alike by scenario files and the
//! admin endpoint. A [`Weather`] in hand is valid; there is no way to build another.

use std::time::Duration;

use super::kind::Kind;
use crate::domain::time::{MINUTE_MS, millis_of};

/// Longest time a setting may ask for: far beyond any client's patience.
const WAIT_MS_MAX: u64 = 60 * MINUTE_MS;

/// How far the sum of ratios may exceed 1 by rounding alone.
const SUM_TOLERANCE: f64 = 1e-9;

/// Why a setting is not weather.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeatherError {
    /// No such setting.
    #[error("unknown setting {name:?}, expected one of {}", Weather::NAMES.join(", "))]
    UnknownSetting {
        /// The name as given.
        name: String,
    },
    /// A ratio outside 0 to 1.
    #[error("{name} is {value}, expected a ratio from 0 to 1")]
    NotARatio {
        /// The setting.
        name: &'static str,
        /// The value as given.
        value: f64,
    },
    /// A time outside 0 to one hour.
    #[error("{name} is {value}, expected milliseconds from 0 to {WAIT_MS_MAX}")]
    NotAWait {
        /// The setting.
        name: &'static str,
        /// The value as given.
        value: f64,
    },
    /// The ratios together promise more than every request.
    #[error("the ratios sum to {sum:.4}, lower some until the sum is at most 1")]
    SumTooLarge {
        /// Their sum.
        sum: f64,
    },
}

/// The weather of one model at one time: a ratio for each [`Kind`], and times.
///
/// Whatever the ratios leave over is `ok`.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather {
    ratios: [f64; Kind::COUNT],
    latency: Duration,
    time_to_first_token: Duration,
    slow: Duration,
    retry_after: Duration,
}

/// One setting by name: a ratio of a kind or one of the times.
#[derive(Clone, Copy)]
enum Setting {
    Ratio(Kind),
    Latency,
    TimeToFirstToken,
    Slow,
    RetryAfter,
}

impl Weather {
    /// The names of all settings: ratios first, then times in milliseconds.
    pub const NAMES: [&'static str; 20] = [
        "slow",
        "overloaded",
        "stream_overloaded",
        "rate_limited",
        "quota_exhausted",
        "billing",
        "auth",
        "unavailable",
        "server_error",
        "reset",
        "stream_reset",
        "drip",
        "half_open",
        "wrong_type",
        "redirect",
        "huge",
        "latency_ms",
        "ttft_ms",
        "slow_ms",
        "retry_after_ms",
    ];

    /// The share of requests that end this way, 0 to 1.
    pub const fn ratio(&self, kind: Kind) -> f64 {
        self.ratios[kind.index()]
    }

    /// The ratios in the order of [`Kind::ALL`]; they sum to 1.
    pub const fn ratios(&self) -> &[f64; Kind::COUNT] {
        &self.ratios
    }

    /// Median time of a whole answer.
    pub const fn latency(&self) -> Duration {
        self.latency
    }

    /// Median time to the first content of an answer.
    pub const fn time_to_first_token(&self) -> Duration {
        self.time_to_first_token
    }

    /// Time of a slow answer.
    pub const fn slow(&self) -> Duration {
        self.slow
    }

    /// What a throttled client is told to wait.
    pub const fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// The same weather with another ratio for one kind; `ok` gives or takes the difference.
    ///
    /// # Errors
    /// [`WeatherError`] when the ratio is no ratio or the sum exceeds 1.
    pub fn with(&self, kind: Kind, ratio: f64) -> Result<Self, WeatherError> {
        self.changed(&[(kind.as_str(), ratio)]).map_err(|mut errors| errors.remove(0))
    }

    /// The same weather with other answer times (whole, first content).
    #[must_use]
    pub fn timed(&self, latency: Duration, time_to_first_token: Duration) -> Self {
        let longest = Duration::from_millis(WAIT_MS_MAX);
        let latency = latency.min(longest);
        Self { latency, time_to_first_token: time_to_first_token.min(longest), ..self.clone() }
    }

    /// The same weather with some settings changed by name.
    ///
    /// # Errors
    /// Every problem found, at least one.
    pub fn changed(&self, settings: &[(&str, f64)]) -> Result<Self, Vec<WeatherError>> {
        let mut weather = self.clone();
        let mut errors = Vec::new();
        for (name, value) in settings {
            if let Err(error) = weather.set(name, *value) {
                errors.push(error);
            }
        }
        let sum: f64 = weather.ratios.iter().skip(1).sum();
        if sum > 1.0 + SUM_TOLERANCE {
            errors.push(WeatherError::SumTooLarge { sum });
        }
        weather.ratios[Kind::Ok.index()] = (1.0 - sum).max(0.0);
        if errors.is_empty() { Ok(weather) } else { Err(errors) }
    }

    /// Every setting with its value, in the order of [`Weather::NAMES`].
    pub fn settings(&self) -> [(&'static str, f64); Self::NAMES.len()] {
        Self::NAMES.map(|name| (name, self.value(name)))
    }

    /// The ratios in words: `overloaded 7%, stream_overloaded 2%`, or `fair`.
    pub fn summary(&self) -> String {
        let percent = |kind: Kind| {
            // Two decimals are enough for the eye; trailing zeros are noise.
            let percent = (self.ratio(kind) * 10_000.0).round() / 100.0;
            format!("{} {percent}%", kind.as_str())
        };
        let bad = Kind::ALL.into_iter().skip(1).filter(|kind| self.ratio(*kind) > 0.0);
        let summary = bad.map(percent).collect::<Vec<_>>().join(", ");
        if summary.is_empty() { "fair".to_owned() } else { summary }
    }

    fn set(&mut self, name: &str, value: f64) -> Result<(), WeatherError> {
        let Some((name, setting)) = setting(name) else {
            return Err(WeatherError::UnknownSetting { name: name.chars().take(64).collect() });
        };
        let wait = match setting {
            Setting::Ratio(kind) => {
                if !(0.0..=1.0).contains(&value) {
                    return Err(WeatherError::NotARatio { name, value });
                }
                self.ratios[kind.index()] = value;
                return Ok(());
            }
            Setting::Latency => &mut self.latency,
            Setting::TimeToFirstToken => &mut self.time_to_first_token,
            Setting::Slow => &mut self.slow,
            Setting::RetryAfter => &mut self.retry_after,
        };
        if !(0.0..=WAIT_MS_MAX as f64).contains(&value) {
            return Err(WeatherError::NotAWait { name, value });
        }
        *wait = Duration::from_secs_f64(value / 1_000.0);
        Ok(())
    }

    fn value(&self, name: &str) -> f64 {
        let (_, setting) = setting(name).expect("every name in NAMES is a setting");
        let wait = match setting {
            Setting::Ratio(kind) => return self.ratio(kind),
            Setting::Latency => self.latency,
            Setting::TimeToFirstToken => self.time_to_first_token,
            Setting::Slow => self.slow,
            Setting::RetryAfter => self.retry_after,
        };
        millis_of(wait) as f64
    }
}

/// Fair weather: everything ok, after 400 ms with the first content at 150 ms.
impl Default for Weather {
    fn default() -> Self {
        let mut ratios = [0.0; Kind::COUNT];
        ratios[Kind::Ok.index()] = 1.0;
        Self {
            ratios,
            latency: Duration::from_millis(400),
            time_to_first_token: Duration::from_millis(150),
            slow: Duration::from_secs(20),
            retry_after: Duration::from_secs(1),
        }
    }
}

/// The setting of this name, with the name as listed.
fn setting(name: &str) -> Option<(&'static str, Setting)> {
    let name = Weather::NAMES.into_iter().find(|known| *known == name)?;
    let setting = match name {
        "latency_ms" => Setting::Latency,
        "ttft_ms" => Setting::TimeToFirstToken,
        "slow_ms" => Setting::Slow,
        "retry_after_ms" => Setting::RetryAfter,
        ratio => Setting::Ratio(Kind::ALL.into_iter().find(|kind| kind.as_str() == ratio)?),
    };
    Some((name, setting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_but_ok_has_a_setting_and_every_setting_a_value() {
        for kind in Kind::ALL.into_iter().skip(1) {
            assert!(Weather::NAMES.contains(&kind.as_str()), "{kind:?}");
        }
        assert_eq!(Weather::default().settings().len(), Weather::NAMES.len());
    }

    #[test]
    fn what_the_ratios_leave_over_is_ok() {
        let weather = Weather::default()
            .changed(&[("overloaded", 0.07), ("stream_overloaded", 0.02), ("latency_ms", 5.0)])
            .unwrap();
        assert!((weather.ratio(Kind::Ok) - 0.91).abs() < 1e-12);
        assert_eq!(weather.latency(), Duration::from_millis(5));
        assert_eq!(weather.summary(), "overloaded 7%, stream_overloaded 2%");
        assert_eq!(Weather::default().summary(), "fair");
        let clear = weather.with(Kind::Overloaded, 0.0).unwrap();
        assert!((clear.ratio(Kind::Ok) - 0.98).abs() < 1e-12);
    }

    #[test]
    fn every_wrong_setting_is_named() {
        let errors = Weather::default()
            .changed(&[
                ("overloadd", 0.1),
                ("billing", f64::NAN),
                ("slow", 0.6),
                ("reset", 0.5),
                ("ttft_ms", -1.0),
            ])
            .unwrap_err();
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert!(texts[0].starts_with("unknown setting \"overloadd\", expected one of slow, "));
        assert_eq!(texts[1], "billing is NaN, expected a ratio from 0 to 1");
        assert_eq!(texts[2], "ttft_ms is -1, expected milliseconds from 0 to 3600000");
        assert_eq!(texts[3], "the ratios sum to 1.1000, lower some until the sum is at most 1");
    }
}
