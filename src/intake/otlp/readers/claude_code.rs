//! Events of Claude Code, and its spans where they are switched on.
//!
//! One of each for a request that succeeded or that it gave up on. An event tells how often it
//! tried only in the latter case; the span also tells of retries that helped. What the attempts
//! before the last ended as neither tells. Where both are sent they are of the same request.

use crate::intake::sighting::{Basis, Ending, Evidence, Ignored, Layer, Reading, Sighting};

use super::super::Signal;
use super::super::record::Record;
use super::{
    ATTEMPTS_MAX, STATUS, attempt, duration_ms, event, evidence, hex, ids, ignored, owned, seen,
    sighting,
};

/// Whom it asks unless it says otherwise.
const PROVIDER: &str = "anthropic";

pub(super) fn read_event(record: &Record) -> Option<Reading> {
    let name = event(record);
    let is_ours = record.service.starts_with("claude-code") || record.scope.contains("claude_code");
    let name = match name.strip_prefix("claude_code.") {
        Some(name) => name,
        None if is_ours => name,
        None => return None,
    };
    let ending = match name {
        // A refusal comes at the end of an answer that was given.
        "api_request" | "api_refusal" => Ending::Ok(None),
        "api_error" => Ending::Failed(failure(record)),
        // Sent beside the error that it sums up, or with each attempt and the whole prompt.
        "api_retries_exhausted" | "api_request_body" | "api_response_body" => {
            return ignored(Ignored::Wrapper);
        }
        _ => return ignored(Ignored::Unrelated),
    };
    call(record, ending)
}

pub(super) fn read_span(record: &Record) -> Option<Reading> {
    if record.name != "claude_code.llm_request" {
        return None;
    }
    let attributes = &record.attributes;
    let failed = attributes.truth("success") == Some(false) || attributes.has("error");
    let ending = if failed || record.is_error {
        Ending::Failed(failure(record))
    } else {
        Ending::Ok(attributes.status(&STATUS))
    };
    call(record, ending)
}

fn call(record: &Record, ending: Ending) -> Option<Reading> {
    let attributes = &record.attributes;
    // Of a gateway it knows neither who answers nor whether the status is the provider's.
    if attributes.text(&["anthropic.provider"]) == Some("gateway") {
        return ignored(Ignored::Gateway);
    }
    // It counts from 1 again when it asks for the whole after a stream broke off; each attempt's
    // beginning is an event of the span.
    let begun = Some(record.attempts_begun.min(ATTEMPTS_MAX)).filter(|begun| *begun > 0);
    let attempt = attempt(record).max(begun);
    let sighting = sighting(record, Layer::ClaudeCode, Basis::Operation);
    let replay_key = same_request(record, &ending).or(sighting.replay_key);
    seen(Sighting {
        provider: Some(provider(record)),
        model: owned(attributes.text(&["model", "gen_ai.request.model"])),
        ending,
        duration: duration_ms(record).or(sighting.duration),
        attempt,
        resends: attempt.map_or(0, |attempt| attempt - 1),
        request_ids: ids(record, &["request_id", "client_request_id"]),
        replay_key,
        ..sighting
    })
}

/// What the event and the span of one request have in common, where they have it: the request's
/// id, or for a failure without one the span around both, which ends with it.
fn same_request(record: &Record, ending: &Ending) -> Option<String> {
    let attributes = &record.attributes;
    if let Some(id) = attributes.text(&["request_id"]) {
        return Some(format!("claude_code {id}"));
    }
    let around = match record.signal {
        Signal::Traces => record.place.parent,
        Signal::Logs => record.place.span,
    };
    let Ending::Failed(failure) = ending else { return None };
    if record.place.trace == [0; 16] || around == [0; 8] {
        return None;
    }
    let place = hex(&[&record.place.trace[..], &around]);
    let model = attributes.text(&["model"]).unwrap_or_default();
    let (status, attempt) = (failure.status.unwrap_or(0), attributes.word("attempt"));
    Some(format!("claude_code {place} {model} {status} {}", attempt.unwrap_or_default()))
}

/// Who serves Claude. Anthropic's platform in a cloud is Anthropic's own.
fn provider(record: &Record) -> String {
    let cloud = match record.attributes.text(&["anthropic.provider"]) {
        Some("bedrock" | "mantle") => "bedrock",
        Some("vertex") => "vertex",
        Some("foundry") => "azure",
        Some(_) => PROVIDER,
        None => {
            return super::provider(record, &["gen_ai.provider.name"]).unwrap_or(PROVIDER.into());
        }
    };
    cloud.to_owned()
}

fn failure(record: &Record) -> Evidence {
    let attributes = &record.attributes;
    let text = attributes.text(&["error", "error.message"]).or_else(|| record.message());
    // After three of them in a row it gives up and says only this.
    let repeated = text.and_then(|text| text.strip_prefix("Repeated "));
    let status = attributes.status(&STATUS).or_else(|| repeated.and_then(super::status_in));
    evidence(status, attributes.word("error.type"), text)
}
