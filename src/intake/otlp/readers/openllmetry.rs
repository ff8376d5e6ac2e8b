//! Spans of OpenLLMetry (traceloop).
//!
//! One span for a call. Failures inside a stream make no span, or one that says OK, and old
//! versions tell of no failure at all: what it does not say is no evidence of health.

use crate::intake::sighting::{Basis, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{gen_ai_sighting, ids, ignored, is_call, seen};

pub(super) fn read(record: &Record) -> Option<Reading> {
    let library = record.scope.strip_prefix("opentelemetry.instrumentation.")?;
    let attributes = &record.attributes;
    let is_official = library.starts_with("genai") || library.starts_with("openai_v2");
    let speaks = attributes.has("gen_ai.request.model") || attributes.has("gen_ai.system");
    if is_official || !speaks {
        return None;
    }
    if !is_call(record) || !attributes.has("gen_ai.request.model") {
        return ignored(Ignored::Wrapper);
    }
    seen(Sighting {
        request_ids: ids(record, &["gen_ai.response.id"]),
        ..gen_ai_sighting(record, Layer::OpenLlmetry, Basis::Operation)
    })
}
