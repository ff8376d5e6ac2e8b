//! Spans of OpenInference. They carry prompts in many attributes, of which none is kept.
//!
//! One span for a call, with the exception's class and text. A failed call of OpenAI's API names
//! its model only inside the parameters.

use crate::intake::sighting::{Basis, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{host, ignored, owned, provider, seen, sighting};

pub(super) fn read(record: &Record) -> Option<Reading> {
    let attributes = &record.attributes;
    let kind = attributes.text(&["openinference.span.kind"])?;
    if !["LLM", "EMBEDDING"].iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return ignored(Ignored::Wrapper);
    }
    let model = ["llm.request.model_name", "llm.model_name", "llm.invocation_parameters"];
    seen(Sighting {
        provider: provider(record, &["llm.provider", "llm.system"]),
        host: host(record),
        model: owned(attributes.text(&model)),
        ..sighting(record, Layer::OpenInference, Basis::Operation)
    })
}
