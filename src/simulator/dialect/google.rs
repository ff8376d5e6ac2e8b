//! What Google's APIs have in common: the error envelope with its details.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ErrorReply, seconds};

/// An error in the envelope of `google.rpc.Status`.
pub(super) fn error(code: u16, status: &str, message: &str) -> ErrorReply {
    ErrorReply::json(code, &envelope(code, status, message))
}

/// The same with details.
pub(super) fn detailed(code: u16, status: &str, message: &str, details: &[Value]) -> ErrorReply {
    let mut body = envelope(code, status, message);
    body["error"]["details"] = json!(details);
    ErrorReply::json(code, &body)
}

pub(super) fn envelope(code: u16, status: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "status": status}})
}

/// Which of the named reasons it was.
pub(super) fn reason(reason: &str, domain: &str) -> Value {
    let name = "type.googleapis.com/google.rpc.ErrorInfo";
    json!({"@type": name, "reason": reason, "domain": domain})
}

/// Which quota was exceeded.
pub(super) fn quota(metric: &str, id: &str) -> Value {
    let name = "type.googleapis.com/google.rpc.QuotaFailure";
    json!({"@type": name, "violations": [{"quotaMetric": metric, "quotaId": id}]})
}

/// How long to wait.
pub(super) fn retry(wait: Duration) -> Value {
    let name = "type.googleapis.com/google.rpc.RetryInfo";
    json!({"@type": name, "retryDelay": format!("{}s", seconds(wait))})
}

/// Splits `model:method`.
pub(super) fn split(place: &str) -> (&str, &str) {
    place.rsplit_once(':').unwrap_or((place, ""))
}
