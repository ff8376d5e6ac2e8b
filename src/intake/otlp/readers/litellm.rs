//! Spans of LiteLLM, SDK and proxy: one of a dozen for each call tells of the provider.
//!
//! LiteLLM turns many errors into 500, Anthropic's overload among them, so its 500 is no evidence;
//! the message is.

use crate::intake::sighting::{Basis, Ending, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{gen_ai_sighting, ignored, owned, seen};

pub(super) fn read(record: &Record) -> Option<Reading> {
    if &*record.scope != "litellm" {
        return None;
    }
    let attributes = &record.attributes;
    let model = attributes.text(&["litellm.provider.model", "gen_ai.request.model"]);
    if model.is_none() || record.name == "raw_gen_ai_request" {
        return ignored(Ignored::Wrapper);
    }
    let mut sighting = Sighting {
        // The deployment, not the name of the group that callers use.
        model: owned(model),
        ..gen_ai_sighting(record, Layer::LiteLlmSpan, Basis::Operation)
    };
    if let Ending::Failed(evidence) = &mut sighting.ending {
        evidence.status.take_if(|status| *status == 500);
        evidence.in_stream = false;
    }
    seen(sighting)
}
