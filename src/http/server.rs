//! The accept loop: one task a connection, all of them bounded, timed and waited for.
//!
//! `axum::serve` sets no timer, which leaves hyper's time-out for request headers without effect,
//! and no cap on connections; hence this loop.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// A request's headers must have arrived by then, and an idle connection is closed after it.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to pause when the system cannot give us another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until cancelled, then lets requests in flight finish for at most `grace`.
/// Returns whether all of them did.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    grace: Duration,
) -> bool {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    while let Some(Some((stream, slot))) =
        shutdown.run_until_cancelled(next(&listener, &slots)).await
    {
        while connections.try_join_next().is_some() {}
        // An answer is one small write: waiting for more to send only adds latency.
        let _ = stream.set_nodelay(true);
        let service =
            TowerToHyperService::new(router.clone().map_request(
                |request: http::Request<hyper::body::Incoming>| request.map(Body::new),
            ));
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEADERS_TIMEOUT);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // What goes wrong on one connection is that client's affair.
            let _ = connection.await;
            drop(slot);
        });
    }
    drop(listener);
    tokio::time::timeout(grace, graceful.shutdown()).await.is_ok()
}

/// The next connection, once there is a slot for it.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => return Some((stream, slot)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
