//! The ways in which a request can end, and the class that each of them is.

use crate::domain::outcome::Class;

/// The ways in which a request can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A full answer in the usual time.
    Ok,
    /// A full answer, but only after `slow_ms`: a client that waits less sees a timeout.
    Slow,
    /// Load shed before the answer: 529, or what the provider says instead.
    Overloaded,
    /// HTTP 200, then an overload event in the middle of the stream.
    /// A request that does not stream is answered as [`Kind::Overloaded`].
    StreamOverloaded,
    /// The account's short-window limit.
    RateLimited,
    /// The account's long-window allowance.
    QuotaExhausted,
    /// The account's payment state.
    Billing,
    /// The key is refused.
    Auth,
    /// An outage without capacity wording: 503.
    Unavailable,
    /// An internal error: 500.
    ServerError,
    /// The connection is cut before any answer.
    Reset,
    /// The connection is cut in the middle of the stream.
    /// A request that does not stream is cut as by [`Kind::Reset`].
    StreamReset,
    /// A full answer in pieces of a few bytes, which fall anywhere in events and characters.
    Drip,
    /// HTTP 200 and the beginning of an answer, then nothing and no end.
    HalfOpen,
    /// HTTP 200 with somebody else's login page.
    WrongType,
    /// HTTP 307 to another host, which a client with a key must not follow.
    Redirect,
    /// HTTP 200 with far more of an answer than anybody should read.
    Huge,
}

/// What a provider says in words of its own instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Out of capacity.
    Overloaded,
    /// The account's short-window limit.
    RateLimited,
    /// The account's long-window allowance.
    QuotaExhausted,
    /// The account's payment state.
    Billing,
    /// The key is refused.
    Auth,
    /// An outage without capacity wording.
    Unavailable,
    /// An internal error.
    ServerError,
}

impl Kind {
    /// How many kinds there are.
    pub const COUNT: usize = 17;

    /// All kinds, `ok` first.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Ok,
        Self::Slow,
        Self::Overloaded,
        Self::StreamOverloaded,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Billing,
        Self::Auth,
        Self::Unavailable,
        Self::ServerError,
        Self::Reset,
        Self::StreamReset,
        Self::Drip,
        Self::HalfOpen,
        Self::WrongType,
        Self::Redirect,
        Self::Huge,
    ];

    /// The name used in scenario files and by the admin endpoint.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Overloaded => "overloaded",
            Self::StreamOverloaded => "stream_overloaded",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Billing => "billing",
            Self::Auth => "auth",
            Self::Unavailable => "unavailable",
            Self::ServerError => "server_error",
            Self::Reset => "reset",
            Self::StreamReset => "stream_reset",
            Self::Drip => "drip",
            Self::HalfOpen => "half_open",
            Self::WrongType => "wrong_type",
            Self::Redirect => "redirect",
            Self::Huge => "huge",
        }
    }

    /// Position in [`Kind::ALL`], for tables.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// What a right client calls it that reads no more of an answer, and waits no longer, than it
    /// should.
    pub const fn class(self) -> Class {
        match self {
            Self::Ok | Self::Slow | Self::Drip => Class::Ok,
            Self::Overloaded | Self::StreamOverloaded => Class::Overloaded,
            Self::RateLimited => Class::RateLimited,
            Self::QuotaExhausted => Class::QuotaExhausted,
            Self::Billing => Class::Billing,
            Self::Auth => Class::Auth,
            Self::Unavailable => Class::Unavailable,
            Self::ServerError => Class::ServerError,
            Self::Reset | Self::StreamReset => Class::Network,
            Self::HalfOpen => Class::Timeout,
            Self::WrongType | Self::Redirect | Self::Huge => Class::Other,
        }
    }

    /// What happens instead when the request does not stream.
    #[must_use]
    pub const fn unstreamed(self) -> Self {
        match self {
            Self::StreamOverloaded => Self::Overloaded,
            Self::StreamReset => Self::Reset,
            Self::Ok
            | Self::Slow
            | Self::Overloaded
            | Self::RateLimited
            | Self::QuotaExhausted
            | Self::Billing
            | Self::Auth
            | Self::Unavailable
            | Self::ServerError
            | Self::Reset
            | Self::Drip
            | Self::HalfOpen
            | Self::WrongType
            | Self::Redirect
            | Self::Huge => self,
        }
    }

    /// What the provider says in the place of an answer, if it says anything.
    pub(super) const fn trouble(self) -> Option<Trouble> {
        match self {
            Self::Overloaded => Some(Trouble::Overloaded),
            Self::RateLimited => Some(Trouble::RateLimited),
            Self::QuotaExhausted => Some(Trouble::QuotaExhausted),
            Self::Billing => Some(Trouble::Billing),
            Self::Auth => Some(Trouble::Auth),
            Self::Unavailable => Some(Trouble::Unavailable),
            Self::ServerError => Some(Trouble::ServerError),
            Self::Ok
            | Self::Slow
            | Self::StreamOverloaded
            | Self::Reset
            | Self::StreamReset
            | Self::Drip
            | Self::HalfOpen
            | Self::WrongType
            | Self::Redirect
            | Self::Huge => None,
        }
    }
}

impl Trouble {
    /// Whether a client that tries again may hope.
    pub(super) const fn is_retryable(self) -> bool {
        match self {
            Self::Overloaded | Self::RateLimited | Self::Unavailable | Self::ServerError => true,
            Self::QuotaExhausted | Self::Billing | Self::Auth => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_where_the_tables_look_and_keeps_its_class_unstreamed() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
            assert_eq!(kind.unstreamed().class(), kind.class(), "{kind:?}");
        }
    }
}
