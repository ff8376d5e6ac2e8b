//! What differs between the APIs: how to ask, and what the events of the answer mean.
//!
//! One dialect is one file and one arm in each `match` here. Which class an answer falls in is
//! not decided here: `domain::classify` does that, from the raw text.

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::cost::Usage;
use super::{ProbeSpec, SpecError, anthropic, openai_chat};
use crate::ground::catalog::Dialect;

/// The whole prompt: one token that needs no thought.
pub(super) const PROMPT: &str = ".";

/// The dialects that probes speak; the others of the catalogue cannot be probed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeDialect {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI chat completions, as spoken by most other providers too.
    OpenAiChat,
}

impl ProbeDialect {
    /// The probes' dialect for the catalogue's, if they speak it.
    pub const fn of(dialect: Dialect) -> Option<Self> {
        match dialect {
            Dialect::Anthropic => Some(Self::Anthropic),
            Dialect::OpenAiChat => Some(Self::OpenAiChat),
            Dialect::OpenAiResponses
            | Dialect::Gemini
            | Dialect::Azure
            | Dialect::VertexAnthropic
            | Dialect::Bedrock => None,
        }
    }

    /// The name that classification knows the dialect by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAiChat => "openai",
        }
    }

    /// Where to send a probe, given the provider's base URL.
    pub(super) fn url(self, base_url: &str) -> String {
        match self {
            Self::Anthropic => anthropic::url(base_url),
            Self::OpenAiChat => openai_chat::url(base_url),
        }
    }

    /// Most tokens the model may answer with.
    pub(super) fn max_tokens(self, provider: &str, wire_model: &str) -> u64 {
        match self {
            Self::Anthropic => anthropic::MAX_TOKENS,
            Self::OpenAiChat => openai_chat::max_tokens(provider, wire_model),
        }
    }

    /// Headers besides those of every probe.
    pub(super) fn headers(
        self,
        spec: &ProbeSpec,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, SpecError> {
        match self {
            Self::Anthropic => anthropic::headers(spec),
            Self::OpenAiChat => openai_chat::headers(spec),
        }
    }

    /// The body: the smallest real inference request, with the configured overrides on top.
    pub(super) fn body(self, spec: &ProbeSpec) -> Value {
        let mut body = match self {
            Self::Anthropic => anthropic::body(spec),
            Self::OpenAiChat => openai_chat::body(spec),
        };
        body.insert("model".into(), spec.wire_model.as_str().into());
        body.insert("stream".into(), true.into());
        override_with(&mut body, &spec.body);
        Value::Object(body)
    }

    /// Takes one event of the answer into account.
    pub(super) fn read(self, name: &str, data: &str, progress: &mut Progress) {
        match self {
            Self::Anthropic => anthropic::read(name, data, progress),
            Self::OpenAiChat => openai_chat::read(name, data, progress),
        }
    }

    /// Takes a whole body that is no stream into account.
    pub(super) fn answer(self, body: &[u8], progress: &mut Progress) -> Answer {
        match serde_json::from_slice(body) {
            Ok(document) => match self {
                Self::Anthropic => anthropic::answer(&document, progress),
                Self::OpenAiChat => openai_chat::answer(&document, progress),
            },
            Err(error) if error.is_eof() => Answer::Cut,
            Err(_) => Answer::Foreign,
        }
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
    /// Nothing more will come.
    pub(super) closed: bool,
    /// The stream carried an error object instead of an answer.
    pub(super) failed: bool,
    /// Tokens billed, as far as told.
    pub(super) usage: Usage,
}

/// Overrides tune a request; they never change what is measured or how it is read.
const FIXED: [&str; 3] = ["model", "messages", "stream"];

/// `key: null` in the configuration removes a field, any other value replaces it.
fn override_with(body: &mut Map<String, Value>, overrides: &Map<String, Value>) {
    for (key, value) in overrides {
        if FIXED.contains(&key.as_str()) {
            continue;
        }
        if value.is_null() {
            body.remove(key);
        } else {
            body.insert(key.clone(), value.clone());
        }
    }
}

/// Whether a field holds a text with something in it.
pub(super) fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// Marks a header value as secret, so that no debug output shows it.
pub(super) fn secret_header(text: &str) -> Result<HeaderValue, SpecError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| SpecError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Appends `path` (without a leading slash) to a base URL with or without a trailing slash.
pub(super) fn join(base_url: &str, path: &str) -> String {
    format!("{}/{path}", base_url.trim_end_matches('/'))
}
