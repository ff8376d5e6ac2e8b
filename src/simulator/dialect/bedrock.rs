//! Amazon Bedrock's Converse and `ConverseStream`.
//!
//! The name of an error is in a header, its message in the body; in a stream it is a message of
//! the binary framing. A signature is looked at for its form only: there is no secret to check
//! it with.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::request::{self, Asked, Reading, Refusal, Request};
use super::{Answer, ErrorReply, Event, Headers, Speech, Voice, event_stream};
use crate::simulator::kind::Trouble;

/// Amazon Bedrock's Converse.
pub(super) struct Converse;

impl Speech for Converse {
    fn provider(&self) -> &'static str {
        "bedrock"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/{provider}/model/{place}/converse", "/{provider}/model/{place}/converse-stream"]
    }

    fn has_key(&self, asked: &Asked<'_>) -> bool {
        asked.has_bearer() || is_signed(asked)
    }

    fn read(&self, asked: &Asked<'_>) -> Reading {
        let stream = asked.path.ends_with("/converse-stream");
        request::named_in_path(asked, asked.place, |object, request| {
            rest(object, Request { stream, ..request })
        })
    }

    fn error(&self, _voice: &Voice<'_>, trouble: Trouble, _wait: Duration) -> ErrorReply {
        let (code, name, message) = match trouble {
            Trouble::Overloaded => (
                503,
                "ServiceUnavailableException",
                "Too many connections, please wait before trying again.",
            ),
            Trouble::RateLimited => {
                (429, "ThrottlingException", "Too many requests, please wait before trying again.")
            }
            Trouble::QuotaExhausted => (
                400,
                "ServiceQuotaExceededException",
                "Your request exceeds the service quota for your account.",
            ),
            Trouble::Billing => (
                403,
                "AccessDeniedException",
                "Model access is denied due to INVALID_PAYMENT_INSTRUMENT:A valid payment \
                 instrument must be provided.",
            ),
            Trouble::Auth => (
                403,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ),
            Trouble::Unavailable => (
                429,
                "ModelNotReadyException",
                "Model is not ready for inference. Wait and try your request again.",
            ),
            Trouble::ServerError => (
                500,
                "InternalServerException",
                "The system encountered an unexpected error during processing. Try your request \
                 again.",
            ),
        };
        exception(code, name, message)
    }

    fn refusal(&self, _voice: &Voice<'_>, refusal: &Refusal) -> ErrorReply {
        let (code, name) = match refusal {
            Refusal::NoKey => {
                let message = "Missing Authentication Token";
                return exception(403, "MissingAuthenticationTokenException", message);
            }
            Refusal::NotJson => (400, "SerializationException"),
            Refusal::Field(_) | Refusal::Extra(_) | Refusal::TooSmall(..) => {
                (400, "ValidationException")
            }
            Refusal::NoSuchModel(_) => {
                let message = "The provided model identifier is invalid.";
                return exception(400, "ValidationException", message);
            }
            Refusal::NoSuchCall => (404, "UnknownOperationException"),
            Refusal::TooLarge => (413, "RequestEntityTooLargeException"),
            Refusal::TooSlow => (408, "RequestTimeoutException"),
        };
        exception(code, name, &refusal.sentence())
    }

    fn whole(&self, _voice: &Voice<'_>, answer: &Answer) -> String {
        let content = json!([{"text": answer.text()}]);
        json!({
            "metrics": {"latencyMs": LATENCY_MS},
            "output": {"message": {"content": content, "role": "assistant"}},
            "stopReason": stop_reason(answer),
            "usage": usage(answer),
        })
        .to_string()
    }

    fn stream(&self, _voice: &Voice<'_>, answer: &Answer) -> Vec<Event> {
        let event = |name, payload| Event::plain(event_stream::event(name, &payload));
        let mut events = vec![event("messageStart", json!({"p": PADDING, "role": "assistant"}))];
        for word in &answer.words {
            let delta = json!({"contentBlockIndex": 0, "delta": {"text": word}, "p": PADDING});
            events.push(event("contentBlockDelta", delta).with_content());
        }
        events.push(event("contentBlockStop", json!({"contentBlockIndex": 0, "p": PADDING})));
        let stop = json!({"p": PADDING, "stopReason": stop_reason(answer)});
        events.push(event("messageStop", stop));
        let metrics = json!({"latencyMs": LATENCY_MS});
        let metadata = json!({"metrics": metrics, "p": PADDING, "usage": usage(answer)});
        events.push(event("metadata", metadata));
        events
    }

    fn stream_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn overload_event(&self, _voice: &Voice<'_>) -> Event {
        Event::plain(event_stream::exception(UNAVAILABLE.0, &json!({"message": UNAVAILABLE.1})))
    }

    /// As SDKs print the member of the stream.
    fn overload_text(&self, _voice: &Voice<'_>) -> String {
        let (name, message) = UNAVAILABLE;
        json!({name: {"message": message}}).to_string()
    }

    fn headers(&self, voice: &Voice<'_>) -> Headers {
        vec![("x-amzn-requestid", voice.uuid())]
    }

    fn retry(&self, _is_retryable: bool, _wait: Option<Duration>) -> Headers {
        Vec::new()
    }
}

/// Told with every answer; the real time is the weather's.
const LATENCY_MS: u64 = 400;

/// What hides the length of an event's text from those who watch the wire.
const PADDING: &str = "abcdefghijklm";

/// How a stream says that there is no capacity.
const UNAVAILABLE: (&str, &str) =
    ("serviceUnavailableException", "The service isn't currently available. Try again later.");

fn exception(code: u16, name: &str, message: &str) -> ErrorReply {
    let name = format!("{name}:http://internal.amazon.com/coral/com.amazon.bedrock/");
    ErrorReply::json(code, &json!({"message": message})).with("x-amzn-errortype", name)
}

fn rest(object: &Map<String, Value>, request: Request) -> Result<Request, Refusal> {
    request::array(object, "messages")?;
    let cap = object.get("inferenceConfig").and_then(|it| it.get("maxTokens"));
    let tokens_max = cap.and_then(Value::as_u64).unwrap_or(u64::MAX);
    Ok(Request { tokens_max, ..request })
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.cut { "max_tokens" } else { "end_turn" }
}

fn usage(answer: &Answer) -> Value {
    let (input, output) = (answer.request.input_tokens, answer.output_tokens());
    let total = input.saturating_add(output);
    json!({"inputTokens": input, "outputTokens": output, "totalTokens": total})
}

/// Whether there is a signature of version 4 for this service, dated as the request is.
fn is_signed(asked: &Asked<'_>) -> bool {
    let date = asked.header("x-amz-date").unwrap_or_default();
    let is_date = date.len() == "20260101T000000Z".len()
        && date.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    let fields = asked.header("authorization").and_then(|it| it.strip_prefix("AWS4-HMAC-SHA256 "));
    let (Some(fields), true) = (fields, is_date) else { return false };
    let field = |name: &str| {
        fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let scope: Vec<_> = field("Credential").unwrap_or_default().split('/').collect();
    let is_scope = matches!(scope[..], [key, day, region, "bedrock", "aws4_request"]
        if !key.is_empty() && day == &date[..8] && !region.is_empty());
    let signed: Vec<_> = field("SignedHeaders").unwrap_or_default().split(';').collect();
    let signature = field("Signature").unwrap_or_default();
    is_scope
        && ["host", "x-amz-date"].iter().all(|name| signed.contains(name))
        && signature.len() == 64
        && signature.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}
