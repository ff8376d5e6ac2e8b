//! Events of Codex CLI: one for each HTTP attempt, with its number and status.
//!
//! Over a WebSocket, and for failures inside a stream, there are events without a status, which
//! stand beside an attempt that was told of before.

use crate::intake::sighting::{Basis, Ending, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{STATUS, duration_ms, event, evidence, ignored, owned, seen, sighting};

pub(super) fn read(record: &Record) -> Option<Reading> {
    let name = event(record).strip_prefix("codex.")?;
    let attributes = &record.attributes;
    let failed_stream = attributes.text(&["event.kind"]) == Some("response.failed");
    let basis = match name {
        "api_request" => Basis::Attempt,
        "websocket_request" => Basis::Operation,
        "sse_event" if failed_stream => Basis::Operation,
        _ => return ignored(Ignored::Unrelated),
    };
    if attributes.text(&["endpoint"]).is_some_and(|endpoint| endpoint.contains("/models")) {
        return ignored(Ignored::Unrelated);
    }
    let status = attributes.status(&STATUS);
    let text = attributes.text(&["error.message"]);
    let succeeded = attributes.truth("success");
    let is_failure = text.is_some()
        || failed_stream
        || succeeded == Some(false)
        || status.is_some_and(|status| status >= 400);
    let ending = if is_failure {
        Ending::Failed(evidence(status, attributes.word("error.type"), text))
    } else {
        Ending::Ok(status)
    };
    seen(Sighting {
        provider: Some("openai".to_owned()),
        model: owned(attributes.text(&["model"])),
        ending,
        duration: duration_ms(record),
        // It counts from 0, the retries only.
        attempt: attributes.number(&["attempt"]).map(|number| number.clamp(0.0, 1e6) as u32 + 1),
        request_id: owned(attributes.text(&["auth.request_id"])),
        ..sighting(record, Layer::Codex, basis)
    })
}
