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

use super::door::{self, Classified, Door};
use super::refusal::{Refusal, RejectReason};

/// Refusals that one answer repeats; the rest is only counted.
const REFUSALS_TOLD_MAX: usize = 3;

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
    /// The provider's id of the request: the key for joining ways of reporting.
    pub request_id: Option<String>,
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
}

impl Ignored {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Unrelated, Self::Wrapper, Self::Gateway, Self::NoModel];

    /// The value of the `reason` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unrelated => "unrelated",
            Self::Wrapper => "wrapper",
            Self::Gateway => "gateway",
            Self::NoModel => "no_model",
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
            request_id: None,
            place: Place::default(),
            call: None,
            service: String::new(),
            replay_key: None,
        }
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
    fn class(&self, provider: &str) -> (Class, Option<u16>, Option<MatchedBy>) {
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

/// The provider before a model's name, the last resort: only one that is known, as a publisher of
/// models may stand there.
fn prefix(model: &str) -> Option<&str> {
    let (provider, _) = model.split_once('/')?;
    catalog::named(provider).map(|known| known.name)
}

/// What became of the records of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records counted.
    pub accepted: u64,
    /// Records sent before.
    pub duplicate: u64,
    /// Records that are in order and not counted.
    pub ignored: u64,
    /// Records about a call of a model that could not be counted.
    pub rejected: u64,
    /// What was wrong with the first of them.
    pub errors: Vec<String>,
    /// Whether a target was seen for the first time.
    pub new_target: bool,
}

impl Door {
    /// Counts what readers saw.
    pub(super) fn take(
        &self,
        readings: impl IntoIterator<Item = Result<Reading, Refusal>>,
        now: Timestamp,
    ) -> Taken {
        let names = self.names();
        let mut taken = Taken::default();
        let mut classified = Vec::new();
        for reading in readings {
            let sighting = match reading.map(|reading| readable(reading, &names)) {
                Ok(Ok(sighting)) => sighting,
                Ok(Err(ignored)) => {
                    self.stats().count_ignored(ignored.as_str());
                    taken.ignored += 1;
                    continue;
                }
                Err(refusal) => {
                    self.refuse(refusal, &mut taken);
                    continue;
                }
            };
            match outcome(&sighting, &names, now) {
                Ok(outcome) => classified.push((sighting, outcome)),
                Err(refusal) => self.refuse(refusal, &mut taken),
            }
        }
        // The attempts of one call are told apart by their order.
        classified.sort_by_key(|(_, classified)| classified.outcome.at);
        let outcomes = self.new_ones(classified, now, &mut taken);
        taken.new_target = self.record(&outcomes, now);
        taken.accepted = outcomes.len() as u64;
        self.stats().count_accepted(taken.accepted);
        self.stats().count_duplicate(taken.duplicate);
        taken
    }

    fn refuse(&self, refusal: Refusal, taken: &mut Taken) {
        self.stats().count_rejected(refusal.reason.as_str());
        taken.rejected += 1;
        if taken.errors.len() < REFUSALS_TOLD_MAX {
            taken.errors.push(refusal.error);
        }
    }

    fn new_ones(
        &self,
        classified: Vec<(Box<Sighting>, Classified)>,
        now: Timestamp,
        taken: &mut Taken,
    ) -> Vec<Outcome> {
        let mut seen = self.seen();
        let mut outcomes = Vec::with_capacity(classified.len());
        for (sighting, Classified { mut outcome, matched_by }) in classified {
            let replay = sighting.replay_key.as_deref();
            if replay.is_some_and(|key| !seen.first_time(("telemetry", key), now)) {
                taken.duplicate += 1;
                continue;
            }
            let call = sighting.call.as_deref().filter(|_| sighting.attempt.is_none());
            if call.is_some_and(|call| !seen.first_time(("call", call), now)) {
                outcome.attempt = Attempt::Retry;
            }
            if let Some(rule) = matched_by {
                self.stats().count_classified(rule.as_str(), u64::from(outcome.count));
            }
            outcomes.push(outcome);
        }
        outcomes
    }
}

/// The sighting of a reading that may become an outcome.
fn readable(reading: Reading, names: &Names) -> Result<Box<Sighting>, Ignored> {
    let sighting = match reading {
        Reading::Seen(sighting) => sighting,
        Reading::Ignored(reason) => return Err(reason),
    };
    if sighting.model.is_none() && sighting.layer == Layer::Http {
        let is_known = sighting.host.as_deref().is_some_and(|host| names.serves(host));
        return Err(if is_known { Ignored::NoModel } else { Ignored::Unrelated });
    }
    Ok(sighting)
}

fn outcome(sighting: &Sighting, names: &Names, now: Timestamp) -> Result<Classified, Refusal> {
    let at = sighting.at.unwrap_or(now);
    door::admit("time", at, now)?;
    sighting.outcome(names, at)
}
