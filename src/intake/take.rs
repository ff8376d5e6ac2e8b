//! From what readers saw to outcomes, each attempt and each call once.
//!
//! The same call reaches brownout more than once when exporters send again, when several layers of
//! one process tell of it, and when it is told on several ways. In that order: a record that was
//! seen before is a duplicate; spans of HTTP clients join the call around them, which gives them
//! the model and gives it its attempts; of several layers of a process that tell of one target the
//! best counts; and what another way told of the same request of the provider is left out.

use std::sync::Arc;

use crate::domain::layer::{Basis, Layer};
use crate::domain::outcome::{Attempt, Class, Outcome};
use crate::domain::time::Timestamp;
use crate::ground::names::Names;

use super::door::{self, Classified, Door, Recall, Told};
use super::refusal::Refusal;
use super::sighting::{Ending, Ignored, Place, Reading, Sighting};
use super::spans::Anonymous;

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
struct Call {
    sighting: Box<Sighting>,
    below: Vec<Anonymous>,
    classified: Classified,
}

/// What one request tells, named and classified, before it is compared with what was told before.
#[derive(Default)]
struct Batch {
    spans: Vec<(Place, Option<String>, Anonymous)>,
    calls: Vec<(Box<Sighting>, Result<Classified, Refusal>)>,
}

impl Door {
    /// Counts what readers saw.
    pub(super) fn take(
        &self,
        readings: impl IntoIterator<Item = Result<Reading, Refusal>>,
        now: Timestamp,
    ) -> Taken {
        let mut taken = Taken::default();
        let names = Arc::clone(&self.names());
        let batch = self.batch(readings, &names, now, &mut taken);
        let mut recall = self.recall();
        for (place, key, span) in batch.spans {
            if is_repeated(key.as_deref(), &mut recall, now) {
                taken.duplicate += 1;
            } else {
                let given_up = recall.waiting.add(&place, span, now);
                self.ignore(Ignored::NoModel, given_up);
            }
        }
        let mut calls = Vec::with_capacity(batch.calls.len());
        for (mut sighting, mut classified) in batch.calls {
            let below = recall.waiting.below(&sighting.place);
            if learn(&mut sighting, &below) {
                classified = outcome(&sighting, &names, now);
            }
            match classified {
                Ok(_) if is_repeated(sighting.replay_key.as_deref(), &mut recall, now) => {
                    taken.duplicate += 1;
                    self.ignore(Ignored::Wrapper, below.len() as u64);
                }
                Ok(classified) => calls.push(Call { sighting, below, classified }),
                Err(refusal) => {
                    self.refuse(refusal, &mut taken);
                    self.ignore(Ignored::NoModel, below.len() as u64);
                }
            }
        }
        calls.iter().for_each(|call| note_layer(call, &mut recall, now));
        // The attempts of one call are told apart by their order.
        calls.sort_by_key(|call| call.classified.outcome.at);
        let mut outcomes = Vec::with_capacity(calls.len());
        for call in calls {
            self.count(call, &mut recall, now, &mut taken, &mut outcomes);
        }
        drop(recall);
        taken.new_target = self.record(&outcomes, now);
        self.stats().count_accepted(taken.accepted);
        self.stats().count_duplicate(taken.duplicate);
        taken
    }

    /// Names and classifies what was read; nothing else waits for that.
    fn batch(
        &self,
        readings: impl IntoIterator<Item = Result<Reading, Refusal>>,
        names: &Names,
        now: Timestamp,
        taken: &mut Taken,
    ) -> Batch {
        let mut batch = Batch::default();
        for reading in readings {
            match reading {
                Ok(Reading::Seen(span)) if is_anonymous(&span) => {
                    match anonymous(&span, names, now) {
                        Ok(anonymous) => batch.spans.push((span.place, span.replay_key, anonymous)),
                        Err(reason) => self.leave_out(reason, taken),
                    }
                }
                Ok(Reading::Seen(sighting)) if is_through_gateway(&sighting, names) => {
                    self.hint_at_gateway(sighting.host.as_deref().unwrap_or_default());
                    self.leave_out(Ignored::Gateway, taken);
                }
                Ok(Reading::Seen(sighting)) => {
                    let classified = outcome(&sighting, names, now);
                    batch.calls.push((sighting, classified));
                }
                Ok(Reading::Ignored(reason)) => self.leave_out(reason, taken),
                Err(refusal) => self.refuse(refusal, taken),
            }
        }
        batch
    }

    /// Makes the outcomes of a call, as far as nobody else told of it.
    fn count(
        &self,
        call: Call,
        recall: &mut Recall,
        now: Timestamp,
        taken: &mut Taken,
        outcomes: &mut Vec<Outcome>,
    ) {
        let ids = || call.sighting.request_ids.iter().map(String::as_str);
        let (mut attempts, total) = attempts(&call);
        let below = attempts.len() as u32;
        // Of its attempts the last one has the request's id.
        if let Some(last) = attempts.last_mut() {
            match recall.told(ids(), last, now) {
                Told::New => {}
                Told::Wrongly(counted) => counted.give_way_to(last),
                Told::Before => {
                    self.ignore(Ignored::RequestId, u64::from(below));
                    attempts.clear();
                }
            }
            taken.accepted += attempts.len() as u64;
            outcomes.append(&mut attempts);
        } else if call.sighting.basis == Basis::Attempt {
            self.ignore(Ignored::Wrapper, call.below.len() as u64);
        }
        let mut outcome = call.classified.outcome;
        if is_outranked(&call.sighting, &outcome, recall, now) {
            return self.leave_out(Ignored::Layer, taken);
        }
        match recall.told(ids(), &outcome, now) {
            Told::New => {}
            Told::Wrongly(counted) => counted.give_way_to(&mut outcome),
            Told::Before => return self.leave_out(Ignored::RequestId, taken),
        }
        if below > 0 {
            outcome.unclassified = total - below;
            outcome.attempt = Attempt::from_number(total);
        }
        if is_retry(&call.sighting, outcome.class, recall, now) {
            outcome.attempt = Attempt::Retry;
        }
        if let Some(rule) = call.classified.matched_by {
            self.stats().count_classified(rule.as_str(), u64::from(outcome.count));
        }
        taken.accepted += 1;
        outcomes.push(outcome);
    }

    fn leave_out(&self, reason: Ignored, taken: &mut Taken) {
        self.ignore(reason, 1);
        taken.ignored += 1;
    }

    fn refuse(&self, refusal: Refusal, taken: &mut Taken) {
        self.stats().count_rejected(refusal.reason.as_str());
        taken.rejected += 1;
        if taken.errors.len() < REFUSALS_TOLD_MAX {
            taken.errors.push(refusal.error);
        }
    }
}

fn is_repeated(replay_key: Option<&str>, recall: &mut Recall, now: Timestamp) -> bool {
    replay_key.is_some_and(|key| !recall.ids.first_time(("telemetry", key), now))
}

/// Whether it is an attempt of which it is not known which model it asked.
fn is_anonymous(sighting: &Sighting) -> bool {
    sighting.layer == Layer::Http && sighting.model.is_none()
}

/// What is kept of an HTTP span until the span around it comes, if one can.
fn anonymous(span: &Sighting, names: &Names, now: Timestamp) -> Result<Anonymous, Ignored> {
    let host = span.host.as_deref().filter(|host| names.serves(host)).ok_or(Ignored::Unrelated)?;
    if span.place.parent == [0; 8] {
        return Err(Ignored::NoModel);
    }
    let provider = names.provider_of_host(host);
    let (class, code, _) = span.ending.class(provider.as_ref().map_or("", |it| it.as_str()));
    let (at, host) = (span.at.unwrap_or(now), host.into());
    Ok(Anonymous { at, class, code, duration: span.duration, host })
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
/// asked, and the status of an attempt. Returns whether anything was new.
fn learn(sighting: &mut Sighting, below: &[Anonymous]) -> bool {
    let Some(last) = below.last() else { return false };
    let mut is_new = false;
    if sighting.host.is_none() {
        sighting.host = Some(last.host.to_string());
        is_new = true;
    }
    if sighting.basis == Basis::Attempt {
        let status = match &mut sighting.ending {
            Ending::Ok(status) => status,
            Ending::Failed(evidence) => &mut evidence.status,
        };
        is_new |= status.is_none() && last.code.is_some();
        *status = status.or(last.code);
    }
    is_new
}

/// The attempts of a call, from the HTTP spans below it, and how many there were in all.
///
/// All of them count where the call ends: told of together, they must be fresh together, or the
/// failures before a long answer would be missing from what states follow from.
fn attempts(call: &Call) -> (Vec<Outcome>, u32) {
    let (of, below) = (&call.classified.outcome, call.below.len() as u32);
    if of.basis == Basis::Attempt || below == 0 {
        return (Vec::new(), 0);
    }
    let total = below.max(call.sighting.resends.saturating_add(1));
    let attempt = |(number, span): (u32, &Anonymous)| {
        let mut outcome = Outcome::new(of.target.clone(), of.source, of.at, span.class);
        outcome.layer = of.layer;
        outcome.code = span.code;
        outcome.duration = span.duration;
        outcome.attempt = Attempt::from_number(number);
        if number == total {
            // The HTTP span ended with the headers, the attempt ends with the call.
            outcome.duration = span.duration.map(|it| it.saturating_add(of.at.since(span.at)));
            outcome.time_to_first_token = of.time_to_first_token;
            // Around the last one stands the layer that saw its stream and read its error.
            if of.class != Class::Ok {
                outcome.class = of.class;
            }
        }
        outcome
    };
    // The first ones may have been lost on the way; the last one has ended with the call.
    let attempts = (total - below + 1..=total).zip(&call.below).map(attempt).collect();
    (attempts, total)
}

/// What says whose process tells of which target, where a process can be told from others.
fn process<'a>(sighting: &'a Sighting, outcome: &'a Outcome) -> Option<impl std::hash::Hash + 'a> {
    // Name and instance; the SDKs make up a name where there is none.
    let service = sighting.service.as_str();
    let is_named = !service.starts_with('/') && !service.starts_with("unknown_service");
    let is_one_of_several = sighting.layer.instruments_a_process() && is_named;
    is_one_of_several.then_some((service, &outcome.target, outcome.basis))
}

fn note_layer(call: &Call, recall: &mut Recall, now: Timestamp) {
    let layer = call.sighting.layer;
    let outcome = &call.classified.outcome;
    let Some(key) = process(&call.sighting, outcome) else { return };
    let known = recall.layers.get(&key, now);
    // A better layer is remembered for as long as it goes on telling.
    if known.is_none_or(|known| layer <= known) {
        recall.layers.put(&key, layer, now);
    }
}

/// Whether a better layer of the same process tells of the same target.
fn is_outranked(
    sighting: &Sighting,
    outcome: &Outcome,
    recall: &mut Recall,
    now: Timestamp,
) -> bool {
    let Some(key) = process(sighting, outcome) else { return false };
    recall.layers.get(&key, now).is_some_and(|best| best < sighting.layer)
}

/// Whether an attempt repeats one of the same call that failed before it. What follows a success
/// is the next step of the call.
fn is_retry(sighting: &Sighting, class: Class, recall: &mut Recall, now: Timestamp) -> bool {
    let Some(call) = sighting.call.as_deref().filter(|_| sighting.attempt.is_none()) else {
        return false;
    };
    recall.calls.put(call, class != Class::Ok, now) == Some(true)
}
