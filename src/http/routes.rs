//! The routes, one handler each.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use flate2::Compression;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::sync::atomic::Ordering;

use crate::answers::metrics::Format;
use crate::answers::{health, hours, page};
use crate::domain::target::{Provider, Target};
use crate::domain::time::Timestamp;
use crate::ground::self_stats::Route;
use crate::intake::report::{BatchError, Receipt};

use super::errors::{ApiError, ErrorDocument, json};
use super::{Context, body};

/// Health answers change once a second.
const HEALTH_CACHE: HeaderValue = HeaderValue::from_static("public, max-age=1");
/// Longest `Idempotency-Key` looked at, in bytes.
const BATCH_KEY_BYTES_MAX: usize = 128;
/// The page runs no script and loads nothing.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
/// Known targets named in the answer to a request for an unknown one.
const SUGGESTIONS_MAX: usize = 20;

/// All routes.
pub fn router(context: Context) -> Router {
    Router::new()
        .route("/", get(landing))
        .route("/metrics", get(metrics))
        .route("/v1/outcomes", post(outcomes))
        .route("/v1/health", get(health_all))
        .route("/v1/health/", get(health_all))
        .route("/v1/health/{*name}", get(health_one))
        .route("/v1/hours", get(hours_rows))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(context.clone(), count_requests))
        .with_state(context)
}

async fn count_requests(State(context): State<Context>, request: Request, next: Next) -> Response {
    let route = route_of(request.uri().path());
    let response = next.run(request).await;
    context.stats.count_request(route, response.status().as_u16());
    response
}

/// The route as a label: a closed set, whatever path was asked for.
fn route_of(path: &str) -> Route {
    match path {
        "/" => Route::Page,
        "/metrics" => Route::Metrics,
        "/v1/outcomes" => Route::Outcomes,
        "/v1/hours" => Route::Hours,
        "/-/healthy" | "/-/ready" | "/-/reload" => Route::Lifecycle,
        _ if path == "/v1/health" || path.starts_with("/v1/health/") => Route::Health,
        _ => Route::Other,
    }
}

// === reports ===

#[derive(Serialize)]
struct ReceiptDocument<'a> {
    accepted: u64,
    duplicate: u64,
    rejected: Vec<RejectionDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument<'a>>,
}

#[derive(Serialize)]
struct RejectionDocument<'a> {
    index: usize,
    error: &'a str,
}

async fn outcomes(State(context): State<Context>, request: Request) -> Response {
    let response = match take_outcomes(&context, request).await {
        Ok(receipt) => receipt_response(&receipt),
        Err(error) => error.into_response(),
    };
    context.stats.count_ingest_request(response.status().as_u16());
    response
}

async fn take_outcomes(context: &Context, request: Request) -> Result<Receipt, ApiError> {
    let (parts, body) = request.into_parts();
    let access = context.access.load_full();
    permit(context, &parts.headers)?;
    body::require_json(&parts.headers)?;
    let (wire_bytes, bytes) = body::read(&parts.headers, body, &access).await?;
    context.stats.count_ingest_bytes(wire_bytes as u64, bytes.len() as u64);
    let key = parts.headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let key = key.filter(|key| !key.is_empty() && key.len() <= BATCH_KEY_BYTES_MAX);
    context.reports.take(&bytes, key, context.clock.now()).map_err(|error| match error {
        BatchError::Empty => ApiError::bad_request(
            "empty_batch",
            error.to_string(),
            "send {\"provider\":…,\"model\":…,\"status\":…} or an array of such objects",
        ),
        BatchError::TooManyRecords => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_many_records",
            error.to_string(),
            "split the batch",
        ),
    })
}

/// 200 as soon as anything was counted or known; 400 when every record was refused.
fn receipt_response(receipt: &Receipt) -> Response {
    let nothing_kept = receipt.accepted == 0 && receipt.duplicate == 0;
    let refused = nothing_kept && !receipt.rejected.is_empty();
    let error = ApiError::bad_request(
        "no_record_accepted",
        receipt
            .rejected
            .first()
            .map(|first| format!("record {}: {}", first.index, first.error))
            .unwrap_or_default(),
        "mend the named fields and send the records again",
    );
    let document = ReceiptDocument {
        accepted: receipt.accepted,
        duplicate: receipt.duplicate,
        rejected: receipt
            .rejected
            .iter()
            .map(|r| RejectionDocument { index: r.index, error: &r.error })
            .collect(),
        error: refused.then(|| error.document()),
    };
    let status = if refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    json(status, serde_json::to_vec(&document).expect("plain structs serialise"))
}

fn permit(context: &Context, headers: &HeaderMap) -> Result<(), ApiError> {
    if context.access.load().permits(headers) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "a valid bearer token is required here",
        "send Authorization: Bearer with one of the tokens under ingest.tokens",
    ))
}

// === health ===

async fn health_all(State(context): State<Context>, headers: HeaderMap) -> Response {
    conditional(context.published.load().all(), &headers)
}

async fn health_one(
    State(context): State<Context>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let published = context.published.load();
    let name = name.trim_matches('/');
    let document = match name.split_once('/') {
        None => Provider::new(name).ok().and_then(|provider| {
            published.provider(&provider).or_else(|| {
                // `mistral_ai` and its likes are other spellings of a known provider.
                published.provider(&context.names.load().provider(name)?)
            })
        }),
        Some((provider, model)) => {
            let given = Target::parse(name).ok();
            given.and_then(|target| published.target(&target)).or_else(|| {
                let target = context.names.load().resolve(Some(provider), None, model).ok()?;
                published.target(&target)
            })
        }
    };
    match document {
        Some(document) => conditional(document, &headers),
        None => unknown_target(&published, name).into_response(),
    }
}

fn unknown_target(published: &health::Published, name: &str) -> ApiError {
    let known = &published.snapshot.targets;
    let provider = name.split('/').next().unwrap_or(name);
    let same_provider: Vec<String> = known
        .iter()
        .filter(|view| view.target.provider.as_str().eq_ignore_ascii_case(provider))
        .map(|view| view.target.to_string())
        .take(SUGGESTIONS_MAX)
        .collect();
    let suggestions = if same_provider.is_empty() {
        known.iter().map(|view| view.target.to_string()).take(SUGGESTIONS_MAX).collect()
    } else {
        same_provider
    };
    let remedy = if suggestions.is_empty() {
        "report an outcome to POST /v1/outcomes, or configure the model under providers".to_owned()
    } else {
        format!("known: {}", suggestions.join(", "))
    };
    let name: String = name.chars().take(crate::domain::target::NAME_BYTES_MAX).collect();
    let message = format!("{name:?} is neither configured nor seen");
    ApiError::new(StatusCode::NOT_FOUND, "unknown_target", message, remedy)
}

/// The document, or 304 if the caller has it already.
fn conditional(document: &health::Document, headers: &HeaderMap) -> Response {
    let etag = HeaderValue::from_str(&document.etag).expect("a hash in hexadecimal is visible");
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || weak(tag) == weak(&document.etag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json_bytes(document.bytes.clone())
    };
    response.headers_mut().insert(header::ETAG, etag);
    response.headers_mut().insert(header::CACHE_CONTROL, HEALTH_CACHE);
    response
}

/// An entity tag for weak comparison (RFC 9110, section 8.8.3.2).
fn weak(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn json_bytes(bytes: bytes::Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response()
}

// === hours ===

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoursParameters {
    provider: Option<String>,
    model: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

async fn hours_rows(State(context): State<Context>, request: Request) -> Response {
    let query = Query::<HoursParameters>::try_from_uri(request.uri())
        .map_err(|error| {
            ApiError::bad_request(
                "bad_query",
                error.body_text(),
                "the parameters are provider, model, from and to",
            )
        })
        .and_then(|Query(parameters)| hours_query(&context, parameters));
    match query {
        Ok(query) => {
            let published = context.published.load();
            let body = hours::document(&published.snapshot, &query);
            json(StatusCode::OK, body)
        }
        Err(error) => error.into_response(),
    }
}

fn hours_query(context: &Context, parameters: HoursParameters) -> Result<hours::Query, ApiError> {
    let bad = |parameter: &str, what: &str| {
        let message = format!("{parameter}: {what}");
        ApiError::bad_request("bad_query", message, "see GET /v1/hours in the reference")
    };
    let time = |parameter: &str, text: Option<String>| match text {
        None => Ok(None),
        Some(text) => parse_time(&text)
            .map(Some)
            .ok_or_else(|| bad(parameter, "expected RFC 3339 or seconds since 1970")),
    };
    let names = context.names.load();
    let provider = parameters
        .provider
        .map(|name| names.provider(&name).ok_or_else(|| bad("provider", "not a provider's name")));
    let provider = provider.transpose()?;
    let model = match parameters.model {
        None => None,
        Some(model) => Some(
            names
                .resolve(provider.as_ref().map(Provider::as_str), None, &model)
                .map_err(|error| bad("model", &error.to_string()))?
                .model,
        ),
    };
    let (from, to) = (time("from", parameters.from)?, time("to", parameters.to)?);
    Ok(hours::Query { provider, model, from, to })
}

fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Timestamp::from_secs(seconds));
    }
    let parsed: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(parsed.as_millisecond()).ok().map(Timestamp::from_millis)
}

// === metrics ===

async fn metrics(State(context): State<Context>, headers: HeaderMap) -> Response {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let format = Format::negotiate(text(header::ACCEPT));
    let gzip = accepts_gzip(text(header::ACCEPT_ENCODING));
    let (exporter, now) = (context.exporter, context.clock.now());
    let rendered = tokio::task::spawn_blocking(move || {
        let plain = exporter.render(format, now);
        if gzip { compress(&plain).unwrap_or(plain) } else { plain }
    });
    let Ok(bytes) = rendered.await else {
        let remedy = "report this with the log of brownout";
        let message = "the exposition could not be written";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return ApiError::new(status, "internal", message, remedy).into_response();
    };
    // The gzip magic cannot begin an exposition, which is text.
    let gzipped = bytes.starts_with(&[0x1f, 0x8b]);
    let mut response = Body::from(bytes).into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    answer.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzipped {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    accept_encoding.is_some_and(|value| {
        value.split(',').any(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = parameters
                .trim()
                .strip_prefix("q=")
                .is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q == 0.0));
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
    })
}

fn compress(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

// === page and lifecycle ===

async fn landing(State(context): State<Context>) -> Response {
    let html = page::landing(&context.published.load().snapshot);
    let mut response = html.into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer.insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    response
}

async fn healthy() -> &'static str {
    "brownout is healthy.\n"
}

async fn ready(State(context): State<Context>) -> Response {
    if context.ready.load(Ordering::SeqCst) {
        return "brownout is ready.\n".into_response();
    }
    let retry = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry, "brownout is not ready.\n").into_response()
}

async fn reload(State(context): State<Context>, headers: HeaderMap) -> Response {
    if let Err(error) = permit(&context, &headers) {
        return error.into_response();
    }
    let (request, answer) = tokio::sync::oneshot::channel();
    if context.reload.send(request).await.is_err() {
        return shutting_down().into_response();
    }
    match answer.await {
        Ok(Ok(())) => "configuration reloaded\n".into_response(),
        Ok(Err(problems)) => ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "reload_failed",
            problems,
            "mend the configuration; the previous one stays in force",
        )
        .into_response(),
        Err(_closed) => shutting_down().into_response(),
    }
}

fn shutting_down() -> ApiError {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    ApiError::new(status, "shutting_down", "brownout is shutting down", "try again after it is up")
}

async fn unknown_path() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "there is nothing at this path",
        "GET / lists what there is",
    )
}

async fn wrong_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "this path does not take this method",
        "the Allow header names those it takes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_only_to_those_who_take_it() {
        for (accept, expected) in [
            (None, false),
            (Some("gzip"), true),
            (Some("deflate, GZIP;q=0.5"), true),
            (Some("gzip;q=0"), false),
            (Some("br"), false),
        ] {
            assert_eq!(accepts_gzip(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let expected = Some(Timestamp::from_secs(1_777_039_391));
        assert_eq!(parse_time("1777039391"), expected);
        assert_eq!(parse_time("2026-04-24T16:03:11+02:00"), expected);
        assert_eq!(parse_time("yesterday"), None);
    }
}
