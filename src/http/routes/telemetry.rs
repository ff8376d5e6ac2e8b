//! `POST /v1/traces`, `/v1/logs`, `/v1/metrics` by the rules of OTLP/HTTP, and `/v1/litellm`.
//!
//! Some clients post to exactly the URL they are given, so the three are known under any prefix,
//! and an export is known by its body where the path says nothing (`elsewhere`).
//!
//! Exporters send again on 429, 502, 503 and 504, and drop the batch on everything else. So what is
//! in order and of no use here is answered 200, and an error says `google.rpc.Status` in the
//! encoding of the request.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::ground::self_stats::Route;
use crate::http::Context;
use crate::http::body;
use crate::http::errors::{ApiError, CHALLENGE, json};
use crate::intake::otlp::{Encoding, ExportError, Kind};
use crate::intake::take::Taken;

use super::{reading, reports};

/// Paths that are the daemon's own, today's and those to come: nothing is guessed there.
const OWN: [&str; 4] = ["/v1/", "/v1development/", "/-/", "/compat/"];

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
    export(&context, Some(Kind::Traces), request).await
}

pub(super) async fn logs(State(context): State<Context>, request: Request) -> Response {
    export(&context, Some(Kind::Logs), request).await
}

/// Metrics tell of operations only and without their models: taken, and left out.
pub(super) async fn metrics(State(context): State<Context>, request: Request) -> Response {
    export(&context, Some(Kind::Metrics), request).await
}

/// The kind of export that a path names at its end, whatever stands before it.
pub(super) fn kind_of_path(path: &str) -> Option<Kind> {
    let path = path.trim_end_matches('/');
    let ends =
        [("/v1/traces", Kind::Traces), ("/v1/logs", Kind::Logs), ("/v1/metrics", Kind::Metrics)];
    ends.into_iter().find_map(|(end, kind)| path.ends_with(end).then_some(kind))
}

/// Takes a POST to a path that is no route, if it is an export; `None` if it cannot be one.
pub(super) async fn elsewhere(context: &Context, request: Request) -> Option<Response> {
    let path = request.uri().path();
    let kind = kind_of_path(path);
    let is_own = OWN.iter().any(|own| path.starts_with(own));
    // Profiles are an export as well, and of a kind that is not taken.
    let is_profile = path.trim_end_matches('/').ends_with("/v1development/profiles");
    if kind.is_none() && (is_own || is_profile || encoding_of(request.headers()).is_err()) {
        return None;
    }
    let mut response = export(context, kind, request).await;
    response.extensions_mut().insert(Route::Telemetry);
    Some(response)
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

/// Takes an export of this kind, or of the kind that its body tells.
async fn export(context: &Context, kind: Option<Kind>, request: Request) -> Response {
    let response = match encoding_of(request.headers()) {
        Ok(encoding) => match take_export(context, kind, encoding, request).await {
            Ok((kind, taken)) => success(kind, encoding, &taken),
            // Whoever sends JSON to a path that is none may have meant another route.
            Err(error)
                if error.parts().0 == StatusCode::NOT_FOUND && encoding == Encoding::Json =>
            {
                error.into_response()
            }
            Err(error) => failure(encoding, &error),
        },
        Err(error) => failure(Encoding::Json, &error),
    };
    context.stats.count_ingest_request(response.status().as_u16());
    response
}

async fn take_export(
    context: &Context,
    kind: Option<Kind>,
    encoding: Encoding,
    request: Request,
) -> Result<(Kind, Taken), ApiError> {
    let (parts, body) = request.into_parts();
    super::permit(context, &parts.headers)?;
    let take = move |context: &Context, bytes: &[u8]| {
        let kind = kind.or_else(|| Kind::told_by(bytes, encoding)).ok_or_else(untold)?;
        Ok((kind, take_bytes(context, kind, encoding, bytes)?))
    };
    reading::read(context, &parts.headers, body, take).await
}

/// Counts what a decoded export tells.
pub(super) fn take_bytes(
    context: &Context,
    kind: Kind,
    encoding: Encoding,
    bytes: &[u8],
) -> Result<Taken, ApiError> {
    let Some(signal) = kind.signal() else { return Ok(Taken::default()) };
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
}

fn untold() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "there is nothing at this path, and the body is not an export whose kind can be told",
        "send exports to /v1/traces, /v1/logs or /v1/metrics; GET / lists what there is",
    )
}

/// Shows a target that was seen for the first time at once.
fn published(context: &Context, taken: Taken) -> Taken {
    if taken.new_target {
        (context.publish)();
    }
    taken
}

fn encoding_of(headers: &HeaderMap) -> Result<Encoding, ApiError> {
    match body::essence(headers).as_str() {
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
fn success(kind: Kind, encoding: Encoding, taken: &Taken) -> Response {
    match encoding {
        Encoding::Json => {
            let field = match kind {
                Kind::Traces => "rejectedSpans",
                Kind::Logs => "rejectedLogRecords",
                Kind::Metrics => "rejectedDataPoints",
            };
            let document = if taken.rejected == 0 {
                serde_json::json!({})
            } else {
                // 64-bit integers are strings in the JSON of protobuf.
                let rejected = taken.rejected.to_string();
                let errors = taken.errors.join("; ");
                serde_json::json!({"partialSuccess": {field: rejected, "errorMessage": errors}})
            };
            json(StatusCode::OK, document.to_string().into_bytes())
        }
        Encoding::Protobuf => protobuf(StatusCode::OK, message(taken)),
    }
}

/// The same as protobuf. The three kinds have responses of one form.
pub(super) fn message(taken: &Taken) -> Vec<u8> {
    let mut message = Vec::new();
    if taken.rejected > 0 {
        let mut partial = vec![0x08];
        push_varint(&mut partial, taken.rejected);
        push_bytes(&mut partial, 2, taken.errors.join("; ").as_bytes());
        push_bytes(&mut message, 1, &partial);
    }
    message
}

/// `google.rpc.Status` in the encoding of the request.
fn failure(encoding: Encoding, error: &ApiError) -> Response {
    let (status, _, _, retry_after) = error.parts();
    // Of the statuses that mean "send it again", OTLP does not know this one.
    let status = match status {
        StatusCode::REQUEST_TIMEOUT => StatusCode::SERVICE_UNAVAILABLE,
        status => status,
    };
    let (code, text) = rpc_status(error);
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
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    let wait = retry_after.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(1));
    if let Some(seconds) = wait {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An error as `google.rpc.Code` has it, by what an exporter may do about it, and in words.
pub(super) fn rpc_status(error: &ApiError) -> (u8, String) {
    let (status, message, remedy, _) = error.parts();
    let code = match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::INTERNAL_SERVER_ERROR => 13,
        StatusCode::NOT_FOUND | StatusCode::UNSUPPORTED_MEDIA_TYPE => 12,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        _ => 3,
    };
    (code, format!("{message}: {remedy}"))
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

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn errors_keep_the_contract_in_both_encodings() {
        for (status, answered, code, wait) in [
            (StatusCode::BAD_REQUEST, 400, 3, None),
            (StatusCode::UNAUTHORIZED, 401, 16, None),
            (StatusCode::PAYLOAD_TOO_LARGE, 413, 8, None),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, 415, 12, None),
            (StatusCode::INTERNAL_SERVER_ERROR, 500, 13, None),
            (StatusCode::SERVICE_UNAVAILABLE, 503, 14, Some("1")),
            (StatusCode::REQUEST_TIMEOUT, 503, 14, Some("1")),
        ] {
            for encoding in [Encoding::Json, Encoding::Protobuf] {
                let response = failure(encoding, &ApiError::new(status, "code", "what", "remedy"));
                assert_eq!(response.status().as_u16(), answered);
                let header = |name| response.headers().get(name).map(HeaderValue::as_bytes);
                assert_eq!(header(header::RETRY_AFTER), wait.map(str::as_bytes), "{status}");
                let (kind, expected) = match encoding {
                    Encoding::Json => (
                        "application/json",
                        format!("{{\"code\":{code},\"message\":\"what: remedy\"}}").into_bytes(),
                    ),
                    Encoding::Protobuf => {
                        let head = [0x08, code, 0x12, 12];
                        ("application/x-protobuf", [&head, &b"what: remedy"[..]].concat())
                    }
                };
                assert_eq!(header(header::CONTENT_TYPE), Some(kind.as_bytes()));
                let body = to_bytes(response.into_body(), 1_000).await.unwrap();
                assert_eq!(&body[..], expected, "{status}");
            }
        }
    }
}
