//! Amazon Bedrock's Converse, streamed.
//!
//! Facts from the Amazon Bedrock API reference (`ConverseStream`). The model's name is a part of
//! the path, and streaming is another path, so the body says neither. A stream is binary frames:
//! see `event_stream`. `metadata` with the usage is its last frame, after `messageStop`.

use serde_json::{Value, json};

use super::{Answer, Framing, PROMPT, Place, Progress, Wire, is_content, is_text, join, segment};

/// The API that is the same for all models of Bedrock.
pub(super) struct Converse;

impl Wire for Converse {
    fn url(&self, place: &Place<'_>) -> String {
        // Colons of versions and slashes of ARNs belong to the name.
        join(place.base_url, &format!("model/{}/converse-stream", segment(place.wire_model)))
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("accept", "application/vnd.amazon.eventstream, application/json")]
    }

    fn body(&self, _wire_model: &str) -> Value {
        json!({
            "messages": [{"role": "user", "content": [{"text": PROMPT}]}],
            "inferenceConfig": {"maxTokens": 1},
        })
    }

    fn fixed(&self) -> &'static [&'static str] {
        &["messages"]
    }

    fn token_limits(&self) -> &'static [&'static str] {
        &["/inferenceConfig/maxTokens"]
    }

    fn framing(&self) -> Framing {
        Framing::EventStream
    }

    fn read(&self, name: &str, data: &str, progress: &mut Progress) {
        if name == "error" {
            progress.failed = true;
            return;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else { return };
        match name {
            "contentBlockDelta" => progress.content |= is_content(&event["delta"]),
            "messageStop" => progress.terminal |= is_text(&event["stopReason"]),
            "metadata" => read_usage(&event["usage"], progress),
            _ => {}
        }
    }

    /// The answer of `Converse`, which gateways give to either.
    fn answer(&self, document: &Value, progress: &mut Progress) -> Answer {
        if !document["output"].is_object() {
            return Answer::Foreign;
        }
        read_usage(&document["usage"], progress);
        if !is_text(&document["stopReason"]) {
            return Answer::Cut;
        }
        progress.terminal = true;
        Answer::Complete
    }
}

fn read_usage(usage: &Value, progress: &mut Progress) {
    if let Some(tokens) = usage["inputTokens"].as_u64() {
        progress.usage.input_tokens = Some(tokens);
    }
    if let Some(tokens) = usage["outputTokens"].as_u64() {
        progress.usage.output_tokens = Some(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_is_one_part_of_the_path() {
        for (model, part) in [
            ("amazon.nova-micro-v1:0", "amazon.nova-micro-v1%3A0"),
            ("us.anthropic.claude-opus-4-7-v1:0", "us.anthropic.claude-opus-4-7-v1%3A0"),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/p_1",
                "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fp_1",
            ),
            ("../é", "..%2F%C3%A9"),
        ] {
            let place = Place { base_url: "https://b/", wire_model: model, api_version: None };
            assert_eq!(Converse.url(&place), format!("https://b/model/{part}/converse-stream"));
        }
    }

    #[test]
    fn only_a_reason_to_stop_ends_an_answer() {
        for (name, data, content, terminal, failed) in [
            ("messageStart", r#"{"role":"assistant"}"#, false, false, false),
            ("contentBlockDelta", r#"{"delta":{"text":"x"},"p":"abc"}"#, true, false, false),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#, false, false, false),
            ("messageStop", r#"{"stopReason":"max_tokens"}"#, false, true, false),
            ("messageStop", r#"{"stopReason":""}"#, false, false, false),
            ("metadata", r#"{"usage":{"inputTokens":1}}"#, false, false, false),
            ("error", r#"{"message":"x"}"#, false, false, true),
            ("error", "", false, false, true),
            ("messageStop", "not json", false, false, false),
        ] {
            let mut progress = Progress::default();
            Converse.read(name, data, &mut progress);
            let found = (progress.content, progress.terminal, progress.failed);
            assert_eq!(found, (content, terminal, failed), "{name} {data}");
        }
    }
}
