//! The series that the recording rules make, by name: rules define them, alerts and dashboards
//! read them.
//!
//! Names follow Prometheus's convention `level:metric:operation`. Instances, sources and
//! reasons are added up before ratios are taken, so the levels say which labels are left.

use super::promql::{Series, Window};

/// What a recorded series is about: the labels it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// One model of one provider.
    Model,
    /// A provider with all its models.
    Provider,
}

impl Level {
    /// Both, the finer first.
    pub const ALL: [Self; 2] = [Self::Model, Self::Provider];

    /// The first part of the names of series of this level and by signal.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Model => "provider_model_signal",
            Self::Provider => "provider_signal",
        }
    }

    const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Model => &["provider", "model", "signal"],
            Self::Provider => &["provider", "signal"],
        }
    }

    fn series(self, rest: &str) -> Series {
        Series::recorded(format!("{}:{rest}", self.prefix()), self.labels())
    }
}

/// First attempts of a model that ended ok.
pub fn ok(window: Window) -> Series {
    let name = format!("provider_model:brownout_ok:increase{window}");
    Series::recorded(name, &["provider", "model"])
}

/// First attempts that failed by a signal: the k of the ratio.
pub fn errors(level: Level, window: Window) -> Series {
    level.series(&format!("brownout_errors:increase{window}"))
}

/// First attempts that say something about a signal: ok + k.
pub fn attempts(level: Level, window: Window) -> Series {
    level.series(&format!("brownout_attempts:increase{window}"))
}

/// The ratio of a signal, k / (ok + k); absent where there was nothing to divide by.
pub fn ratio(level: Level, window: Window) -> Series {
    level.series(&format!("brownout_error_ratio:increase{window}"))
}

/// Lower end of Wilson's interval of the ratio, one-sided at 95 %.
pub fn lower_bound(level: Level, window: Window) -> Series {
    level.series(&format!("brownout_error_ratio:wilson_lower{window}"))
}

/// Attempts that clients reported, of all targets together.
pub fn client_requests(window: Window) -> Series {
    Series::recorded(format!("job:brownout_client_requests:increase{window}"), &[])
}

/// Answers of Anthropic's that are errors, by status, under the name that the article behind this
/// project gave them.
pub fn anthropic_api_errors() -> Series {
    Series::recorded("anthropic_api_errors_total".to_owned(), &["instance", "status_code"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_convention() {
        for (series, expected) in [
            (ok(Window::minutes(5)), "provider_model:brownout_ok:increase5m"),
            (
                errors(Level::Provider, Window::hours(6)),
                "provider_signal:brownout_errors:increase6h",
            ),
            (
                lower_bound(Level::Model, Window::hours(1)).is("signal", "overload"),
                "provider_model_signal:brownout_error_ratio:wilson_lower1h{signal=\"overload\"}",
            ),
        ] {
            assert_eq!(series.to_string(), expected);
        }
    }
}
