//! Azure's deployments of OpenAI models: Chat Completions with other paths, headers and words.

use std::time::Duration;

use serde_json::{Value, json};

use super::request::{self, Asked, Reading, Refusal};
use super::{Answer, ErrorReply, Event, Headers, Limits, Speech, Voice, data, openai, seconds};
use super::{REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE};
use crate::simulator::kind::Trouble;

/// Chat Completions of a deployment.
pub(super) struct Deployments;

impl Speech for Deployments {
    fn provider(&self) -> &'static str {
        "azure"
    }

    fn paths(&self) -> &'static [&'static str] {
        &[
            "/{provider}/openai/deployments/{place}/chat/completions",
            "/{provider}/openai/v1/chat/completions",
        ]
    }

    fn has_key(&self, asked: &Asked<'_>) -> bool {
        asked.has_header("api-key") || asked.has_bearer()
    }

    fn read(&self, asked: &Asked<'_>) -> Reading {
        if asked.place.is_empty() {
            // The newer paths name the deployment as others name a model, and need no version.
            return request::named_in_body(asked, openai::rest);
        }
        if asked.parameter("api-version").is_none_or(str::is_empty) {
            return (Err(Refusal::NoSuchCall), Some(asked.place.to_owned()));
        }
        request::named_in_path(asked, asked.place, openai::rest)
    }

    fn error(&self, _voice: &Voice<'_>, trouble: Trouble, wait: Duration) -> ErrorReply {
        let (code, name, message) = match trouble {
            Trouble::Overloaded => (
                429,
                "too_many_requests",
                "The system is currently experiencing high demand and cannot process your \
                 request. Your request exceeds the maximum usage size allowed during peak load. \
                 For improved capacity reliability, consider switching to Provisioned Throughput."
                    .to_owned(),
            ),
            Trouble::RateLimited => {
                let message = format!(
                    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API \
                     version 2024-10-21 have exceeded call rate limit of your current OpenAI S0 \
                     pricing tier. Please retry after {} seconds.",
                    seconds(wait)
                );
                (429, "429", message)
            }
            Trouble::QuotaExhausted => (
                429,
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details."
                    .to_owned(),
            ),
            // Azure bills elsewhere and documents no such error here: the words are OpenAI's.
            Trouble::Billing => (
                429,
                "billing_not_active",
                "Your account is not active, please check your billing details.".to_owned(),
            ),
            Trouble::Auth => (401, "401", ACCESS_DENIED.to_owned()),
            Trouble::Unavailable => {
                (503, "ServiceUnavailable", "The service is temporarily unavailable.".to_owned())
            }
            Trouble::ServerError => (
                500,
                "InternalServerError",
                "Backend returned unexpected response. Please contact Microsoft for help."
                    .to_owned(),
            ),
        };
        ErrorReply::json(code, &envelope(name, &message))
    }

    fn refusal(&self, _voice: &Voice<'_>, refusal: &Refusal) -> ErrorReply {
        let (code, body) = match refusal {
            Refusal::NoKey => (401, envelope("401", ACCESS_DENIED)),
            Refusal::NoSuchCall => (404, envelope("404", "Resource not found")),
            Refusal::NoSuchModel(_) => {
                let message = "The API deployment for this resource does not exist. If you \
                               created the deployment within the last 5 minutes, please wait a \
                               moment and try again.";
                (404, envelope("DeploymentNotFound", message))
            }
            Refusal::NotJson
            | Refusal::Field(_)
            | Refusal::Extra(_)
            | Refusal::TooSmall(..)
            | Refusal::TooLarge
            | Refusal::TooSlow => return openai::refused(refusal),
        };
        ErrorReply::json(code, &body)
    }

    fn whole(&self, voice: &Voice<'_>, answer: &Answer) -> String {
        let mut whole = openai::whole(voice, answer);
        whole["prompt_filter_results"] = prompt_filter_results();
        filter_choices(&mut whole);
        whole.to_string()
    }

    fn stream(&self, voice: &Voice<'_>, answer: &Answer) -> Vec<Event> {
        // The first chunk is about the prompt and has no choice, nor a model.
        let first = json!({
            "choices": [],
            "created": 0,
            "id": "",
            "model": "",
            "object": "",
            "prompt_filter_results": prompt_filter_results(),
        });
        let mut events = vec![data(&first)];
        for (content, mut chunk) in openai::chunks(voice, answer) {
            filter_choices(&mut chunk);
            let event = data(&chunk);
            events.push(if content { event.with_content() } else { event });
        }
        events.push(openai::done());
        events
    }

    fn overload_event(&self, _voice: &Voice<'_>) -> Event {
        let message = "The service is temporarily unable to process your request. Please try \
                       again later.";
        data(&envelope("429", message))
    }

    fn headers(&self, voice: &Voice<'_>) -> Headers {
        vec![
            ("apim-request-id", voice.uuid()),
            ("x-request-id", voice.uuid()),
            ("x-ms-region", "Sweden Central".to_owned()),
            ("azureml-model-session", "d000-20260101000000".to_owned()),
        ]
    }

    fn limits(&self, limits: &Limits) -> Headers {
        vec![
            ("x-ratelimit-limit-requests", REQUESTS_PER_MINUTE.to_string()),
            ("x-ratelimit-remaining-requests", limits.requests_remaining.to_string()),
            ("x-ratelimit-limit-tokens", TOKENS_PER_MINUTE.to_string()),
            ("x-ratelimit-remaining-tokens", limits.tokens_remaining.to_string()),
        ]
    }

    fn retry(&self, _is_retryable: bool, wait: Option<Duration>) -> Headers {
        let Some(wait) = wait else { return Vec::new() };
        let millis = wait.as_millis().to_string();
        // Whole seconds, never fewer than asked for: the exact wait is in the other header.
        let whole = wait.as_millis().div_ceil(1_000).to_string();
        vec![("retry-after", whole), ("retry-after-ms", millis)]
    }
}

const ACCESS_DENIED: &str = "Access denied due to invalid subscription key or wrong API endpoint. \
     Make sure to provide a valid key for an active subscription and use a correct regional API \
     endpoint for your resource.";

fn envelope(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

fn filter_results() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe})
}

fn prompt_filter_results() -> Value {
    json!([{"prompt_index": 0, "content_filter_results": filter_results()}])
}

/// Adds to every choice what the content filter found in it.
fn filter_choices(value: &mut Value) {
    for choice in value["choices"].as_array_mut().into_iter().flatten() {
        choice["content_filter_results"] = filter_results();
    }
}
