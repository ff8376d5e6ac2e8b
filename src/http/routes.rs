//! The routes, one handler each; those with more to them have a file of their own.

mod grpc;
mod health;
mod hours;
mod probe;
mod probes;
mod reading;
mod reports;
mod scrape;
mod telemetry;

use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

use crate::answers::page;
use crate::ground::self_stats::Route;

use super::Context;
use super::errors::ApiError;

/// The page runs no script and loads nothing.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

/// All routes.
pub fn router(context: Context) -> Router {
    Router::new()
        .route("/", get(landing).post(unknown_path))
        .route("/metrics", get(scrape::metrics))
        .route("/v1/outcomes", post(reports::outcomes))
        .route("/v1/traces", post(telemetry::traces))
        .route("/v1/logs", post(telemetry::logs))
        .route("/v1/metrics", post(telemetry::metrics))
        .merge(grpc::router())
        .route("/v1/litellm", post(telemetry::litellm))
        .route("/v1/health", get(health::health_all))
        .route("/v1/health/", get(health::health_all))
        .route("/v1/health/{*name}", get(health::health_one))
        .route("/v1/hours", get(hours::hours_rows))
        .route("/v1/probes", get(probes::latest))
        .route("/v1/probes/{*name}", get(probes::of_target))
        .route("/probe", get(probe::probe).head(probe::only_get))
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
    // What a body told may be more than the path did.
    let route = response.extensions().get().copied().unwrap_or(route);
    context.stats.count_request(route, response.status().as_u16());
    response
}

/// The route as a label: a closed set, whatever path was asked for.
fn route_of(path: &str) -> Route {
    match path {
        "/" => Route::Page,
        "/metrics" => Route::Metrics,
        "/v1/outcomes" => Route::Outcomes,
        "/v1/traces" | "/v1/logs" | "/v1/metrics" | "/v1/litellm" => Route::Telemetry,
        "/v1/hours" => Route::Hours,
        "/-/healthy" | "/-/ready" | "/-/reload" => Route::Lifecycle,
        "/probe" => Route::Probes,
        _ if grpc::METHODS.contains(&path) => Route::Telemetry,
        _ if path == "/v1/probes" || path.starts_with("/v1/probes/") => Route::Probes,
        _ if path == "/v1/health" || path.starts_with("/v1/health/") => Route::Health,
        _ => Route::Other,
    }
}

/// Refuses who may not write.
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

fn internal(message: &str) -> ApiError {
    let remedy = "report this with the log of brownout";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message, remedy)
}

fn shutting_down() -> ApiError {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    ApiError::new(status, "shutting_down", "brownout is shutting down", "try again after it is up")
}

/// What is no route may still be an export: clients post to the URL they are given.
async fn unknown_path(State(context): State<Context>, request: Request) -> Response {
    if grpc::is_call(request.headers()) {
        return grpc::unknown_method();
    }
    let is_post = request.method() == Method::POST;
    let export = if is_post { telemetry::elsewhere(&context, request).await } else { None };
    export.unwrap_or_else(|| nothing_here().into_response())
}

fn nothing_here() -> ApiError {
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
