//! Builds and supervises everything, and shuts it down.
//!
//! Three questions in order: *when* to stop (a signal, or a part that ended early), *tell*
//! everyone (one cancellation token), *wait* for them (within a grace period). A second signal
//! aborts.

mod parts;
mod probing;
pub mod rehearsal;
mod status_pages;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::target::Target;
use crate::ground::clock::Clock;
use crate::ground::config::Config;
use crate::ground::self_stats::SelfStats;
use crate::http::{ReloadRequest, router, server};

use parts::{Loaded, Parts};
use probing::{Prepared, Probing};

/// How long requests in flight may take after a signal to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// What the parts may take beyond that to end themselves.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(2);
/// The detectors' clock: one tick a second.
const TICK: Duration = Duration::from_secs(1);
/// Reload requests waiting; one is being worked on, the rest would only repeat it.
const RELOADS_MAX: usize = 4;

/// What a daemon is started with.
#[derive(Debug)]
pub struct Settings {
    /// The configuration in force.
    pub config: Config,
    /// Where it came from, for a reload; `None` runs without a file.
    pub config_file: Option<PathBuf>,
    /// Targets to probe besides the configured ones (`--probe`).
    pub probes: Vec<Target>,
    /// Where time comes from.
    pub clock: Clock,
    /// The process's own counters, which the log counts into as well.
    pub stats: SelfStats,
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    parts: Parts,
    address: SocketAddr,
    tasks: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

impl Daemon {
    /// Builds everything and starts serving on a listener that the caller bound.
    ///
    /// # Errors
    /// When a token for reports cannot be read or a `--probe` target cannot be probed.
    pub fn start(settings: Settings, listener: TcpListener) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("the listener has no address")?;
        for notice in &settings.config.notices {
            tracing::warn!("{notice}");
        }
        let (reload, reloads) = mpsc::channel(RELOADS_MAX);
        let parts = Parts::build(settings, reload)?;
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_http(parts.clone(), listener, shutdown.clone()));
        tasks.spawn(tick(parts.clone(), shutdown.clone()));
        tasks.spawn(keep_configured(parts.clone(), reloads, shutdown.clone()));
        tasks.spawn(status_pages::keep(parts.clone(), shutdown.clone()));
        parts.ready.store(true, Ordering::SeqCst);
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
        Ok(Self { parts, address, tasks, shutdown })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The store, to import history into before traffic comes.
    pub fn store(&self) -> &crate::store::Store {
        &self.parts.store
    }

    /// A token that stops the daemon when cancelled.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Runs until the token is cancelled or a part fails, then stops everything in order.
    ///
    /// # Errors
    /// The failure of the part that ended early.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        tokio::select! {
            // First, as every part ends soon after it.
            biased;
            () = self.shutdown.cancelled() => {}
            Some(ended) = self.tasks.join_next() => {
                result = match ended {
                    Ok(Ok(())) => Err(anyhow::anyhow!("a part of the daemon ended early")),
                    Ok(Err(error)) => Err(error),
                    Err(panicked) => Err(panicked).context("a part of the daemon failed"),
                };
            }
        }
        self.parts.ready.store(false, Ordering::SeqCst);
        self.shutdown.cancel();
        let finished = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended.map_err(anyhow::Error::from).flatten()
                    && result.is_ok()
                {
                    result = Err(error);
                }
            }
        };
        if tokio::time::timeout(SHUTDOWN_GRACE + SHUTDOWN_MARGIN, finished).await.is_err() {
            tracing::warn!("parts of the daemon did not stop in time and are abandoned");
        }
        tracing::info!("stopped");
        result
    }

    /// Runs until SIGINT or SIGTERM; SIGHUP reloads, a second signal to stop aborts.
    ///
    /// # Errors
    /// As [`Daemon::run`], or when a second signal aborts it.
    pub async fn run_until_signal(self, mut signals: Signals) -> anyhow::Result<()> {
        let reload = self.parts.reload.clone();
        let shutdown = self.shutdown.clone();
        let mut running = std::pin::pin!(self.run());
        let mut stopping = false;
        loop {
            tokio::select! {
                result = &mut running => return result,
                signal = signals.next() => {
                    if signal == Told::Reload {
                        let (request, _answer) = tokio::sync::oneshot::channel();
                        // A full queue means that a reload is about to happen anyway.
                        let _ = reload.try_send(request);
                        continue;
                    }
                    if stopping {
                        anyhow::bail!("aborted by a second signal");
                    }
                    tracing::info!("stopping; a second signal aborts");
                    stopping = true;
                    shutdown.cancel();
                }
            }
        }
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Stop,
    Reload,
}

/// The signals a daemon answers to. Listened for before anything else, so that none is lost.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

async fn serve_http(
    parts: Parts,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let router = router(parts.http_context());
    if !server::serve(listener, router, shutdown, SHUTDOWN_GRACE).await {
        tracing::warn!("requests were cut off after {SHUTDOWN_GRACE:?}");
    }
    Ok(())
}

/// Advances the detectors and publishes, once a second.
async fn tick(parts: Parts, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut interval = tokio::time::interval(TICK);
    // A late tick makes up for the missed seconds by itself.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Some(due) = shutdown.run_until_cancelled(interval.tick()).await {
        let lag = due.elapsed();
        parts.stats.note_tick(lag, lag.as_secs());
        parts.tick();
    }
    Ok(())
}

/// Runs the probes of the configuration in force, and replaces it when asked to. Reading keys may
/// block for long; a shutdown does not wait for it.
async fn keep_configured(
    parts: Parts,
    mut reloads: mpsc::Receiver<ReloadRequest>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let first = shutdown.run_until_cancelled(prepare(&parts)).await;
    let Some(first) = first else { return Ok(()) };
    let mut probing = Probing::start(&parts, first?, None, &shutdown);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            request = reloads.recv() => {
                let Some(request) = request else { break };
                let loaded = shutdown.run_until_cancelled(load(&parts)).await;
                let Some(loaded) = loaded else { break };
                let result = match loaded {
                    Ok((loaded, prepared)) => {
                        // First, so that nothing of the old probes is written into the new book.
                        probing.stop().await;
                        parts.adopt(loaded);
                        let before = probing.into_course();
                        probing = Probing::start(&parts, prepared, Some(&before), &shutdown);
                        tracing::info!("configuration reloaded");
                        Ok(())
                    }
                    Err(error) => {
                        parts.stats.note_failed_reload();
                        let problems = format!("{error:#}");
                        tracing::error!(%problems, "reload failed, the old configuration stays");
                        Err(problems)
                    }
                };
                // The asker may have gone away.
                let _ = request.send(result);
            }
            failed = probing.failed() => return Err(failed),
        }
    }
    probing.stop().await;
    Ok(())
}

/// Reads the keys of a configuration where blocking is allowed.
async fn prepare(parts: &Parts) -> anyhow::Result<Prepared> {
    let (config, clock) = (parts.config.load_full(), parts.clock.clone());
    tokio::task::spawn_blocking(move || Prepared::read(&config, &clock)).await?
}

/// Reads the configuration and its keys again where blocking is allowed. Nothing changes yet.
async fn load(parts: &Parts) -> anyhow::Result<(Loaded, Prepared)> {
    let parts = parts.clone();
    let load = move || {
        let loaded = parts.load()?;
        let prepared = Prepared::read(&loaded.config, &parts.clock)?;
        Ok((loaded, prepared))
    };
    tokio::task::spawn_blocking(load).await?
}

#[cfg(test)]
mod tests;
