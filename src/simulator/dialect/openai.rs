//! OpenAI Chat Completions, as OpenAI and those who copy it speak it.
//!
//! The envelope is shared, the words are not: what one provider tells with 529 another tells
//! with 503 or 429.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::request::{self, Asked, Reading, Refusal, Request};
use super::{Answer, ErrorReply, Event, Headers, Limits, Speech, Voice, data, page};
use super::{REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE};
use crate::simulator::kind::Trouble;

/// OpenAI Chat Completions.
pub(super) struct Chat;

impl Speech for Chat {
    fn provider(&self) -> &'static str {
        "openai"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/v1/chat/completions", "/{provider}/v1/chat/completions", "/{provider}/chat/completions"]
    }

    fn has_key(&self, asked: &Asked<'_>) -> bool {
        asked.has_bearer()
    }

    fn read(&self, asked: &Asked<'_>) -> Reading {
        request::named_in_body(asked, rest)
    }

    fn error(&self, voice: &Voice<'_>, trouble: Trouble, _wait: Duration) -> ErrorReply {
        let (code, body) = match trouble {
            Trouble::Overloaded => overloaded(voice.provider),
            Trouble::RateLimited => rate_limited(voice),
            Trouble::QuotaExhausted => quota_exhausted(voice.provider),
            Trouble::Billing => billing(voice.provider),
            Trouble::Auth => auth(voice.provider),
            Trouble::Unavailable => return unavailable(voice.provider),
            Trouble::ServerError => (
                500,
                envelope(
                    "server_error",
                    None,
                    "The server had an error while processing your request. Sorry about that!",
                ),
            ),
        };
        ErrorReply::json(code, &body)
    }

    fn refusal(&self, _voice: &Voice<'_>, refusal: &Refusal) -> ErrorReply {
        refused(refusal)
    }

    fn whole(&self, voice: &Voice<'_>, answer: &Answer) -> String {
        whole(voice, answer).to_string()
    }

    fn stream(&self, voice: &Voice<'_>, answer: &Answer) -> Vec<Event> {
        let mut events = Vec::new();
        if voice.provider == "deepseek" {
            // What it sends while a request waits in its queue.
            events.push(Event::plain(": keep-alive\n\n"));
        }
        events.extend(chunks(voice, answer).into_iter().map(|(content, chunk)| {
            let event = data(&chunk);
            if content { event.with_content() } else { event }
        }));
        events.push(done());
        events
    }

    fn overload_event(&self, _voice: &Voice<'_>) -> Event {
        data(&overloaded("").1)
    }

    fn headers(&self, voice: &Voice<'_>) -> Headers {
        headers(voice)
    }

    fn limits(&self, limits: &Limits) -> Headers {
        told(limits)
    }
}

/// What a body says beside its model.
pub(super) fn rest(object: &Map<String, Value>, request: Request) -> Result<Request, Refusal> {
    request::array(object, "messages")?;
    let cap = ["max_tokens", "max_completion_tokens"]
        .into_iter()
        .find_map(|name| object.get(name).and_then(Value::as_u64));
    let include_usage = object
        .get("stream_options")
        .and_then(|options| options.get("include_usage"))
        .is_some_and(|value| value == &Value::Bool(true));
    let stream = request::is_true(object, "stream");
    Ok(Request { stream, include_usage, tokens_max: cap.unwrap_or(u64::MAX), ..request })
}

pub(super) fn envelope(kind: &str, code: Option<&str>, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// The envelope of OpenRouter, which puts the number into the body.
fn routed(code: u16, message: &str, error_type: &str) -> Value {
    json!({"error": {"code": code, "message": message, "metadata": {"error_type": error_type}}})
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
            return page::gateway();
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
    ErrorReply::json(503, &body)
}

pub(super) fn refused(refusal: &Refusal) -> ErrorReply {
    let invalid = "invalid_request_error";
    let about = |code: &str, name: &str, message: &str| {
        let mut body = envelope(invalid, Some(code), message);
        body["error"]["param"] = json!(name);
        body
    };
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
            (400, about("missing_required_parameter", name, &message))
        }
        Refusal::Extra(name) => {
            let message = format!("Unknown parameter: '{name}'.");
            (400, about("unknown_parameter", name, &message))
        }
        Refusal::TooSmall(name, least) => {
            let message = format!(
                "Invalid '{name}': integer below minimum value. Expected a value >= {least}."
            );
            (400, about("integer_below_min_value", name, &message))
        }
        Refusal::NoSuchCall => (404, envelope(invalid, Some("unknown_url"), "Invalid URL")),
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
    ErrorReply::json(code, &body)
}

fn usage(answer: &Answer) -> Value {
    let (input_tokens, output_tokens) = (answer.request.input_tokens, answer.output_tokens());
    json!({
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens.saturating_add(output_tokens),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.cut { "length" } else { "stop" }
}

pub(super) fn whole(voice: &Voice<'_>, answer: &Answer) -> Value {
    let message = json!({
        "role": "assistant",
        "content": answer.text(),
        "refusal": null,
        "annotations": [],
    });
    json!({
        "id": format!("chatcmpl-{}", voice.id()),
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
}

/// The chunks of a stream, and whether each of them carries text.
pub(super) fn chunks(voice: &Voice<'_>, answer: &Answer) -> Vec<(bool, Value)> {
    let chunk = |choices: Value, usage: Value| {
        let mut data = json!({
            "id": format!("chatcmpl-{}", voice.id()),
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": voice.model,
            "service_tier": "default",
            "system_fingerprint": null,
            "choices": choices,
        });
        if answer.request.include_usage {
            data["usage"] = usage;
        }
        data
    };
    let choice = |delta: Value, finish: Option<&str>| {
        let logprobs = Value::Null;
        json!([{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}])
    };
    let role = json!({"role": "assistant", "content": "", "refusal": null});
    let mut chunks = vec![(false, chunk(choice(role, None), Value::Null))];
    for word in &answer.words {
        chunks.push((true, chunk(choice(json!({"content": word}), None), Value::Null)));
    }
    chunks.push((false, chunk(choice(json!({}), Some(finish_reason(answer))), Value::Null)));
    if answer.request.include_usage {
        chunks.push((false, chunk(json!([]), usage(answer))));
    }
    chunks
}

/// The last event of every stream.
pub(super) fn done() -> Event {
    Event::plain("data: [DONE]\n\n")
}

pub(super) fn headers(voice: &Voice<'_>) -> Headers {
    let mut headers = vec![("x-request-id", voice.request_id.to_owned())];
    if voice.provider == "openai" {
        headers.push(("openai-version", "2020-10-01".to_owned()));
        headers.push(("openai-organization", "org-simulated".to_owned()));
    }
    headers
}

/// The account's limits as OpenAI's headers tell them.
pub(super) fn told(limits: &Limits) -> Headers {
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
