//! One JSON shape for every error: `{"error":{"code","message","remedy"}}`.
//!
//! Messages name the thing and never repeat a request's body.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde::Serialize;

/// What goes with 401.
pub(super) const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"brownout\"");

/// An error as the caller sees it.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    remedy: String,
    retry_after_s: Option<u64>,
}

/// The part under `error`.
#[derive(Serialize)]
pub(super) struct ErrorDocument<'a> {
    code: &'static str,
    message: &'a str,
    remedy: &'a str,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: ErrorDocument<'a>,
}

impl ApiError {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let retry_after_s = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Self { status, code, message: message.into(), remedy: remedy.into(), retry_after_s }
    }

    /// The same, with the time after which it makes sense to try again; `None` if it never does.
    pub(super) fn retry_after(mut self, wait: impl Into<Option<Duration>>) -> Self {
        let whole = |wait: Duration| wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after_s = wait.into().map(whole);
        self
    }

    pub(super) fn bad_request(code: &'static str, message: String, remedy: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message, remedy)
    }

    /// Its status, what is wrong, what to do, and the seconds to wait.
    pub(super) fn parts(&self) -> (StatusCode, &str, &str, Option<u64>) {
        (self.status, &self.message, &self.remedy, self.retry_after_s)
    }

    pub(super) fn document(&self) -> ErrorDocument<'_> {
        ErrorDocument { code: self.code, message: &self.message, remedy: &self.remedy }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&Envelope { error: self.document() })
            .expect("plain structs serialise");
        let mut response = json(self.status, body);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A JSON response.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
