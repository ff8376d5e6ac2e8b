//! The one HTTP client of all probes, and the stopwatch on its connections.
//!
//! One client is shared by all targets: it keeps their connections warm and loads the system's
//! certificates once. It makes exactly one attempt (no retry, no redirect), because one attempt
//! is one observation, and because a redirect would carry the API key to another host. It takes
//! no proxy from the environment: a probe measures the path that is configured, and nothing else.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::Instant;

/// How long name resolution, TCP and TLS may take together. Longer than any healthy path, shorter
/// than the default time to first token, so that a dead path is told from a slow model.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept: shorter than the minute after which the usual load
/// balancers close it (AWS's after 60 s, nginx after 75 s). A request that crosses such a close on
/// its way would look like an outage; opening a connection a minute costs next to nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(40);

/// Asks Cloudflare for its machine-readable error documents, which it sends instead of HTML to
/// those who accept JSON (Cloudflare changelog, 2026-04-27).
pub(super) const ACCEPTED: &str = "application/json, text/event-stream";

/// Who asks.
pub(super) const USER_AGENT: &str = concat!("brownout/", env!("CARGO_PKG_VERSION"));

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TLS settings were refused.
    #[error("probe client: cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client was refused.
    #[error("probe client: cannot be built")]
    Http(#[source] reqwest::Error),
}

/// Builds the client that all probes share.
///
/// # Errors
/// [`ClientError`] when the TLS library or the HTTP client refuses its settings. A system without
/// certificates is no error: probes over plain HTTP work, those over HTTPS end as `network`.
pub fn client() -> Result<reqwest::Client, ClientError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    // An answer is read as it comes: a compressed one would hold its events back.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls()?)
        .user_agent(USER_AGENT)
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .dns_resolver(SystemResolver)
        .connector_layer(TimeConnections)
        .build()
        .map_err(ClientError::Http)
}

/// TLS with the provider named explicitly, so that nothing depends on a process-wide default.
pub(in crate::intake) fn tls() -> Result<rustls::ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || {
        rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(ClientError::Tls)
    };
    let mut tls = match builder()?.with_platform_verifier() {
        Ok(verified) => verified.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(
                %error,
                "no certificates on this system, probes over https will fail: \
                 install ca-certificates"
            );
            let nobody = rustls::RootCertStore::empty();
            builder()?.with_root_certificates(nobody).with_no_client_auth()
        }
    };
    // The HTTP client does not add these to settings that it is given.
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// A name could not be resolved. A type of its own, so that the cause of a failed connection can
/// be told without reading messages.
#[derive(Debug, thiserror::Error)]
#[error("name cannot be resolved")]
pub(super) struct DnsFailure(#[source] std::io::Error);

/// The system's resolver with a recognisable error.
#[derive(Clone, Copy, Debug)]
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 means the scheme's own port to the HTTP client.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(DnsFailure)?;
            let addrs: Vec<_> = found.collect();
            Ok(Box::new(addrs.into_iter()) as Addrs)
        })
    }
}

/// How far the connection of one attempt has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Connection {
    /// None was opened: a warm one is in use.
    #[default]
    Reused,
    /// Being opened.
    Opening,
    /// Opened in this time: name resolution, TCP and TLS.
    Opened(Duration),
    /// Could not be opened.
    Failed,
}

/// Tells an attempt about its connection.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionWatch(Arc<Mutex<Connection>>);

tokio::task_local! {
    /// The watch of the attempt that the current task makes. The HTTP client opens connections
    /// inside the future that asked for one, which makes this the one place where a connection
    /// and its attempt meet. When a pooled connection becomes free first, the client finishes
    /// opening the new one in the background and this attempt counts as reused.
    static WATCH: ConnectionWatch;
}

impl ConnectionWatch {
    /// Runs `attempt` with this watch looking at the connections it opens.
    pub(super) async fn during<F: Future>(&self, attempt: F) -> F::Output {
        WATCH.scope(self.clone(), attempt).await
    }

    /// What is known now.
    pub(super) fn get(&self) -> Connection {
        *self.lock()
    }

    fn set(&self, connection: Connection) {
        *self.lock() = connection;
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A plain value is whole even if a holder panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a stopwatch around the client's connector.
#[derive(Clone, Copy, Debug)]
struct TimeConnections;

/// A connector with a stopwatch.
#[derive(Clone, Debug)]
struct Timed<S> {
    inner: S,
}

impl<S> tower::Layer<S> for TimeConnections {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner }
    }
}

impl<S, R> tower::Service<R> for Timed<S>
where
    S: tower::Service<R>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, ctx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(ctx)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let watch = WATCH.try_with(Clone::clone).unwrap_or_default();
        let opening = self.inner.call(destination);
        Box::pin(async move {
            let started = Instant::now();
            watch.set(Connection::Opening);
            let result = opening.await;
            watch.set(match &result {
                Ok(_) => Connection::Opened(started.elapsed()),
                Err(_) => Connection::Failed,
            });
            result
        })
    }
}
