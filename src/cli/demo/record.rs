//! What the demo's clients report.

use serde::Serialize;

use crate::domain::outcome::{Attempt, Class};
use crate::domain::target::Target;
use crate::domain::time::millis_of;
use crate::simulator::{Bygone, Fate};

/// What a client reports that keeps the status, the error body and the times.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    provider: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<u64>,
    service: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
}

impl<'a> Record<'a> {
    /// One first attempt.
    pub(super) fn new(target: &'a Target, fate: &Fate) -> Self {
        let cut = matches!(fate.class, Class::Network).then_some("reset");
        let late = matches!(fate.class, Class::Timeout).then_some("timeout");
        let in_stream = fate.code == Some(200) && fate.class != Class::Ok;
        Self {
            provider: target.provider.as_str(),
            model: target.model.as_str(),
            status: fate.code,
            error: cut.or(late),
            body: fate.error_body(target),
            phase: in_stream.then_some("stream"),
            ms: millis_of(fate.duration),
            ttft_ms: fate.time_to_first_token.map(millis_of),
            service: "demo",
            n: None,
            attempt: None,
        }
    }

    /// `n` attempts that fared alike.
    pub(super) fn many(bygone: &'a Bygone, n: u32) -> Self {
        let attempt = (bygone.attempt == Attempt::Retry).then_some(2);
        Self { n: Some(n), attempt, ..Self::new(&bygone.target, &bygone.fate) }
    }
}
