//! Pages that no provider wrote: a proxy's, a content network's, a captive portal's.
//!
//! A genuine overload passes through Cloudflare too, with Cloudflare's headers on it; so only the
//! body tells who wrote it.

use serde_json::Value;

use crate::domain::outcome::Class;

use super::status;

/// How far into a body the opening of a page may lie, in bytes.
const HEAD_BYTES_MAX: usize = 1024;

/// The class of a body written by an intermediary; `None` if it was not.
pub(super) fn class(http: Option<u16>, content_type: &str, body: &str) -> Option<Class> {
    let own_status = if let Some(number) = short_text(body) {
        u16::try_from(number).ok()
    } else if is_page(content_type, body) {
        None
    } else {
        return None;
    };
    Some(by_status(http, own_status))
}

/// The class of a JSON answer that Cloudflare gave in a provider's place.
pub(super) fn json_class(http: Option<u16>, value: &Value) -> Option<Class> {
    if value.get("cloudflare_error").and_then(Value::as_bool) != Some(true) {
        return None;
    }
    let own_status = value.get("status").and_then(Value::as_u64);
    Some(by_status(http, own_status.and_then(|number| u16::try_from(number).ok())))
}

fn by_status(http: Option<u16>, own: Option<u16>) -> Class {
    let status = http.or(own.filter(|number| (400..=599).contains(number)));
    match status {
        // A captive portal, a challenge, or a page without a number.
        None | Some(200..=299 | 403) => Class::Other,
        Some(500 | status::OVERLOADED) => Class::Unavailable,
        Some(number) => status::class(number),
    }
}

/// Cloudflare's short form, `error code: 522`, and nothing else.
fn short_text(body: &str) -> Option<u32> {
    let digits = body.trim().strip_prefix("error code: ")?;
    let is_code = matches!(digits.len(), 3 | 4) && digits.bytes().all(|b| b.is_ascii_digit());
    is_code.then(|| digits.parse().ok()).flatten()
}

fn is_page(content_type: &str, body: &str) -> bool {
    let head =
        super::message::cut(body.trim_start_matches('\u{feff}').trim_start(), HEAD_BYTES_MAX);
    if !head.starts_with('<') {
        return false;
    }
    let head = head.to_ascii_lowercase();
    let is_declared = content_type.to_ascii_lowercase().contains("html");
    is_declared
        || ["<html", "<!doctype html", "<head", "<body"].iter().any(|tag| head.contains(tag))
}
