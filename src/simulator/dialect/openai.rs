//! OpenAI Chat Completions, as OpenAI and those who copy it speak it.
//!
//! The envelope is shared, the words are not: what one provider tells with 529 another tells
//! with 503 or 429.

use serde_json::{Value, json};

use super::{Answer, ErrorReply, Event, GATEWAY_PAGE, Limits, Refusal, Voice};
use super::{REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE};
use crate::simulator::weather::Kind;

fn envelope(kind: &str, code: Option<&str>, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// The envelope of OpenRouter, which puts the number into the body.
fn routed(code: u16, message: &str, error_type: &str) -> Value {
    json!({"error": {"code": code, "message": message, "metadata": {"error_type": error_type}}})
}

pub(super) fn error(voice: &Voice<'_>, kind: Kind) -> Option<ErrorReply> {
    let (code, body) = match kind {
        Kind::Ok | Kind::Slow | Kind::Reset | Kind::StreamReset => return None,
        Kind::Overloaded | Kind::StreamOverloaded => overloaded(voice.provider),
        Kind::RateLimited => rate_limited(voice),
        Kind::QuotaExhausted => quota_exhausted(voice.provider),
        Kind::Billing => billing(voice.provider),
        Kind::Auth => auth(voice.provider),
        Kind::Unavailable => return Some(unavailable(voice.provider)),
        Kind::ServerError => (
            500,
            envelope(
                "server_error",
                None,
                "The server had an error while processing your request. Sorry about that!",
            ),
        ),
    };
    Some(super::json(code, &body))
}

fn overloaded(provider: &str) -> (u16, Value) {
    match provider {
        "anthropic" => (529, envelope("overloaded_error", None, "Overloaded")),
        "openrouter" => {
            (529, routed(529, "Provider is temporarily overloaded", "provider_overloaded"))
        }
        "moonshot" => {
            let message = "The engine is currently overloaded, please try again later";
            (429, envelope("engine_overloaded_error", None, message))
        }
        "deepseek" => {
            let message = "Server Overloaded. Please retry your request after a brief wait.";
            (503, envelope("service_unavailable_error", None, message))
        }
        _ => {
            let message = "Our servers are currently overloaded. Please try again later.";
            let code = Some("server_is_overloaded");
            (503, envelope("service_unavailable_error", code, message))
        }
    }
}

fn rate_limited(voice: &Voice<'_>) -> (u16, Value) {
    match voice.provider {
        "openrouter" => (429, routed(429, "Rate limit exceeded: per-min.", "rate_limit_exceeded")),
        "moonshot" => {
            let message = "Your account request reached organization max RPM: 4000";
            (429, envelope("rate_limit_reached_error", None, message))
        }
        _ => {
            let message = format!(
                "Rate limit reached for {} in organization org-simulated on requests per min \
                 (RPM): Limit {REQUESTS_PER_MINUTE}, Used {REQUESTS_PER_MINUTE}, Requested 1.",
                voice.model
            );
            (429, envelope("requests", Some("rate_limit_exceeded"), &message))
        }
    }
}

fn quota_exhausted(provider: &str) -> (u16, Value) {
    if provider == "moonshot" {
        let message = "You exceeded your current token quota: 0";
        return (429, envelope("exceeded_current_quota_error", None, message));
    }
    let message = "Your organization reached its approved usage limit.";
    let code = Some("organization_usage_limit_exceeded");
    (429, envelope("insufficient_quota", code, message))
}

fn billing(provider: &str) -> (u16, Value) {
    if provider == "deepseek" {
        let code = Some("invalid_request_error");
        return (402, envelope("unknown_error", code, "Insufficient Balance"));
    }
    let message = "Your account is not active, please check your billing details on our website.";
    (429, envelope("billing_not_active", Some("billing_not_active"), message))
}

fn auth(provider: &str) -> (u16, Value) {
    if provider == "deepseek" {
        let code = Some("invalid_request_error");
        let message = "Authentication Fails (no such user)";
        return (401, envelope("authentication_error", code, message));
    }
    let message = "Incorrect API key provided.";
    (401, envelope("invalid_request_error", Some("invalid_api_key"), message))
}

/// An outage. A bare 503 from some of these providers means overload, so theirs is the page of
/// the gateway in front of them.
fn unavailable(provider: &str) -> ErrorReply {
    let body = match provider {
        "deepseek" | "together" | "bedrock" | "coreweave" => {
            return ErrorReply {
                code: 503,
                content_type: "text/html",
                body: GATEWAY_PAGE.to_owned(),
            };
        }
        "moonshot" => {
            envelope("server_unavailable", None, "The service is temporarily unavailable")
        }
        "openrouter" => {
            let message = "No available model provider that meets your routing requirements";
            json!({"error": {"code": 503, "message": message}})
        }
        _ => envelope("service_unavailable_error", None, "The service is temporarily unavailable"),
    };
    super::json(503, &body)
}

pub(super) fn refusal(refusal: &Refusal) -> ErrorReply {
    let invalid = "invalid_request_error";
    let (code, body) = match refusal {
        Refusal::NoKey => {
            let message = "You didn't provide an API key. You need to provide your API key in an \
                           Authorization header using Bearer auth.";
            (401, envelope(invalid, Some("invalid_api_key"), message))
        }
        Refusal::NotJson => {
            let message = "We could not parse the JSON body of your request.";
            (400, envelope(invalid, None, message))
        }
        Refusal::Field(name) => {
            let message = format!("Missing required parameter: '{name}'.");
            let mut body = envelope(invalid, Some("missing_required_parameter"), &message);
            body["error"]["param"] = json!(name);
            (400, body)
        }
        Refusal::NoSuchModel(model) => {
            let message =
                format!("The model `{model}` does not exist or you do not have access to it.");
            (404, envelope(invalid, Some("model_not_found"), &message))
        }
        Refusal::TooLarge => {
            let code = Some("request_too_large");
            (413, envelope(invalid, code, "The request is too large."))
        }
        Refusal::TooSlow => (408, envelope("timeout", None, "The request did not arrive in time.")),
    };
    super::json(code, &body)
}

fn completion_id(voice: &Voice<'_>) -> String {
    format!("chatcmpl-{}", voice.request_id.trim_start_matches("req_"))
}

fn usage(answer: &Answer) -> Value {
    let output_tokens = answer.words.len() as u64;
    json!({
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": answer.input_tokens.saturating_add(output_tokens),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.cut { "length" } else { "stop" }
}

pub(super) fn whole(voice: &Voice<'_>, answer: &Answer) -> String {
    let message = json!({
        "role": "assistant",
        "content": answer.words.concat(),
        "refusal": null,
        "annotations": [],
    });
    json!({
        "id": completion_id(voice),
        "object": "chat.completion",
        "created": answer.created,
        "model": voice.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(answer),
        }],
        "usage": usage(answer),
        "service_tier": "default",
        "system_fingerprint": null,
    })
    .to_string()
}

pub(super) fn stream(voice: &Voice<'_>, answer: &Answer) -> Vec<Event> {
    let chunk = |choices: Value, usage: Value| {
        let mut data = json!({
            "id": completion_id(voice),
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": voice.model,
            "service_tier": "default",
            "system_fingerprint": null,
            "choices": choices,
        });
        if answer.include_usage {
            data["usage"] = usage;
        }
        Event { content: false, text: format!("data: {data}\n\n") }
    };
    let choice = |delta: Value, finish: Option<&str>| {
        let logprobs = Value::Null;
        json!([{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}])
    };
    let mut events = Vec::new();
    if voice.provider == "deepseek" {
        // What it sends while a request waits in its queue.
        events.push(Event { content: false, text: ": keep-alive\n\n".to_owned() });
    }
    let role = json!({"role": "assistant", "content": "", "refusal": null});
    events.push(chunk(choice(role, None), Value::Null));
    for word in &answer.words {
        let event = chunk(choice(json!({"content": word}), None), Value::Null);
        events.push(Event { content: true, ..event });
    }
    events.push(chunk(choice(json!({}), Some(finish_reason(answer))), Value::Null));
    if answer.include_usage {
        events.push(chunk(json!([]), usage(answer)));
    }
    events.push(Event { content: false, text: "data: [DONE]\n\n".to_owned() });
    events
}

pub(super) fn overload_event() -> String {
    let message = "Our servers are currently overloaded. Please try again later.";
    let body = envelope("service_unavailable_error", Some("server_is_overloaded"), message);
    format!("data: {body}\n\n")
}

pub(super) fn headers(voice: &Voice<'_>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("x-request-id", voice.request_id.to_owned())];
    if voice.provider == "openai" {
        headers.push(("openai-version", "2020-10-01".to_owned()));
        headers.push(("openai-organization", "org-simulated".to_owned()));
    }
    headers
}

pub(super) fn limits(limits: &Limits) -> Vec<(&'static str, String)> {
    let reset = format!("{}ms", limits.reset_in.as_millis());
    vec![
        ("x-ratelimit-limit-requests", REQUESTS_PER_MINUTE.to_string()),
        ("x-ratelimit-remaining-requests", limits.requests_remaining.to_string()),
        ("x-ratelimit-reset-requests", reset.clone()),
        ("x-ratelimit-limit-tokens", TOKENS_PER_MINUTE.to_string()),
        ("x-ratelimit-remaining-tokens", limits.tokens_remaining.to_string()),
        ("x-ratelimit-reset-tokens", reset),
    ]
}
