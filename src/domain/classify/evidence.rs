//! What one error says for itself: its tokens, its numbers, its wording, and whom it quotes.
//!
//! Nothing is judged here; a field's meaning is for the tables.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::outcome::Class;

use super::errors::{Found, ends, ends_with_exception};
use super::message;

/// Most tokens one error may carry.
const TOKENS_MAX: usize = 32;
/// Longest token, in bytes: words, not texts.
const TOKEN_BYTES_MAX: usize = 128;

/// Keys of an error, and of the envelope around it, that hold a token or a number.
const TOKEN_KEYS: &[&str] = &[
    "code",
    "Code",
    "type",
    "status",
    "reason",
    "error_type",
    "error_code",
    "errorCode",
    "__type",
];
/// Keys that hold the number of a status.
const STATUS_KEYS: &[&str] =
    &["code", "status", "status_code", "statusCode", "raw_status_code", "error_code", "httpCode"];
/// Keys of an error that hold its text.
const MESSAGE_KEYS: &[&str] =
    &["message", "Message", "msg", "detail", "error_message", "errorMessage", "error", "body"];
/// OpenRouter's canonical words, in `metadata`.
const METADATA_KEYS: &[&str] =
    &["limit_source", "error_type", "provider_code", "provider_error_code"];

/// Tokens that came beside the body: in a header, or in fields of a report.
#[derive(Clone, Default)]
pub(super) struct Extra<'a> {
    /// Words.
    pub(super) tokens: Vec<Cow<'a, str>>,
    /// A number that is a status.
    pub(super) code: Option<u16>,
}

/// An upstream's error inside a gateway's.
pub(super) enum Upstream<'a> {
    Value(Cow<'a, Value>),
    Text(&'a str),
}

/// What one error says for itself.
#[derive(Default)]
pub(super) struct Evidence<'a> {
    /// Structured words, in any case.
    pub(super) tokens: Vec<Cow<'a, str>>,
    /// The wording, uncut.
    pub(super) message: Cow<'a, str>,
    /// A number in the body that is a status (400 to 599).
    pub(super) code: Option<u16>,
    /// What the names of violated Google quotas say.
    pub(super) quota: Option<Class>,
    /// Bedrock: the status of the model's own backend.
    pub(super) original_status: Option<u16>,
    /// OpenRouter: what the upstream said.
    pub(super) raw: Option<Upstream<'a>>,
    /// OpenRouter: who the upstream is.
    pub(super) upstream_name: Option<&'a str>,
}

impl<'a> Extra<'a> {
    /// Adds a reported word or number.
    pub(super) fn add(&mut self, text: &'a str) {
        if text.is_empty() || text.len() > TOKEN_BYTES_MAX {
            return;
        }
        if let Ok(number) = text.parse::<u64>() {
            self.code = self.code.or_else(|| as_status(number));
        }
        self.tokens.push(Cow::Borrowed(text));
        // `anthropic.OverloadedError`: the class without its module.
        if let Some((_, class)) = text.rsplit_once('.') {
            self.tokens.push(Cow::Borrowed(class));
        }
    }
}

impl<'a> Evidence<'a> {
    /// What a found error says.
    pub(super) fn of(found: Found<'a>) -> Self {
        let Found { error, envelope } = found;
        let mut evidence = Self::default();
        evidence.take_tokens(error);
        evidence.take_details(error);
        if !std::ptr::eq(error, envelope) {
            evidence.take_tokens(envelope);
            evidence.take_member_name(error, envelope);
        }
        evidence.message = text_of(error, envelope);
        evidence.original_status = number_in(error, "originalStatusCode")
            .or_else(|| number_in(envelope, "originalStatusCode"));
        evidence
    }

    /// A text that is all there is.
    pub(super) fn of_text(text: &'a str) -> Self {
        Self { message: Cow::Borrowed(text), ..Self::default() }
    }

    /// Adds what came beside the body. A number in the body is the more exact one.
    pub(super) fn with(mut self, extra: &Extra<'a>) -> Self {
        self.tokens.extend(extra.tokens.iter().cloned());
        self.code = self.code.or(extra.code);
        self
    }

    /// Adds a word that announced the error, such as an exception's name.
    pub(super) fn push(&mut self, token: Cow<'a, str>) {
        if self.tokens.len() < TOKENS_MAX && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX {
            self.tokens.push(token);
        }
    }

    fn take_tokens(&mut self, value: &'a Value) {
        match value {
            Value::Object(object) => {
                for key in TOKEN_KEYS {
                    self.take(object.get(*key));
                }
                for key in STATUS_KEYS {
                    self.code = self.code.or_else(|| object.get(*key).and_then(status_of));
                }
            }
            // `{"error": "overloaded"}`: a single word is a token.
            Value::String(text) if !text.trim().contains(char::is_whitespace) => {
                self.push(Cow::Borrowed(text.trim()));
            }
            Value::Number(_) => {
                self.take(Some(value));
                self.code = self.code.or_else(|| status_of(value));
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) => {}
        }
    }

    fn take(&mut self, value: Option<&'a Value>) {
        match value {
            Some(Value::String(text)) => {
                // `com.amazon.coral.service#ThrottlingException`: the name without its space.
                let name = text.trim();
                self.push(Cow::Borrowed(name.rsplit('#').next().unwrap_or(name)));
            }
            Some(Value::Number(number)) => self.push(Cow::Owned(number.to_string())),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {}
        }
    }

    /// Anthropic's and Google's `details`, OpenRouter's `metadata`.
    fn take_details(&mut self, error: &'a Value) {
        match error.get("details") {
            Some(Value::Array(details)) => {
                for detail in ends(details) {
                    self.take(detail.get("reason"));
                    self.take_quota(detail.get("metadata").and_then(|it| it.get("quota_limit")));
                    let violations = detail.get("violations").and_then(Value::as_array);
                    for violation in violations.into_iter().flat_map(|list| ends(list)) {
                        self.take_quota(violation.get("quotaId"));
                    }
                }
            }
            Some(details @ Value::Object(_)) => self.take(details.get("error_code")),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
        }
        let Some(metadata) = error.get("metadata").filter(|metadata| metadata.is_object()) else {
            return;
        };
        for key in METADATA_KEYS {
            self.take(metadata.get(*key));
        }
        self.upstream_name = metadata.get("provider_name").and_then(Value::as_str);
        self.raw = match metadata.get("raw") {
            Some(Value::String(text)) => Some(match super::embedded::parse(text) {
                Some(value) => Upstream::Value(Cow::Owned(value)),
                None => Upstream::Text(text),
            }),
            Some(value @ (Value::Object(_) | Value::Array(_))) => {
                Some(Upstream::Value(Cow::Borrowed(value)))
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => None,
        };
    }

    fn take_quota(&mut self, name: Option<&Value>) {
        let name = name.and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        if name.contains("perday") {
            self.quota = Some(Class::QuotaExhausted);
        } else if name.contains("perminute") && self.quota.is_none() {
            self.quota = Some(Class::RateLimited);
        }
    }

    /// The key under which an exception object was found is its name.
    fn take_member_name(&mut self, error: &'a Value, envelope: &'a Value) {
        for (key, member) in envelope.as_object().into_iter().flatten() {
            if std::ptr::eq(member, error) && ends_with_exception(key) {
                self.push(Cow::Borrowed(key));
            }
        }
    }
}

/// The wording of an error: its own text, or that of the envelope where it is a mere word.
fn text_of<'a>(error: &'a Value, envelope: &'a Value) -> Cow<'a, str> {
    let texts = |value: &'a Value| {
        MESSAGE_KEYS.iter().filter_map(move |key| value.get(*key)).find_map(Value::as_str)
    };
    let own = error.as_str().or_else(|| texts(error));
    let outer = if error.is_string() || own.is_none() { texts(envelope) } else { None };
    let original = error.get("originalMessage").and_then(Value::as_str);
    let mut parts = [own, outer.filter(|text| Some(*text) != own), original].into_iter().flatten();
    let Some(first) = parts.next() else { return Cow::Borrowed("") };
    match parts.next() {
        None => Cow::Borrowed(first),
        Some(second) => {
            let (first, second) =
                (message::cut(first, message::BYTES_MAX), message::cut(second, message::BYTES_MAX));
            Cow::Owned(format!("{first} {second}"))
        }
    }
}

/// A number, or a string of digits, that is an error status.
fn status_of(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_f64().filter(|it| it.fract() == 0.0).map(|it| it as u64)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.and_then(as_status)
}

fn number_in(value: &Value, key: &str) -> Option<u16> {
    value.get(key).and_then(status_of)
}

fn as_status(number: u64) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| (400..=599).contains(number))
}
