//! From what readers saw to outcomes, each attempt and each call once.
//!
//! The same call reaches brownout more than once when exporters send again, when several layers of
//! one process tell of it, and when it is told on several ways. In that order: a record that was
//! seen before is a duplicate; spans of HTTP clients join the call around them, which gives them
//! the model and gives it its attempts; of several layers of a process that tell of one target the
//! best counts; and what another way told of the same request of the provider is left out.

use crate::domain::layer::{Basis, Layer};
use crate::domain::outcome::{Attempt, Class, Outcome};
use crate::domain::time::Timestamp;
use crate::ground::names::Names;

use super::door::{self, Classified, Door, Recall};
use super::refusal::Refusal;
use super::sighting::{Ending, Ignored, Reading, Sighting};

/// Refusals that one answer repeats; the rest is only counted.
const REFUSALS_TOLD_MAX: usize = 3;

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

/// A call or an attempt with its outcome, and the HTTP spans below it.
struct Told {
    sighting: Box<Sighting>,
    below: Vec<Sighting>,
    classified: Classified,
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
        let mut recall = self.recall();
        let given_up = recall.waiting.expire(now);
        self.ignore(Ignored::NoModel, given_up);
        let mut calls = Vec::new();
        for reading in readings {
            match reading {
                Ok(Reading::Seen(span)) if is_anonymous(&span) => {
                    self.let_wait(span, &names, &mut recall, now, &mut taken);
                }
                Ok(Reading::Seen(sighting)) if is_through_gateway(&sighting, &names) => {
                    self.leave_out(Ignored::Gateway, &mut taken);
                }
                Ok(Reading::Seen(sighting)) => calls.push(sighting),
                Ok(Reading::Ignored(reason)) => self.leave_out(reason, &mut taken),
                Err(refusal) => self.refuse(refusal, &mut taken),
            }
        }
        let mut told = Vec::with_capacity(calls.len());
        for mut sighting in calls {
            let below = recall.waiting.below(&sighting.place);
            learn(&mut sighting, &below);
            if sighting.basis == Basis::Attempt {
                self.ignore(Ignored::Wrapper, below.len() as u64);
            }
            match outcome(&sighting, &names, now) {
                Ok(_) if is_repeated(&sighting, &mut recall, now) => taken.duplicate += 1,
                Ok(classified) => told.push(Told { sighting, below, classified }),
                Err(refusal) => self.refuse(refusal, &mut taken),
            }
        }
        told.iter().for_each(|one| note_layer(one, &mut recall, now));
        // The attempts of one call are told apart by their order.
        told.sort_by_key(|one| one.classified.outcome.at);
        let outcomes = self.outcomes(told, &mut recall, now, &mut taken);
        drop(recall);
        taken.new_target = self.record(&outcomes, now);
        self.stats().count_accepted(taken.accepted);
        self.stats().count_duplicate(taken.duplicate);
        taken
    }

    fn outcomes(
        &self,
        told: Vec<Told>,
        recall: &mut Recall,
        now: Timestamp,
        taken: &mut Taken,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(told.len());
        for one in told {
            let attempts = attempts(&one);
            let (mut outcome, basis) = (one.classified.outcome, one.sighting.basis);
            taken.accepted += attempts.len() as u64;
            outcomes.extend(attempts.iter().cloned());
            let reason = if is_outranked(&one.sighting, &outcome, recall, now) {
                Some(Ignored::Layer)
            } else if one.sighting.request_ids.iter().fold(false, |told, id| {
                recall.told_elsewhere(Some(id), outcome.layer, basis, now) || told
            }) {
                Some(Ignored::RequestId)
            } else {
                None
            };
            if let Some(reason) = reason {
                self.leave_out(reason, taken);
                continue;
            }
            if !attempts.is_empty() {
                let told = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
                outcome.unclassified = (outcome.unclassified + 1).saturating_sub(told);
                outcome.attempt = Attempt::from_number(told.max(outcome.unclassified + 1));
            }
            if is_retry(&one.sighting, outcome.class, recall, now) {
                outcome.attempt = Attempt::Retry;
            }
            if let Some(rule) = one.classified.matched_by {
                self.stats().count_classified(rule.as_str(), u64::from(outcome.count));
            }
            taken.accepted += 1;
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Lets an HTTP span wait for the span around it.
    fn let_wait(
        &self,
        span: Box<Sighting>,
        names: &Names,
        recall: &mut Recall,
        now: Timestamp,
        taken: &mut Taken,
    ) {
        let is_known = span.host.as_deref().is_some_and(|host| names.serves(host));
        let reason = match span.place.parent {
            _ if !is_known => Ignored::Unrelated,
            [0, 0, 0, 0, 0, 0, 0, 0] => Ignored::NoModel,
            _ if is_repeated(&span, recall, now) => {
                taken.duplicate += 1;
                return;
            }
            _ => {
                let given_up = recall.waiting.add(*span, now);
                self.ignore(Ignored::NoModel, given_up);
                return;
            }
        };
        self.leave_out(reason, taken);
    }

    fn leave_out(&self, reason: Ignored, taken: &mut Taken) {
        self.ignore(reason, 1);
        taken.ignored += 1;
    }

    fn ignore(&self, reason: Ignored, records: u64) {
        for _ in 0..records {
            self.stats().count_ignored(reason.as_str());
        }
    }

    fn refuse(&self, refusal: Refusal, taken: &mut Taken) {
        self.stats().count_rejected(refusal.reason.as_str());
        taken.rejected += 1;
        if taken.errors.len() < REFUSALS_TOLD_MAX {
            taken.errors.push(refusal.error);
        }
    }
}

fn is_repeated(sighting: &Sighting, recall: &mut Recall, now: Timestamp) -> bool {
    let key = sighting.replay_key.as_deref();
    key.is_some_and(|key| !recall.ids.first_time(("telemetry", key), now))
}

/// Whether it is an attempt of which it is not known which model it asked.
fn is_anonymous(sighting: &Sighting) -> bool {
    sighting.layer == Layer::Http && sighting.model.is_none()
}

/// Whether a known provider is named, but another host was asked: a gateway, whose answers are its
/// own. It makes 500 of an overload, and has limits that are not the provider's.
fn is_through_gateway(sighting: &Sighting, names: &Names) -> bool {
    let is_elsewhere = sighting.host.as_deref().is_some_and(|host| !names.serves(host));
    is_elsewhere && sighting.provider.as_deref().is_some_and(|provider| names.knows(provider))
}

fn outcome(sighting: &Sighting, names: &Names, now: Timestamp) -> Result<Classified, Refusal> {
    let at = sighting.at.unwrap_or(now);
    door::admit("time", at, now)?;
    sighting.outcome(names, at)
}

/// Takes from the HTTP spans below what the layer itself does not tell: the host that was really
/// asked, and the status of an attempt.
fn learn(sighting: &mut Sighting, below: &[Sighting]) {
    let Some(last) = below.last() else { return };
    if sighting.host.is_none() {
        sighting.host.clone_from(&last.host);
    }
    if sighting.basis == Basis::Operation {
        return;
    }
    let status = match &last.ending {
        Ending::Ok(status) => *status,
        Ending::Failed(evidence) => evidence.status,
    };
    match &mut sighting.ending {
        Ending::Ok(known) => *known = known.or(status),
        Ending::Failed(evidence) => evidence.status = evidence.status.or(status),
    }
}

/// The attempts of a call, from the HTTP spans below it.
fn attempts(told: &Told) -> Vec<Outcome> {
    let call = &told.classified.outcome;
    if call.basis == Basis::Attempt {
        return Vec::new();
    }
    let provider = call.target.provider.as_str();
    let last = told.below.len().saturating_sub(1);
    let attempt = |(index, span): (usize, &Sighting)| {
        let (mut class, code, _) = span.ending.class(provider);
        let mut outcome = Outcome::new(call.target.clone(), call.source, call.at, Class::Ok);
        // Around the last one stands the layer that saw its stream and read its error.
        if index == last && call.class != Class::Ok {
            class = call.class;
        }
        if index == last {
            outcome.time_to_first_token = call.time_to_first_token;
        }
        outcome.layer = call.layer;
        outcome.at = span.at.unwrap_or(call.at).min(call.at);
        outcome.class = class;
        outcome.code = code;
        outcome.duration = span.duration;
        outcome.attempt = Attempt::from_number(u32::try_from(index + 1).unwrap_or(u32::MAX));
        outcome
    };
    told.below.iter().enumerate().map(attempt).collect()
}

fn note_layer(told: &Told, recall: &mut Recall, now: Timestamp) {
    let layer = told.sighting.layer;
    if !layer.instruments_a_process() {
        return;
    }
    let key = (told.sighting.service.as_str(), &told.classified.outcome.target);
    let best = recall.layers.get(key, now).map_or(layer, |known| known.min(layer));
    // A better layer is remembered for as long as it goes on telling.
    if best == layer {
        recall.layers.put(key, layer, now);
    }
}

/// Whether a better layer of the same process tells of the same target.
fn is_outranked(
    sighting: &Sighting,
    outcome: &Outcome,
    recall: &mut Recall,
    now: Timestamp,
) -> bool {
    let key = (sighting.service.as_str(), &outcome.target);
    let best = recall.layers.get(key, now);
    sighting.layer.instruments_a_process() && best.is_some_and(|best| best < sighting.layer)
}

/// Whether an attempt repeats one of the same call that failed before it. What follows a success
/// is the next step of the call.
fn is_retry(sighting: &Sighting, class: Class, recall: &mut Recall, now: Timestamp) -> bool {
    let Some(call) = sighting.call.as_deref().filter(|_| sighting.attempt.is_none()) else {
        return false;
    };
    recall.calls.put(call, class != Class::Ok, now) == Some(true)
}
