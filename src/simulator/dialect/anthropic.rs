//! Anthropic Messages: bodies, events and headers.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::request::{self, Asked, Reading, Refusal, Request};
use super::{Answer, ErrorReply, Event, Headers, Limits, Speech, Voice, named};
use super::{REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE};
use crate::simulator::kind::Trouble;

/// Anthropic Messages.
pub(super) struct Messages;

impl Speech for Messages {
    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/v1/messages", "/{provider}/v1/messages"]
    }

    fn has_key(&self, asked: &Asked<'_>) -> bool {
        asked.has_header("x-api-key") || asked.has_bearer()
    }

    fn read(&self, asked: &Asked<'_>) -> Reading {
        request::named_in_body(asked, rest)
    }

    fn error(&self, voice: &Voice<'_>, trouble: Trouble, _wait: Duration) -> ErrorReply {
        let (code, name, message) = match trouble {
            Trouble::Overloaded => (529, "overloaded_error", "Overloaded"),
            Trouble::RateLimited => (
                429,
                "rate_limit_error",
                "This request would exceed your organization's rate limit of 4,000 requests per \
                 minute.",
            ),
            Trouble::QuotaExhausted => {
                let message = "Your organization has reached its monthly API usage threshold.";
                let mut body = envelope(voice, "rate_limit_error", message);
                body["error"]["details"] = json!({"error_code": "enforced_spend_limit_reached"});
                return ErrorReply::json(429, &body);
            }
            Trouble::Billing => (
                402,
                "billing_error",
                "There is an issue with your billing or payment information.",
            ),
            Trouble::Auth => (401, "authentication_error", "invalid x-api-key"),
            Trouble::Unavailable => {
                // Written by the proxy in front of the API, not by the API.
                let body = "upstream connect error or disconnect/reset before headers. \
                            reset reason: connection termination";
                let (content_type, headers) = ("text/plain", Vec::new());
                return ErrorReply { code: 503, content_type, headers, body: body.to_owned() };
            }
            Trouble::ServerError => (500, "api_error", "Internal server error"),
        };
        ErrorReply::json(code, &envelope(voice, name, message))
    }

    fn refusal(&self, voice: &Voice<'_>, refusal: &Refusal) -> ErrorReply {
        let (code, name) = match refusal {
            Refusal::NoKey => {
                let message = "x-api-key header is required";
                return ErrorReply::json(401, &envelope(voice, "authentication_error", message));
            }
            Refusal::NotJson | Refusal::Field(_) | Refusal::Extra(_) | Refusal::TooSmall(..) => {
                (400, "invalid_request_error")
            }
            Refusal::NoSuchCall | Refusal::NoSuchModel(_) => (404, "not_found_error"),
            Refusal::TooLarge => (413, "request_too_large"),
            Refusal::TooSlow => (408, "timeout_error"),
        };
        ErrorReply::json(code, &envelope(voice, name, &refusal.sentence()))
    }

    fn whole(&self, voice: &Voice<'_>, answer: &Answer) -> String {
        json!({
            "id": message_id(voice),
            "type": "message",
            "role": "assistant",
            "model": voice.model,
            "content": [{"type": "text", "text": answer.text()}],
            "stop_reason": stop_reason(answer),
            "stop_sequence": null,
            "usage": usage(answer, answer.output_tokens()),
        })
        .to_string()
    }

    fn stream(&self, voice: &Voice<'_>, answer: &Answer) -> Vec<Event> {
        let message = json!({
            "id": message_id(voice),
            "type": "message",
            "role": "assistant",
            "model": voice.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage(answer, 1),
        });
        let start = json!({
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        });
        let mut events = vec![
            named(&json!({"type": "message_start", "message": message})),
            named(&start),
            named(&json!({"type": "ping"})),
        ];
        for word in &answer.words {
            let delta = json!({"type": "text_delta", "text": word});
            let delta = json!({"type": "content_block_delta", "index": 0, "delta": delta});
            events.push(named(&delta).with_content());
        }
        events.push(named(&json!({"type": "content_block_stop", "index": 0})));
        events.push(named(&json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
            "usage": {"output_tokens": answer.output_tokens()},
        })));
        events.push(named(&json!({"type": "message_stop"})));
        events
    }

    fn overload_event(&self, voice: &Voice<'_>) -> Event {
        named(&envelope(voice, "overloaded_error", "Overloaded"))
    }

    fn headers(&self, voice: &Voice<'_>) -> Headers {
        vec![
            ("request-id", voice.request_id.to_owned()),
            ("anthropic-organization-id", "00000000-0000-4000-8000-000000010530".to_owned()),
        ]
    }

    fn limits(&self, limits: &Limits) -> Headers {
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
}

/// What a body says beside its model.
pub(super) fn rest(object: &Map<String, Value>, request: Request) -> Result<Request, Refusal> {
    request::array(object, "messages")?;
    let cap = object.get("max_tokens").and_then(Value::as_u64);
    let tokens_max = cap.ok_or(Refusal::Field("max_tokens"))?;
    Ok(Request { stream: request::is_true(object, "stream"), tokens_max, ..request })
}

pub(super) fn envelope(voice: &Voice<'_>, kind: &str, message: &str) -> Value {
    json!({
        "type": "error",
        "error": {"details": null, "type": kind, "message": message},
        "request_id": voice.request_id,
    })
}

fn message_id(voice: &Voice<'_>) -> String {
    format!("msg_{}", voice.id())
}

fn usage(answer: &Answer, output_tokens: u64) -> Value {
    json!({
        "input_tokens": answer.request.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.cut { "max_tokens" } else { "end_turn" }
}
