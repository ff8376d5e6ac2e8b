//! Events of Gemini CLI: one for each attempt that was answered or failed, inside a stream too.
//!
//! The attempts of a call are not numbered. What they have in common is the prompt, which the
//! calls that follow from tools share.

use crate::domain::classify::Transport;
use crate::intake::sighting::{Basis, Ending, Evidence, Ignored, Layer, Reading, Sighting};

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
    let model = attributes.text(&["model", "model_name"]);
    let ending = match name.strip_prefix("gemini_cli.")? {
        "api_response" => Ending::Ok(status),
        "api_error" => {
            let text = attributes.text(&["error.message", "error"]);
            // Classes that stand for everything.
            let plain = ["ApiError", "Error", "TypeError"];
            let word = attributes.word("error.type").filter(|word| !plain.contains(&&**word));
            let transport = text.and_then(transport);
            Ending::Failed(Evidence { transport, ..evidence(status, word, text) })
        }
        _ => return ignored(Ignored::Unrelated),
    };
    // Where the account is Vertex AI's, so is the host; none is told.
    let provider = match attributes.text(&["auth_type"]) {
        Some("vertex-ai") => "vertex",
        Some(_) | None => "gemini",
    };
    let call = attributes.text(&["prompt_id"]).map(|prompt| {
        let session = attributes.text(&["session.id"]).unwrap_or(&record.service);
        let role = attributes.text(&["role"]).unwrap_or_default();
        format!("gemini_cli {session} {prompt} {role} {}", model.unwrap_or_default())
    });
    seen(Sighting {
        provider: Some(provider.to_owned()),
        model: owned(model),
        ending,
        duration: duration_ms(record),
        call,
        ..sighting(record, Layer::GeminiCli, Basis::Attempt)
    })
}

/// What the transport saw, in the words of Google's SDK and of Node.js. An error inside a stream
/// looks to that SDK like an answer that was cut.
fn transport(text: &str) -> Option<Transport> {
    match text {
        "terminated" => Some(Transport::ResetMidStream),
        _ if text.starts_with("Incomplete JSON segment") => Some(Transport::EofBeforeTerminal),
        _ => None,
    }
}
