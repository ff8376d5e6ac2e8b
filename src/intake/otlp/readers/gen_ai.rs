//! Spans by the conventions for generative AI: opentelemetry's genai-anthropic, genai-openai and
//! openai-v2, and whatever else follows them.
//!
//! One span for a call, without a status: the exception's class and text tell.

use crate::intake::sighting::{Basis, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{gen_ai_sighting, ids, ignored, is_call, seen};

pub(super) fn read(record: &Record) -> Option<Reading> {
    let attributes = &record.attributes;
    let speaks = ["gen_ai.operation.name", "gen_ai.request.model", "gen_ai.provider.name"];
    if !speaks.iter().any(|key| attributes.has(key)) {
        return None;
    }
    if !is_call(record) || !attributes.has("gen_ai.request.model") {
        return ignored(Ignored::Wrapper);
    }
    seen(Sighting {
        request_ids: ids(record, &["gen_ai.response.id"]),
        ..gen_ai_sighting(record, Layer::GenAi, Basis::Operation)
    })
}
