//! Anthropic Messages.
//!
//! Facts from the Messages API documentation (platform.claude.com/docs/en/api/messages,
//! …/build-with-claude/streaming). `service_tier: standard_only` keeps the probe off committed
//! Priority capacity, which would hide an overload of the standard tier. `max_tokens` is 1 and
//! not 0: zero only warms the cache and generates nothing, so it would not see an overload.

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::dialect::{Answer, PROMPT, Progress, is_text, join, secret_header};
use super::{ProbeSpec, SpecError};

/// Most tokens the model may answer with.
pub(super) const MAX_TOKENS: u64 = 1;

/// The long-documented version of the API.
const VERSION: &str = "2023-06-01";

/// The base URL may be given with or without the version segment, as people write both.
pub(super) fn url(base_url: &str) -> String {
    let base_url = base_url.trim_end_matches('/');
    join(base_url.strip_suffix("/v1").unwrap_or(base_url), "v1/messages")
}

pub(super) fn headers(spec: &ProbeSpec) -> Result<Vec<(HeaderName, HeaderValue)>, SpecError> {
    let version = HeaderName::from_static("anthropic-version");
    let mut headers = vec![(version, HeaderValue::from_static(VERSION))];
    if let Some(key) = &spec.api_key {
        headers.push((HeaderName::from_static("x-api-key"), secret_header(key.expose())?));
    }
    Ok(headers)
}

pub(super) fn body(spec: &ProbeSpec) -> Map<String, Value> {
    Map::from_iter([
        ("max_tokens".into(), spec.max_tokens.into()),
        ("messages".into(), json!([{"role": "user", "content": PROMPT}])),
        ("service_tier".into(), "standard_only".into()),
    ])
}

pub(super) fn read(name: &str, data: &str, progress: &mut Progress) {
    let Ok(event) = serde_json::from_str::<Value>(data) else { return };
    // The type is in the data too; a proxy that drops event names loses nothing.
    let kind = event["type"].as_str().unwrap_or(name);
    match kind {
        "message_start" => read_usage(&event["message"]["usage"], progress),
        "content_block_delta" => progress.content = true,
        "message_delta" => {
            read_usage(&event["usage"], progress);
            // Only `message_stop` follows; an answer that lacks it was still complete.
            progress.terminal |= is_text(&event["delta"]["stop_reason"]);
        }
        "message_stop" => {
            progress.terminal = true;
            progress.closed = true;
        }
        "error" => progress.failed = true,
        _ if event["error"].is_object() => progress.failed = true,
        _ => {}
    }
}

/// A message that was not streamed.
pub(super) fn answer(document: &Value, progress: &mut Progress) -> Answer {
    if document["type"] != "message" {
        return Answer::Foreign;
    }
    read_usage(&document["usage"], progress);
    if !is_text(&document["stop_reason"]) {
        return Answer::Cut;
    }
    progress.terminal = true;
    Answer::Complete
}

/// Counts are cumulative: a later event replaces an earlier one. Cached input is counted as
/// plain input; a one-token prompt is never cached.
fn read_usage(usage: &Value, progress: &mut Progress) {
    if let Some(tokens) = usage["input_tokens"].as_u64() {
        progress.usage.input_tokens = Some(tokens);
    }
    if let Some(tokens) = usage["output_tokens"].as_u64() {
        progress.usage.output_tokens = Some(tokens);
    }
}
