//! Spans that the Anthropic SDKs make themselves (Python 2, TypeScript 1 and later).
//!
//! One span for a call, with the provider's own error type, the last attempt's status, and the
//! number of attempts before it; what those ended as is not told.

use crate::intake::sighting::{Basis, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{gen_ai_sighting, ids, ignored, seen};

pub(super) fn read(record: &Record) -> Option<Reading> {
    if !record.scope.starts_with("com.anthropic.sdk") {
        return None;
    }
    let attributes = &record.attributes;
    if !attributes.has("gen_ai.request.model") {
        // Lists of models and the like.
        return ignored(Ignored::Unrelated);
    }
    let resends = attributes.number(&["http.request.resend_count"]).unwrap_or(0.0);
    let resends = resends.clamp(0.0, 1_000.0) as u32;
    let sighting = gen_ai_sighting(record, Layer::AnthropicSdk, Basis::Operation);
    seen(Sighting {
        provider: sighting.provider.or_else(|| Some("anthropic".to_owned())),
        attempt: Some(resends + 1),
        resends,
        // Others know either the one or the other.
        request_ids: ids(record, &["anthropic.request.id", "gen_ai.response.id"]),
        ..sighting
    })
}
