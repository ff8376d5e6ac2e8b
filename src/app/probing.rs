//! The probes of the configuration in force: started together, stopped together on a reload.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::outcome::{Class, Source};
use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;
use crate::ground::config::{ProbesConfig, WhenClientsReport};
use crate::intake::probe;
use crate::intake::schedule::{self, Budget, Deps, ProbeEvent, Timetable};
use crate::store::{Arrival, Store};

use super::parts::Parts;

/// Client outcomes of the last five minutes from which on a probe would add nothing: one probe a
/// minute brings five.
const CLIENTS_SUFFICE: u64 = 30;

/// `reduce` lets every fifth probe through: enough to notice that the clients' view is not ours.
const REDUCED_TO_EVERY: u32 = 5;

/// Running probe loops.
#[derive(Debug)]
pub(super) struct Probing {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Probing {
    /// Starts a loop for every probed target.
    pub(super) async fn start(parts: &Parts, shutdown: &CancellationToken) -> anyhow::Result<Self> {
        let stop = shutdown.child_token();
        let mut tasks = JoinSet::new();
        let config = parts.config.load_full();
        let Some(timetable) = Timetable::new(&config.probes).context("probes.cron")? else {
            return Ok(Self { tasks, stop });
        };
        // Keys are read from files and commands, which may take their time.
        let planned = Arc::clone(&config);
        let plan = tokio::task::spawn_blocking(move || schedule::plan(&planned)).await?;
        for (target, refusal) in plan.refused {
            let why = format!("{:#}", anyhow::Error::from(refusal));
            tracing::warn!(%target, "not probed: {why}");
            parts.store.note_probe(&target, |view| view.misconfigured = Some(why));
        }
        let deps = deps(parts, &config.probes)?;
        for spec in plan.specs {
            let run = schedule::run(spec, timetable.bell(), deps.clone(), stop.clone());
            tasks.spawn(async move {
                run.await;
                Ok(())
            });
        }
        if let Some(bell) = timetable.into_cron_bell() {
            let run = bell.run(parts.clock.clone(), stop.clone());
            tasks.spawn(async move { run.await.context("probes.cron") });
        }
        Ok(Self { tasks, stop })
    }

    /// The failure of a loop, should one end before it was stopped. Pends for ever otherwise.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) if self.stop.is_cancelled() => {}
                Some(Ok(Ok(()))) => return anyhow::anyhow!("a probe loop ended early"),
                Some(Ok(Err(error))) => return error,
                Some(Err(panicked)) => return anyhow::Error::from(panicked),
                None => std::future::pending().await,
            }
        }
    }

    /// Stops every loop and waits for them; a probe in flight is given up and not recorded.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn deps(parts: &Parts, probes: &ProbesConfig) -> anyhow::Result<Deps> {
    let client = probe::client().context("cannot build the probes' HTTP client")?;
    let budget = Budget::new(probes.budget_usd_per_day);
    let (store, clock) = (parts.store.clone(), parts.clock.clone());
    let listener = Arc::new(move |event| note(&store, &clock, event));
    let mut deps = Deps::new(client, parts.clock.clone(), budget, listener);
    let parts = parts.clone();
    // How far apart probes are let through while clients report; `None` lets none through.
    let apart = match probes.when_clients_report {
        WhenClientsReport::Always => return Ok(deps),
        WhenClientsReport::Reduce => Some(probes.interval() * REDUCED_TO_EVERY),
        WhenClientsReport::Skip => None,
    };
    deps.clients_report = Arc::new(move |target| {
        parts.snapshot.load().target(target).is_some_and(|view| {
            let reported = view.recent_by_source[Source::Client.index()] >= CLIENTS_SUFFICE;
            let last_run = view.probe.as_ref().and_then(|probe| probe.last_run);
            let now = parts.clock.now();
            let due = |apart| last_run.is_none_or(|last_run| now.since(last_run) >= apart);
            reported && !apart.is_some_and(due)
        })
    });
    Ok(deps)
}

/// Writes what happened to a probe into the book.
fn note(store: &Store, clock: &Clock, event: ProbeEvent) {
    match event {
        ProbeEvent::Scheduled { target, next_run } => {
            store.note_probe(&target, |view| view.next_run = next_run);
        }
        ProbeEvent::Skipped { target, reason } => {
            tracing::debug!(%target, reason = reason.as_str(), "probe skipped");
            store.note_probe(&target, |view| {
                *view.skipped.entry(reason.as_str()).or_default() += 1;
            });
        }
        ProbeEvent::Finished { target, report, charged_usd } => {
            let now: Timestamp = clock.now();
            tracing::debug!(%target, class = %report.class, "probed");
            store.record(&[report.outcome(&target)], Arrival::Live, now);
            store.note_quotas(&target.provider, "", &report.quotas, report.at);
            store.note_probe(&target, |view| {
                if report.misconfigured.is_some() && view.misconfigured.is_none() {
                    let why = report.misconfigured.as_deref().unwrap_or_default();
                    tracing::warn!(%target, "the probe is misconfigured: {why}");
                }
                view.success = Some(report.class == Class::Ok);
                view.last_run = Some(report.started_at);
                view.cost_usd += charged_usd;
                view.misconfigured.clone_from(&report.misconfigured);
            });
        }
    }
}
