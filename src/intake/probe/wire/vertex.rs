//! Anthropic's Messages behind Google's Vertex AI.
//!
//! Facts from platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai and
//! docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude: the model
//! is in the path and not in the body, the API's version in the body and not in a header. There is
//! no `service_tier`. The key is a token of Google Cloud, good for an hour: name the command that
//! prints one, and it is run again in time.

use serde_json::{Value, json};

use super::{Answer, PROMPT, Place, Progress, Wire, anthropic, join, segment};

/// Claude as a model of Vertex AI.
pub(super) struct RawPredict;

impl Wire for RawPredict {
    fn url(&self, place: &Place<'_>) -> String {
        let model = segment(place.wire_model);
        join(place.base_url, &format!("publishers/anthropic/models/{model}:streamRawPredict"))
    }

    fn body(&self, _: &str) -> Value {
        json!({
            "anthropic_version": "vertex-2023-10-16",
            "max_tokens": 1,
            "messages": [{"role": "user", "content": PROMPT}],
            "stream": true,
        })
    }

    fn fixed(&self) -> &'static [&'static str] {
        &["messages", "stream"]
    }

    fn token_limits(&self) -> &'static [&'static str] {
        &["/max_tokens"]
    }

    fn read(&self, name: &str, data: &str, progress: &mut Progress) {
        anthropic::read(name, data, progress);
    }

    fn answer(&self, document: &Value, progress: &mut Progress) -> Answer {
        anthropic::answer(document, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_one_segment_of_the_path() {
        let base_url = "https://eu-aiplatform.googleapis.com/v1/projects/p/locations/eu";
        for (wire_model, expected) in [
            ("claude-opus-4-7", "claude-opus-4-7"),
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5@20251001"),
            ("../x?y", "..%2Fx%3Fy"),
        ] {
            let url = RawPredict.url(&Place { base_url, wire_model, api_version: None });
            let models = format!("{base_url}/publishers/anthropic/models");
            assert_eq!(url, format!("{models}/{expected}:streamRawPredict"));
        }
    }
}
