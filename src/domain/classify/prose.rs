//! What a sentence gives away when a client kept nothing else.
//!
//! Exceptions print as text: `Error code: 529 - …`, `529 {"type": …}`, `An error occurred
//! (ThrottlingException) when calling …`. Only a sentence's beginning is trusted; the rest is
//! left to the message rules.

use std::borrow::Cow;

use super::embedded;
use super::errors;
use super::evidence::Evidence;
use super::family::Family;
use super::message;
use super::transport::Transport;

/// How far into a text its beginning reaches, in bytes.
const HEAD_BYTES_MAX: usize = 256;

/// Evidence of a text that is all there is. `reported` allows a status to be read from it.
pub(super) fn evidence(text: &str, reported: bool) -> Evidence<'_> {
    let text = text.trim();
    let mut evidence = Evidence::of_text(text);
    if let Some(name) = exception_name(text) {
        evidence.push(Cow::Borrowed(name));
    }
    if reported {
        evidence.code = status(text);
    }
    evidence
}

/// The exception's name at the head of a text, without its module.
fn exception_name(text: &str) -> Option<&str> {
    let head = message::cut(text, HEAD_BYTES_MAX);
    if let Some(rest) = head.strip_prefix("An error occurred (") {
        return rest.split(')').next();
    }
    let (name, _) = head.split_once(':')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    let is_word = !name.is_empty() && name.chars().all(is_name);
    is_word.then(|| name.rsplit('.').next().unwrap_or(name))
}

/// The status at the head of a text: `529 …` or `… Error code: 529 …`.
fn status(text: &str) -> Option<u16> {
    let head = message::cut(text, HEAD_BYTES_MAX);
    let lower = head.to_ascii_lowercase();
    let at = lower.find("error code: ").map_or(0, |at| at + "error code: ".len());
    let digits = lower[at..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let status: u16 = (digits.len() == 3).then(|| digits.parse().ok()).flatten()?;
    (400..=599).contains(&status).then_some(status)
}

/// The transport failure that a text speaks of, when there was no answer.
pub(super) fn transport(text: &str) -> Option<Transport> {
    let text = message::normalise(message::cut(text, HEAD_BYTES_MAX));
    let has = |patterns: &[&str]| patterns.iter().any(|pattern| text.contains(pattern));
    if has(&["timed out", "timeout"]) {
        Some(Transport::ReadTimeout)
    } else if has(&["econnreset", "connection reset", "connection error", "peer closed"]) {
        Some(Transport::ResetBeforeHeaders)
    } else if has(&["econnrefused", "connection refused", "cannot connect", "fetch failed"]) {
        Some(Transport::ConnectRefused)
    } else {
        None
    }
}

/// An error object quoted in a message.
pub(super) fn quoted(text: &str) -> Option<serde_json::Value> {
    embedded::find(text, |value| {
        let has = |key| value.get(key).is_some();
        ["error", "message", "code", "type", "__type"].into_iter().any(has)
            || !errors::find(value, false).is_empty()
    })
}

/// Whether a message is known to quote an upstream, whatever the status.
pub(super) fn is_wrapper(text: &str) -> bool {
    let head = message::cut(text.trim_start(), 16).to_ascii_lowercase();
    ["litellm.", "error code: ", "{"].iter().any(|start| head.starts_with(start))
}

/// Whose error LiteLLM quotes: `litellm.RateLimitError: BedrockException - …`.
pub(super) fn upstream_family(text: &str) -> Family {
    let head = message::cut(text, HEAD_BYTES_MAX);
    ["Exception", "Error"]
        .iter()
        .filter_map(|end| {
            let before = &head[..head.find(&format!("{end} - "))?];
            Some(Family::named(before.rsplit([' ', ':', '.']).next()?))
        })
        .find(|family| *family != Family::General)
        .unwrap_or(Family::General)
}
