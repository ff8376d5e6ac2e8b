//! (dialect, reply) to class: the only place that knows 529, error bodies and stream errors.
//!
//! A status alone misses more than half of all overload: providers also say it with 503, 429,
//! 500, inside HTTP 200 streams, and gateways relabel it. So a reply is judged by evidence, in
//! a fixed order in which the first rule that knows wins (`docs/classification.md` has the
//! table): no response, a page written by an intermediary, errors in the stream, an upstream
//! error quoted inside another, the provider's own tokens, tokens that mean the same everywhere,
//! wording, the provider's habits with a status, vague tokens, and at last the bare status.
//!
//! Everything is bounded (bytes read, depth, number of errors looked at) and nothing panics on
//! any input. Words and numbers are only ever looked for in the fields that carry them, never in
//! a whole body: providers echo prompts. Unknown providers get the same rules without the
//! provider's own tables. No state, no clock, no logging; retries and counting live elsewhere.

mod decide;
mod embedded;
mod errors;
mod evidence;
mod family;
mod finish;
mod frames;
mod hints;
mod intermediary;
mod judge;
mod message;
mod prose;
mod quota;
mod status;
mod telling;
mod tokens;
mod transport;

use std::borrow::Cow;

use super::outcome::Class;
use decide::Case;
use evidence::Extra;
use family::Family;

pub use hints::{RETRY_AFTER_MAX, retry_after};
pub use quota::{Quota, quotas};
pub use status::USUAL_STATUSES;
pub use transport::{Transport, parse_report_error};

/// Most of a body or stream that is read, in bytes. Errors are small; a stream is read at its
/// head and its tail.
pub const PARSED_BYTES_MAX: usize = 256 * 1024;

/// A provider's answer as it came over the wire.
#[derive(Clone, Copy, Default)]
pub struct Reply<'a> {
    /// Who served, in any of the usual spellings.
    pub provider: &'a str,
    /// The wire format spoken, for example `anthropic`, `openai`, `gemini`, `bedrock`; it stands
    /// in for a provider that has no rules of its own.
    pub dialect: Option<&'a str>,
    /// The HTTP status, absent when no response came.
    pub status: Option<u16>,
    /// Response headers; names in any case.
    pub headers: &'a [(String, String)],
    /// The body, of which [`PARSED_BYTES_MAX`] bytes are looked at.
    pub body: &'a [u8],
    /// Raw streamed text: server-sent events, event-stream frames shown as text, JSON lines.
    /// Empty if the answer was not streamed.
    pub stream: &'a [u8],
    /// What the transport saw, if anything went wrong there.
    pub transport: Option<Transport>,
}

/// What a client kept of an attempt: no wire, only its own report.
#[derive(Clone, Copy, Default)]
pub struct Reported<'a> {
    /// Who served, in any of the usual spellings.
    pub provider: &'a str,
    /// The wire format spoken, if known.
    pub dialect: Option<&'a str>,
    /// The HTTP status, absent when no response came or the client lost it.
    pub status: Option<u16>,
    /// The error's type in the provider's envelope, or the exception's class.
    pub error_type: Option<&'a str>,
    /// The error's code in the provider's envelope.
    pub error_code: Option<&'a str>,
    /// Raw error body or message, possibly with JSON embedded in it, as exceptions carry it.
    pub body: Option<&'a str>,
    /// What the transport saw, if anything went wrong there.
    pub transport: Option<Transport>,
    /// Whether the failure came after the headers, inside a stream.
    pub in_stream: bool,
}

/// What an attempt ended as, and which rule said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it ended as.
    pub class: Class,
    /// The rule that decided.
    pub matched_by: MatchedBy,
}

/// The rule that decided a class, strongest kinds of evidence first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchedBy {
    /// What the transport saw: no response, or an answer that broke off.
    Transport,
    /// The body was written by a proxy, a content network or a captive portal.
    Intermediary,
    /// An error or a finish reason inside the stream.
    StreamEvent,
    /// An upstream's error quoted inside a gateway's.
    Upstream,
    /// A token or header that means this with this provider only.
    ProviderToken,
    /// A token that means the same everywhere.
    Token,
    /// The wording of the message: the weakest text evidence, worth watching for drift.
    Message,
    /// What this provider means by this status.
    ProviderStatus,
    /// A vague token such as `server_error`.
    GenericToken,
    /// The bare status.
    Status,
    /// Nothing wrong was found.
    Ok,
}

impl MatchedBy {
    /// All rules, in the order of the contract.
    pub const ALL: [Self; 11] = [
        Self::Transport,
        Self::Intermediary,
        Self::StreamEvent,
        Self::Upstream,
        Self::ProviderToken,
        Self::Token,
        Self::Message,
        Self::ProviderStatus,
        Self::GenericToken,
        Self::Status,
        Self::Ok,
    ];

    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Intermediary => "intermediary",
            Self::StreamEvent => "stream_event",
            Self::Upstream => "upstream",
            Self::ProviderToken => "provider_token",
            Self::Token => "token",
            Self::Message => "message",
            Self::ProviderStatus => "provider_status",
            Self::GenericToken => "generic_token",
            Self::Status => "status",
            Self::Ok => "ok",
        }
    }
}

impl Verdict {
    const fn new(class: Class, matched_by: MatchedBy) -> Self {
        Self { class, matched_by }
    }

    const OK: Self = Self::new(Class::Ok, MatchedBy::Ok);
}

/// Classifies an answer seen on the wire.
pub fn classify(reply: &Reply<'_>) -> Verdict {
    decide::decide(&case_of(reply))
}

/// The word in the answer that speaks for its verdict, to be shown to people: a short plain one,
/// as envelopes carry them. `None` where no word of that kind decided.
pub fn telling_word(reply: &Reply<'_>, verdict: Verdict) -> Option<String> {
    telling::word(&case_of(reply), verdict)
}

fn case_of<'a>(reply: &Reply<'a>) -> Case<'a> {
    let error_type = header(reply.headers, "x-amzn-errortype");
    let mut extra = Extra::default();
    if let Some(error_type) = error_type {
        // `ThrottlingException:http://internal.amazon.com/…`: the address is not the name.
        let name = error_type.split(':').next().unwrap_or_default().trim();
        extra.tokens.push(Cow::Borrowed(name));
    }
    let mut family = Family::of(reply.provider, reply.dialect);
    if family == Family::General && error_type.is_some() {
        family = Family::Bedrock;
    }
    let plan_status = header(reply.headers, "anthropic-ratelimit-unified-status");
    Case {
        family,
        status: reply.status,
        plan_limit: plan_status.is_some_and(|value| value.trim().eq_ignore_ascii_case("rejected")),
        content_type: header(reply.headers, "content-type").unwrap_or_default(),
        body: reply.body,
        stream: reply.stream,
        transport: reply.transport,
        extra,
        reported: false,
        in_stream: false,
    }
}

/// Classifies a client's report. Does not allocate for a plain status 200.
pub fn classify_reported(report: &Reported<'_>) -> Verdict {
    let kept = [report.error_type, report.error_code, report.body];
    let is_bare = kept.into_iter().flatten().all(|text| text.trim().is_empty());
    if is_bare && report.transport.is_none() && matches!(report.status, Some(200..=299)) {
        return Verdict::OK;
    }
    let mut extra = Extra::default();
    for text in [report.error_type, report.error_code].into_iter().flatten() {
        extra.add(text.trim());
    }
    decide::decide(&Case {
        family: Family::of(report.provider, report.dialect),
        status: report.status,
        plan_limit: false,
        content_type: "",
        body: report.body.unwrap_or_default().as_bytes(),
        stream: &[],
        transport: report.transport,
        extra,
        reported: true,
        in_stream: report.in_stream,
    })
}

/// The first header of this name, whatever its case.
fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests;
