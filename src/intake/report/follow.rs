//! What follows on what: the end of a stream on its first content, a call on its last attempt.

use crate::domain::layer::Basis;
use crate::domain::outcome::{Class, Outcome, Replaced, Scope};
use crate::domain::target::Target;
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
    if ties.is_admission {
        let is_numbered = ties.attempt > 0;
        match recall.admissions.get(key, now) {
            Some(Admission::Open { .. }) => return Vec::new(),
            // It came late; without a number it may be another attempt of the call.
            Some(Admission::Ended) if is_numbered => return Vec::new(),
            Some(Admission::Ended) | None => {}
        }
        let open = Admission::Open {
            counted: Replaced { at: outcome.at, count: outcome.count },
            scope: outcome.scope.clone(),
            is_final: ties.is_final,
        };
        recall.admissions.put(key, open, now);
        // How long it takes is known at its end.
        outcome.duration = None;
        return with_call(outcome, ties.is_final, None);
    }
    let Some(Open { counted, scope, is_final }) = close(op, ties, &outcome.target, recall, now)
    else {
        return with_call(outcome, ties.is_final, None);
    };
    // The caller broke off what was coming in well.
    if outcome.class == Class::Other {
        return Vec::new();
    }
    outcome.replaces = Some(counted);
    // It is the end of what began: that stream, there.
    outcome.count = counted.count;
    outcome.scope = scope;
    if outcome.class == Class::Ok {
        // It was observed when it came.
        outcome.time_to_first_token = None;
    }
    with_call(outcome, ties.is_final || is_final, is_final.then_some(counted))
}

/// An admission whose end has come.
struct Open {
    counted: Replaced,
    scope: Scope,
    is_final: bool,
}

/// Notes the end of an attempt; what was admitted of it before, with its number or without one.
fn close(
    op: &str,
    ties: &Ties,
    target: &Target,
    recall: &mut Recall,
    now: Timestamp,
) -> Option<Open> {
    let numbered = (ties.attempt > 0).then_some(ties.attempt);
    for attempt in numbered.into_iter().chain([0]) {
        let key = (op, attempt, target);
        let before = recall.admissions.get(key, now);
        // Without a number and an admission there is nothing that could come late.
        if before.is_some() || attempt > 0 {
            recall.admissions.put(key, Admission::Ended, now);
        }
        if let Some(Admission::Open { counted, scope, is_final }) = before {
            return Some(Open { counted, scope, is_final });
        }
    }
    None
}

/// The outcome, and that of its call where it is the last attempt. `counted` is the success that
/// was counted of the call, if one was.
fn with_call(outcome: Outcome, is_final: bool, counted: Option<Replaced>) -> Vec<Outcome> {
    if !is_final {
        return vec![outcome];
    }
    let call =
        Outcome { basis: Basis::Operation, unclassified: 0, replaces: counted, ..outcome.clone() };
    vec![outcome, call]
}
