//! Events of Gemini CLI: one for each request that was answered or failed.

use crate::intake::sighting::{Basis, Ending, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{STATUS, duration_ms, event, evidence, ignored, owned, seen, sighting};

pub(super) fn read(record: &Record) -> Option<Reading> {
    let name = event(record);
    if name == "gen_ai.client.inference.operation.details" {
        // The same request told again, with its prompt.
        return ignored(Ignored::Wrapper);
    }
    let attributes = &record.attributes;
    let status = attributes.status(&STATUS);
    let ending = match name.strip_prefix("gemini_cli.")? {
        "api_response" => Ending::Ok(status),
        "api_error" => {
            let text = attributes.text(&["error.message", "error"]);
            // `ApiError` is the class of them all.
            let word = attributes.word("error.type").filter(|word| word != "ApiError");
            Ending::Failed(evidence(status, word, text))
        }
        _ => return ignored(Ignored::Unrelated),
    };
    seen(Sighting {
        provider: Some("gemini".to_owned()),
        model: owned(attributes.text(&["model", "model_name"])),
        ending,
        duration: duration_ms(record),
        ..sighting(record, Layer::GeminiCli, Basis::Operation)
    })
}
