//! Anthropic Messages.
//!
//! Facts from the Messages API documentation (platform.claude.com/docs/en/api/messages,
//! …/build-with-claude/streaming). `service_tier: standard_only` keeps the probe off committed
//! Priority capacity, which would hide an overload of the standard tier. `max_tokens` is 1 and
//! not 0: zero only warms the cache and generates nothing, so it would not see an overload.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{Answer, PROMPT, Place, Progress, Wire, is_content, is_text, join};

/// The API of Anthropic itself.
pub(super) struct Messages;

impl Wire for Messages {
    /// The base URL may be given with or without the version segment, as people write both.
    fn url(&self, place: &Place<'_>) -> String {
        let base_url = place.base_url.trim_end_matches('/');
        join(base_url.strip_suffix("/v1").unwrap_or(base_url), "v1/messages")
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        // The long-documented version of the API.
        &[("anthropic-version", "2023-06-01")]
    }

    fn body(&self, wire_model: &str) -> Value {
        json!({
            "model": wire_model,
            "max_tokens": 1,
            "messages": [{"role": "user", "content": PROMPT}],
            "service_tier": "standard_only",
            "stream": true,
        })
    }

    fn fixed(&self) -> &'static [&'static str] {
        &["model", "messages", "stream"]
    }

    fn token_limits(&self) -> &'static [&'static str] {
        &["/max_tokens"]
    }

    fn read(&self, name: &str, data: &str, progress: &mut Progress) {
        read(name, data, progress);
    }

    fn answer(&self, document: &Value, progress: &mut Progress) -> Answer {
        answer(document, progress)
    }
}

/// Events of a good answer.
const PLAIN: [&str; 7] = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
];

/// Why a good answer ends.
const PLAIN_STOPS: [&str; 3] = ["end_turn", "max_tokens", "stop_sequence"];

/// An event with nothing in it but what the documentation names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields are named so that no other is let in")]
struct Plain<'a> {
    r#type: &'a str,
    message: Option<PlainMessage<'a>>,
    index: Option<u64>,
    content_block: Option<IgnoredAny>,
    delta: Option<PlainDelta<'a>>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields are named so that no other is let in")]
struct PlainMessage<'a> {
    r#type: &'a str,
    id: IgnoredAny,
    role: IgnoredAny,
    model: IgnoredAny,
    content: [(); 0],
    stop_reason: Option<()>,
    stop_sequence: Option<()>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields are named so that no other is let in")]
struct PlainDelta<'a> {
    r#type: Option<&'a str>,
    text: Option<String>,
    thinking: Option<String>,
    stop_reason: Option<&'a str>,
    stop_sequence: Option<IgnoredAny>,
}

pub(super) fn read(name: &str, data: &str, progress: &mut Progress) {
    if !read_plain(name, data, progress) {
        read_any(name, data, progress);
    }
}

/// Takes a plain event into account; false if it is none. It would do without: this is what
/// makes a probe cheap.
fn read_plain(name: &str, data: &str, progress: &mut Progress) -> bool {
    let Ok(event) = serde_json::from_str::<Plain<'_>>(data) else { return false };
    let kind = event.r#type;
    let delta = event.delta.as_ref();
    let stop = delta.and_then(|delta| delta.stop_reason);
    let is_plain = PLAIN.contains(&kind)
        && (name.is_empty() || name == kind)
        && event.message.as_ref().is_none_or(|message| message.r#type == "message")
        && delta.and_then(|delta| delta.r#type).is_none_or(|kind| kind.ends_with("_delta"))
        && stop.is_none_or(|stop| PLAIN_STOPS.contains(&stop));
    if !is_plain {
        return false;
    }
    if kind == "content_block_delta"
        && let Some(PlainDelta { text, thinking, .. }) = delta
    {
        progress.content |= [text, thinking].into_iter().flatten().any(|text| !text.is_empty());
    }
    progress.terminal |= kind == "message_stop" || (kind == "message_delta" && stop.is_some());
    let usage = match kind {
        "message_start" => event.message.and_then(|message| message.usage),
        "message_delta" => event.usage,
        _ => None,
    };
    read_usage(&usage.unwrap_or_default(), progress);
    progress.plain += 1;
    true
}

/// Takes any event into account.
pub(super) fn read_any(name: &str, data: &str, progress: &mut Progress) {
    let Ok(event) = serde_json::from_str::<Value>(data) else { return };
    // The type is in the data too; a proxy that drops event names loses nothing.
    let kind = event["type"].as_str().unwrap_or(name);
    match kind {
        "message_start" => read_usage(&event["message"]["usage"], progress),
        "content_block_delta" => progress.content |= is_content(&event["delta"]),
        "message_delta" => {
            read_usage(&event["usage"], progress);
            // Only `message_stop` follows; an answer that lacks it was still complete.
            progress.terminal |= is_text(&event["delta"]["stop_reason"]);
        }
        "message_stop" => progress.terminal = true,
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

/// Counts are cumulative, so the largest is the last; not every event repeats all of them.
/// Input that goes into a cache or comes out of one is not part of `input_tokens`. It is counted
/// like plain input: a one-word prompt is too short for a cache, so only a gateway's addition can
/// be in one, and that is billed within a quarter of it.
fn read_usage(usage: &Value, progress: &mut Progress) {
    if let Some(plain) = usage["input_tokens"].as_u64() {
        let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
        let cached = cached.map(|field| usage[field].as_u64().unwrap_or(0));
        let tokens = cached.into_iter().fold(plain, u64::saturating_add);
        progress.usage.input_tokens = progress.usage.input_tokens.max(Some(tokens));
    }
    if let Some(tokens) = usage["output_tokens"].as_u64() {
        progress.usage.output_tokens = progress.usage.output_tokens.max(Some(tokens));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_input_is_input_and_later_counts_do_not_take_away() {
        let start = r#"{"type":"message_start","message":{"type":"message","id":"msg_1",
            "role":"assistant","model":"m","content":[],"usage":{"input_tokens":10,
            "cache_creation_input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}}}"#;
        let end = r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},
            "usage":{OTHERS"output_tokens":3}}"#;
        for others in ["", r#""input_tokens":10,"#, r#""input_tokens":null,"#] {
            let mut progress = Progress::default();
            for data in [start, &end.replace("OTHERS", others)] {
                let event: Value = serde_json::from_str(data).unwrap();
                read(event["type"].as_str().unwrap(), data, &mut progress);
            }
            assert_eq!(progress.plain, 2, "as a probe reads them: {others}");
            let usage = progress.usage;
            assert_eq!((usage.input_tokens, usage.output_tokens), (Some(17), Some(3)), "{others}");
        }
    }
}
