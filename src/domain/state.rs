//! From the three signals of a target to its state and the reason for it (DESIGN section 5).

use std::fmt;

use super::layer::Basis;
use super::outcome::Signal;

/// What is published about one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalState {
    /// Too little or too old evidence.
    #[default]
    Unknown,
    /// Below the lower threshold.
    Healthy,
    /// Between the thresholds.
    Degraded,
    /// Above the upper threshold.
    Overloaded,
}

impl SignalState {
    /// All states, in the order of the contract.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Overloaded, Self::Unknown];

    /// The name used in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Overloaded => "overloaded",
        }
    }
}

/// The state of a target. Ordered from best to worst, `unknown` between healthy and degraded, so
/// that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetState {
    /// Below the thresholds, by evidence.
    Healthy,
    /// Too little evidence either way.
    #[default]
    Unknown,
    /// Above a lower threshold.
    Degraded,
    /// Shedding load.
    Overloaded,
    /// Down.
    Unavailable,
}

impl TargetState {
    /// All states, in the order of the contract.
    pub const ALL: [Self; 5] =
        [Self::Healthy, Self::Degraded, Self::Overloaded, Self::Unavailable, Self::Unknown];

    /// The name used in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for TargetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a target is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The overload signal.
    Overload,
    /// The outage signal.
    Outage,
    /// Our own account is throttled; the state itself is not changed by it.
    RateLimit,
    /// Every provider fails on the network at once: the fault is on our side.
    Egress,
    /// Nothing, or not enough, was ever seen.
    NoEvidence,
    /// What was seen is too old.
    Stale,
    /// Nothing is wrong.
    None,
}

impl Reason {
    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Outage => "outage",
            Self::RateLimit => "rate_limit",
            Self::Egress => "egress",
            Self::NoEvidence => "no_evidence",
            Self::Stale => "stale",
            Self::None => "none",
        }
    }
}

/// What is published of one signal where attempts say one thing and operations another.
///
/// Attempts decide. Operations stand in where attempts say nothing, and where they look worse:
/// a call that failed after its retries proves at least as much trouble as a first attempt did.
pub fn weigh(attempts: SignalState, operations: SignalState) -> (SignalState, Basis) {
    if operations > attempts {
        return (operations, Basis::Operation);
    }
    (attempts, Basis::Attempt)
}

/// The facts a target's state is decided from.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The published state of each signal, in the order of [`Signal::ALL`].
    pub signals: [SignalState; Signal::COUNT],
    /// Whether the two state-bearing signals are unknown because their evidence is too old.
    pub stale: bool,
    /// Whether every provider with traffic fails with `network` at once.
    pub egress: bool,
}

/// Decides state and reason: first match of the table in DESIGN section 5.
pub fn decide(facts: &Facts) -> (TargetState, Reason) {
    let [overload, outage, rate_limit] = facts.signals;
    let throttled = matches!(rate_limit, SignalState::Degraded | SignalState::Overloaded);
    if facts.egress {
        return (TargetState::Unknown, Reason::Egress);
    }
    if outage == SignalState::Overloaded {
        return (TargetState::Unavailable, Reason::Outage);
    }
    if overload == SignalState::Overloaded {
        return (TargetState::Overloaded, Reason::Overload);
    }
    if outage == SignalState::Degraded {
        return (TargetState::Degraded, Reason::Outage);
    }
    if overload == SignalState::Degraded {
        return (TargetState::Degraded, Reason::Overload);
    }
    let state = if overload == SignalState::Unknown && outage == SignalState::Unknown {
        TargetState::Unknown
    } else {
        TargetState::Healthy
    };
    let reason = match state {
        _ if throttled => Reason::RateLimit,
        TargetState::Unknown if facts.stale => Reason::Stale,
        TargetState::Unknown => Reason::NoEvidence,
        TargetState::Healthy
        | TargetState::Degraded
        | TargetState::Overloaded
        | TargetState::Unavailable => Reason::None,
    };
    (state, reason)
}

#[cfg(test)]
mod tests {
    use super::SignalState::{Degraded, Healthy, Overloaded, Unknown};
    use super::*;

    #[test]
    fn the_first_matching_row_decides() {
        // overload, outage, rate_limit -> state, reason
        for (signals, state, reason) in [
            ([Overloaded, Overloaded, Healthy], TargetState::Unavailable, Reason::Outage),
            ([Overloaded, Degraded, Healthy], TargetState::Overloaded, Reason::Overload),
            ([Degraded, Healthy, Overloaded], TargetState::Degraded, Reason::Overload),
            ([Degraded, Degraded, Healthy], TargetState::Degraded, Reason::Outage),
            ([Healthy, Healthy, Healthy], TargetState::Healthy, Reason::None),
            ([Healthy, Healthy, Overloaded], TargetState::Healthy, Reason::RateLimit),
            ([Unknown, Healthy, Unknown], TargetState::Healthy, Reason::None),
            ([Unknown, Unknown, Overloaded], TargetState::Unknown, Reason::RateLimit),
            ([Unknown, Unknown, Unknown], TargetState::Unknown, Reason::NoEvidence),
        ] {
            let facts = Facts { signals, stale: false, egress: false };
            assert_eq!(decide(&facts), (state, reason), "{signals:?}");
        }
    }

    #[test]
    fn operations_stand_in_for_attempts_and_raise_but_never_clear() {
        for (attempts, operations, state, basis) in [
            (Unknown, Healthy, Healthy, Basis::Operation),
            (Unknown, Overloaded, Overloaded, Basis::Operation),
            (Healthy, Degraded, Degraded, Basis::Operation),
            (Overloaded, Healthy, Overloaded, Basis::Attempt),
            (Healthy, Unknown, Healthy, Basis::Attempt),
            (Unknown, Unknown, Unknown, Basis::Attempt),
        ] {
            assert_eq!(weigh(attempts, operations), (state, basis), "{attempts:?} {operations:?}");
        }
    }

    #[test]
    fn egress_and_staleness_are_named() {
        let signals = [Unknown, Unknown, Unknown];
        let stale = Facts { signals, stale: true, egress: false };
        assert_eq!(decide(&stale), (TargetState::Unknown, Reason::Stale));
        let egress = Facts { signals: [Healthy, Overloaded, Healthy], stale: false, egress: true };
        assert_eq!(decide(&egress), (TargetState::Unknown, Reason::Egress));
    }
}
