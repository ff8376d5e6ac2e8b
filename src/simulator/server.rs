//! The simulated providers over HTTP: routes, refusals, limits.
//!
//! One future serves everything and is owned by the caller. Every request to a provider's
//! endpoint is in the ledger exactly once, whatever became of it; the admin endpoints are not.

mod admin;
mod exchange;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::dialect::{Dialect, Refusal, Request, Voice};
use super::fleet::{Call, Fleet};
use super::ledger::Entry;
use crate::domain::outcome::Attempt;
use crate::domain::target::{Model, Provider, Target};
use crate::domain::time::Timestamp;

/// Largest request body read, in bytes: more than any prompt of a test.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Longest time a request body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(30);

/// Most requests answered at the same time; the others wait for their turn.
const EXCHANGES_MAX: usize = 4_096;

/// How long connections may take to end once the server is told to stop.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(2);

/// What the handlers share.
#[derive(Clone)]
struct Stage {
    fleet: Fleet,
    shutdown: CancellationToken,
    turns: Arc<Semaphore>,
}

/// Serves the fleet until `shutdown`: answers under way are then cut and connections closed.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    fleet: Fleet,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let turns = Arc::new(Semaphore::new(EXCHANGES_MAX));
    let stage = Stage { fleet, shutdown: shutdown.clone(), turns };
    let server = axum::serve(listener, router(stage))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tokio::select! {
        served = async { server.await } => served,
        // A connection that sends half a request and stalls does not hold up the end.
        () = async { shutdown.cancelled().await; tokio::time::sleep(SHUTDOWN_WAIT).await; } => {
            Ok(())
        }
    }
}

fn router(stage: Stage) -> Router {
    Router::new()
        .route("/v1/messages", post(anthropic))
        .route("/{provider}/v1/messages", post(messages))
        .route("/v1/chat/completions", post(openai))
        .route("/{provider}/v1/chat/completions", post(chat))
        .route("/{provider}/chat/completions", post(chat))
        .route("/admin/ledger", get(admin::ledger))
        .route("/admin/reset-ledger", post(admin::reset_ledger))
        .route("/admin/weather", get(admin::weather).post(admin::set_weather))
        .fallback(admin::not_found)
        .with_state(stage)
}

async fn anthropic(stage: State<Stage>, headers: HeaderMap, body: Body) -> Response {
    answer(stage.0, (Dialect::Anthropic, "anthropic"), headers, body).await
}

async fn openai(stage: State<Stage>, headers: HeaderMap, body: Body) -> Response {
    answer(stage.0, (Dialect::OpenAi, "openai"), headers, body).await
}

async fn messages(
    stage: State<Stage>,
    provider: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(stage.0, (Dialect::Anthropic, &provider), headers, body).await
}

async fn chat(
    stage: State<Stage>,
    provider: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(stage.0, (Dialect::OpenAi, &provider), headers, body).await
}

/// One exchange with a provider, from request to response.
async fn answer(
    stage: Stage,
    (dialect, provider): (Dialect, &str),
    headers: HeaderMap,
    body: Body,
) -> Response {
    let turn = Arc::clone(&stage.turns).acquire_owned().await;
    let turn = turn.expect("the semaphore is never closed");
    let attempt = attempt(&headers);
    let (request, model) = match read(body).await {
        Ok(body) => Request::read(dialect, &body),
        Err(refusal) => (Err(refusal), None),
    };
    let target = target(provider, model.as_deref());
    let request_id = stage.fleet.request_id();
    let voice = Voice {
        dialect,
        provider: target.provider.as_str(),
        model: model.as_deref().unwrap_or_default(),
        request_id: &request_id,
    };
    let now = wall_clock();
    // The key is looked at first, as real providers do.
    let request = if has_key(&headers) { request } else { Err(Refusal::NoKey) };
    let drawn = request.and_then(|request| {
        let call = Call { stream: request.stream, attempt };
        let fate = stage.fleet.fate_in(dialect, &target, call, now);
        fate.map(|fate| (request, fate))
            .map_err(|unknown| Refusal::NoSuchModel(unknown.target.model.as_str().to_owned()))
    });
    match drawn {
        Ok((request, fate)) => {
            let entry =
                Entry { target: target.clone(), attempt, class: fate.class, code: fate.code };
            let exchange = exchange::Exchange::new(&stage, entry, fate, turn);
            exchange.play(&voice, &request, now).await
        }
        Err(refusal) => {
            let reply = voice.refusal(&refusal);
            let class = refusal.class();
            let code = Some(reply.code);
            stage.fleet.enter(&Entry { target: target.clone(), attempt, class, code });
            exchange::error_response(&voice, &reply, Vec::new())
        }
    }
}

/// Reads a body, within the limits of size and time.
async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let collected = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_WAIT, collected).await {
        Err(_) => Err(Refusal::TooSlow),
        Ok(Ok(collected)) => Ok(collected.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        // The client broke off; nobody reads the answer.
        Ok(Err(_)) => Err(Refusal::NotJson),
    }
}

/// Whom the request is for; what is no valid name is `other`.
fn target(provider: &str, model: Option<&str>) -> Target {
    let provider = Provider::new(provider)
        .or_else(|_| Provider::new("other"))
        .expect("`other` is a valid label");
    let model = model.and_then(|model| Model::new(model).ok()).unwrap_or_else(Model::other);
    Target::new(provider, model)
}

/// Whether there is any key, under either dialect's header.
fn has_key(headers: &HeaderMap) -> bool {
    let filled = |name: &str, scheme: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| {
            let value = value.trim();
            let key = match value.get(..scheme.len()) {
                Some(start) if start.eq_ignore_ascii_case(scheme) => &value[scheme.len()..],
                Some(_) | None => value,
            };
            !key.trim().is_empty()
        })
    };
    filled("x-api-key", "") || filled("authorization", "bearer")
}

/// The number of the try, as the official SDKs tell it: 0 is the first.
fn attempt(headers: &HeaderMap) -> Attempt {
    let retries = headers
        .get("x-stainless-retry-count")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u32>().ok())
        .unwrap_or(0);
    Attempt::from_number(retries.saturating_add(1))
}

/// The simulated providers' own clock: they stand for machines that do not share the daemon's.
#[expect(clippy::disallowed_methods, reason = "a provider has its own clock, not the daemon's")]
fn wall_clock() -> Timestamp {
    let since_epoch =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_epoch)
}

/// A response that is written here and therefore valid.
fn response(
    status: u16,
    content_type: &str,
    headers: Vec<(&'static str, String)>,
    body: Body,
) -> Response {
    let status = StatusCode::from_u16(status).expect("every status is a constant of the dialects");
    let builder = Response::builder().status(status).header("content-type", content_type);
    let builder =
        headers.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value));
    builder.body(body).expect("names and values are written by the dialects, all visible ASCII")
}
