//! `GET /v1/health…`: documents that are ready, or 304.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::answers::health::{Document, Published};
use crate::domain::target::{NAME_BYTES_MAX, Provider, Target};
use crate::http::Context;
use crate::http::errors::ApiError;

/// Health answers change once a second.
const HEALTH_CACHE: HeaderValue = HeaderValue::from_static("public, max-age=1");
/// Known targets named in the answer to a request for an unknown one.
const SUGGESTIONS_MAX: usize = 20;

pub(super) async fn health_all(State(context): State<Context>, headers: HeaderMap) -> Response {
    conditional(context.published.load().all(), &headers)
}

pub(super) async fn health_one(
    State(context): State<Context>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let name = match name(path) {
        Ok(name) => name,
        Err(error) => return error.into_response(),
    };
    let published = context.published.load();
    if let Some(document) = find(&published, &context, &name) {
        return conditional(document, &headers);
    }
    unknown_target(&published, &name).into_response()
}

/// The document of a provider or a target by any of its names.
fn find<'a>(published: &'a Published, context: &Context, name: &str) -> Option<&'a Document> {
    let names = context.names.load();
    match name.split_once('/') {
        None => {
            let given = Provider::new(name).ok();
            // `mistral_ai` and its likes are other spellings of a known provider.
            given
                .and_then(|provider| published.provider(&provider))
                .or_else(|| published.provider(&names.provider(name)?))
        }
        Some((provider, model)) => {
            let given = Target::parse(name).ok();
            given.and_then(|target| published.target(&target)).or_else(|| {
                let target = names.resolve(Some(provider), None, model).ok()?;
                published.target(&target)
            })
        }
    }
}

/// The name of a provider or a target that a path ends with.
pub(super) fn name(path: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(name) = path.map_err(|error| {
        let remedy = "write provider and model in UTF-8, percent-encoded where needed";
        ApiError::bad_request("bad_path", error.body_text(), remedy)
    })?;
    Ok(name.trim_matches('/').to_owned())
}

pub(super) fn unknown_target(published: &Published, name: &str) -> ApiError {
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
    let name: String = name.chars().take(NAME_BYTES_MAX).collect();
    let message = format!("{name:?} is neither configured nor seen");
    ApiError::new(StatusCode::NOT_FOUND, "unknown_target", message, remedy)
}

/// The document, or 304 if the caller has it already.
fn conditional(document: &Document, headers: &HeaderMap) -> Response {
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
