//! OpenAI chat completions, and the many providers that speak them.
//!
//! The request differs a little by provider, because each refuses what it does not know: that is
//! data in `ground::catalog`. What else a model needs goes into the configured overrides. Facts
//! from the providers' API references (platform.openai.com/docs/api-reference/chat,
//! api-docs.deepseek.com, platform.kimi.ai/docs, openrouter.ai/docs).

use std::fmt;

use serde::de::{IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{Answer, PROMPT, Place, Progress, Wire, is_error, is_text, join};

/// What a model that cannot be told not to think needs: below this, some answer 400 instead of
/// stopping at the limit.
const MAX_TOKENS_THINKING: u64 = 16;

/// The API as OpenAI made it and most others speak it.
pub(super) struct ChatCompletions;

impl Wire for ChatCompletions {
    fn url(&self, place: &Place<'_>) -> String {
        join(place.base_url, "chat/completions")
    }

    fn body(&self, wire_model: &str) -> Value {
        json!({
            "model": wire_model,
            "max_tokens": max_tokens(wire_model),
            "messages": [{"role": "user", "content": PROMPT}],
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    }

    fn fixed(&self) -> &'static [&'static str] {
        &["model", "messages", "stream"]
    }

    fn token_limits(&self) -> &'static [&'static str] {
        &["/max_tokens", "/max_completion_tokens"]
    }

    fn read(&self, name: &str, data: &str, progress: &mut Progress) {
        read(name, data, progress);
    }

    fn answer(&self, document: &Value, progress: &mut Progress) -> Answer {
        answer(document, progress)
    }
}

fn max_tokens(wire_model: &str) -> u64 {
    let thinks = wire_model.contains("reason") || wire_model.contains("think");
    if thinks { MAX_TOKENS_THINKING } else { 1 }
}

/// A chunk with nothing in it but what the documentation names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields are named so that no other is let in")]
struct Plain<'a> {
    object: &'a str,
    id: Option<IgnoredAny>,
    created: Option<IgnoredAny>,
    model: Option<IgnoredAny>,
    service_tier: Option<IgnoredAny>,
    system_fingerprint: Option<IgnoredAny>,
    obfuscation: Option<IgnoredAny>,
    #[serde(borrow)]
    choices: Vec<PlainChoice<'a>>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields are named so that no other is let in")]
struct PlainChoice<'a> {
    index: Option<u64>,
    delta: PlainDelta,
    logprobs: Option<IgnoredAny>,
    finish_reason: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields are named so that no other is let in")]
struct PlainDelta {
    role: Option<IgnoredAny>,
    content: Option<Said>,
    reasoning_content: Option<Said>,
    refusal: Option<Said>,
}

/// Whether a text has something in it; the text itself is not kept.
struct Said(bool);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Look;
        impl Visitor<'_> for Look {
            type Value = Said;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Said, E> {
                Ok(Said(!text.is_empty()))
            }
        }
        from.deserialize_str(Look)
    }
}

pub(super) fn read(name: &str, data: &str, progress: &mut Progress) {
    if !read_plain(name, data, progress) {
        read_any(name, data, progress);
    }
}

/// Takes a plain chunk into account; false if it is none. It would do without: this is what
/// makes a probe cheap.
fn read_plain(name: &str, data: &str, progress: &mut Progress) -> bool {
    if !name.is_empty() {
        return false;
    }
    if data == "[DONE]" {
        progress.terminal = true;
        progress.plain += 1;
        return true;
    }
    let Ok(chunk) = serde_json::from_str::<Plain<'_>>(data) else { return false };
    let is_good = |reason: &str| matches!(reason, "" | "stop" | "length");
    let is_plain = chunk.object == "chat.completion.chunk"
        && chunk.choices.iter().all(|choice| choice.finish_reason.is_none_or(is_good));
    if !is_plain {
        return false;
    }
    for PlainChoice { delta, finish_reason, .. } in &chunk.choices {
        progress.content |= [&delta.content, &delta.reasoning_content, &delta.refusal]
            .into_iter()
            .any(|text| text.as_ref().is_some_and(|said| said.0));
        progress.terminal |= finish_reason.is_some_and(|reason| !reason.is_empty());
    }
    read_usage(&chunk.usage.unwrap_or_default(), progress);
    progress.plain += 1;
    true
}

/// Takes any event into account.
pub(super) fn read_any(name: &str, data: &str, progress: &mut Progress) {
    if data.trim() == "[DONE]" {
        progress.terminal = true;
        return;
    }
    let Ok(event) = serde_json::from_str::<Value>(data) else { return };
    if name == "error" || event["type"] == "error" || is_error(&event["error"]) {
        progress.failed = true;
        return;
    }
    for choice in event["choices"].as_array().into_iter().flatten() {
        let delta = &choice["delta"];
        progress.content |= is_text(&delta["content"])
            || is_text(&delta["reasoning_content"])
            || is_text(&delta["reasoning"])
            || is_text(&delta["refusal"])
            || delta["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty());
        // The stream goes on after this: usage and `[DONE]` follow.
        // Some servers send an empty reason with every chunk.
        progress.terminal |= is_text(&choice["finish_reason"]);
        progress.failed |= is_error(&choice["error"]);
    }
    read_usage(&event["usage"], progress);
}

/// A completion that was not streamed.
pub(super) fn answer(document: &Value, progress: &mut Progress) -> Answer {
    let Some(choices) = document["choices"].as_array() else { return Answer::Foreign };
    read_usage(&document["usage"], progress);
    if !choices.iter().any(|choice| is_text(&choice["finish_reason"])) {
        return Answer::Cut;
    }
    progress.terminal = true;
    Answer::Complete
}

/// Cached tokens are part of `prompt_tokens`. Reasoning is part of `completion_tokens` at OpenAI
/// and most others; xAI leaves it out of them and has it only in the total.
fn read_usage(usage: &Value, progress: &mut Progress) {
    let prompt = usage["prompt_tokens"].as_u64();
    if let Some(tokens) = prompt {
        progress.usage.input_tokens = Some(tokens);
    }
    if let Some(tokens) = usage["completion_tokens"].as_u64() {
        let total = usage["total_tokens"].as_u64().zip(prompt);
        let beyond_prompt = total.map_or(0, |(total, prompt)| total.saturating_sub(prompt));
        progress.usage.output_tokens = Some(tokens.max(beyond_prompt));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_input_is_counted_once_and_reasoning_always() {
        for (usage, expected) in [
            (
                r#"{"prompt_tokens":10,"completion_tokens":16,"total_tokens":26,
                "prompt_tokens_details":{"cached_tokens":8},
                "completion_tokens_details":{"reasoning_tokens":12}}"#,
                (Some(10), Some(16)),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":1,"total_tokens":111,
                "completion_tokens_details":{"reasoning_tokens":100}}"#,
                (Some(10), Some(101)),
            ),
            (r#"{"prompt_tokens":10,"completion_tokens":1}"#, (Some(10), Some(1))),
            (r#"{"prompt_tokens":10,"completion_tokens":1,"total_tokens":0}"#, (Some(10), Some(1))),
            (r#"{"completion_tokens":1,"total_tokens":11}"#, (None, Some(1))),
            ("null", (None, None)),
        ] {
            let mut progress = Progress::default();
            let data =
                format!(r#"{{"object":"chat.completion.chunk","choices":[],"usage":{usage}}}"#);
            read("", &data, &mut progress);
            assert_eq!(progress.plain, 1, "as a probe reads it: {usage}");
            let found = progress.usage;
            assert_eq!((found.input_tokens, found.output_tokens), expected, "{usage}");
        }
    }

    #[test]
    fn only_content_is_the_first_token_and_null_errors_are_none() {
        for (data, content, terminal, failed) in [
            (r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, false, false, false),
            (r#"{"choices":[{"delta":{"content":"x"}}],"error":null}"#, true, false, false),
            (r#"{"choices":[{"delta":{"reasoning_content":"x"}}]}"#, true, false, false),
            (r#"{"choices":[{"delta":{"tool_calls":[{}]}}]}"#, true, false, false),
            (r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#, false, true, false),
            (r#"{"choices":[{"delta":{},"finish_reason":null}]}"#, false, false, false),
            (r#"{"choices":[{"delta":{},"finish_reason":""}]}"#, false, false, false),
            (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, false, false, false),
            (r#"{"error":{"message":"x"}}"#, false, false, true),
            (r#"{"error":"overloaded"}"#, false, false, true),
            (r#"{"type":"error","code":"server_is_overloaded"}"#, false, false, true),
            ("[DONE]", false, true, false),
            ("not json", false, false, false),
            ("[1,2]", false, false, false),
            ("null", false, false, false),
        ] {
            let mut progress = Progress::default();
            read("", data, &mut progress);
            assert_eq!(
                (progress.content, progress.terminal, progress.failed),
                (content, terminal, failed),
                "{data}"
            );
        }
    }
}
