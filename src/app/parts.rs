//! Everything the daemon is made of, built once and handed down.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};

use crate::answers::health::Published;
use crate::answers::metrics::{self, Exporter};
use crate::domain::state::TargetState;
use crate::domain::target::Target;
use crate::ground::clock::Clock;
use crate::ground::config::Config;
use crate::ground::names::Names;
use crate::ground::self_stats::SelfStats;
use crate::http::access::Access;
use crate::http::{Context, Publish, ReloadRequest};
use crate::intake::access_log::{AccessLogs, Mappings};
use crate::intake::door::Door;
use crate::intake::litellm::Callbacks;
use crate::intake::otlp::Exports;
use crate::intake::report::Reports;
use crate::intake::schedule::{Budget, OnDemand, Standings};
use crate::store::snapshot::Snapshot;
use crate::store::{Options, Store};

use super::{Settings, status_pages};

/// Handles on all parts; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) stats: SelfStats,
    /// The day's money for probes, whatever is reloaded.
    pub(super) budget: Arc<Budget>,
    /// How the probed targets stand, whatever is reloaded.
    pub(super) standings: Arc<Standings>,
    /// Where probes are asked for, whatever is reloaded.
    pub(super) on_demand: OnDemand,
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) ready: Arc<AtomicBool>,
    pub(super) reload: mpsc::Sender<ReloadRequest>,
    /// Rings when another configuration is in force, for the one that reads status pages.
    pub(super) adopted: Arc<Notify>,
    names: Arc<ArcSwap<Names>>,
    access: Arc<ArcSwap<Access>>,
    mappings: Arc<ArcSwap<Mappings>>,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    published: Arc<ArcSwap<Published>>,
    publishing: Arc<Mutex<()>>,
    door: Door,
    exporter: Arc<Exporter>,
    config_file: Option<PathBuf>,
    probes: Vec<Target>,
}

/// A configuration that was read and is not in force yet.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<Config>,
    access: Access,
}

impl Parts {
    pub(super) fn build(
        settings: Settings,
        reload: mpsc::Sender<ReloadRequest>,
    ) -> anyhow::Result<Self> {
        let Settings { mut config, config_file, probes, clock, stats } = settings;
        add_probes(&mut config, &probes)?;
        let now = clock.now();
        stats.note_reload(now);
        let store = Store::new(&options(&config), now);
        let names = Arc::new(ArcSwap::from_pointee(Names::new(&config)));
        let access = Access::new(&config.ingest).context("ingest.tokens")?;
        let budget = Arc::new(Budget::new(config.probes.budget.clone()));
        store.note_budget(budget.view(now));
        let first = Arc::new(store.snapshot(now));
        let snapshot = Arc::new(ArcSwap::new(Arc::clone(&first)));
        Ok(Self {
            exporter: Arc::new(Exporter::new(
                Arc::clone(&snapshot),
                stats.clone(),
                metrics::Options { hour_of_day: config.metrics.hour_of_day },
            )),
            door: Door::new(store.clone(), Arc::clone(&names), stats.clone()),
            published: Arc::new(ArcSwap::from_pointee(Published::new(first))),
            access: Arc::new(ArcSwap::from_pointee(access)),
            mappings: Arc::new(ArcSwap::from_pointee(Mappings::new(&config.ingest))),
            budget,
            config: Arc::new(ArcSwap::from_pointee(config)),
            standings: Arc::default(),
            on_demand: OnDemand::default(),
            ready: Arc::default(),
            adopted: Arc::default(),
            publishing: Arc::default(),
            clock,
            store,
            stats,
            names,
            snapshot,
            reload,
            config_file,
            probes,
        })
    }

    pub(super) fn http_context(&self) -> Context {
        Context {
            published: Arc::clone(&self.published),
            reports: Reports::new(self.door.clone()),
            access_logs: AccessLogs::new(self.door.clone(), Arc::clone(&self.mappings)),
            exports: Exports::new(self.door.clone()),
            callbacks: Callbacks::new(self.door.clone()),
            exporter: Arc::clone(&self.exporter),
            names: Arc::clone(&self.names),
            access: Arc::clone(&self.access),
            limits: Arc::default(),
            on_demand: self.on_demand.clone(),
            probe_log: self.store.probe_log(),
            publish: self.publisher(),
            stats: self.stats.clone(),
            clock: self.clock.clone(),
            reload: self.reload.clone(),
            ready: Arc::clone(&self.ready),
        }
    }

    /// One second of the daemon: detectors, then publication, then those who wait for a change.
    pub(super) fn tick(&self) {
        let now = self.clock.now();
        self.door.tick(now);
        self.store.tick(now);
        self.publish();
        self.standings.update(&self.snapshot.load());
    }

    /// Makes every answer anew from the book as it stands.
    fn publish(&self) {
        // Of two at once the later must not be overtaken by the older view of the other.
        let _turn = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        self.store.note_budget(self.budget.view(now));
        let snapshot = Arc::new(self.store.snapshot(now));
        log_changes(&self.snapshot.load(), &snapshot);
        self.published.store(Arc::new(Published::new(Arc::clone(&snapshot))));
        self.snapshot.store(snapshot);
    }

    fn publisher(&self) -> Publish {
        let parts = self.clone();
        Arc::new(move || parts.publish())
    }

    /// Reads the configuration file again. Blocks, and changes nothing.
    pub(super) fn load(&self) -> anyhow::Result<Loaded> {
        let mut config = match &self.config_file {
            Some(file) => Config::load(file)?,
            None => Config::default(),
        };
        add_probes(&mut config, &self.probes)?;
        let access = Access::new(&config.ingest).context("ingest.tokens")?;
        Ok(Loaded { config: Arc::new(config), access })
    }

    /// Adopts what was loaded as a whole.
    pub(super) fn adopt(&self, loaded: Loaded) {
        let now = self.clock.now();
        let Loaded { config, access } = loaded;
        self.stats.note_reload(now);
        for notice in &config.notices {
            tracing::warn!("{notice}");
        }
        self.store.configure(&options(&config), now);
        self.budget.set_limits(config.probes.budget.clone());
        self.exporter.set_options(metrics::Options { hour_of_day: config.metrics.hour_of_day });
        self.names.store(Arc::new(Names::new(&config)));
        self.access.store(Arc::new(access));
        self.mappings.store(Arc::new(Mappings::new(&config.ingest)));
        self.config.store(config);
        self.adopted.notify_one();
    }
}

fn add_probes(config: &mut Config, probes: &[Target]) -> anyhow::Result<()> {
    for target in probes {
        config.add_probe(target.clone())?;
    }
    Ok(())
}

/// What the store needs to know of a configuration.
fn options(config: &Config) -> Options {
    let every = config.probes.interval();
    let probed = config.probe_targets().into_iter();
    Options {
        thresholds: config.thresholds,
        configured: config.targets().collect(),
        probed: probed.map(|target| (target, every)).collect(),
        targets_max: config.ingest.max_targets,
        status_pages: status_pages::watched(config),
    }
}

/// A changed verdict is news; everything else about a provider is a metric.
fn log_changes(before: &Snapshot, after: &Snapshot) {
    for view in &after.targets {
        let old = before.target(&view.target).map_or(TargetState::Unknown, |v| v.state);
        if old != view.state {
            tracing::info!(
                provider = %view.target.provider,
                model = %view.target.model,
                from = old.as_str(),
                to = view.state.as_str(),
                reason = view.reason.as_str(),
                "state changed"
            );
        }
    }
}
