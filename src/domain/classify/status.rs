//! What a status means when nothing else does.

use crate::domain::outcome::Class;

use super::family::Family;

/// The status by which a provider says that it is overloaded: Anthropic's, taken up by
/// OpenRouter and by gateways. No other module knows the number.
pub(super) const OVERLOADED: u16 = 529;

/// The statuses that everybody asks for: series of them exist before they are seen.
pub const USUAL_STATUSES: [u16; 5] = [200, 429, 500, 503, OVERLOADED];

/// The status that decides: a number in the body counts where HTTP says 200, nothing, or 5xx.
///
/// A 4xx is never overridden (the number could be an echo), and neither is 529: it has no other
/// use.
pub(super) fn effective(http: Option<u16>, in_body: Option<u16>) -> Option<u16> {
    match http {
        Some(OVERLOADED) => http,
        None | Some(200..=299 | 500..) => in_body.or(http),
        Some(_) => http,
    }
}

/// What this provider means by this status.
pub(super) fn provider_class(family: Family, status: u16) -> Option<Class> {
    match (family, status) {
        (Family::Groq, 498)
        | (Family::DeepSeek | Family::Together | Family::Bedrock | Family::CoreWeave, 503) => {
            Some(Class::Overloaded)
        }
        (Family::Cohere, 498) => Some(Class::Auth),
        (Family::Fireworks, 412) => Some(Class::Billing),
        (_, _) => None,
    }
}

/// The class of an answer known to be an error, by its status alone.
pub(super) const fn class(status: u16) -> Class {
    match status {
        OVERLOADED => Class::Overloaded,
        // An error inside a success that says nothing else about itself.
        200..=299 => Class::ServerError,
        400 | 404 | 405 | 413 | 415 | 422 => Class::InvalidRequest,
        401 | 403 => Class::Auth,
        402 => Class::Billing,
        408 | 504 | 524 => Class::Timeout,
        429 => Class::RateLimited,
        424 => Class::ServerError,
        502 | 503 | 520..=523 | 525..=527 | 530 => Class::Unavailable,
        // 511 is a captive portal's.
        511 => Class::Other,
        500.. => Class::ServerError,
        // 409, 499, redirects, and every 4xx without a meaning of its own.
        _ => Class::Other,
    }
}
