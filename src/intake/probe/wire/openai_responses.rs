//! OpenAI's Responses API.
//!
//! Facts from its reference (developers.openai.com/api/reference/resources/responses, with the
//! streaming events): a stream ends with `response.completed`, `response.incomplete` or
//! `response.failed` and has no `[DONE]`; every event says its type in its data, too. An overload
//! was seen after `response.created` and `response.in_progress`, so neither is evidence of
//! anything. Fewer than 16 output tokens are refused. `store: false`, because nobody will ask for
//! the answer again.

use serde_json::{Value, json};

use super::{Answer, PROMPT, Place, Progress, Wire, is_content, is_error, is_text, join};

/// The API as OpenAI made it.
pub(super) struct Responses;

impl Wire for Responses {
    fn url(&self, place: &Place<'_>) -> String {
        join(place.base_url, "responses")
    }

    fn body(&self, wire_model: &str) -> Value {
        json!({
            "model": wire_model,
            "input": PROMPT,
            "max_output_tokens": 16,
            "store": false,
            "stream": true,
        })
    }

    fn fixed(&self) -> &'static [&'static str] {
        &["model", "input", "stream"]
    }

    fn token_limits(&self) -> &'static [&'static str] {
        &["/max_output_tokens"]
    }

    fn read(&self, name: &str, data: &str, progress: &mut Progress) {
        let Ok(event) = serde_json::from_str::<Value>(data) else { return };
        let kind = event["type"].as_str().unwrap_or(name);
        match kind {
            // Incomplete is what the token limit makes of it: the model did answer.
            "response.completed" | "response.incomplete" => {
                let response = &event["response"];
                read_usage(&response["usage"], progress);
                let failed = response["status"] == "failed" || is_error(&response["error"]);
                progress.failed |= failed;
                progress.terminal |= !failed;
            }
            "response.failed" => {
                read_usage(&event["response"]["usage"], progress);
                progress.failed = true;
            }
            "error" => progress.failed = true,
            _ if is_error(&event["error"]) => progress.failed = true,
            // Text, reasoning, a refusal, arguments of a call: all of them are the model's.
            _ => progress.content |= kind.ends_with(".delta") && is_content(&event["delta"]),
        }
    }

    fn answer(&self, document: &Value, progress: &mut Progress) -> Answer {
        let status = document["status"].as_str().unwrap_or_default();
        // Gateways drop `object`, and then the output tells.
        let is_response = document["object"] == "response"
            || (is_text(&document["status"]) && document["output"].is_array());
        if !is_response {
            return Answer::Foreign;
        }
        read_usage(&document["usage"], progress);
        if !matches!(status, "completed" | "incomplete") || is_error(&document["error"]) {
            return Answer::Cut;
        }
        progress.terminal = true;
        Answer::Complete
    }
}

fn read_usage(usage: &Value, progress: &mut Progress) {
    if let Some(tokens) = usage["input_tokens"].as_u64() {
        progress.usage.input_tokens = Some(tokens);
    }
    if let Some(tokens) = usage["output_tokens"].as_u64() {
        progress.usage.output_tokens = Some(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_are_content_and_the_last_event_says_how_it_ended() {
        let text = r#"{"type":"response.output_text.delta","delta":"x"}"#;
        let reasoning = r#"{"type":"response.reasoning_summary_text.delta","delta":"x"}"#;
        let overloaded = r#"{"type":"error","code":"server_is_overloaded","message":"x"}"#;
        let incomplete = r#"{"type":"response.incomplete","response":{"status":"incomplete",
            "error":null,"incomplete_details":{"reason":"max_output_tokens"}}}"#;
        for (name, data, content, terminal, failed) in [
            ("", r#"{"type":"response.created","response":{"error":null}}"#, false, false, false),
            ("", r#"{"type":"response.in_progress","response":{}}"#, false, false, false),
            ("", r#"{"type":"response.output_item.added","item":{}}"#, false, false, false),
            ("", text, true, false, false),
            ("", reasoning, true, false, false),
            ("response.output_text.delta", r#"{"delta":"x"}"#, true, false, false),
            ("", r#"{"type":"response.completed","response":{}}"#, false, true, false),
            ("", incomplete, false, true, false),
            ("", r#"{"type":"response.failed","response":{}}"#, false, false, true),
            (
                "",
                r#"{"type":"response.completed","response":{"error":{"code":"x"}}}"#,
                false,
                false,
                true,
            ),
            ("", overloaded, false, false, true),
            ("error", r#"{"error":{"code":"x"}}"#, false, false, true),
            ("", r#"{"error":{"message":"x"}}"#, false, false, true),
            ("", "[DONE]", false, false, false),
            ("", "null", false, false, false),
        ] {
            let mut progress = Progress::default();
            Responses.read(name, data, &mut progress);
            let found = (progress.content, progress.terminal, progress.failed);
            assert_eq!(found, (content, terminal, failed), "{data}");
        }
    }

    #[test]
    fn a_whole_response_is_complete_when_its_status_says_so() {
        for (document, expected) in [
            (json!({"object": "response", "status": "completed"}), Answer::Complete),
            (json!({"object": "response", "status": "incomplete"}), Answer::Complete),
            (json!({"status": "completed", "output": []}), Answer::Complete),
            (json!({"object": "response", "status": "in_progress"}), Answer::Cut),
            (json!({"object": "response", "status": "failed"}), Answer::Cut),
            (json!({"object": "response"}), Answer::Cut),
            (
                json!({"object": "response", "status": "completed", "error": {"code": "x"}}),
                Answer::Cut,
            ),
            (json!({"status": "up"}), Answer::Foreign),
            (json!({"choices": []}), Answer::Foreign),
            (json!(null), Answer::Foreign),
        ] {
            let answer = Responses.answer(&document, &mut Progress::default());
            assert_eq!(answer, expected, "{document}");
        }
    }
}
