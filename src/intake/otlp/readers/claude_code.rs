//! Events of Claude Code, and its spans where they are switched on.
//!
//! One event for a request that succeeded or that it gave up on; how often it tried is told in the
//! latter case, what the attempts before the last ended as is not.

use crate::intake::sighting::{Basis, Ending, Evidence, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{STATUS, attempt, duration_ms, event, evidence, ignored, owned, seen, sighting};

/// Whom it asks unless it is told otherwise.
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
    seen(call(record, ending))
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
    seen(call(record, ending))
}

fn call(record: &Record, ending: Ending) -> Sighting {
    let attributes = &record.attributes;
    let attempt = attempt(record);
    let sighting = sighting(record, Layer::ClaudeCode, Basis::Operation);
    Sighting {
        provider: Some(PROVIDER.to_owned()),
        model: owned(attributes.text(&["model", "gen_ai.request.model"])),
        ending,
        duration: duration_ms(record).or(sighting.duration),
        attempt,
        resends: attempt.map_or(0, |attempt| attempt - 1),
        request_id: owned(attributes.text(&["request_id", "client_request_id"])),
        ..sighting
    }
}

fn failure(record: &Record) -> Evidence {
    let attributes = &record.attributes;
    let text = attributes.text(&["error", "error.message"]).or_else(|| record.message());
    evidence(attributes.status(&STATUS), attributes.word("error.type"), text)
}
