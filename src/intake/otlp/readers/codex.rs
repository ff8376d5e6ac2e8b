//! Events of Codex CLI: each attempt that never got a stream, with its number, and each stream's
//! end.
//!
//! What it asks for comes as a stream, over HTTP or over a WebSocket, and a request that was let in
//! tells nothing yet: the end is an event of its own, the same on both ways.

use crate::domain::classify::Transport;
use crate::intake::sighting::{Basis, Ending, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{STATUS, duration_ms, event, evidence, ids, ignored, owned, seen, sighting};

pub(super) fn read(record: &Record) -> Option<Reading> {
    let name = event(record).strip_prefix("codex.")?;
    let attributes = &record.attributes;
    let endpoint = attributes.text(&["endpoint"]);
    if endpoint.is_some_and(|endpoint| endpoint.contains("/models")) {
        return ignored(Ignored::Unrelated);
    }
    let status = attributes.status(&STATUS);
    let text = attributes.text(&["error.message"]);
    let is_failure = text.is_some()
        || attributes.truth("success") == Some(false)
        || status.is_some_and(|status| status >= 400);
    let is_end = match name {
        "api_request" | "websocket_connect" if is_failure => false,
        // Its stream's end follows; there is none where the answer comes as a whole.
        "api_request" if endpoint.is_none_or(streams) => return ignored(Ignored::Wrapper),
        "api_request" => false,
        "websocket_connect" | "websocket_request" => return ignored(Ignored::Wrapper),
        "sse_event" if is_stream_end(record) => true,
        "sse_event" => return ignored(Ignored::Wrapper),
        _ => return ignored(Ignored::Unrelated),
    };
    let ending = if is_failure {
        let mut evidence = evidence(status, attributes.word("error.type"), text);
        evidence.in_stream |= is_end;
        evidence.transport = text.and_then(transport);
        Ending::Failed(evidence)
    } else {
        Ending::Ok(status)
    };
    seen(Sighting {
        provider: Some("openai".to_owned()),
        model: owned(attributes.text(&["model"])),
        ending,
        // To the headers only, where a stream follows.
        duration: duration_ms(record),
        // It counts from 0, the retries only, and from 0 again after a stream that broke off.
        attempt: attributes.number(&["attempt"]).map(|number| number.clamp(0.0, 1e6) as u32 + 1),
        request_ids: ids(record, &["auth.request_id"]),
        ..sighting(record, Layer::Codex, Basis::Attempt)
    })
}

/// What the transport saw, in the words of the libraries below it.
fn transport(text: &str) -> Option<Transport> {
    let says = |part| text.contains(part);
    if says("idle timeout") {
        return Some(Transport::IdleTimeout);
    }
    if says("Transport error: ") || says("stream closed before") || says("websocket closed") {
        return Some(Transport::ResetMidStream);
    }
    says("error sending request").then_some(Transport::ResetBeforeHeaders)
}

/// Whether what this endpoint answers is a stream.
fn streams(endpoint: &str) -> bool {
    endpoint.ends_with("/responses") || endpoint.ends_with("/chat/completions")
}

/// Whether it sums up a stream, well ended or not. Events as they came over the wire have the
/// time since the one before them, and stand beside this one.
fn is_stream_end(record: &Record) -> bool {
    let attributes = &record.attributes;
    attributes.text(&["event.kind"]) == Some("response.completed") && !attributes.has("duration_ms")
}
