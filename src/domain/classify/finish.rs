//! How an answer ended: finish reasons and terminal events.

use serde_json::Value;

/// How an answer ended, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Finish {
    /// Nothing says that it did.
    Open,
    /// As it should, a length limit, a refusal and a content filter included.
    Complete,
    /// `finish_reason: "error"` without an error beside it.
    Failed,
    /// Cohere: the model ran out of time.
    TimedOut,
    /// DeepSeek: `insufficient_system_resource`.
    OutOfCapacity,
}

const REASON_KEYS: &[&str] = &[
    "finish_reason",
    "finishReason",
    "native_finish_reason",
    "stop_reason",
    "stopReason",
    "done_reason",
];
/// Types and names of events that end an answer.
const TERMINAL: &[&str] = &[
    "message_stop",
    "messageStop",
    "message-end",
    "stream-end",
    "response.completed",
    "response.incomplete",
    "response.done",
    "interaction.complete",
    "done",
];
/// Keys that hold what may hold a finish reason.
const INNER: &[&str] = &["delta", "message", "response", "output", "choices", "candidates"];
/// Deepest of those.
const DEPTH_MAX: usize = 4;
/// Most choices looked at.
const CHOICES_MAX: usize = 16;

/// How a frame or body says that the answer ended.
pub(super) fn of(event: &str, value: &Value) -> Finish {
    let name = |key| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let names = [event, name("type"), name("event_type")];
    let is_flagged = |key| value.get(key).and_then(Value::as_bool) == Some(true);
    let is_terminal = names.iter().any(|name| TERMINAL.contains(name))
        || is_flagged("done")
        || is_flagged("is_finished");
    let by_name = if is_terminal { Finish::Complete } else { Finish::Open };
    by_name.max(reason(value, 0))
}

fn reason(value: &Value, depth: usize) -> Finish {
    match value {
        Value::Object(object) if depth <= DEPTH_MAX => {
            let own = REASON_KEYS.iter().filter_map(|key| {
                let text = object.get(*key).and_then(Value::as_str)?;
                Some(by_reason(text, *key == "native_finish_reason"))
            });
            let inner = INNER.iter().filter_map(|key| object.get(*key));
            let inner = inner.map(|value| reason(value, depth + 1));
            own.chain(inner).max().unwrap_or(Finish::Open)
        }
        Value::Array(values) if depth <= DEPTH_MAX => values
            .iter()
            .take(CHOICES_MAX)
            .map(|value| reason(value, depth + 1))
            .max()
            .unwrap_or(Finish::Open),
        Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => Finish::Open,
    }
}

/// An upstream's own reason only counts for what a gateway's word for it hides.
fn by_reason(text: &str, is_native: bool) -> Finish {
    let is = |name: &str| text.trim().eq_ignore_ascii_case(name);
    if is("insufficient_system_resource") {
        Finish::OutOfCapacity
    } else if is_native {
        Finish::Open
    } else if is("timeout") {
        Finish::TimedOut
    } else if is("error") {
        Finish::Failed
    } else if text.trim().is_empty() || is("finish_reason_unspecified") {
        Finish::Open
    } else {
        Finish::Complete
    }
}
