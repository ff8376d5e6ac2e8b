//! The two thresholds of a signal: healthy below the first, overloaded above the second.

use super::outcome::Signal;

/// Largest threshold that still leaves the detector's rate grid room above it.
pub const OVERLOADED_MAX: f64 = 0.5;

/// Healthy below `healthy`, overloaded above `overloaded`; ratios with
/// 0 < healthy < overloaded < 0.5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    healthy: f64,
    overloaded: f64,
}

/// Why a pair of numbers cannot be thresholds.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("thresholds must satisfy 0 < healthy ({healthy}) < overloaded ({overloaded}) < 0.5")]
pub struct BoundsError {
    healthy: f64,
    overloaded: f64,
}

impl Bounds {
    /// Overload: 0.5 % and 2 %, the thresholds of the article behind the project.
    pub const OVERLOAD: Self = Self { healthy: 0.005, overloaded: 0.02 };
    /// Outage: 1 % and 10 %.
    pub const OUTAGE: Self = Self { healthy: 0.01, overloaded: 0.10 };
    /// Rate limit: 1 % and 5 %.
    pub const RATE_LIMIT: Self = Self { healthy: 0.01, overloaded: 0.05 };

    /// Checks a pair of ratios.
    ///
    /// # Errors
    /// [`BoundsError`] unless 0 < healthy < overloaded < 0.5.
    pub fn new(healthy: f64, overloaded: f64) -> Result<Self, BoundsError> {
        if healthy > 0.0 && healthy < overloaded && overloaded < OVERLOADED_MAX {
            Ok(Self { healthy, overloaded })
        } else {
            Err(BoundsError { healthy, overloaded })
        }
    }

    /// The ratio below which a target is healthy.
    pub const fn healthy(self) -> f64 {
        self.healthy
    }

    /// The ratio above which a target is overloaded.
    pub const fn overloaded(self) -> f64 {
        self.overloaded
    }
}

/// The thresholds of all three signals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    by_signal: [Bounds; Signal::COUNT],
}

impl Thresholds {
    /// Thresholds for overload, outage and rate limit.
    pub const fn new(overload: Bounds, outage: Bounds, rate_limit: Bounds) -> Self {
        Self { by_signal: [overload, outage, rate_limit] }
    }

    /// The thresholds of one signal.
    pub const fn of(&self, signal: Signal) -> Bounds {
        self.by_signal[signal.index()]
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::new(Bounds::OVERLOAD, Bounds::OUTAGE, Bounds::RATE_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_out_of_order_are_refused() {
        assert!(Bounds::new(0.005, 0.02).is_ok());
        for (healthy, overloaded) in
            [(0.0, 0.02), (0.02, 0.02), (0.03, 0.02), (0.1, 0.5), (f64::NAN, 0.02)]
        {
            assert!(Bounds::new(healthy, overloaded).is_err(), "{healthy} {overloaded}");
        }
    }
}
