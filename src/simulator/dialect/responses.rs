//! OpenAI Responses: its events and its answer. Errors are those of Chat Completions.
//!
//! What makes it worth a probe of its own: overload comes after `response.in_progress`, and a
//! stream that was cut by the cap on tokens ends as `response.incomplete`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::openai::{self, Chat};
use super::request::{self, Asked, Reading, Refusal, Request};
use super::{Answer, ErrorReply, Event, Headers, Limits, Speech, Voice, named};
use crate::simulator::kind::Trouble;

/// OpenAI Responses.
pub(super) struct Responses;

/// The least `max_output_tokens` that is accepted.
const TOKENS_LEAST: u64 = 16;

impl Speech for Responses {
    fn provider(&self) -> &'static str {
        "openai"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/v1/responses", "/{provider}/v1/responses", "/{provider}/responses"]
    }

    fn has_key(&self, asked: &Asked<'_>) -> bool {
        asked.has_bearer()
    }

    fn read(&self, asked: &Asked<'_>) -> Reading {
        request::named_in_body(asked, rest)
    }

    fn error(&self, voice: &Voice<'_>, trouble: Trouble, wait: Duration) -> ErrorReply {
        Chat.error(voice, trouble, wait)
    }

    fn refusal(&self, _voice: &Voice<'_>, refusal: &Refusal) -> ErrorReply {
        openai::refused(refusal)
    }

    fn whole(&self, voice: &Voice<'_>, answer: &Answer) -> String {
        ended(voice, answer).to_string()
    }

    fn stream(&self, voice: &Voice<'_>, answer: &Answer) -> Vec<Event> {
        let begun = response(voice, answer.created, "in_progress");
        let started = json!({"status": "in_progress", "content": []});
        let item = |more: &Value| item(voice, more);
        let part = |text: &str| json!({"type": "output_text", "annotations": [], "text": text});
        let place = json!({"item_id": item_id(voice), "output_index": 0, "content_index": 0});
        let mut events = Numbered::default();
        events.push("response.created", &json!({"response": begun}));
        events.push("response.in_progress", &json!({"response": begun}));
        let added = json!({"output_index": 0, "item": item(&started)});
        events.push("response.output_item.added", &added);
        events.push("response.content_part.added", &with(&place, &json!({"part": part("")})));
        for word in &answer.words {
            let delta = json!({"delta": word, "logprobs": []});
            events.push("response.output_text.delta", &with(&place, &delta));
            events.last_is_content();
        }
        let text = answer.text();
        let done = json!({"text": text, "logprobs": []});
        events.push("response.output_text.done", &with(&place, &done));
        events.push("response.content_part.done", &with(&place, &json!({"part": part(&text)})));
        let done = json!({"output_index": 0, "item": ended(voice, answer)["output"][0]});
        events.push("response.output_item.done", &done);
        let end = if answer.cut { "response.incomplete" } else { "response.completed" };
        events.push(end, &json!({"response": ended(voice, answer)}));
        events.events
    }

    /// Before any content: it is when the model is to begin that there is no room for it.
    fn overloaded_after(&self, _events: &[Event]) -> usize {
        2
    }

    fn overload_event(&self, voice: &Voice<'_>) -> Event {
        let message = "Our servers are currently overloaded. Please try again later.";
        let mut failed = response(voice, 0, "failed");
        failed["error"] = json!({"code": "server_is_overloaded", "message": message});
        let (name, number) = ("response.failed", 2);
        named(&json!({"type": name, "sequence_number": number, "response": failed}))
    }

    fn headers(&self, voice: &Voice<'_>) -> Headers {
        openai::headers(voice)
    }

    fn limits(&self, limits: &Limits) -> Headers {
        openai::told(limits)
    }
}

/// Events with their running number.
#[derive(Default)]
struct Numbered {
    events: Vec<Event>,
}

impl Numbered {
    fn push(&mut self, name: &str, more: &Value) {
        let head = json!({"type": name, "sequence_number": self.events.len()});
        self.events.push(named(&with(&head, more)));
    }

    fn last_is_content(&mut self) {
        if let Some(event) = self.events.last_mut() {
            event.content = true;
        }
    }
}

/// What a body says beside its model.
fn rest(object: &Map<String, Value>, request: Request) -> Result<Request, Refusal> {
    if !object.get("input").is_some_and(|input| input.is_string() || input.is_array()) {
        return Err(Refusal::Field("input"));
    }
    let cap = object.get("max_output_tokens").and_then(Value::as_u64).unwrap_or(u64::MAX);
    if cap < TOKENS_LEAST {
        return Err(Refusal::TooSmall("max_output_tokens", TOKENS_LEAST));
    }
    // Some of them go into reasoning, so that the least cap cuts the answer.
    let thoughts = TOKENS_LEAST - 4;
    let stream = request::is_true(object, "stream");
    Ok(Request { stream, tokens_max: cap, thoughts, ..request })
}

fn with(object: &Value, more: &Value) -> Value {
    let members = [object, more].into_iter().filter_map(Value::as_object).flatten();
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn item_id(voice: &Voice<'_>) -> String {
    format!("msg_{}", voice.id())
}

fn item(voice: &Voice<'_>, more: &Value) -> Value {
    with(&json!({"id": item_id(voice), "type": "message", "role": "assistant"}), more)
}

/// The response itself, in this state and without any output.
fn response(voice: &Voice<'_>, created: u64, status: &str) -> Value {
    json!({
        "id": format!("resp_{}", voice.id()),
        "object": "response",
        "created_at": created,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": voice.model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": "low", "summary": null},
        "service_tier": "default",
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "user": null,
    })
}

/// The response at its end.
fn ended(voice: &Voice<'_>, answer: &Answer) -> Value {
    let status = if answer.cut { "incomplete" } else { "completed" };
    let mut response = response(voice, answer.created, status);
    if answer.cut {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    let text = json!({"type": "output_text", "annotations": [], "text": answer.text()});
    response["output"] = json!([item(voice, &json!({"status": status, "content": [text]}))]);
    let (input, output) = (answer.request.input_tokens, answer.output_tokens() + answer.thoughts);
    response["usage"] = json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": answer.thoughts},
        "total_tokens": input.saturating_add(output),
    });
    response
}
