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
    /// Content has arrived, and not an empty text: the first token.
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

/// Whether a part of an answer holds anything of the model: a text with something in it, at any
/// depth. What kind of part it is, is none. Some servers open with an empty text, long before the
/// first token.
fn is_content(part: &Value) -> bool {
    match part {
        Value::String(text) => !text.is_empty(),
        Value::Array(parts) => parts.iter().any(is_content),
        Value::Object(fields) => fields.iter().any(|(key, it)| key != "type" && is_content(it)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
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
mod tests;
