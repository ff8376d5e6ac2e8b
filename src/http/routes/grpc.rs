//! OTLP over gRPC on the same port: three unary methods.
//!
//! A call is an HTTP/2 request whose body is one message behind a prefix of five bytes, and its
//! outcome stands in trailers. The decoders, limits and tokens are those of OTLP over HTTP, so
//! this small reader of frames is all there is to it. The HTTP status is 200 whatever happens;
//! exporters send again on UNAVAILABLE, and drop the batch on the other codes used here.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::http::Context;
use crate::http::body::essence;
use crate::http::errors::ApiError;
use crate::intake::otlp::{Encoding, Kind};
use crate::intake::take::Taken;

use super::{reading, telemetry};

/// The methods.
pub(super) const METHODS: [&str; 3] = [
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
];

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What a message in a header may not hold as it is; characters beyond ASCII are escaped anyway.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The routes of the methods.
pub(super) fn router() -> Router<Context> {
    let [traces, logs, metrics] = METHODS;
    Router::new()
        .route(traces, post(|state, request| export(state, Kind::Traces, request)))
        .route(logs, post(|state, request| export(state, Kind::Logs, request)))
        .route(metrics, post(|state, request| export(state, Kind::Metrics, request)))
}

/// Whether a request is a call of gRPC, of whatever method.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    essence(headers).starts_with("application/grpc")
}

/// The answer to calls of methods that there are not.
pub(super) fn unknown_method() -> Response {
    refusal(&unimplemented(
        "this method of gRPC is not known here".to_owned(),
        "call Export of OTLP's TraceService, LogsService or MetricsService",
    ))
}

async fn export(State(context): State<Context>, kind: Kind, request: Request) -> Response {
    if !is_call(request.headers()) || request.version() < Version::HTTP_2 {
        return ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_grpc",
            "this path takes calls of gRPC over HTTP/2",
            "set the exporter's protocol to grpc, or send to /v1/traces, /v1/logs or /v1/metrics",
        )
        .into_response();
    }
    let taken = take(&context, kind, request).await;
    // The statuses that the same export would have had over HTTP.
    let status = taken.as_ref().map_or_else(|error| error.parts().0, |_| StatusCode::OK);
    context.stats.count_ingest_request(status.as_u16());
    taken.map_or_else(|error| refusal(&error), |taken| answer(&taken))
}

async fn take(context: &Context, kind: Kind, request: Request) -> Result<Taken, ApiError> {
    let (parts, body) = request.into_parts();
    super::permit(context, &parts.headers)?;
    if !matches!(&*essence(&parts.headers), "application/grpc" | "application/grpc+proto") {
        let message = "messages are taken as protobuf only".to_owned();
        return Err(unimplemented(message, "send application/grpc or application/grpc+proto"));
    }
    let encoding = encoding_of(&parts.headers)?;
    let received = reading::receive(context, &parts.headers, body).await?;
    let message = received.opened(|wire| message_in(wire, encoding))?;
    let take = move |context: &Context, bytes: &[u8]| {
        telemetry::take_bytes(context, kind, Encoding::Protobuf, bytes)
    };
    reading::decode(context, message, take).await
}

/// How messages are compressed where they are.
fn encoding_of(headers: &HeaderMap) -> Result<&'static str, ApiError> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok("identity"),
        Some(b"gzip") => Ok("gzip"),
        Some(other) => {
            let message = format!("grpc-encoding \"{}\" is not accepted", other.escape_ascii());
            Err(unimplemented(message, "use gzip or none"))
        }
    }
}

/// The only message of a call, and how it is compressed.
fn message_in(wire: &Bytes, encoding: &'static str) -> Result<(Bytes, &'static str), ApiError> {
    let malformed = |what: &str| {
        let remedy = "send one complete message behind its prefix of five bytes";
        ApiError::bad_request("malformed_frame", what.to_owned(), remedy)
    };
    let Some((&[flag, a, b, c, d], rest)) = wire.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(malformed("the call ended before its message began"));
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if rest.len() < length {
        return Err(malformed("the call ended before its message was complete"));
    }
    if rest.len() > length {
        return Err(malformed("the call holds more than one message"));
    }
    let encoding = match flag {
        0 => "identity",
        1 if encoding != "identity" => encoding,
        1 => return Err(malformed("the message is compressed and grpc-encoding does not say how")),
        _ => return Err(malformed("the first byte of the message's prefix is neither 0 nor 1")),
    };
    Ok((wire.slice(PREFIX_BYTES..), encoding))
}

fn unimplemented(message: String, remedy: &str) -> ApiError {
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unimplemented", message, remedy)
}

/// One message, and the good end in the trailers.
fn answer(taken: &Taken) -> Response {
    let message = telemetry::message(taken);
    let length = u32::try_from(message.len()).expect("a few refusals are told, not gigabytes");
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&message);
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(Bytes::from(framed)).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    set_headers(&mut response);
    response
}

/// A bad end. There is no message, so what would be in the trailers stands in the headers.
fn refusal(error: &ApiError) -> Response {
    let (code, text) = telemetry::rpc_status(error);
    let text = utf8_percent_encode(&text, ESCAPED).to_string();
    let mut response = Response::new(Body::empty());
    set_headers(&mut response);
    let headers = response.headers_mut();
    headers.insert(STATUS, HeaderValue::from(u16::from(code)));
    headers.insert(MESSAGE, HeaderValue::try_from(text).expect("escaped to printable ASCII"));
    response
}

fn set_headers(response: &mut Response) {
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response.headers_mut().insert(ACCEPT_ENCODING, ENCODINGS);
}
