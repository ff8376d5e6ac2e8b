//! The simulated providers over HTTP: routes, refusals, limits.
//!
//! One future serves everything and is owned by the caller. Every request to a provider's
//! endpoint is in the ledger exactly once, whatever became of it; the admin endpoints are not.

mod admin;
mod exchange;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::dialect::{Asked, Dialect, Headers, Refusal, Voice};
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

/// How long to pause when the system cannot give us another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the handlers share.
#[derive(Clone)]
struct Stage {
    fleet: Fleet,
    shutdown: CancellationToken,
    turns: Arc<Semaphore>,
}

/// Marks a response that is not to be sent: the connection, or in HTTP/2 the stream, is cut.
/// `axum::serve` knows no such thing, hence the loop below.
#[derive(Clone, Copy)]
struct Cut;

/// Serves the fleet until `shutdown`: answers under way are then cut and connections closed.
/// Clients speak HTTP/1.1, or HTTP/2 without asking first.
///
/// # Errors
/// None at present: a connection that cannot be accepted is waited for.
pub async fn serve(
    fleet: Fleet,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let turns = Arc::new(Semaphore::new(EXCHANGES_MAX));
    let router = router(Stage { fleet, shutdown: shutdown.clone(), turns });
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Pieces of a stream leave when they are written.
        let _ = stream.set_nodelay(true);
        let service = router
            .clone()
            .map_request(|request: http::Request<hyper::body::Incoming>| request.map(Body::new))
            .map_err(|never: Infallible| -> io::Error { match never {} })
            .map_result(uncut);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).half_close(false);
        builder.http2().timer(TokioTimer::new());
        let service = TowerToHyperService::new(service);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // What goes wrong on one connection is that client's affair.
            let _ = connection.await;
        });
    }
    drop(listener);
    // A connection that sends half a request and stalls does not hold up the end.
    let _ = tokio::time::timeout(SHUTDOWN_WAIT, graceful.shutdown()).await;
    Ok(())
}

/// Turns a response that is to be cut into the error that cuts it.
fn uncut(answered: io::Result<Response>) -> io::Result<Response> {
    let is_cut = |response: &Response| response.extensions().get::<Cut>().is_some();
    answered.and_then(|response| {
        let cut = io::Error::from(io::ErrorKind::ConnectionReset);
        if is_cut(&response) { Err(cut) } else { Ok(response) }
    })
}

fn router(stage: Stage) -> Router {
    let mut router = Router::new();
    for dialect in Dialect::ALL {
        for path in dialect.speech().paths() {
            let handler = move |stage: State<Stage>, names: Path<_>, request: HttpRequest| {
                answer(stage.0, dialect, names.0, request)
            };
            router = router.route(path, post(handler));
        }
    }
    router
        .route("/admin/ledger", get(admin::ledger))
        .route("/admin/reset-ledger", post(admin::reset_ledger))
        .route("/admin/weather", get(admin::weather).post(admin::set_weather))
        .fallback(admin::not_found)
        .with_state(stage)
}

/// One exchange with a provider, from request to response.
async fn answer(
    stage: Stage,
    dialect: Dialect,
    names: HashMap<String, String>,
    request: HttpRequest,
) -> Response {
    let turn = Arc::clone(&stage.turns).acquire_owned().await;
    let turn = turn.expect("the semaphore is never closed");
    let (head, body) = request.into_parts();
    let attempt = attempt(&head.headers);
    let speech = dialect.speech();
    let body = read(body).await;
    let asked = Asked {
        path: head.uri.path(),
        place: names.get("place").map_or("", String::as_str),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: body.as_deref().unwrap_or_default(),
    };
    let (request, model) = match &body {
        Ok(_) => speech.read(&asked),
        Err(refusal) => (Err(refusal.clone()), None),
    };
    let provider = names.get("provider").map_or(speech.provider(), String::as_str);
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
    let request = if speech.has_key(&asked) { request } else { Err(Refusal::NoKey) };
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
            let reply = speech.refusal(&voice, &refusal);
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
fn response(status: u16, content_type: &str, headers: Headers, body: Body) -> Response {
    let status = StatusCode::from_u16(status).expect("every status is a constant of the dialects");
    let builder = Response::builder().status(status).header("content-type", content_type);
    let builder =
        headers.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value));
    builder.body(body).expect("names and values are written by the dialects, all visible ASCII")
}
