//! How long a provider asks to be left alone.
//!
//! A hint says when, never what: it plays no part in the class. The first source that speaks is
//! taken, the most explicit first, and clamped to [0, [`RETRY_AFTER_MAX`]]: a hint beyond an hour
//! is a quota's reset, not advice for a retry.

use std::time::Duration;

use serde_json::Value;

use crate::domain::time::Timestamp;

use super::{PARSED_BYTES_MAX, embedded, header};

/// Longest hint given.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Numbers above this are seconds since the epoch (2001 and later), not seconds to wait.
const EPOCH_SECONDS_MIN: f64 = 1e9;
/// Numbers above this are milliseconds since the epoch.
const EPOCH_MILLIS_MIN: f64 = 1e12;

/// How long to wait before trying again, from headers and error body; `None` if nobody says.
///
/// In order: `retry-after-ms`; `retry-after` in seconds, fractions or as an HTTP date; Google's
/// `RetryInfo`; Cloudflare's `retry_after`; the latest reset of an exhausted limit in the
/// rate-limit headers (Anthropic, OpenAI's durations, bare `X-RateLimit-*`), also where
/// OpenRouter quotes them in `metadata.headers`; and where no header counts what remains, the
/// earliest reset.
pub fn retry_after(headers: &[(String, String)], body: &[u8], now: Timestamp) -> Option<Duration> {
    from_retry_headers(headers, now)
        .or_else(|| {
            let body = String::from_utf8_lossy(&body[..body.len().min(PARSED_BYTES_MAX)]);
            from_body(&embedded::parse(body.trim())?, now)
        })
        .or_else(|| from_resets(headers, now))
        .map(|wait| wait.min(RETRY_AFTER_MAX))
}

fn from_retry_headers(headers: &[(String, String)], now: Timestamp) -> Option<Duration> {
    if let Some(wait) = header(headers, "retry-after-ms").and_then(millis) {
        return Some(wait);
    }
    let text = header(headers, "retry-after")?.trim();
    number(text).map(seconds).or_else(|| http_date(text).map(|at| at.since(now)))
}

fn millis(text: &str) -> Option<Duration> {
    number(text.trim()).map(|millis| seconds(millis / 1000.0))
}

/// A finite number; words such as `inf` are not numbers here.
fn number(text: &str) -> Option<f64> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
    text.parse().ok().filter(|number: &f64| is_number && number.is_finite())
}

/// Seconds as a duration; nothing is shorter than zero, nothing overflows.
fn seconds(number: f64) -> Duration {
    let most = RETRY_AFTER_MAX.as_secs_f64();
    Duration::from_secs_f64(if number.is_finite() { number.clamp(0.0, most) } else { 0.0 })
}

/// The three forms of an HTTP date (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    if let Ok(zoned) = jiff::fmt::rfc2822::parse(text) {
        return from_jiff(zoned.timestamp());
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|format| jiff::civil::DateTime::strptime(format, text).ok())
        .and_then(|date| jiff::tz::TimeZone::UTC.to_timestamp(date).ok())
        .and_then(from_jiff)
}

fn from_jiff(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_millis)
}

/// A reset as headers write it: RFC 3339, a duration (`6m0s`, `12ms`), seconds to wait, or a
/// moment in seconds or milliseconds since the epoch.
pub(super) fn reset(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(number) = number(text) {
        return Some(if number >= EPOCH_MILLIS_MIN {
            Timestamp::from_millis(number as u64)
        } else if number >= EPOCH_SECONDS_MIN {
            Timestamp::from_millis((number * 1000.0) as u64)
        } else {
            now.plus(Duration::from_secs_f64(number.max(0.0)))
        });
    }
    if let Ok(duration) = humantime::parse_duration(text) {
        return Some(now.plus(duration));
    }
    text.parse::<jiff::Timestamp>().ok().and_then(from_jiff)
}

fn from_body(value: &Value, now: Timestamp) -> Option<Duration> {
    let top = value.as_array().and_then(|values| values.first()).unwrap_or(value);
    let error = top.get("error").unwrap_or(top);
    if let Some(wait) = google_delay(error) {
        return Some(wait);
    }
    for holder in [top, error, error.get("metadata").unwrap_or(&Value::Null)] {
        let wait = holder.get("retry_after").and_then(|value| match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => number(text.trim()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        if let Some(wait) = wait {
            return Some(seconds(wait));
        }
    }
    let quoted = error.get("metadata")?.get("headers")?.as_object()?;
    let headers: Vec<_> = quoted
        .iter()
        .filter_map(|(name, value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
            };
            Some((name.clone(), text))
        })
        .collect();
    from_retry_headers(&headers, now).or_else(|| from_resets(&headers, now))
}

/// `RetryInfo.retryDelay`, a decimal number of seconds with an `s`.
fn google_delay(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay"))?;
    match delay {
        Value::String(text) => {
            let text = text.trim();
            let duration = humantime::parse_duration(text).ok();
            duration.or_else(|| text.trim_end_matches('s').parse().ok().map(seconds))
        }
        // The protobuf message printed with its fields.
        Value::Object(_) => delay.get("seconds").and_then(Value::as_f64).map(seconds),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// The latest reset of the exhausted limits: all of them must pass. Where nothing counts what
/// remains, any of them may be the one, and the earliest reset is the first chance.
fn from_resets(headers: &[(String, String)], now: Timestamp) -> Option<Duration> {
    let quotas = super::quotas(headers, now);
    let exhausted = quotas.iter().filter(|quota| quota.remaining.is_some_and(|left| left <= 0.0));
    let unknown = quotas.iter().filter(|quota| quota.remaining.is_none());
    let latest = exhausted.filter_map(|quota| quota.reset).max();
    let rejected = header(headers, "anthropic-ratelimit-unified-status")
        .filter(|status| status.trim().eq_ignore_ascii_case("rejected"))
        .and_then(|_| reset(header(headers, "anthropic-ratelimit-unified-reset")?, now));
    latest
        .max(rejected)
        .or_else(|| unknown.filter_map(|quota| quota.reset).min())
        .map(|at| at.since(now))
}
