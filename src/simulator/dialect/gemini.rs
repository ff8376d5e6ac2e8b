//! Gemini's `generateContent` and `streamGenerateContent`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::google::{self, envelope};
use super::request::{self, Asked, Reading, Refusal, Request};
use super::{Answer, ErrorReply, Event, Headers, Speech, Voice};
use crate::simulator::kind::Trouble;

/// Google's `generateContent`.
pub(super) struct GenerateContent;

/// Tokens that a model thinks which was not told to leave it: a tiny cap goes all into them.
const THOUGHTS: u64 = 16;

const KEY_INVALID: &str = "API key not valid. Please pass a valid API key.";

impl Speech for GenerateContent {
    fn provider(&self) -> &'static str {
        "gemini"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/{provider}/v1beta/models/{place}", "/{provider}/v1/models/{place}"]
    }

    fn has_key(&self, asked: &Asked<'_>) -> bool {
        asked.has_header("x-goog-api-key")
            || asked.parameter("key").is_some_and(|key| !key.is_empty())
    }

    fn read(&self, asked: &Asked<'_>) -> Reading {
        let (model, method) = google::split(asked.place);
        let stream = match method {
            "generateContent" => false,
            "streamGenerateContent" => true,
            _ => return (Err(Refusal::NoSuchCall), Some(model.to_owned())),
        };
        let as_array = stream && asked.parameter("alt") != Some("sse");
        request::named_in_path(asked, model, |object, request| {
            rest(object, Request { stream, as_array, ..request })
        })
    }

    fn error(&self, _voice: &Voice<'_>, trouble: Trouble, wait: Duration) -> ErrorReply {
        let exhausted = "You exceeded your current quota, please check your plan and billing \
                         details.";
        match trouble {
            Trouble::Overloaded => google::error(503, "UNAVAILABLE", OVERLOADED),
            Trouble::RateLimited => {
                let metric =
                    "generativelanguage.googleapis.com/generate_content_paid_tier_requests";
                let id = "GenerateRequestsPerMinutePerProjectPerModel";
                let details = [google::quota(metric, id), google::retry(wait)];
                google::detailed(429, "RESOURCE_EXHAUSTED", exhausted, &details)
            }
            Trouble::QuotaExhausted => {
                let metric = concat!(
                    "generativelanguage.googleapis.com/",
                    "generate_content_free_tier_requests"
                );
                let id = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
                let details = [google::quota(metric, id), google::retry(Duration::from_secs(58))];
                google::detailed(429, "RESOURCE_EXHAUSTED", exhausted, &details)
            }
            Trouble::Billing => {
                let message = "Gemini API free tier is not available in your country. Please \
                               enable billing on your project in Google AI Studio.";
                google::error(400, "FAILED_PRECONDITION", message)
            }
            Trouble::Auth => {
                let details = [google::reason("API_KEY_INVALID", "googleapis.com")];
                google::detailed(400, "INVALID_ARGUMENT", KEY_INVALID, &details)
            }
            Trouble::Unavailable => {
                google::error(503, "UNAVAILABLE", "The service is currently unavailable.")
            }
            Trouble::ServerError => google::error(
                500,
                "INTERNAL",
                "An internal error has occurred. Please retry or report in \
                 https://developers.generativeai.google/guide/troubleshooting",
            ),
        }
    }

    fn refusal(&self, voice: &Voice<'_>, refusal: &Refusal) -> ErrorReply {
        let (code, status) = match refusal {
            Refusal::NoKey => {
                let message = "Method doesn't allow unregistered callers (callers without \
                               established identity). Please use API Key or other form of API \
                               consumer identity to call this API.";
                return google::error(403, "PERMISSION_DENIED", message);
            }
            Refusal::NotJson
            | Refusal::Field(_)
            | Refusal::Extra(_)
            | Refusal::TooSmall(..)
            | Refusal::TooLarge => (400, "INVALID_ARGUMENT"),
            Refusal::NoSuchCall => (404, "NOT_FOUND"),
            Refusal::NoSuchModel(_) => {
                let message = format!(
                    "models/{} is not found for API version v1beta, or is not supported for \
                     generateContent.",
                    voice.model
                );
                return google::error(404, "NOT_FOUND", &message);
            }
            Refusal::TooSlow => (504, "DEADLINE_EXCEEDED"),
        };
        google::error(code, status, &refusal.sentence())
    }

    fn whole(&self, voice: &Voice<'_>, answer: &Answer) -> String {
        let text = (!answer.words.is_empty()).then(|| answer.text());
        chunk(voice, answer, text.as_deref(), true).to_string()
    }

    fn stream(&self, voice: &Voice<'_>, answer: &Answer) -> Vec<Event> {
        let count = answer.words.len();
        let mut chunks: Vec<_> = answer
            .words
            .iter()
            .enumerate()
            .map(|(index, word)| chunk(voice, answer, Some(word), index + 1 == count))
            .collect();
        if chunks.is_empty() {
            chunks.push(chunk(voice, answer, None, true));
        }
        let last = chunks.len() - 1;
        let event = |(index, chunk): (usize, Value)| {
            let text = if answer.request.as_array {
                let (start, end) =
                    (if index == 0 { "[" } else { ",\r\n" }, if index == last { "]" } else { "" });
                format!("{start}{chunk}{end}")
            } else {
                format!("data: {chunk}\r\n\r\n")
            };
            Event { content: count > 0, ..Event::plain(text) }
        };
        chunks.into_iter().enumerate().map(event).collect()
    }

    /// Not as an event: the bare error, over many lines.
    fn overload_event(&self, _voice: &Voice<'_>) -> Event {
        let body = envelope(503, "UNAVAILABLE", OVERLOADED);
        Event::plain(format!("{body:#}\n"))
    }

    fn headers(&self, _voice: &Voice<'_>) -> Headers {
        vec![
            ("server", "scaffolding on HTTPServer2".to_owned()),
            ("vary", "Origin, X-Origin, Referer".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ]
    }

    fn retry(&self, _is_retryable: bool, _wait: Option<Duration>) -> Headers {
        Vec::new()
    }
}

const OVERLOADED: &str = "The model is overloaded. Please try again later.";

fn rest(object: &Map<String, Value>, request: Request) -> Result<Request, Refusal> {
    request::array(object, "contents")?;
    let settings = object.get("generationConfig");
    let number = |path: &[&str]| {
        path.iter().try_fold(settings?, |value, name| value.get(*name)).and_then(Value::as_u64)
    };
    let tokens_max = number(&["maxOutputTokens"]).unwrap_or(u64::MAX);
    let thoughts = number(&["thinkingConfig", "thinkingBudget"]).unwrap_or(THOUGHTS);
    Ok(Request { tokens_max, thoughts: thoughts.min(THOUGHTS), ..request })
}

/// One chunk; with no text its content has no parts.
fn chunk(voice: &Voice<'_>, answer: &Answer, text: Option<&str>, is_last: bool) -> Value {
    let mut content = json!({"role": "model"});
    if let Some(text) = text {
        content["parts"] = json!([{"text": text}]);
    }
    let mut candidate = json!({"content": content, "index": 0});
    if is_last {
        candidate["finishReason"] = json!(if answer.cut { "MAX_TOKENS" } else { "STOP" });
    }
    let (input, output) = (answer.request.input_tokens, answer.output_tokens());
    let mut usage = json!({
        "promptTokenCount": input,
        "totalTokenCount": input.saturating_add(output).saturating_add(answer.thoughts),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": input}],
    });
    if output > 0 {
        usage["candidatesTokenCount"] = json!(output);
    }
    if answer.thoughts > 0 {
        usage["thoughtsTokenCount"] = json!(answer.thoughts);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": voice.model,
        "responseId": voice.id(),
    })
}
