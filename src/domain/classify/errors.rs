//! Error objects in a JSON value.
//!
//! Only the places where providers and gateways put errors are looked at, never the content of
//! an answer: a tool call may well carry a key named `error`.

use serde_json::{Map, Value};

/// Deepest envelope in an envelope.
const DEPTH_MAX: usize = 6;
/// Most error objects looked at in one value.
const ERRORS_MAX: usize = 32;
/// Most elements of an array looked at, at its head and at its tail.
const ELEMENTS_MAX: usize = 32;
/// Keys under which an envelope may hold another, as an object: in a list under the same names
/// lie the parts of an answer (`output` of the Responses API, with the errors of its tools).
const ENVELOPES: &[&str] =
    &["response", "data", "delta", "message", "body", "result", "output", "detail", "chunk"];
/// Keys that hold several envelopes.
const LISTS: &[&str] = &["choices", "errors"];

/// One error and the object around it; the same value where the error is bare.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) error: &'a Value,
    pub(super) envelope: &'a Value,
}

/// The errors in a value. `lenient` takes the value itself for an error when it holds none: right
/// where the status already says that this is an error's body.
pub(super) fn find(value: &Value, lenient: bool) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    collect(value, lenient, 0, &mut found);
    found
}

fn collect<'a>(value: &'a Value, lenient: bool, depth: usize, found: &mut Vec<Found<'a>>) {
    if depth > DEPTH_MAX || found.len() >= ERRORS_MAX {
        return;
    }
    match value {
        Value::Array(elements) => {
            for element in ends(elements) {
                collect(element, lenient, depth + 1, found);
            }
        }
        Value::Object(object) => collect_object(value, object, lenient, depth, found),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn collect_object<'a>(
    value: &'a Value,
    object: &'a Map<String, Value>,
    lenient: bool,
    depth: usize,
    found: &mut Vec<Found<'a>>,
) {
    let before = found.len();
    for key in ["error", "Error"] {
        if let Some(error) = object.get(key).filter(|error| says_something(error)) {
            collect_error(error, value, depth, found);
        }
    }
    for (key, member) in object {
        // Bedrock's stream members, as SDKs print them: `{"throttlingException": {…}}`.
        if member.is_object() && ends_with_exception(key) {
            found.push(Found { error: member, envelope: value });
        } else if member.is_object() && ENVELOPES.contains(&key.as_str()) {
            collect(member, false, depth + 1, found);
        } else if LISTS.contains(&key.as_str())
            && let Value::Array(elements) = member
        {
            for element in ends(elements) {
                if key == "errors" {
                    collect_error(element, value, depth, found);
                } else {
                    collect(element, false, depth + 1, found);
                }
            }
        }
    }
    if found.len() == before && (lenient || is_bare_error(object)) {
        let error = object.get("detail").filter(|detail| detail.is_object()).unwrap_or(value);
        found.push(Found { error, envelope: value });
    }
}

/// Takes an error, and the error inside it that some gateways wrap once more.
fn collect_error<'a>(
    error: &'a Value,
    envelope: &'a Value,
    depth: usize,
    found: &mut Vec<Found<'a>>,
) {
    if found.len() >= ERRORS_MAX {
        return;
    }
    found.push(Found { error, envelope });
    let inner = ["error", "message"].into_iter().filter_map(|key| error.get(key));
    for inner in inner.filter(|inner| inner.is_object()) {
        if depth < DEPTH_MAX {
            collect_error(inner, error, depth + 1, found);
        }
    }
}

/// The head and the tail of an array.
pub(super) fn ends(elements: &[Value]) -> impl Iterator<Item = &Value> {
    let tail = elements.len().saturating_sub(ELEMENTS_MAX).max(ELEMENTS_MAX.min(elements.len()));
    elements[..elements.len().min(ELEMENTS_MAX)].iter().chain(&elements[tail..])
}

/// Whether a key names an exception, as `throttlingException` does.
pub(super) fn ends_with_exception(key: &str) -> bool {
    let name = b"exception";
    key.len() > name.len() && key.as_bytes()[key.len() - name.len()..].eq_ignore_ascii_case(name)
}

fn says_something(error: &Value) -> bool {
    match error {
        Value::Null => false,
        Value::Bool(is_error) => *is_error,
        Value::Number(number) => number.as_u64() != Some(0),
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// Whether an object without an `error` key is one itself.
fn is_bare_error(object: &Map<String, Value>) -> bool {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("object").eq_ignore_ascii_case("error") || is_error_type(text("type")) {
        return true;
    }
    // Responses API: `{"object": "response", "status": "failed", "error": null}`.
    if text("object") == "response" && text("status") == "failed" {
        return true;
    }
    if object.get("success").and_then(Value::as_bool) == Some(false) {
        return true;
    }
    // A code and a message, and nothing that an answer would hold.
    let has_message = ["message", "msg", "Message"].iter().any(|key| !text(key).is_empty());
    has_message && !is_success(object) && object.get("code").is_some_and(is_error_code)
}

/// Whether a `type` or an event name announces an error.
pub(super) fn is_error_type(name: &str) -> bool {
    ["error", "exception", "response.failed", "response.error"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether an object holds what an answer holds.
fn is_success(object: &Map<String, Value>) -> bool {
    ["choices", "candidates", "content", "output", "completion", "embeddings", "usage"]
        .iter()
        .any(|key| object.get(*key).is_some_and(|value| !value.is_null()))
}

/// Whether a value reads as an answer rather than as an error.
pub(super) fn is_answer(value: &Value) -> bool {
    value.as_object().is_some_and(is_success)
}

fn is_error_code(code: &Value) -> bool {
    match code {
        Value::String(text) => match text.trim().parse::<u64>() {
            Ok(number) => number >= 400,
            Err(_) => !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "ok" | "success"),
        },
        Value::Number(number) => number.as_u64().is_some_and(|number| number >= 400),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}
