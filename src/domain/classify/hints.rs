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
    Timestamp::parse(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T22:30:00Z.
    const NOW: Timestamp = Timestamp::from_secs(1_795_473_000);

    fn wait(headers: &[(&str, &str)], body: &str) -> Option<u64> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        retry_after(&headers, body.as_bytes(), NOW).map(crate::domain::time::millis_of)
    }

    #[test]
    fn a_single_header_says_when() {
        for (name, value, millis) in [
            ("Retry-After", "38", Some(38_000)),
            ("retry-after", " 1.5 ", Some(1_500)),
            ("retry-after", "0", Some(0)),
            ("retry-after", "-3", Some(0)),
            ("retry-after", "86400", Some(3_600_000)),
            ("retry-after", "1e999", None),
            ("retry-after", "inf", None),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
            ("retry-after", "Mon, 23 Nov 2026 22:45:00 GMT", Some(900_000)),
            ("retry-after", "Monday, 23-Nov-26 22:45:00 GMT", Some(900_000)),
            ("retry-after", "Mon Nov 23 22:45:00 2026", Some(900_000)),
            ("retry-after", "Mon, 23 Nov 2026 22:00:00 GMT", Some(0)),
            ("retry-after-ms", "250", Some(250)),
            ("x-ratelimit-reset-requests", "6m0s", Some(360_000)),
            ("x-ratelimit-reset-tokens", "12ms", Some(12)),
            ("x-ratelimit-reset-tokens", "2m59.56s", Some(179_560)),
            ("X-RateLimit-Reset", "20", Some(20_000)),
            ("x-ratelimit-reset", "1795473030", Some(30_000)),
            ("x-ratelimit-reset", "1795473030500", Some(30_500)),
            ("anthropic-ratelimit-tokens-reset", "2026-11-23T22:31:00Z", Some(60_000)),
            ("anthropic-ratelimit-tokens-reset", "2026-11-24T00:31:00+02:00", Some(60_000)),
            ("anthropic-ratelimit-tokens-reset", "yesterday", None),
        ] {
            assert_eq!(wait(&[(name, value)], ""), millis, "{name}: {value}");
        }
    }

    #[test]
    fn the_more_explicit_hint_wins() {
        let both = [("retry-after", "20"), ("retry-after-ms", "19500")];
        assert_eq!(wait(&both, ""), Some(19_500));
        let broken = [("retry-after", "soon"), ("x-ratelimit-reset", "5")];
        assert_eq!(wait(&broken, ""), Some(5_000));
        assert_eq!(wait(&[("retry-after", "5")], r#"{"retry_after":60}"#), Some(5_000));
    }

    #[test]
    fn only_exhausted_limits_are_waited_for() {
        let headers = [
            ("anthropic-ratelimit-requests-remaining", "12"),
            ("anthropic-ratelimit-requests-reset", "2026-11-23T22:50:00Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-23T22:30:30Z"),
            ("anthropic-ratelimit-output-tokens-remaining", "0"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-23T22:31:00Z"),
        ];
        assert_eq!(wait(&headers, ""), Some(60_000));
        assert_eq!(wait(&headers[..2], ""), None);
        let unknown = [("x-ratelimit-reset-tokens", "7.66s"), ("x-ratelimit-reset-requests", "3m")];
        assert_eq!(wait(&unknown, ""), Some(7_660));
        let plan = [
            ("anthropic-ratelimit-unified-status", "rejected"),
            ("anthropic-ratelimit-unified-reset", "1795473300"),
        ];
        assert_eq!(wait(&plan, ""), Some(300_000));
        assert_eq!(wait(&plan[1..], ""), None);
    }

    #[test]
    fn bodies_say_when_too() {
        for (body, millis) in [
            (r#"{"error":{"details":[{"x":1},{"retryDelay":"58s"}]}}"#, Some(58_000)),
            (r#"[{"error":{"details":[{"retryDelay":"45.57s"}]}}]"#, Some(45_570)),
            (r#"{"error":{"details":[{"retryDelay":"58.821668433s"}]}}"#, Some(58_821)),
            (r#"{"error":{"details":[{"retryDelay":{"seconds":3}}]}}"#, Some(3_000)),
            (r#"{"cloudflare_error":true,"retry_after":30}"#, Some(30_000)),
            (r#"{"error":{"retry_after":"2"}}"#, Some(2_000)),
            (r#"{"retry_after":null}"#, None),
            ("retry_after 5", None),
            ("", None),
        ] {
            assert_eq!(wait(&[], body), millis, "{body}");
        }
        let quoted = |left: &str| {
            let headers = format!(r#"{{"X-RateLimit-Reset":"1795473030000",{left}}}"#);
            wait(&[], &format!(r#"{{"error":{{"metadata":{{"headers":{headers}}}}}}}"#))
        };
        assert_eq!(quoted(r#""X-RateLimit-Remaining":0"#), Some(30_000));
        assert_eq!(quoted(r#""X-RateLimit-Remaining":"9""#), None);
    }
}
