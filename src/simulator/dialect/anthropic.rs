//! Anthropic Messages: bodies, events and headers.

use serde_json::{Value, json};

use super::{Answer, ErrorReply, Event, Limits, Refusal, Voice};
use super::{REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE};
use crate::simulator::weather::Kind;

fn envelope(voice: &Voice<'_>, kind: &str, message: &str) -> Value {
    json!({
        "type": "error",
        "error": {"details": null, "type": kind, "message": message},
        "request_id": voice.request_id,
    })
}

pub(super) fn error(voice: &Voice<'_>, kind: Kind) -> Option<ErrorReply> {
    let (code, name, message) = match kind {
        Kind::Ok | Kind::Slow | Kind::Reset | Kind::StreamReset => return None,
        Kind::Overloaded | Kind::StreamOverloaded => (529, "overloaded_error", "Overloaded"),
        Kind::RateLimited => (
            429,
            "rate_limit_error",
            "This request would exceed your organization's rate limit of 4,000 requests per \
             minute.",
        ),
        Kind::QuotaExhausted => {
            let message = "Your organization has reached its monthly API usage threshold.";
            let mut body = envelope(voice, "rate_limit_error", message);
            body["error"]["details"] = json!({"error_code": "enforced_spend_limit_reached"});
            return Some(super::json(429, &body));
        }
        Kind::Billing => {
            (402, "billing_error", "There is an issue with your billing or payment information.")
        }
        Kind::Auth => (401, "authentication_error", "invalid x-api-key"),
        Kind::Unavailable => {
            // Written by the proxy in front of the API, not by the API.
            let body = "upstream connect error or disconnect/reset before headers. \
                        reset reason: connection termination";
            return Some(ErrorReply {
                code: 503,
                content_type: "text/plain",
                body: body.to_owned(),
            });
        }
        Kind::ServerError => (500, "api_error", "Internal server error"),
    };
    Some(super::json(code, &envelope(voice, name, message)))
}

pub(super) fn refusal(voice: &Voice<'_>, refusal: &Refusal) -> ErrorReply {
    let (code, name, message) = match refusal {
        Refusal::NoKey => (401, "authentication_error", "x-api-key header is required".to_owned()),
        Refusal::NotJson => {
            (400, "invalid_request_error", "The request body is not valid JSON.".to_owned())
        }
        Refusal::Field(name) => (400, "invalid_request_error", format!("{name}: Field required")),
        Refusal::NoSuchModel(model) => (404, "not_found_error", format!("model: {model}")),
        Refusal::TooLarge => {
            (413, "request_too_large", "Request exceeds the maximum size".to_owned())
        }
        Refusal::TooSlow => (408, "timeout_error", "Request timeout".to_owned()),
    };
    super::json(code, &envelope(voice, name, &message))
}

fn message_id(voice: &Voice<'_>) -> String {
    format!("msg_{}", voice.request_id.trim_start_matches("req_"))
}

fn usage(input_tokens: u64, output_tokens: usize) -> Value {
    json!({
        "input_tokens": input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.cut { "max_tokens" } else { "end_turn" }
}

pub(super) fn whole(voice: &Voice<'_>, answer: &Answer) -> String {
    json!({
        "id": message_id(voice),
        "type": "message",
        "role": "assistant",
        "model": voice.model,
        "content": [{"type": "text", "text": answer.words.concat()}],
        "stop_reason": stop_reason(answer),
        "stop_sequence": null,
        "usage": usage(answer.input_tokens, answer.words.len()),
    })
    .to_string()
}

pub(super) fn stream(voice: &Voice<'_>, answer: &Answer) -> Vec<Event> {
    let message = json!({
        "id": message_id(voice),
        "type": "message",
        "role": "assistant",
        "model": voice.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage(answer.input_tokens, 1),
    });
    let start = json!({
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    });
    let mut events = vec![
        event(&json!({"type": "message_start", "message": message})),
        event(&start),
        event(&json!({"type": "ping"})),
    ];
    for word in &answer.words {
        let delta = json!({"type": "text_delta", "text": word});
        let delta = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        events.push(Event { content: true, ..event(&delta) });
    }
    events.push(event(&json!({"type": "content_block_stop", "index": 0})));
    events.push(event(&json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
        "usage": {"output_tokens": answer.words.len()},
    })));
    events.push(event(&json!({"type": "message_stop"})));
    events
}

pub(super) fn overload_event(voice: &Voice<'_>) -> String {
    event(&envelope(voice, "overloaded_error", "Overloaded")).text
}

fn event(data: &Value) -> Event {
    let name = data["type"].as_str().expect("every event is written here with its type");
    Event { content: false, text: format!("event: {name}\ndata: {data}\n\n") }
}

pub(super) fn headers(voice: &Voice<'_>) -> Vec<(&'static str, String)> {
    vec![
        ("request-id", voice.request_id.to_owned()),
        ("anthropic-organization-id", "00000000-0000-4000-8000-000000010530".to_owned()),
    ]
}

pub(super) fn limits(limits: &Limits) -> Vec<(&'static str, String)> {
    let reset = limits.reset_at.to_string();
    vec![
        ("anthropic-ratelimit-requests-limit", REQUESTS_PER_MINUTE.to_string()),
        ("anthropic-ratelimit-requests-remaining", limits.requests_remaining.to_string()),
        ("anthropic-ratelimit-requests-reset", reset.clone()),
        ("anthropic-ratelimit-tokens-limit", TOKENS_PER_MINUTE.to_string()),
        ("anthropic-ratelimit-tokens-remaining", limits.tokens_remaining.to_string()),
        ("anthropic-ratelimit-tokens-reset", reset),
    ]
}
