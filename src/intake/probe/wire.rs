//! What differs between the APIs: how to ask, and what the events of the answer mean.
//!
//! One dialect is one file and one line in [`wire`]. Which class an answer falls in is not decided
//! here: `domain::classify` does that, from the raw text. What differs between providers and
//! models of one dialect is data in `ground::catalog`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::cost::Usage;
use super::framing::Framing;
use crate::ground::catalog::Dialect;

mod anthropic;
mod bedrock;
mod openai_chat;
mod openai_responses;
mod gemini;
mod azure;
mod vertex;

/// The whole prompt: one token that needs no thought.
const PROMPT: &str = ".";

/// What a model's name may not hold if it is to be one segment of a path. `@` before a version may
/// stand there as it is.
const NOT_IN_SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// One API.
pub(super) trait Wire: Sync {
    /// Where to send a probe.
    fn url(&self, place: &Place<'_>) -> String;

    /// Headers besides those of every probe and the key's.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The body of the smallest real inference request, whole.
    fn body(&self, wire_model: &str) -> Value;

    /// Fields of the body that no override may change: they are what is measured.
    fn fixed(&self) -> &'static [&'static str];

    /// Where the body says how many tokens to answer with at most, as JSON pointers (RFC 6901).
    fn token_limits(&self) -> &'static [&'static str];

    /// How the stream is cut into events.
    fn framing(&self) -> Framing {
        Framing::ServerSentEvents
    }

    /// Takes one event of the answer into account.
    fn read(&self, name: &str, data: &str, progress: &mut Progress);

    /// Takes a document into account that answers without streaming: some gateways cannot.
    fn answer(&self, document: &Value, progress: &mut Progress) -> Answer;
}

/// What a URL is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The provider's base URL, without a slash at the end.
    pub(super) base_url: &'a str,
    /// The model's name on the wire.
    pub(super) wire_model: &'a str,
    /// The version of the API, if configured.
    pub(super) api_version: Option<&'a str>,
}

/// The wire of a dialect.
pub(super) fn wire(dialect: Dialect) -> &'static dyn Wire {
    match dialect {
        Dialect::Anthropic => &anthropic::Messages,
        Dialect::OpenAiChat => &openai_chat::ChatCompletions,
        Dialect::OpenAiResponses => &openai_responses::Responses,
        Dialect::Gemini => &gemini::GenerateContent,
        Dialect::Azure => &azure::Deployments,
        Dialect::VertexAnthropic => &vertex::RawPredict,
        Dialect::Bedrock => &bedrock::Converse,
    }
}

/// The name that classification knows a dialect by.
pub(super) const fn family(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Anthropic | Dialect::VertexAnthropic => "anthropic",
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Azure => "openai",
        Dialect::Gemini => "gemini",
        Dialect::Bedrock => "bedrock",
    }
}

/// What the body of a success is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Answer {
    /// It ended before it was complete, perhaps before it began.
    #[default]
    Cut,
    /// It is whole and no answer of the dialect: not the model's.
    Foreign,
    /// The provider says that it is complete.
    Complete,
}

/// How far an answer has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// Content has arrived: the first token.
    pub(super) content: bool,
    /// The answer is complete.
    pub(super) terminal: bool,
    /// The stream carried an error object instead of an answer.
    pub(super) failed: bool,
    /// Events that said nothing but what the dialect documents of a good answer. Where all of
    /// them do, classification has nothing to find in the stream, and is spared it.
    pub(super) plain: usize,
    /// Tokens billed, as far as told.
    pub(super) usage: Usage,
}

/// The dialect's body with every patch applied in order, and what is measured left as it was.
pub(super) fn body<'a>(
    wire: &dyn Wire,
    wire_model: &str,
    patches: impl IntoIterator<Item = &'a Map<String, Value>>,
) -> Value {
    let minimal = wire.body(wire_model);
    let mut body = minimal.clone();
    for patch in patches {
        merge(&mut body, patch);
    }
    if let (Some(body), Value::Object(minimal)) = (body.as_object_mut(), minimal) {
        for key in wire.fixed() {
            if let Some(value) = minimal.get(*key) {
                body.insert((*key).to_owned(), value.clone());
            }
        }
    }
    body
}

/// The most tokens a body allows to answer with; `None` if it sets no limit.
pub(super) fn max_tokens(wire: &dyn Wire, body: &Value) -> Option<u64> {
    wire.token_limits().iter().filter_map(|at| body.pointer(at)?.as_u64()).max()
}

/// Applies a JSON merge patch (RFC 7396): a value replaces a field, `null` removes it, and an
/// object is merged into an object.
fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = json!({});
    }
    let Some(target) = target.as_object_mut() else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(key)),
            Value::Object(patch) => {
                merge(target.entry(key.as_str()).or_insert(Value::Null), patch);
            }
            value => drop(target.insert(key.clone(), value.clone())),
        }
    }
}

/// Reads a whole body that is no stream.
pub(super) fn whole(wire: &dyn Wire, body: &[u8], progress: &mut Progress) -> Answer {
    match serde_json::from_slice(body) {
        Ok(document) => wire.answer(&document, progress),
        Err(error) if error.is_eof() => Answer::Cut,
        Err(_) => Answer::Foreign,
    }
}

/// Whether a field holds a text with something in it.
fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// An error is an object, or a text with something in it; many servers send `"error": null`.
fn is_error(value: &Value) -> bool {
    value.is_object() || is_text(value)
}

/// A name as one segment of a path.
fn segment(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, NOT_IN_SEGMENT)
}

/// Appends `path` (without a leading slash) to a base URL with or without a trailing slash.
fn join(base_url: &str, path: &str) -> String {
    format!("{}/{path}", base_url.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::super::sse::Decoder;
    use super::*;

    /// Replies as recorded and documented, with the class of each.
    const CASES: &str = include_str!("../../../tests/data/errors/cases.jsonl");

    /// The cases of RFC 7396, appendix A, whose patch is an object.
    #[test]
    fn patches_merge_as_the_rfc_says() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!({"a": "b"}), json!({"a": "b"})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut found = target.clone();
            merge(&mut found, patch.as_object().unwrap());
            assert_eq!(found, expected, "{target} {patch}");
        }
    }

    /// Names and data of events.
    type Events = &'static [(&'static str, &'static str)];

    /// Events of good answers, as the providers document them.
    const ANTHROPIC: Events = &[
        (
            "message_start",
            r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",
            "content":[],"model":"m","stop_reason":null,"stop_sequence":null,
            "usage":{"input_tokens":8,"output_tokens":1,"service_tier":"standard"}}}"#,
        ),
        (
            "content_block_start",
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        ),
        ("ping", r#"{"type": "ping"}"#),
        (
            "content_block_delta",
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta",
            "text":"a\n"}}"#,
        ),
        ("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
        (
            "message_delta",
            r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},
            "usage":{"output_tokens":1}}"#,
        ),
        ("message_stop", r#"{"type":"message_stop"}"#),
    ];
    const OPENAI: Events = &[
        (
            "",
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{
            "index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,
            "finish_reason":null}],"usage":null}"#,
        ),
        (
            "",
            r#"{"object":"chat.completion.chunk","choices":[{"index":0,
            "delta":{"content":"a\n"}}]}"#,
        ),
        (
            "",
            r#"{"object":"chat.completion.chunk","choices":[{"delta":{},
            "finish_reason":"length"}]}"#,
        ),
        (
            "",
            r#"{"object":"chat.completion.chunk","choices":[],
            "usage":{"prompt_tokens":8,"completion_tokens":1,"prompt_tokens_details":{}}}"#,
        ),
        ("", "[DONE]"),
    ];

    #[test]
    fn what_is_plain_is_read_as_if_it_were_not() {
        type Read = fn(&str, &str, &mut Progress);
        let dialects: [(Events, Read, Read); 2] = [
            (ANTHROPIC, anthropic::read, anthropic::read_any),
            (OPENAI, openai_chat::read, openai_chat::read_any),
        ];
        for (events, read, read_any) in dialects {
            let (mut found, mut expected) = (Progress::default(), Progress::default());
            for (index, (name, data)) in events.iter().enumerate() {
                read(name, data, &mut found);
                read_any(name, data, &mut expected);
                expected.plain = index + 1;
                assert_eq!(found, expected, "{data}");
            }
            assert!(found.content && found.terminal && found.usage.output_tokens == Some(1));
        }
    }

    #[test]
    fn an_event_that_says_anything_else_is_not_plain() {
        for (name, data) in [
            ("error", r#"{"type":"ping"}"#),
            ("", r#"{"type":"error"}"#),
            ("", r#"{"type":"ping","error":{"type":"overloaded_error"}}"#),
            ("", r#"{"type":"message_delta","delta":{"stop_reason":"error"}}"#),
            ("", r#"{"type":"message_delta","delta":{"type":"error"}}"#),
            ("", r#"{"type":"content_block_delta","delta":{"error":{"type":"api_error"}}}"#),
            ("", r#"{"type":"ping","code":529,"message":"overloaded"}"#),
            ("error", r#"{"object":"chat.completion.chunk","choices":[]}"#),
            ("error", "[DONE]"),
            ("", r#"{"object":"error","choices":[]}"#),
            ("", r#"{"object":"chat.completion.chunk","choices":[],"error":{"code":503}}"#),
            ("", r#"{"object":"chat.completion.chunk","choices":[{"delta":{},"error":"x"}]}"#),
            (
                "",
                r#"{"object":"chat.completion.chunk","choices":[{"delta":{},
                "finish_reason":"error"}]}"#,
            ),
            (
                "",
                r#"{"object":"chat.completion.chunk","choices":[{"delta":{},
                "native_finish_reason":"overloaded"}]}"#,
            ),
            ("", "no JSON"),
        ] {
            let mut progress = Progress::default();
            anthropic::read(name, data, &mut progress);
            openai_chat::read(name, data, &mut progress);
            assert_eq!(progress.plain, 0, "{name} {data}");
        }
    }

    #[test]
    fn no_recorded_trouble_is_plain() {
        let mut streams = 0;
        for line in CASES.lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let Some(stream) = case["stream_event"].as_str() else { continue };
            streams += 1;
            for wire in [wire(Dialect::Anthropic), wire(Dialect::OpenAiChat)] {
                let mut progress = Progress::default();
                let mut decoder = Decoder::default();
                let mut read = |name: &str, data: &str| {
                    wire.read(name, data, &mut progress);
                };
                decoder.feed(stream.as_bytes(), &mut read);
                decoder.finish(&mut read);
                let is_plain = progress.terminal && decoder.events_alone() == Some(progress.plain);
                assert!(!is_plain || case["expected_class"] == "ok", "{line}");
            }
        }
        assert!(streams > 15, "only {streams} streams");
    }
}
