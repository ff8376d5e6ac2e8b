//! What a reader saw of one call or attempt, before it is named and classified.
//!
//! Telemetry that people already send tells of calls in a dozen dialects. A reader brings each
//! into this one form and decides nothing: a name is still the client's word, a failure is still
//! evidence. What is counted of it is decided here, in one place.
//!
//! Attempts and operations are kept apart. Most libraries tell of the caller's call and hide the
//! retries inside it: two overloads and a success look like one success. Such sightings make
//! outcomes of their own basis, which the store never adds to attempts.

use std::time::Duration;

use crate::domain::classify::{MatchedBy, Reported, Transport, classify_reported};
pub use crate::domain::layer::{Basis, Layer};
use crate::domain::outcome::{Attempt, Class, Outcome, Source};
use crate::domain::target::{NAME_BYTES_MAX, OTHER};
use crate::domain::time::Timestamp;
use crate::ground::catalog;
use crate::ground::names::Names;

use super::door::Classified;
use super::refusal::{Refusal, RejectReason};

/// Longest text kept of a failure, in bytes: an error's envelope stands at its head, and what is
/// kept is searched for its class.
pub(super) const TEXT_BYTES_MAX: usize = 2 * 1024;

/// How an Anthropic request id begins, and how many letters and digits follow at least and at most.
const REQUEST_ID: (&str, usize, usize) = ("req_", 16, 64);

/// How it ended, as far as the layer knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing wrong was seen; the status where the layer has it.
    Ok(Option<u16>),
    /// Something went wrong.
    Failed(Evidence),
}

/// What is known of a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The HTTP status, if it is the provider's own.
    pub status: Option<u16>,
    /// The error's type in the provider's envelope, or the exception's class.
    pub error_type: Option<String>,
    /// The error's code in the provider's envelope.
    pub error_code: Option<String>,
    /// The message, possibly with the envelope in it. Read for the class and forgotten.
    pub text: Option<String>,
    /// What the transport saw.
    pub transport: Option<Transport>,
    /// Whether it came inside a stream, after the headers.
    pub in_stream: bool,
}

/// Where a span stands: the keys for joining layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The trace; zero where there is none.
    pub trace: [u8; 16],
    /// The span itself.
    pub span: [u8; 8],
    /// The span that it is part of; zero for a root.
    pub parent: [u8; 8],
}

/// One call or attempt as a reader saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Who told.
    pub layer: Layer,
    /// What it stands for.
    pub basis: Basis,
    /// The provider's name; a host that is known wins over it.
    pub provider: Option<String>,
    /// The host that was asked, or a URL of it.
    pub host: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// How it ended.
    pub ending: Ending,
    /// When it ended.
    pub at: Option<Timestamp>,
    /// From sending to the end.
    pub duration: Option<Duration>,
    /// From sending to the first content.
    pub time_to_first_token: Option<Duration>,
    /// Which attempt this was, from 1, if the layer counts.
    pub attempt: Option<u32>,
    /// Attempts that happened before this one and whose class nobody told.
    pub resends: u32,
    /// The provider's ids of the request and of its answer, the request's first: the keys for
    /// joining ways of reporting, of which each knows some.
    pub request_ids: Vec<String>,
    /// Where its span stands.
    pub place: Place,
    /// What the attempts of one call have in common, where the layer does not number them.
    pub call: Option<String>,
    /// The process that told.
    pub service: String,
    /// The same whenever the same record is sent again.
    pub replay_key: Option<String>,
}

/// What a reader makes of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A call or an attempt.
    Seen(Box<Sighting>),
    /// Nothing to count, and why.
    Ignored(Ignored),
}

/// Why a record that is in order is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// It is not about a call of a model.
    Unrelated,
    /// It tells again of a call that another record tells of.
    Wrapper,
    /// It is a gateway's own doing: its cache, its own limits.
    Gateway,
    /// It is an attempt of which nobody says which model it asked.
    NoModel,
    /// A better layer of the same process tells of the same calls.
    Layer,
    /// Another way of reporting told of the same request of the provider.
    RequestId,
}

impl Ignored {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::Unrelated,
        Self::Wrapper,
        Self::Gateway,
        Self::NoModel,
        Self::Layer,
        Self::RequestId,
    ];

    /// The value of the `reason` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unrelated => "unrelated",
            Self::Wrapper => "wrapper",
            Self::Gateway => "gateway",
            Self::NoModel => "no_model",
            Self::Layer => "layer",
            Self::RequestId => "request_id",
        }
    }
}

impl Sighting {
    /// A success without measurements.
    pub fn new(layer: Layer, basis: Basis) -> Self {
        Self {
            layer,
            basis,
            provider: None,
            host: None,
            model: None,
            ending: Ending::Ok(None),
            at: None,
            duration: None,
            time_to_first_token: None,
            attempt: None,
            resends: 0,
            request_ids: Vec::new(),
            place: Place::default(),
            call: None,
            service: String::new(),
            replay_key: None,
        }
    }

    /// Adds the request's id that the message of the failure names, if it names one.
    pub(super) fn with_id_in_text(mut self) -> Self {
        let id = match &self.ending {
            Ending::Ok(_) => None,
            Ending::Failed(evidence) => evidence.text.as_deref().and_then(request_id_in),
        };
        if let Some(id) = id.filter(|id| !self.request_ids.iter().any(|known| known == id)) {
            let id = id.to_owned();
            self.request_ids.push(id);
        }
        self
    }

    /// The outcome that it is evidence of, ended at `at`, whatever its basis.
    ///
    /// # Errors
    /// What is missing or cannot be a name.
    pub fn outcome(&self, names: &Names, at: Timestamp) -> Result<Classified, Refusal> {
        let model = self.model.as_deref().ok_or_else(|| {
            Refusal::new(RejectReason::MissingField, "model: required, but missing".to_owned())
        })?;
        if model.len() > NAME_BYTES_MAX {
            return Err(Refusal::field("model", format!("at most {NAME_BYTES_MAX} bytes")));
        }
        let (provider, host) = (self.provider.as_deref(), self.host.as_deref());
        let provider = match (provider, host) {
            (None, None) => Some(prefix(model).unwrap_or(OTHER)),
            (provider, _) => provider,
        };
        let target = names
            .resolve(provider, host, model)
            .map_err(|error| Refusal::new(RejectReason::InvalidField, error.to_string()))?;
        let (class, code, matched_by) = self.ending.class(target.provider.as_str());
        let mut outcome = Outcome::new(target, Source::Client, at, class);
        outcome.layer = self.layer;
        outcome.basis = self.basis;
        outcome.attempt = Attempt::from_number(self.attempt.unwrap_or(self.resends + 1));
        outcome.unclassified = self.resends;
        outcome.code = code;
        outcome.duration = self.duration;
        outcome.time_to_first_token = self.time_to_first_token;
        Ok(Classified { outcome, matched_by })
    }
}

impl Ending {
    /// The class, the status and the rule that decided.
    pub(super) fn class(&self, provider: &str) -> (Class, Option<u16>, Option<MatchedBy>) {
        match self {
            Self::Ok(status) => (Class::Ok, *status, Some(MatchedBy::Ok)),
            Self::Failed(evidence) => {
                let verdict = classify_reported(&Reported {
                    provider,
                    dialect: None,
                    status: evidence.status,
                    error_type: evidence.error_type.as_deref(),
                    error_code: evidence.error_code.as_deref(),
                    body: evidence.text.as_deref(),
                    transport: evidence.transport,
                    in_stream: evidence.in_stream,
                });
                (verdict.class, evidence.status, Some(verdict.matched_by))
            }
        }
    }
}

/// The head of a text, as much as is kept of it.
pub(super) fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX.min(text.len()))]
}

/// The first id of a request that stands in a text.
fn request_id_in(text: &str) -> Option<&str> {
    let (begin, least, most) = REQUEST_ID;
    text.match_indices(begin).find_map(|(at, _)| {
        let rest = &text[at + begin.len()..];
        let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        (least..=most).contains(&length).then(|| &text[at..at + begin.len() + length])
    })
}

/// The provider before a model's name, the last resort: only one that is known, as a publisher of
/// models may stand there.
fn prefix(model: &str) -> Option<&str> {
    let (provider, _) = model.split_once('/')?;
    catalog::named(provider).map(|known| known.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_found_in_a_message() {
        let long = format!("req_{}", "x".repeat(65));
        for (text, expected) in [
            (r#"{"type":"error","request_id":"req_011CSHoEeqs5C35K2UUqR7Fy"}"#, Some(28)),
            ("no req_short, but req_0123456789abcdef.", Some(20)),
            ("req_0123456789abcde", None),
            ("Overloaded", None),
            (&long, None),
        ] {
            assert_eq!(request_id_in(text).map(str::len), expected, "{text}");
        }
    }
}
