//! How the simulated providers speak: the wire formats and each provider's own error bodies.
//!
//! Shapes and tokens come from the providers' documentation and recorded replies. An error
//! body is chosen so that a right classifier gives exactly the fate's class: where a provider
//! says "overloaded" with 503 or 429, so does its simulation.
//!
//! A format is one file with one [`Speech`]; `Dialect::speech` is the only `match` over them.

mod request;
mod speech;
mod anthropic;
mod openai;
mod responses;
mod azure;
mod google;
mod gemini;
mod vertex;
mod bedrock;
mod event_stream;
mod page;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::kind::{Kind, Trouble};
use crate::domain::time::Timestamp;

pub(super) use request::{Asked, Reading, Refusal, Request};
pub(super) use speech::{Speech, begun};

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions, also spoken by many others.
    OpenAi,
    /// OpenAI Responses.
    Responses,
    /// Chat Completions of Azure's deployments.
    Azure,
    /// Google's `generateContent`.
    Gemini,
    /// Anthropic Messages behind Google's Vertex AI.
    Vertex,
    /// Amazon Bedrock's Converse.
    Bedrock,
}

/// Names and values of headers.
pub(super) type Headers = Vec<(&'static str, String)>;

/// An answer that is none: an error, or a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorReply {
    /// The HTTP status.
    pub(super) code: u16,
    /// The media type of the body.
    pub(super) content_type: &'static str,
    /// Headers that belong to this answer only.
    pub(super) headers: Headers,
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
    words: Vec<Cow<'static, str>>,
    /// Tokens spent on thoughts that are not shown.
    thoughts: u64,
    /// Whether the cap on tokens cut it short.
    cut: bool,
    /// What the request asked for.
    request: Request,
    /// Seconds since the epoch.
    created: u64,
}

/// One piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Whether it carries text: the first such piece is the first token.
    pub(super) content: bool,
    /// The bytes on the wire.
    pub(super) bytes: Bytes,
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
    pub(super) reset_at: Timestamp,
}

/// Requests per minute that the simulated accounts are allowed, by the headers' account.
pub(super) const REQUESTS_PER_MINUTE: u64 = 4_000;

/// Tokens per minute that the simulated accounts are allowed, by the headers' account.
pub(super) const TOKENS_PER_MINUTE: u64 = 2_000_000;

/// What every good answer says, one token a word.
const WORDS: [&str; 8] = ["The", " weather", " is", " fair", " in", " every", " region", "."];

/// One piece of an answer that is too long, in bytes.
const HUGE_PIECE_BYTES: usize = 64 * 1024;

impl Dialect {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Anthropic,
        Self::OpenAi,
        Self::Responses,
        Self::Azure,
        Self::Gemini,
        Self::Vertex,
        Self::Bedrock,
    ];

    /// The format a provider's clients usually speak.
    pub fn of(provider: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.speech().provider() == provider)
            .unwrap_or(Self::OpenAi)
    }

    pub(super) fn speech(self) -> &'static dyn Speech {
        match self {
            Self::Anthropic => &anthropic::Messages,
            Self::OpenAi => &openai::Chat,
            Self::Responses => &responses::Responses,
            Self::Azure => &azure::Deployments,
            Self::Gemini => &gemini::GenerateContent,
            Self::Vertex => &vertex::RawPredict,
            Self::Bedrock => &bedrock::Converse,
        }
    }
}

impl ErrorReply {
    /// An error in JSON.
    pub(super) fn json(code: u16, body: &Value) -> Self {
        let (content_type, headers) = ("application/json", Vec::new());
        Self { code, content_type, headers, body: body.to_string() }
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Whether a gateway wrote it in the provider's stead: it knows neither the request's id
    /// nor the account's limits.
    pub(super) fn is_from_gateway(&self) -> bool {
        self.content_type != "application/json"
    }
}

impl Answer {
    /// The answer to a request.
    pub(super) fn new(request: &Request, created: u64) -> Self {
        // Thoughts are spent first, and the cap counts them.
        let thoughts = request.thoughts.min(request.tokens_max);
        let left = usize::try_from(request.tokens_max - thoughts).unwrap_or(usize::MAX);
        let words: Vec<_> = WORDS.into_iter().map(Cow::Borrowed).take(left).collect();
        let cut = words.len() < WORDS.len();
        Self { words, thoughts, cut, request: request.clone(), created }
    }

    /// The same, with a text that begins with one long piece and does not end with it.
    pub(super) fn with_huge_piece(mut self) -> Self {
        let piece = "weather ".repeat(HUGE_PIECE_BYTES / 8);
        self.words = vec![Cow::Owned(piece), Cow::Borrowed(".")];
        self
    }

    fn text(&self) -> String {
        self.words.concat()
    }

    fn output_tokens(&self) -> u64 {
        self.words.len() as u64
    }
}

impl Event {
    /// A piece that is no text of the answer.
    fn plain(bytes: impl Into<Bytes>) -> Self {
        Self { content: false, bytes: bytes.into() }
    }

    /// The same piece as text of the answer.
    fn with_content(self) -> Self {
        Self { content: true, ..self }
    }
}

impl Voice<'_> {
    /// What this kind of fate is told with; `None` for kinds that begin an answer, or none.
    /// Where it makes sense, the client is told to wait so long.
    pub(super) fn reply(&self, kind: Kind, wait: Duration) -> Option<ErrorReply> {
        match kind.trouble() {
            Some(trouble) => Some(self.error(trouble, wait)),
            None => page::of(kind),
        }
    }

    fn error(&self, trouble: Trouble, wait: Duration) -> ErrorReply {
        let mut reply = self.dialect.speech().error(self, trouble, wait);
        if !reply.is_from_gateway() {
            let wait = (trouble == Trouble::RateLimited).then_some(wait);
            reply.headers.extend(self.dialect.speech().retry(trouble.is_retryable(), wait));
        }
        reply
    }

    /// The id of the request as one that is written as a UUID.
    fn uuid(&self) -> String {
        let is_digit = |digit: &char| digit.is_ascii_hexdigit() && !digit.is_ascii_uppercase();
        let id = self.request_id.trim_start_matches("req_");
        let digits: String =
            id.chars().filter(is_digit).chain(std::iter::repeat('0')).take(30).collect();
        let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..15]);
        format!("{a}-{b}-4{c}-8{}-{}", &digits[15..18], &digits[18..])
    }

    /// The id of the request without its prefix, for ids that are made of it.
    fn id(&self) -> &str {
        self.request_id.trim_start_matches("req_")
    }
}

/// Seconds as `retry-after` wants them: whole where possible, else with decimals, which the
/// official SDKs accept.
fn seconds(wait: Duration) -> String {
    wait.as_secs_f64().to_string()
}

/// One server-sent event, without a name.
fn data(value: &Value) -> Event {
    Event::plain(format!("data: {value}\n\n"))
}

/// One server-sent event, named by its own `type`.
fn named(value: &Value) -> Event {
    let name = value["type"].as_str().expect("every event is written here with its type");
    Event::plain(format!("event: {name}\ndata: {value}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_has_its_dialect_and_strangers_speak_chat() {
        for dialect in Dialect::ALL {
            let provider = dialect.speech().provider();
            // OpenAI has two; chat is the one that others copied.
            let usual = if dialect == Dialect::Responses { Dialect::OpenAi } else { dialect };
            assert_eq!(Dialect::of(provider), usual, "{provider}");
        }
        assert_eq!(Dialect::of("nobody"), Dialect::OpenAi);
    }

    #[test]
    fn ids_of_requests_can_be_written_as_uuids() {
        let of = |request_id| {
            let dialect = Dialect::Bedrock;
            Voice { dialect, provider: "bedrock", model: "m", request_id }.uuid()
        };
        let uuid = "01234567-89ab-4cde-8f00-000001000000";
        assert_eq!(of("req_0123456789abcdef00000001"), uuid);
        assert_eq!(of(""), "00000000-0000-4000-8000-000000000000");
    }
}
