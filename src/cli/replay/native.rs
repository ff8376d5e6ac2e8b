//! The parts of a native outcome that need more than a look: its class and its time stamp.

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::line::{Fields, LineError, Text, value, whole_second};
use crate::domain::outcome::Class;

// INTEGRATION: a stand-in until `domain::classify` is here. Replace the body of `class` by
// `classify_reported(&Reported { … })` (add `body` to `line::Fields` then) and delete
// `says_overloaded`; the host goes through the catalogue and the model through
// `model_name::canonical` in `line::read_outcome`.

/// What a reported attempt ended as.
pub(super) fn class(fields: &Fields<'_>) -> Result<Class, LineError> {
    let evidence = fields.status.is_some() || fields.error.is_some() || fields.error_type.is_some();
    if let (Some(Text(name)), false) = (&fields.class, evidence) {
        return Class::parse(name).ok_or_else(|| value("class", name, "one of the twelve classes"));
    }
    if says_overloaded(fields.error_type.as_ref()) || says_overloaded(fields.error_code.as_ref()) {
        return Ok(Class::Overloaded);
    }
    if let Some(Text(error)) = &fields.error {
        let timeout = error.to_ascii_lowercase().contains("timeout");
        return Ok(if timeout { Class::Timeout } else { Class::Network });
    }
    let streaming = fields.phase.as_ref().is_some_and(|Text(phase)| phase == "stream");
    match fields.status {
        Some(200..=299) if streaming && fields.error_type.is_some() => Ok(Class::ServerError),
        Some(200..=299) => Ok(Class::Ok),
        Some(429) => Ok(Class::RateLimited),
        Some(503) => Ok(Class::Unavailable),
        Some(529) => Ok(Class::Overloaded),
        Some(500..=599) => Ok(Class::ServerError),
        Some(400..=499) => Ok(Class::InvalidRequest),
        Some(100..=199 | 300..=399) => Ok(Class::Other),
        Some(status) => Err(value("status", &status.to_string(), "a status from 100 to 599")),
        None => Err(LineError::Missing("one of status, error, class")),
    }
}

fn says_overloaded(token: Option<&Text<'_>>) -> bool {
    token.is_some_and(|Text(token)| {
        matches!(token.as_ref(), "overloaded_error" | "server_is_overloaded" | "overloaded")
    })
}

/// The whole second of a time stamp: epoch seconds as a number, or RFC 3339 as a string.
pub(super) fn second(ts: &RawValue) -> Result<u64, LineError> {
    const EXPECTED: &str = "epoch seconds or an RFC 3339 time";
    let raw = ts.get();
    if let Ok(seconds) = serde_json::from_str::<f64>(raw) {
        return whole_second("ts", seconds);
    }
    let wrong = || value("ts", raw, EXPECTED);
    let text: String = serde_json::from_str(raw).map_err(|_| wrong())?;
    let moment: Timestamp = text.parse().map_err(|_| wrong())?;
    // A moment before the epoch is refused with the numbers that are.
    whole_second("ts", moment.as_second() as f64)
}
