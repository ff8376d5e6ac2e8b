//! The attributes that are kept, and no others.

use crate::intake::sighting::head;

/// Every attribute that a reader looks at, sorted. None of them holds a prompt or an answer.
pub(super) const KEPT: [&str; 63] = [
    "ai.model.id",
    "ai.model.provider",
    "ai.operationId",
    "ai.response.id",
    "ai.response.msToFirstChunk",
    "anthropic.provider",
    "anthropic.request.id",
    "attempt",
    "auth.request_id",
    "auth_type",
    "client_request_id",
    "duration",
    "duration_ms",
    "endpoint",
    "error",
    "error.message",
    "error.type",
    "error_type",
    "event.kind",
    "event.name",
    "event.sequence",
    "exception.message",
    "exception.type",
    "gen_ai.openai.api_base",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.request.stream",
    "gen_ai.response.id",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.system",
    "http.host",
    "http.method",
    "http.request.method",
    "http.request.resend_count",
    "http.response.status_code",
    "http.status_code",
    "http.url",
    "litellm.call_id",
    "litellm.provider.model",
    "llm.invocation_parameters",
    "llm.model_name",
    "llm.provider",
    "llm.request.model_name",
    "llm.system",
    "metadata.user_api_key_request_route",
    "model",
    "model_name",
    "net.peer.name",
    "net.peer.port",
    "openinference.span.kind",
    "prompt.id",
    "prompt_id",
    "request_id",
    "role",
    "server.address",
    "server.port",
    "session.id",
    "status_code",
    "success",
    "ttft_ms",
    "url.full",
    "url.path",
];

/// Longest parameters looked through for the model, in bytes.
const PARAMETERS_BYTES_MAX: usize = 64 * 1024;

/// A scalar value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(Box<str>),
    Integer(i64),
    Number(f64),
    Truth(bool),
}

/// The kept attributes of one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attributes(Vec<(&'static str, Value)>);

/// The name of an attribute that is kept.
pub(super) fn kept(key: &str) -> Option<&'static str> {
    KEPT.binary_search(&key).ok().map(|at| KEPT[at])
}

impl Value {
    /// A text of this attribute, cut to what is needed of it.
    pub(super) fn text(key: &str, text: &str) -> Option<Self> {
        let text = match key {
            // Queries may hold keys.
            "http.url" | "url.full" | "gen_ai.openai.api_base" | "endpoint" => {
                text.split(['?', '#']).next().unwrap_or_default()
            }
            "llm.invocation_parameters" => return model_in(text).map(|m| Self::Text(m.into())),
            _ => text,
        };
        let text = head(text.trim());
        (!text.is_empty()).then(|| Self::Text(text.into()))
    }
}

/// The model in parameters as JSON; the others are not looked at.
fn model_in(text: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Parameters {
        model: Option<String>,
    }
    let text = (text.len() <= PARAMETERS_BYTES_MAX).then_some(text)?;
    serde_json::from_str::<Parameters>(text).ok()?.model.filter(|model| !model.is_empty())
}

impl Attributes {
    /// Keeps one more; the first of a name stays.
    pub(super) fn insert(&mut self, key: &'static str, value: Value) {
        if self.get(key).is_none() {
            self.0.push((key, value));
        }
    }

    /// Whether nothing was kept.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The first of these that is there, as a text.
    pub(super) fn text(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| match self.get(key)? {
            Value::Text(text) => Some(&**text),
            Value::Integer(_) | Value::Number(_) | Value::Truth(_) => None,
        })
    }

    /// The first of these that is there, as a word, also if it came as a number.
    pub(super) fn word(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::Text(text) => Some(text.to_string()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::Truth(_) => None,
        }
    }

    /// The first of these that is a number, also if it came as a text.
    pub(super) fn number(&self, keys: &[&str]) -> Option<f64> {
        keys.iter().find_map(|key| match self.get(key)? {
            Value::Text(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            Value::Integer(number) => Some(*number as f64),
            Value::Number(number) => Some(*number).filter(|number| number.is_finite()),
            Value::Truth(_) => None,
        })
    }

    /// The first of these that is true or false, also if it came as a text.
    pub(super) fn truth(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Truth(truth) => Some(*truth),
            Value::Text(text) => text.to_ascii_lowercase().parse().ok(),
            Value::Integer(_) | Value::Number(_) => None,
        }
    }

    /// The first of these that is an HTTP status.
    pub(super) fn status(&self, keys: &[&str]) -> Option<u16> {
        let is_status = |number: &f64| number.fract() == 0.0 && (100.0..600.0).contains(number);
        self.number(keys).filter(is_status).map(|number| number as u16)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::sighting::TEXT_BYTES_MAX;

    #[test]
    fn the_list_is_sorted_and_holds_no_content() {
        assert!(KEPT.is_sorted());
        for content in ["input.value", "gen_ai.prompt", "gen_ai.input.messages", "ai.prompt"] {
            assert_eq!(kept(content), None);
        }
        assert_eq!(kept("error.type"), Some("error.type"));
    }

    #[test]
    fn a_text_loses_what_may_be_secret_or_long() {
        let text = |key, text: &str| match Value::text(key, text) {
            Some(Value::Text(text)) => text.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(text("http.url", "https://h/v1?key=secret"), "https://h/v1");
        assert_eq!(text("error", &"é".repeat(5_000)).len(), TEXT_BYTES_MAX);
        let parameters = r#"{"messages":["secret"],"model":"gpt-5.5","x":{"model":1}}"#;
        assert_eq!(text("llm.invocation_parameters", parameters), "gpt-5.5");
        assert_eq!(text("llm.invocation_parameters", "nonsense"), "None");
    }
}
