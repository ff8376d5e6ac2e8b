//! How the simulated providers speak: two wire formats and each provider's own error bodies.
//!
//! Shapes and tokens come from the providers' documentation and recorded replies. An error
//! body is chosen so that a right classifier gives exactly the fate's class: where a provider
//! says "overloaded" with 503 or 429, so does its simulation.

mod anthropic;
mod openai;

use std::time::Duration;

use serde_json::Value;

use super::weather::Kind;
use crate::domain::outcome::Class;

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions, also spoken by many others.
    OpenAi,
}

/// What a request asks for, as far as the simulator cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The model, as sent.
    pub(super) model: String,
    /// Whether the answer is to be streamed.
    pub(super) stream: bool,
    /// Whether a stream is to end with a chunk of usage (`stream_options.include_usage`).
    pub(super) include_usage: bool,
    /// Most tokens to answer with.
    pub(super) tokens_max: u64,
    /// A rough count of the tokens sent.
    pub(super) input_tokens: u64,
}

/// Why a request is refused before any weather applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No key was sent.
    NoKey,
    /// The body is no JSON object.
    NotJson,
    /// A required field is missing or of the wrong type.
    Field(&'static str),
    /// The model is not in the scenario.
    NoSuchModel(String),
    /// The body is larger than the server reads.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorReply {
    /// The HTTP status.
    pub(super) code: u16,
    /// The media type of the body.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) body: String,
}

/// Who answers whom: what every body and header is written from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice<'a> {
    /// The wire format.
    pub(super) dialect: Dialect,
    /// The provider played.
    pub(super) provider: &'a str,
    /// The model, as the request named it.
    pub(super) model: &'a str,
    /// The request's id.
    pub(super) request_id: &'a str,
}

/// A good answer, whole or in pieces.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The pieces of text.
    words: Vec<&'static str>,
    /// Whether the cap on tokens cut it short.
    cut: bool,
    input_tokens: u64,
    include_usage: bool,
    /// Seconds since the epoch.
    created: u64,
}

/// One piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Whether it carries text: the first such piece is the first token.
    pub(super) content: bool,
    /// The bytes on the wire.
    pub(super) text: String,
}

/// What every good answer says, one token a word.
const WORDS: [&str; 8] = ["The", " weather", " is", " fair", " in", " every", " region", "."];

/// The page of a gateway that cannot reach what is behind it.
const GATEWAY_PAGE: &str = "<html>\r\n\
<head><title>503 Service Temporarily Unavailable</title></head>\r\n\
<body>\r\n\
<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n\
<hr><center>nginx</center>\r\n\
</body>\r\n\
</html>\r\n";

impl Dialect {
    /// The format a provider's clients usually speak.
    pub fn of(provider: &str) -> Self {
        if provider == "anthropic" { Self::Anthropic } else { Self::OpenAi }
    }
}

impl Request {
    /// Reads a request body: the request or why it is refused, and the model if one was named.
    pub(super) fn read(dialect: Dialect, body: &[u8]) -> (Result<Self, Refusal>, Option<String>) {
        let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(body) else {
            return (Err(Refusal::NotJson), None);
        };
        let Some(model) = object.get("model").and_then(Value::as_str).filter(|m| !m.is_empty())
        else {
            return (Err(Refusal::Field("model")), None);
        };
        let named = Some(model.to_owned());
        if !object.get("messages").is_some_and(Value::is_array) {
            return (Err(Refusal::Field("messages")), named);
        }
        let cap = ["max_tokens", "max_completion_tokens"]
            .into_iter()
            .find_map(|name| object.get(name).and_then(Value::as_u64));
        let tokens_max = match (dialect, cap) {
            (Dialect::Anthropic, None) => return (Err(Refusal::Field("max_tokens")), named),
            (Dialect::Anthropic | Dialect::OpenAi, Some(cap)) => cap,
            (Dialect::OpenAi, None) => u64::MAX,
        };
        let include_usage = object
            .get("stream_options")
            .and_then(|options| options.get("include_usage"))
            .is_some_and(|value| value == &Value::Bool(true));
        let request = Self {
            model: model.to_owned(),
            stream: object.get("stream") == Some(&Value::Bool(true)),
            include_usage,
            tokens_max,
            // Four bytes a token is the usual rule of thumb.
            input_tokens: (body.len() as u64 / 4).max(1),
        };
        (Ok(request), named)
    }
}

impl ErrorReply {
    /// Whether a gateway wrote it in the provider's stead: it knows neither the request's id
    /// nor the account's limits.
    pub(super) fn is_from_gateway(&self) -> bool {
        self.content_type != "application/json"
    }
}

impl Refusal {
    /// What a right classifier calls it.
    pub(super) const fn class(&self) -> Class {
        match self {
            Self::NoKey => Class::Auth,
            Self::TooSlow => Class::Timeout,
            Self::NotJson | Self::Field(_) | Self::NoSuchModel(_) | Self::TooLarge => {
                Class::InvalidRequest
            }
        }
    }
}

impl Answer {
    /// The answer to a request.
    pub(super) fn new(request: &Request, created: u64) -> Self {
        let words: Vec<_> = WORDS
            .into_iter()
            .take(usize::try_from(request.tokens_max).unwrap_or(usize::MAX))
            .collect();
        Self {
            cut: words.len() < WORDS.len(),
            words,
            input_tokens: request.input_tokens,
            include_usage: request.include_usage,
            created,
        }
    }
}

impl Voice<'_> {
    /// The error this kind of fate is told with; `None` for kinds that are no error answer.
    pub(super) fn error(&self, kind: Kind) -> Option<ErrorReply> {
        match self.dialect {
            Dialect::Anthropic => anthropic::error(self, kind),
            Dialect::OpenAi => openai::error(self, kind),
        }
    }

    /// The answer to a request that is refused.
    pub(super) fn refusal(&self, refusal: &Refusal) -> ErrorReply {
        match self.dialect {
            Dialect::Anthropic => anthropic::refusal(self, refusal),
            Dialect::OpenAi => openai::refusal(refusal),
        }
    }

    /// A whole answer.
    pub(super) fn whole(&self, answer: &Answer) -> String {
        match self.dialect {
            Dialect::Anthropic => anthropic::whole(self, answer),
            Dialect::OpenAi => openai::whole(self, answer),
        }
    }

    /// A streamed answer, to its terminal event.
    pub(super) fn stream(&self, answer: &Answer) -> Vec<Event> {
        match self.dialect {
            Dialect::Anthropic => anthropic::stream(self, answer),
            Dialect::OpenAi => openai::stream(self, answer),
        }
    }

    /// The event that reports overload in the middle of a stream.
    pub(super) fn overload_event(&self) -> Event {
        let text = match self.dialect {
            Dialect::Anthropic => anthropic::overload_event(self),
            Dialect::OpenAi => openai::overload_event(),
        };
        Event { content: false, text }
    }

    /// The headers of every answer: the request's id under this dialect's name, and the like.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        match self.dialect {
            Dialect::Anthropic => anthropic::headers(self),
            Dialect::OpenAi => openai::headers(self),
        }
    }

    /// The headers that tell the state of the account's limits.
    pub(super) fn limits(&self, limits: &Limits) -> Vec<(&'static str, String)> {
        match self.dialect {
            Dialect::Anthropic => anthropic::limits(limits),
            Dialect::OpenAi => openai::limits(limits),
        }
    }
}

/// The state of the account's limits, as the headers tell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Requests left in this minute.
    pub(super) requests_remaining: u64,
    /// Tokens left in this minute.
    pub(super) tokens_remaining: u64,
    /// When both are full again, from now.
    pub(super) reset_in: Duration,
    /// The same as a moment.
    pub(super) reset_at: crate::domain::time::Timestamp,
}

/// Requests per minute that the simulated accounts are allowed, by the headers' account.
pub(super) const REQUESTS_PER_MINUTE: u64 = 4_000;

/// Tokens per minute that the simulated accounts are allowed, by the headers' account.
pub(super) const TOKENS_PER_MINUTE: u64 = 2_000_000;

/// Seconds as `retry-after` wants them: whole where possible, else with decimals, which the
/// official SDKs accept.
pub(super) fn seconds(wait: Duration) -> String {
    wait.as_secs_f64().to_string()
}

/// Whether a client that retries this may hope.
pub(super) const fn is_retryable(kind: Kind) -> bool {
    match kind {
        Kind::Overloaded
        | Kind::StreamOverloaded
        | Kind::RateLimited
        | Kind::Unavailable
        | Kind::ServerError
        | Kind::Reset
        | Kind::StreamReset
        | Kind::Slow => true,
        Kind::Ok | Kind::QuotaExhausted | Kind::Billing | Kind::Auth => false,
    }
}

fn json(code: u16, body: &Value) -> ErrorReply {
    ErrorReply { code, content_type: "application/json", body: body.to_string() }
}
