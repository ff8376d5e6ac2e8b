//! What follows on what: the end of a stream on its first content, a call on its last attempt.

use crate::domain::layer::Basis;
use crate::domain::outcome::{Class, Outcome};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::intake::door::{Admission, Counted, Recall};

use super::record::Ties;

/// The outcomes that a record makes, seen together with those before it. Empty for one that tells
/// what was counted already.
///
/// A stream may be reported on its first content, so that a success counts at once and not only
/// when the last word has come; a later record of the same call and attempt takes its place.
pub(super) fn outcomes(
    ties: &Ties,
    mut outcome: Outcome,
    recall: &mut Recall,
    now: Timestamp,
) -> Vec<Outcome> {
    let Some(op) = ties.op.as_deref() else { return with_call(outcome, ties.is_final, None) };
    let key = (op, ties.attempt, &outcome.target);
    if ties.is_admission {
        let is_numbered = ties.attempt > 0;
        match recall.admissions.get(key, now) {
            Some(Admission::Open { .. }) => return Vec::new(),
            // It came late; without a number it may be another attempt of the call.
            Some(Admission::Ended) if is_numbered => return Vec::new(),
            Some(Admission::Ended) | None => {}
        }
        let counted = Box::new(Counted::of(&outcome));
        let open = Admission::Open { counted, is_final: ties.is_final };
        recall.admissions.put(key, open, now);
        // How long it takes is known at its end.
        outcome.duration = None;
        return with_call(outcome, ties.is_final, None);
    }
    let Some((counted, is_final)) = close(op, ties, &outcome.target, recall, now) else {
        return with_call(outcome, ties.is_final, None);
    };
    // The caller broke off what was coming in well.
    if outcome.class == Class::Other {
        return Vec::new();
    }
    counted.give_way_to(&mut outcome);
    if outcome.class == Class::Ok {
        // It was observed when it came.
        outcome.time_to_first_token = None;
    }
    let call_replaces = outcome.replaces.filter(|_| is_final);
    with_call(outcome, ties.is_final || is_final, call_replaces)
}

/// Notes the end of an attempt; what was admitted of it before, with its number or without one, and
/// whether that was the last of its call.
fn close(
    op: &str,
    ties: &Ties,
    target: &Target,
    recall: &mut Recall,
    now: Timestamp,
) -> Option<(Counted, bool)> {
    let numbered = (ties.attempt > 0).then_some(ties.attempt);
    for attempt in numbered.into_iter().chain([0]) {
        let key = (op, attempt, target);
        let before = recall.admissions.get(key, now);
        // Without a number and an admission there is nothing that could come late.
        if before.is_some() || attempt > 0 {
            recall.admissions.put(key, Admission::Ended, now);
        }
        if let Some(Admission::Open { counted, is_final }) = before {
            return Some((*counted, is_final));
        }
    }
    None
}

/// The outcome, and that of its call where it is the last attempt. `replaces` is when the call was
/// counted as a success, if it was.
fn with_call(outcome: Outcome, is_final: bool, replaces: Option<Timestamp>) -> Vec<Outcome> {
    if !is_final {
        return vec![outcome];
    }
    let call = Outcome { basis: Basis::Operation, unclassified: 0, replaces, ..outcome.clone() };
    vec![outcome, call]
}
