//! Anthropic Messages behind Vertex AI: Google's door, Anthropic's answers.
//!
//! Google checks the token, the quota and the bill, and says so in its own envelope; the model's
//! answer, and overload inside it, are Anthropic's.

use std::time::Duration;

use serde_json::{Map, Value};

use super::anthropic::{self, Messages};
use super::request::{self, Asked, Reading, Refusal, Request};
use super::{Answer, ErrorReply, Event, Headers, Speech, Voice, google};
use crate::simulator::kind::Trouble;

/// `rawPredict` and `streamRawPredict` of Anthropic's models.
pub(super) struct RawPredict;

impl Speech for RawPredict {
    fn provider(&self) -> &'static str {
        "vertex"
    }

    fn paths(&self) -> &'static [&'static str] {
        &[concat!(
            "/{provider}/v1/projects/{project}/locations/{location}",
            "/publishers/anthropic/models/{place}"
        )]
    }

    fn has_key(&self, asked: &Asked<'_>) -> bool {
        asked.has_bearer()
    }

    fn read(&self, asked: &Asked<'_>) -> Reading {
        let (model, method) = google::split(asked.place);
        let can_stream = match method {
            "rawPredict" => false,
            "streamRawPredict" => true,
            _ => return (Err(Refusal::NoSuchCall), Some(model.to_owned())),
        };
        request::named_in_path(asked, model, |object, request| {
            let request = rest(object, request)?;
            Ok(Request { stream: request.stream && can_stream, ..request })
        })
    }

    fn error(&self, _voice: &Voice<'_>, trouble: Trouble, _wait: Duration) -> ErrorReply {
        match trouble {
            Trouble::Overloaded => {
                let message = "Resource exhausted. Please try again later. Please refer to \
                               https://cloud.google.com/vertex-ai/generative-ai/docs/\
                               error-code-429 for more details.";
                google::error(429, "RESOURCE_EXHAUSTED", message)
            }
            Trouble::RateLimited => {
                let message = "Quota exceeded for aiplatform.googleapis.com/\
                               online_prediction_requests_per_base_model with base model: \
                               anthropic-claude. Please submit a quota increase request.";
                google::error(429, "RESOURCE_EXHAUSTED", message)
            }
            Trouble::QuotaExhausted => {
                let metric = "aiplatform.googleapis.com/online_prediction_requests";
                let details = [google::quota(metric, "OnlinePredictionRequestsPerDayPerProject")];
                let message = "Quota exceeded for quota metric 'Online prediction requests' and \
                               limit 'Online prediction requests per day' of service \
                               'aiplatform.googleapis.com'.";
                google::detailed(429, "RESOURCE_EXHAUSTED", message, &details)
            }
            Trouble::Billing => {
                let details = [google::reason("BILLING_DISABLED", "googleapis.com")];
                let message = "This API method requires billing to be enabled. Please enable \
                               billing on project #10530 then retry.";
                google::detailed(403, "PERMISSION_DENIED", message, &details)
            }
            Trouble::Auth => {
                let details = [google::reason("ACCESS_TOKEN_EXPIRED", "googleapis.com")];
                google::detailed(401, "UNAUTHENTICATED", BAD_TOKEN, &details)
            }
            Trouble::Unavailable => {
                google::error(503, "UNAVAILABLE", "The service is currently unavailable.")
            }
            Trouble::ServerError => google::error(500, "INTERNAL", "Internal error encountered."),
        }
    }

    fn refusal(&self, voice: &Voice<'_>, refusal: &Refusal) -> ErrorReply {
        match refusal {
            Refusal::NoKey => {
                let message = "Request is missing required authentication credential. Expected \
                               OAuth 2 access token, login cookie or other valid authentication \
                               credential.";
                google::error(401, "UNAUTHENTICATED", message)
            }
            Refusal::NoSuchCall => google::error(404, "NOT_FOUND", "Method not found."),
            Refusal::NoSuchModel(model) => {
                let message = format!(
                    "Publisher Model `publishers/anthropic/models/{model}` was not found or your \
                     project does not have access to it."
                );
                google::error(404, "NOT_FOUND", &message)
            }
            Refusal::NotJson
            | Refusal::Field(_)
            | Refusal::Extra(_)
            | Refusal::TooSmall(..)
            | Refusal::TooLarge
            | Refusal::TooSlow => {
                let request_id = renamed(voice);
                Messages.refusal(&Voice { request_id: &request_id, ..*voice }, refusal)
            }
        }
    }

    fn whole(&self, voice: &Voice<'_>, answer: &Answer) -> String {
        Messages.whole(&Voice { request_id: &renamed(voice), ..*voice }, answer)
    }

    fn stream(&self, voice: &Voice<'_>, answer: &Answer) -> Vec<Event> {
        Messages.stream(&Voice { request_id: &renamed(voice), ..*voice }, answer)
    }

    fn overload_event(&self, voice: &Voice<'_>) -> Event {
        Messages.overload_event(&Voice { request_id: &renamed(voice), ..*voice })
    }

    fn headers(&self, voice: &Voice<'_>) -> Headers {
        vec![("request-id", renamed(voice)), ("server", "hypercorn-h2".to_owned())]
    }

    fn retry(&self, _is_retryable: bool, _wait: Option<Duration>) -> Headers {
        Vec::new()
    }
}

const BAD_TOKEN: &str = "Request had invalid authentication credentials. Expected OAuth 2 access \
     token, login cookie or other valid authentication credential.";

/// The model is in the path, and the version of the API in the body.
fn rest(object: &Map<String, Value>, request: Request) -> Result<Request, Refusal> {
    if object.contains_key("model") {
        return Err(Refusal::Extra("model"));
    }
    if object.get("anthropic_version").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(Refusal::Field("anthropic_version"));
    }
    anthropic::rest(object, request)
}

/// The request's id as Anthropic gives it on Vertex.
fn renamed(voice: &Voice<'_>) -> String {
    format!("req_vrtx_{}", voice.id())
}
