//! Google's `streamGenerateContent`, as server-sent events.
//!
//! Facts from the Gemini API's reference (ai.google.dev/api/generate-content, …/docs/thinking):
//! each event is a whole `GenerateContentResponse`; the last one has a `finishReason`, and there is
//! no `[DONE]`. A model that thinks may spend the whole token limit on thoughts: it then ends with
//! `MAX_TOKENS` and without any part, which is a complete answer. Thoughts are billed as output.
//! The same API serves Gemini models on Vertex AI, at a base URL that ends in `publishers/google`.

use serde_json::{Value, json};

use super::{Answer, PROMPT, Place, Progress, Wire, is_content, is_error, is_text, join, segment};

/// The version of the API that has every model.
const VERSION: &str = "v1beta";

/// The API of Google.
pub(super) struct GenerateContent;

impl Wire for GenerateContent {
    /// The base URL may be given with or without the version segment, as people write both.
    fn url(&self, place: &Place<'_>) -> String {
        let is_version = |segment: &str| {
            let number = segment.strip_prefix('v');
            number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
        };
        let is_whole = place.base_url.split('/').skip(3).any(is_version);
        let version = match place.api_version.unwrap_or(VERSION) {
            _ if is_whole => String::new(),
            version => format!("{version}/"),
        };
        let model = place.wire_model.strip_prefix("models/").unwrap_or(place.wire_model);
        let method = ":streamGenerateContent?alt=sse";
        join(place.base_url, &format!("{version}models/{}{method}", segment(model)))
    }

    fn body(&self, _: &str) -> Value {
        json!({
            "contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
            "generationConfig": {"maxOutputTokens": 1},
        })
    }

    fn fixed(&self) -> &'static [&'static str] {
        &["contents"]
    }

    fn token_limits(&self) -> &'static [&'static str] {
        &["/generationConfig/maxOutputTokens"]
    }

    fn read(&self, _: &str, data: &str, progress: &mut Progress) {
        let Ok(event) = serde_json::from_str::<Value>(data) else { return };
        read(&event, progress);
    }

    /// Without `alt=sse`, which a gateway may drop, the events come as one array.
    fn answer(&self, document: &Value, progress: &mut Progress) -> Answer {
        let events = document.as_array().map_or(std::slice::from_ref(document), Vec::as_slice);
        let is_known =
            |event: &Value| event["candidates"].is_array() || event["promptFeedback"].is_object();
        if !events.iter().any(is_known) {
            return Answer::Foreign;
        }
        // The content of a whole answer comes with its end, not before.
        let mut whole = Progress::default();
        events.iter().for_each(|event| read(event, &mut whole));
        progress.usage = whole.usage;
        progress.failed = whole.failed;
        progress.terminal = whole.terminal;
        if whole.terminal { Answer::Complete } else { Answer::Cut }
    }
}

fn read(event: &Value, progress: &mut Progress) {
    if is_error(&event["error"]) {
        progress.failed = true;
        return;
    }
    for candidate in event["candidates"].as_array().into_iter().flatten() {
        progress.content |= is_content(&candidate["content"]["parts"]);
        let reason = &candidate["finishReason"];
        progress.terminal |= is_text(reason) && reason != "FINISH_REASON_UNSPECIFIED";
    }
    // A prompt that was refused has no candidate, and nothing follows.
    progress.terminal |= is_text(&event["promptFeedback"]["blockReason"]);
    read_usage(&event["usageMetadata"], progress);
}

/// Counts are cumulative: a later event replaces an earlier one.
fn read_usage(usage: &Value, progress: &mut Progress) {
    if let Some(tokens) = usage["promptTokenCount"].as_u64() {
        progress.usage.input_tokens = Some(tokens);
    }
    let answer = usage["candidatesTokenCount"].as_u64();
    let thoughts = usage["thoughtsTokenCount"].as_u64();
    if answer.is_some() || thoughts.is_some() {
        let tokens = answer.unwrap_or(0).saturating_add(thoughts.unwrap_or(0));
        progress.usage.output_tokens = Some(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::cost::Usage;
    use super::*;

    #[test]
    fn the_url_is_made_of_what_people_write() {
        let google = "https://generativelanguage.googleapis.com";
        let vertex = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers";
        for (base_url, api_version, wire_model, expected) in [
            (google, None, "gemini-2.5-pro", format!("{google}/v1beta/models/gemini-2.5-pro")),
            (google, Some("v1"), "models/m", format!("{google}/v1/models/m")),
            (&*format!("{google}/v1beta/"), None, "m", format!("{google}/v1beta/models/m")),
            (&*format!("{vertex}/google"), None, "m", format!("{vertex}/google/models/m")),
            ("http://v2.test/x", None, "m", "http://v2.test/x/v1beta/models/m".to_owned()),
            (google, None, "../a:b?c#d", format!("{google}/v1beta/models/..%2Fa%3Ab%3Fc%23d")),
        ] {
            let url = GenerateContent.url(&Place { base_url, wire_model, api_version });
            assert_eq!(url, format!("{expected}:streamGenerateContent?alt=sse"));
        }
    }

    #[test]
    fn parts_are_content_thoughts_included_and_a_reason_is_the_end() {
        let thought = r#"{"candidates":[{"content":{"parts":[{"text":"x","thought":true}]}}]}"#;
        for (data, content, terminal, failed) in [
            (r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#, true, false, false),
            (thought, true, false, false),
            (r#"{"candidates":[{"content":{"role":"model"}}]}"#, false, false, false),
            (r#"{"candidates":[{"content":{"parts":[]}}]}"#, false, false, false),
            (r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#, false, true, false),
            (
                r#"{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#,
                false,
                false,
                false,
            ),
            (r#"{"promptFeedback":{"blockReason":"OTHER"}}"#, false, true, false),
            (r#"{"usageMetadata":{"promptTokenCount":1}}"#, false, false, false),
            (r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#, false, false, true),
            ("[1]", false, false, false),
            ("null", false, false, false),
        ] {
            let mut progress = Progress::default();
            GenerateContent.read("", data, &mut progress);
            let found = (progress.content, progress.terminal, progress.failed);
            assert_eq!(found, (content, terminal, failed), "{data}");
        }
    }

    #[test]
    fn thoughts_are_billed_as_output() {
        for (usage, input, output) in [
            (r#"{"promptTokenCount":2,"candidatesTokenCount":1}"#, Some(2), Some(1)),
            (r#"{"promptTokenCount":2,"thoughtsTokenCount":7}"#, Some(2), Some(7)),
            (r#"{"candidatesTokenCount":1,"thoughtsTokenCount":7}"#, None, Some(8)),
            ("{}", None, None),
        ] {
            let mut progress = Progress::default();
            GenerateContent.read("", &format!("{{\"usageMetadata\":{usage}}}"), &mut progress);
            assert_eq!(progress.usage, Usage { input_tokens: input, output_tokens: output });
        }
    }

    #[test]
    fn a_whole_answer_is_one_document_or_an_array_of_them() {
        let part = json!({"candidates": [{"content": {"parts": [{"text": "x"}]}}]});
        let end = json!({"candidates": [{"finishReason": "STOP"}]});
        for (document, expected) in [
            (end.clone(), Answer::Complete),
            (json!([part, end]), Answer::Complete),
            (json!([part]), Answer::Cut),
            (json!({"candidates": []}), Answer::Cut),
            (json!([]), Answer::Foreign),
            (json!({"models": []}), Answer::Foreign),
            (json!("x"), Answer::Foreign),
        ] {
            let answer = GenerateContent.answer(&document, &mut Progress::default());
            assert_eq!(answer, expected, "{document}");
        }
    }
}
