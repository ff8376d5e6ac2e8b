//! Spans of the Vercel AI SDK.
//!
//! One span for each attempt (`….doGenerate`, `….doStream`), which are the children of one for the
//! call. No status: the provider's message is all there is. A failure inside a stream after its
//! first content looks like a success.

use crate::intake::sighting::{Basis, Ending, Ignored, Layer, Reading, Sighting};

use super::super::record::{Record, millis};
use super::{hex, host, ids, ignored, owned, provider, seen, sighting};

pub(super) fn read(record: &Record) -> Option<Reading> {
    let attributes = &record.attributes;
    let operation = attributes.text(&["ai.operationId"])?;
    let step = operation.rsplit('.').next().unwrap_or(operation);
    if !matches!(step, "doGenerate" | "doStream" | "doEmbed") {
        return ignored(Ignored::Wrapper);
    }
    let place = record.place;
    let ttft = attributes.number(&["ai.response.msToFirstChunk"]).and_then(millis);
    let mut sighting = Sighting {
        provider: provider(record, &["gen_ai.system", "ai.model.provider"]),
        host: host(record),
        model: owned(attributes.text(&["gen_ai.request.model", "ai.model.id"])),
        time_to_first_token: ttft,
        request_ids: ids(record, &["ai.response.id", "gen_ai.response.id"]),
        call: (place.parent != [0; 8]).then(|| hex(&[&place.trace[..], &place.parent])),
        ..sighting(record, Layer::VercelAi, Basis::Attempt)
    };
    if let Ending::Failed(evidence) = &mut sighting.ending {
        // The class of every failed call, so it says nothing.
        evidence.error_type.take_if(|word| word == "AI_APICallError");
    }
    seen(sighting)
}
