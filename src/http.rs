//! Sockets, routes, limits.
//!
//! Handlers are short: they read a request within its limits, hand bytes to an intake or take
//! bytes from an answer, and map errors to one JSON shape. No decision is taken here.

pub mod access;
pub mod in_process;
pub mod limits;
pub mod server;

mod body;
mod errors;
mod routes;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::answers::health::Published;
use crate::answers::metrics::Exporter;
use crate::ground::clock::Clock;
use crate::ground::names::Names;
use crate::ground::self_stats::SelfStats;
use crate::intake::access_log::AccessLogs;
use crate::intake::litellm::Callbacks;
use crate::intake::otlp::Exports;
use crate::intake::report::Reports;
use crate::intake::schedule::OnDemand;
use crate::store::journal::ProbeLog;

pub use routes::router;

/// Asks the app to reload its configuration; the answer is what was wrong with it, if anything.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Makes the answers anew from the book.
pub type Publish = Arc<dyn Fn() + Send + Sync>;

/// What the handlers work with: handles, all cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The latest published answers.
    pub published: Arc<ArcSwap<Published>>,
    /// Where reports go.
    pub reports: Reports,
    /// Where lines of access logs go.
    pub access_logs: AccessLogs,
    /// Where exports of OpenTelemetry go.
    pub exports: Exports,
    /// Where LiteLLM's payloads go.
    pub callbacks: Callbacks,
    /// What `/metrics` writes.
    pub exporter: Arc<Exporter>,
    /// How names in paths and queries are read.
    pub names: Arc<ArcSwap<Names>>,
    /// Who may write, and how much at once.
    pub access: Arc<ArcSwap<access::Access>>,
    /// What all requests together may hold.
    pub limits: Arc<limits::Limits>,
    /// Where probes are asked for.
    pub on_demand: OnDemand,
    /// The last probes.
    pub probe_log: ProbeLog,
    /// Publishes the book as it stands, between two ticks: a target first seen in a report is to
    /// be found as soon as the report is acknowledged.
    pub publish: Publish,
    /// What this process did.
    pub stats: SelfStats,
    /// The time.
    pub clock: Clock,
    /// Where `/-/reload` goes.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Whether the first snapshot is published and shutdown has not begun.
    pub ready: Arc<AtomicBool>,
}
