//! What the wording of an error says, when no token does: the weakest evidence.
//!
//! Only the message field is read, at most [`BYTES_MAX`] of it, and only at statuses where the
//! text is the provider's own: an `invalid_request` message quotes what the caller wrote.

use crate::domain::outcome::Class;

/// Most of a message that is looked at, in bytes.
pub(super) const BYTES_MAX: usize = 2 * 1024;

/// A message lower-cased, with every run of white space as one blank.
pub(super) fn normalise(message: &str) -> String {
    let mut text = String::with_capacity(message.len().min(BYTES_MAX));
    for word in cut(message, BYTES_MAX).split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend(word.chars().flat_map(char::to_lowercase));
    }
    text
}

/// The longest prefix of at most `bytes_max` bytes that ends between characters.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

const BILLING: &[&str] = &[
    "credit balance is too low",
    "insufficient balance",
    "insufficient credits",
    "used all available credits",
    "please enable billing",
];
const USAGE_LIMIT: &[&str] =
    &["specified api usage limits", "specified workspace api usage limits"];
const LONG_WINDOW: &[&str] = &["per day", "per-day", "/ day", "per month", "per-month", "/ month"];
const AUTH: &[&str] = &["incorrect api key", "api key not valid"];
const OVERLOADED: &[&str] = &[
    "overloaded",
    "at capacity",
    "over capacity",
    "high demand",
    "high traffic",
    "no capacity available",
    "out of capacity",
    "capacity exceeded",
    "is too busy",
    "server busy",
    "queue is full",
    "too many connections",
    "temporarily unable to process your request",
    "resource exhausted, please try again",
    "resource exhausted. please try again",
    "rate-limited upstream",
    "访问量过大",
];
const UNAVAILABLE: &[&str] = &["loading model"];
/// What the standard phrases of statuses say where the number was lost on the way.
const UNAVAILABLE_PHRASES: &[&str] = &["service unavailable", "temporarily unavailable"];
const SERVER_ERROR_PHRASES: &[&str] = &["internal server error"];
const RATE_LIMITED: &[&str] =
    &["rate limit", "too many requests", "too many tokens", "quota exceeded for"];

/// Whether the message at this status is the provider's own wording.
pub(super) const fn is_open(status: Option<u16>) -> bool {
    matches!(status, None | Some(200..=299 | 429 | 498 | 500..))
}

/// The class a normalised message speaks of at this effective status.
pub(super) fn class(text: &str, status: Option<u16>) -> Option<Class> {
    if text.is_empty() {
        return None;
    }
    let is_open = is_open(status);
    let has = |patterns: &[&str]| patterns.iter().any(|pattern| text.contains(pattern));
    // At other 4xx a bare "per day" may be the caller's own words; next to a limit it is not.
    let is_limit = is_open || text.contains("limit") || text.contains("quota");
    if has(BILLING) {
        Some(Class::Billing)
    } else if has(USAGE_LIMIT) || (is_limit && has(LONG_WINDOW)) {
        Some(Class::QuotaExhausted)
    } else if has(AUTH) {
        Some(Class::Auth)
    } else if !is_open {
        None
    } else if has(OVERLOADED) || (status == Some(503) && text.ends_with("slow down")) {
        Some(Class::Overloaded)
    } else if has(UNAVAILABLE) {
        Some(Class::Unavailable)
    } else if has(RATE_LIMITED) {
        Some(Class::RateLimited)
    } else if status.is_some_and(|status| status >= 300) {
        None
    } else if has(UNAVAILABLE_PHRASES) {
        Some(Class::Unavailable)
    } else if has(SERVER_ERROR_PHRASES) {
        Some(Class::ServerError)
    } else {
        None
    }
}

/// Whether a normalised message speaks of a day's or a month's allowance.
pub(super) fn is_long_window(text: &str) -> bool {
    LONG_WINDOW.iter().any(|pattern| text.contains(pattern))
}

/// Whether a normalised message speaks of money that is gone.
pub(super) fn is_unpaid(text: &str) -> bool {
    text.contains("insufficient balance")
}

/// Whether a normalised message speaks of a means of payment that is missing.
pub(super) fn is_unpayable(text: &str) -> bool {
    text.contains("invalid_payment_instrument")
}
