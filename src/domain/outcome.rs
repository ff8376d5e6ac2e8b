//! What an attempt ended as, and everything about it that is worth counting.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::layer::{Basis, Layer};
use super::target::Target;
use super::time::Timestamp;

/// What an attempt ended as: a closed set, so that a new class breaks the build where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A terminal success, whatever the finish reason.
    Ok,
    /// The provider shed load: HTTP 529 and everything that means the same.
    Overloaded,
    /// The account's short-window limit: 429.
    RateLimited,
    /// The account's long-window allowance or spend cap.
    QuotaExhausted,
    /// An explicit outage without capacity wording: 503, bad gateway, CDN cannot reach the origin.
    Unavailable,
    /// A failure of type 500.
    ServerError,
    /// The service was reached but gave no (further) answer in time.
    Timeout,
    /// The service was never reached, or the connection was cut.
    Network,
    /// Bad or expired key, missing permission, blocked region.
    Auth,
    /// Payment state: no credit, arrears.
    Billing,
    /// A 4xx about the request itself.
    InvalidRequest,
    /// None of the above: client abort, firewall block, captive portal.
    Other,
}

impl Class {
    /// How many classes there are.
    pub const COUNT: usize = 12;

    /// All classes, `ok` first, in the order of the contract.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Ok,
        Self::Overloaded,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Unavailable,
        Self::ServerError,
        Self::Timeout,
        Self::Network,
        Self::Auth,
        Self::Billing,
        Self::InvalidRequest,
        Self::Other,
    ];

    /// The eleven classes that are not `ok`: the values of the `reason` label.
    pub fn errors() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().skip(1)
    }

    /// The name used in metrics, JSON and config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Overloaded => "overloaded",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Unavailable => "unavailable",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Auth => "auth",
            Self::Billing => "billing",
            Self::InvalidRequest => "invalid_request",
            Self::Other => "other",
        }
    }

    /// The class with this name, if it is one of the twelve.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Position in [`Class::ALL`], for tables.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The signal this class counts as a failure of, if any.
    pub const fn signal(self) -> Option<Signal> {
        match self {
            Self::Overloaded => Some(Signal::Overload),
            Self::Unavailable | Self::ServerError | Self::Timeout | Self::Network => {
                Some(Signal::Outage)
            }
            Self::RateLimited | Self::QuotaExhausted => Some(Signal::RateLimit),
            Self::Ok | Self::Auth | Self::Billing | Self::InvalidRequest | Self::Other => None,
        }
    }

    /// Whether a *probe* answered so is misconfigured: such answers feed counters only.
    pub const fn is_misconfigured_probe(self) -> bool {
        matches!(self, Self::Auth | Self::Billing | Self::InvalidRequest | Self::QuotaExhausted)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of the three questions asked about a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Is it shedding load?
    Overload,
    /// Is it down?
    Outage,
    /// Is our own account throttled?
    RateLimit,
}

impl Signal {
    /// How many signals there are.
    pub const COUNT: usize = 3;

    /// All signals, in the order of the contract.
    pub const ALL: [Self; Self::COUNT] = [Self::Overload, Self::Outage, Self::RateLimit];

    /// The name used in metrics, JSON and config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Outage => "outage",
            Self::RateLimit => "rate_limit",
        }
    }

    /// Position in [`Signal::ALL`], for tables.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an outcome was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Reported by a client.
    Client,
    /// Seen by our own synthetic probe.
    Probe,
}

impl Source {
    /// How many sources there are.
    pub const COUNT: usize = 2;

    /// Both sources.
    pub const ALL: [Self; Self::COUNT] = [Self::Client, Self::Probe];

    /// The name used in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Probe => "probe",
        }
    }

    /// Position in [`Source::ALL`], for tables.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Which try of an operation an attempt was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// The first try, or one whose number is unknown, which counts as first.
    #[default]
    First,
    /// A later try: correlated with the first, so it is counted but drives no state.
    Retry,
}

impl Attempt {
    /// How many kinds there are.
    pub const COUNT: usize = 2;

    /// Both kinds.
    pub const ALL: [Self; Self::COUNT] = [Self::First, Self::Retry];

    /// From a reported number: 1 is the first, 0 means unknown and counts as first.
    pub const fn from_number(number: u32) -> Self {
        if number >= 2 { Self::Retry } else { Self::First }
    }

    /// The value of the `attempt` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retry => "retry",
        }
    }

    /// Position in [`Attempt::ALL`], for tables.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Which part of a provider an attempt used: configured names only, empty by default, so that a
/// region's or a key's trouble can be told from the provider's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The configured region, if one was named.
    pub region: Option<Arc<str>>,
    /// The configured account, if one was named.
    pub account: Option<Arc<str>>,
}

/// One attempt (or `count` alike ones) that ended, or one operation where that is all that the
/// source knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whom it was sent to.
    pub target: Target,
    /// Which region and account it used.
    pub scope: Scope,
    /// Who saw it.
    pub source: Source,
    /// What kind of source told.
    pub layer: Layer,
    /// Whether it stands for an attempt or for the caller's call.
    pub basis: Basis,
    /// When the attempt ended.
    pub at: Timestamp,
    /// What it ended as.
    pub class: Class,
    /// First try or a later one.
    pub attempt: Attempt,
    /// The raw HTTP status; `None` where there was no response.
    pub code: Option<u16>,
    /// From sending to the end of the answer.
    pub duration: Option<Duration>,
    /// From sending to the first content.
    pub time_to_first_token: Option<Duration>,
    /// How many attempts this stands for, at least 1.
    pub count: u32,
    /// Attempts before this one of which it is only known that they happened, not what they
    /// ended as.
    pub unclassified: u32,
    /// When the success ended that was counted of the same attempt too early: on its first content,
    /// or by a source that is blind. This outcome takes its place, so target, scope, attempt and
    /// count are what was counted.
    pub replaces: Option<Timestamp>,
}

impl Outcome {
    /// A single first attempt without measurements.
    pub fn new(target: Target, source: Source, at: Timestamp, class: Class) -> Self {
        let layer = match source {
            Source::Client => Layer::Report,
            Source::Probe => Layer::Probe,
        };
        Self {
            target,
            scope: Scope::default(),
            source,
            layer,
            basis: Basis::Attempt,
            at,
            class,
            attempt: Attempt::First,
            code: None,
            duration: None,
            time_to_first_token: None,
            count: 1,
            unclassified: 0,
            replaces: None,
        }
    }

    /// Whether it is a first attempt of a client by a source that sees whatever a probe would see.
    pub fn is_evident(&self) -> bool {
        let is_first = self.basis == Basis::Attempt && self.attempt == Attempt::First;
        is_first && self.source == Source::Client && self.layer.can_clear(Basis::Attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_round_trip_and_index_their_table() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class.index(), index);
            assert_eq!(Class::parse(class.as_str()), Some(class));
        }
        assert_eq!(Class::parse("OK"), None);
        assert_eq!(Class::errors().count(), 11);
    }

    #[test]
    fn an_unknown_attempt_counts_as_first() {
        assert_eq!(Attempt::from_number(0), Attempt::First);
        assert_eq!(Attempt::from_number(1), Attempt::First);
        assert_eq!(Attempt::from_number(2), Attempt::Retry);
    }
}
