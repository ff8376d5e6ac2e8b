//! `POST /v1/traces`, `/v1/logs`, `/v1/metrics` by the rules of OTLP/HTTP, and `/v1/litellm`.
//!
//! Exporters send again on 429, 502, 503 and 504, and drop the batch on everything else. So what is
//! in order and of no use here is answered 200, and an error says `google.rpc.Status` in the
//! encoding of the request.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::http::Context;
use crate::http::body;
use crate::http::errors::{ApiError, json};
use crate::intake::otlp::{Encoding, ExportError, Signal};
use crate::intake::sighting::Taken;

use super::{reading, reports};

/// Numbers of `google.rpc.Code`, by what an exporter may do about it.
const INVALID_ARGUMENT: u8 = 3;
const UNAUTHENTICATED: u8 = 16;
const UNAVAILABLE: u8 = 14;

/// The answer to LiteLLM, which nobody reads but people with curl.
#[derive(Serialize)]
struct TakenDocument<'a> {
    accepted: u64,
    duplicate: u64,
    ignored: u64,
    rejected: u64,
    errors: &'a [String],
}

pub(super) async fn traces(State(context): State<Context>, request: Request) -> Response {
    export(&context, Some(Signal::Traces), request).await
}

pub(super) async fn logs(State(context): State<Context>, request: Request) -> Response {
    export(&context, Some(Signal::Logs), request).await
}

/// Metrics tell of operations only and without their models: taken, and left out.
pub(super) async fn metrics(State(context): State<Context>, request: Request) -> Response {
    export(&context, None, request).await
}

pub(super) async fn litellm(State(context): State<Context>, request: Request) -> Response {
    let response = match take_payloads(&context, request).await {
        Ok(Taken { accepted, duplicate, ignored, rejected, errors, new_target: _ }) => {
            let errors = &errors;
            let document = TakenDocument { accepted, duplicate, ignored, rejected, errors };
            json(StatusCode::OK, serde_json::to_vec(&document).expect("plain structs serialise"))
        }
        Err(error) => error.into_response(),
    };
    context.stats.count_ingest_request(response.status().as_u16());
    response
}

async fn take_payloads(context: &Context, request: Request) -> Result<Taken, ApiError> {
    let (parts, body) = request.into_parts();
    super::permit(context, &parts.headers)?;
    body::require_json(&parts.headers)?;
    let take = |context: &Context, bytes: &[u8]| {
        let taken = context.callbacks.take(bytes, context.clock.now());
        taken.map(|taken| published(context, taken)).map_err(reports::unreadable)
    };
    reading::read(context, &parts.headers, body, take).await
}

async fn export(context: &Context, signal: Option<Signal>, request: Request) -> Response {
    let response = match encoding_of(request.headers()) {
        Ok(encoding) => match take_export(context, signal, encoding, request).await {
            Ok(taken) => success(signal, encoding, &taken),
            Err(error) => failure(encoding, &error),
        },
        Err(error) => failure(Encoding::Json, &error),
    };
    context.stats.count_ingest_request(response.status().as_u16());
    response
}

async fn take_export(
    context: &Context,
    signal: Option<Signal>,
    encoding: Encoding,
    request: Request,
) -> Result<Taken, ApiError> {
    let (parts, body) = request.into_parts();
    super::permit(context, &parts.headers)?;
    let take = move |context: &Context, bytes: &[u8]| {
        let Some(signal) = signal else { return Ok(Taken::default()) };
        let taken = context.exports.take(bytes, signal, encoding, context.clock.now());
        taken.map(|taken| published(context, taken)).map_err(|error| match error {
            ExportError::Malformed(_) => ApiError::bad_request(
                "malformed_export",
                error.to_string(),
                "send what the content-type says: protobuf or the JSON of OTLP",
            ),
            ExportError::TooManyRecords => ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_many_records",
                error.to_string(),
                "set send_batch_max_size in the collector's batch processor",
            ),
        })
    };
    reading::read(context, &parts.headers, body, take).await
}

/// Shows a target that was seen for the first time at once.
fn published(context: &Context, taken: Taken) -> Taken {
    if taken.new_target {
        (context.publish)();
    }
    taken
}

fn encoding_of(headers: &HeaderMap) -> Result<Encoding, ApiError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or("").trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Ok(Encoding::Protobuf),
        "application/json" => Ok(Encoding::Json),
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the content-type is not one of OTLP over HTTP",
            "set the exporter's protocol to http/protobuf or http/json",
        )),
    }
}

/// An empty response, or one that names what was about a model and could not be counted.
fn success(signal: Option<Signal>, encoding: Encoding, taken: &Taken) -> Response {
    let errors = taken.errors.join("; ");
    match encoding {
        Encoding::Json => {
            let field = match signal {
                Some(Signal::Traces) | None => "rejectedSpans",
                Some(Signal::Logs) => "rejectedLogRecords",
            };
            let document = if taken.rejected == 0 {
                serde_json::json!({})
            } else {
                // 64-bit integers are strings in the JSON of protobuf.
                let rejected = taken.rejected.to_string();
                serde_json::json!({"partialSuccess": {field: rejected, "errorMessage": errors}})
            };
            json(StatusCode::OK, document.to_string().into_bytes())
        }
        Encoding::Protobuf => {
            let mut message = Vec::new();
            if taken.rejected > 0 {
                let mut partial = vec![0x08];
                push_varint(&mut partial, taken.rejected);
                push_bytes(&mut partial, 2, errors.as_bytes());
                push_bytes(&mut message, 1, &partial);
            }
            protobuf(StatusCode::OK, message)
        }
    }
}

/// `google.rpc.Status` in the encoding of the request.
fn failure(encoding: Encoding, error: &ApiError) -> Response {
    let (status, message, remedy, retry_after) = error.parts();
    // Of the statuses that mean "send it again", OTLP does not know this one.
    let status = match status {
        StatusCode::REQUEST_TIMEOUT => StatusCode::SERVICE_UNAVAILABLE,
        status => status,
    };
    let code = match status {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        _ => INVALID_ARGUMENT,
    };
    let text = format!("{message}: {remedy}");
    let mut response = match encoding {
        Encoding::Json => {
            let document = serde_json::json!({"code": code, "message": text});
            json(status, document.to_string().into_bytes())
        }
        Encoding::Protobuf => {
            let mut message = vec![0x08, code];
            push_bytes(&mut message, 2, text.as_bytes());
            protobuf(status, message)
        }
    };
    let wait = retry_after.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(1));
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn protobuf(status: StatusCode, message: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-protobuf")], message).into_response()
}

fn push_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    push_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn push_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}
