//! What follows on what: the end of a stream on its first content, a call on its last attempt.

use crate::domain::layer::Basis;
use crate::domain::outcome::{Class, Outcome};
use crate::domain::time::Timestamp;
use crate::intake::door::{Admission, Recall};

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
    let before = recall.admissions.get(key, now);
    if ties.is_admission {
        let is_numbered = ties.attempt > 0;
        match before {
            Some(Admission::Open { .. }) => return Vec::new(),
            // It came late; without a number it may be another attempt of the call.
            Some(Admission::Ended) if is_numbered => return Vec::new(),
            Some(Admission::Ended) | None => {}
        }
        let open = Admission::Open { at: outcome.at, is_final: ties.is_final };
        recall.admissions.put(key, open, now);
        return with_call(outcome, ties.is_final, None);
    }
    let Some(Admission::Open { at, is_final }) = before else {
        return with_call(outcome, ties.is_final, None);
    };
    recall.admissions.put(key, Admission::Ended, now);
    outcome.replaces = Some(at);
    if outcome.class == Class::Ok {
        // It was observed when it came.
        outcome.time_to_first_token = None;
    }
    with_call(outcome, ties.is_final || is_final, is_final.then_some(at))
}

/// The outcome, and that of its call where it is the last attempt. `counted` is when the call was
/// counted as a success, if it was.
fn with_call(outcome: Outcome, is_final: bool, counted: Option<Timestamp>) -> Vec<Outcome> {
    if !is_final {
        return vec![outcome];
    }
    let call =
        Outcome { basis: Basis::Operation, unclassified: 0, replaces: counted, ..outcome.clone() };
    vec![outcome, call]
}
