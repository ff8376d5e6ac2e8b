//! OpenAI chat completions, and the many providers that speak them.
//!
//! The request differs a little by provider, because each refuses what it does not know: OpenAI's
//! reasoning models refuse `max_tokens` and need room to think, DeepSeek's and Moonshot's must be
//! told not to think, and OpenRouter must be pinned to the provider it is asked about, or one
//! would measure its failover. `service_tier: default` keeps OpenAI probes off priority capacity.
//! Facts from the providers' API references (platform.openai.com/docs/api-reference/chat,
//! api-docs.deepseek.com, platform.kimi.ai/docs, openrouter.ai/docs). What else a model needs goes
//! into the configured body overrides.

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::dialect::{Answer, PROMPT, Progress, is_text, join, secret_header};
use super::{ProbeSpec, SpecError};

/// Below this, reasoning models answer 400 instead of stopping at the limit.
const MAX_TOKENS_REASONING: u64 = 16;

pub(super) fn url(base_url: &str) -> String {
    join(base_url, "chat/completions")
}

/// Most tokens the model may answer with: enough to think where it cannot be told not to.
pub(super) fn max_tokens(provider: &str, wire_model: &str) -> u64 {
    let thinks = wire_model.contains("reason") || wire_model.contains("think");
    match provider {
        "openai" | "openrouter" => MAX_TOKENS_REASONING,
        _ if thinks => MAX_TOKENS_REASONING,
        _ => 1,
    }
}

pub(super) fn headers(spec: &ProbeSpec) -> Result<Vec<(HeaderName, HeaderValue)>, SpecError> {
    let mut headers = Vec::new();
    if let Some(key) = &spec.api_key {
        headers.push((AUTHORIZATION, secret_header(&format!("Bearer {}", key.expose()))?));
    }
    Ok(headers)
}

pub(super) fn body(spec: &ProbeSpec) -> Map<String, Value> {
    let provider = spec.target.provider.as_str();
    let limit = if provider == "openai" { "max_completion_tokens" } else { "max_tokens" };
    let mut body = Map::from_iter([
        ("messages".into(), json!([{"role": "user", "content": PROMPT}])),
        (limit.into(), spec.max_tokens.into()),
    ]);
    // Mistral sends usage unasked and refuses fields it does not know.
    if provider != "mistral" {
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    match provider {
        "openai" => {
            body.insert("service_tier".into(), "default".into());
            if let Some(effort) = least_effort(&spec.wire_model) {
                body.insert("reasoning_effort".into(), effort.into());
            }
        }
        "deepseek" => {
            body.insert("thinking".into(), json!({"type": "disabled"}));
        }
        // The code models think always and answer 400 when told not to.
        "moonshot" if !spec.wire_model.contains("-code") => {
            body.insert("thinking".into(), json!({"type": "disabled"}));
        }
        "openrouter" => {
            if let Some((vendor, _)) = spec.wire_model.split_once('/') {
                let pin = json!({"order": [vendor], "allow_fallbacks": false});
                body.insert("provider".into(), pin);
            }
        }
        _ => {}
    }
    body
}

/// The least reasoning an OpenAI model accepts: `minimal` for the first GPT-5 models, `none` since
/// then. Models that do not reason, and variants that only reason hard, get no field at all.
fn least_effort(model: &str) -> Option<&'static str> {
    let version = model.strip_prefix("gpt-")?;
    if !version.starts_with(|c: char| ('5'..='9').contains(&c))
        || ["-pro", "-codex", "-chat"].iter().any(|variant| version.contains(variant))
    {
        return None;
    }
    let first_of_five = version == "5" || version.starts_with("5-");
    Some(if first_of_five { "minimal" } else { "none" })
}

pub(super) fn read(name: &str, data: &str, progress: &mut Progress) {
    if data.trim() == "[DONE]" {
        progress.terminal = true;
        progress.closed = true;
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

fn read_usage(usage: &Value, progress: &mut Progress) {
    if let Some(tokens) = usage["prompt_tokens"].as_u64() {
        progress.usage.input_tokens = Some(tokens);
    }
    if let Some(tokens) = usage["completion_tokens"].as_u64() {
        progress.usage.output_tokens = Some(tokens);
    }
}

/// An error is an object, or a text with something in it; many servers send `"error": null`.
fn is_error(value: &Value) -> bool {
    value.is_object() || is_text(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_effort_is_what_each_model_accepts() {
        for (model, effort) in [
            ("gpt-4o-mini", None),
            ("gpt-5", Some("minimal")),
            ("gpt-5-nano", Some("minimal")),
            ("gpt-5.5", Some("none")),
            ("gpt-6-luna", Some("none")),
            ("gpt-5-pro", None),
            ("gpt-5.1-codex", None),
            ("gpt-oss-20b", None),
            ("o4-mini", None),
        ] {
            assert_eq!(least_effort(model), effort, "{model}");
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
