//! The probes of the configuration in force: started together, stopped together on a reload.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::outcome::{Class, Source};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;
use crate::ground::config::{Config, ProbesConfig, WhenClientsReport};
use crate::intake::probe::{self, Client, ProbeSpec};
use crate::intake::schedule::{self, Deps, Plan, ProbeEvent, Refusal, Timetable};
use crate::store::{Arrival, Store};

use super::parts::Parts;

/// Client outcomes of the last five minutes from which on a probe would add nothing: one probe a
/// minute brings five.
const CLIENTS_SUFFICE: u64 = 30;

/// `reduce` lets every fifth probe through: enough to notice that the clients' view is not ours.
const REDUCED_TO_EVERY: u32 = 5;

/// What a configuration asks for: everything that may fail or take its time is done, and nothing
/// runs yet.
pub(super) struct Prepared {
    course: Course,
    refused: Vec<(Target, Refusal)>,
    timetable: Option<Timetable>,
    client: Client,
}

impl Prepared {
    /// Reads the keys from files and commands. Call it where blocking is allowed.
    pub(super) fn read(config: &Config) -> anyhow::Result<Self> {
        let timetable = Timetable::new(&config.probes).context("probes.cron")?;
        let client = probe::client().context("cannot build the probes' HTTP client")?;
        let Plan { specs, refused } = schedule::plan(config);
        let course = Course { probes: config.probes.clone(), specs };
        Ok(Self { course, refused, timetable, client })
    }
}

/// What was probed and when, to be gone on with after a reload.
#[derive(Debug)]
pub(super) struct Course {
    probes: ProbesConfig,
    specs: Vec<ProbeSpec>,
}

impl Course {
    /// Whether a probe of `spec` is the same, at the same times, as here.
    fn runs(&self, spec: &ProbeSpec, probes: &ProbesConfig) -> bool {
        let same_times =
            self.probes.schedule == probes.schedule && self.probes.jitter == probes.jitter;
        same_times && self.specs.contains(spec)
    }
}

/// Running probe loops.
#[derive(Debug)]
pub(super) struct Probing {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    course: Course,
}

impl Probing {
    /// Starts a loop for every probed target. One that is the same as `before` keeps its next
    /// moment, so that reloads cannot make probes more frequent; a misconfigured one is tried
    /// soon, as its repair may be why there was a reload.
    pub(super) fn start(
        parts: &Parts,
        prepared: Prepared,
        before: Option<&Course>,
        shutdown: &CancellationToken,
    ) -> Self {
        let Prepared { course, refused, timetable, client } = prepared;
        let stop = shutdown.child_token();
        let mut tasks = JoinSet::new();
        for (target, refusal) in refused {
            let why = format!("{:#}", anyhow::Error::from(refusal));
            tracing::warn!(%target, "not probed: {why}");
            parts.store.note_probe(&target, |view| view.misconfigured = Some(why));
        }
        let Some(timetable) = timetable else { return Self { tasks, stop, course } };
        let deps = deps(parts, &course.probes, client);
        let now = parts.clock.now();
        let known = parts.store.snapshot(now);
        for spec in &course.specs {
            let mut bell = timetable.bell();
            let view = known.target(&spec.target).and_then(|view| view.probe.as_ref());
            if let Some(view) = view.filter(|view| view.misconfigured.is_none())
                && let Some(next_run) = view.next_run.filter(|next_run| *next_run > now)
                && before.is_some_and(|before| before.runs(spec, &course.probes))
            {
                bell = bell.resumed_at(next_run, now);
            }
            parts.store.note_probe(&spec.target, |view| view.misconfigured = None);
            let run = schedule::run(spec.clone(), bell, deps.clone(), stop.clone());
            tasks.spawn(async move {
                run.await;
                Ok(())
            });
        }
        if let Some(bell) = timetable.into_cron_bell() {
            let run = bell.run(parts.clock.clone(), stop.clone());
            tasks.spawn(async move { run.await.context("probes.cron") });
        }
        Self { tasks, stop, course }
    }

    /// What it probed, for the next to go on with.
    pub(super) fn into_course(self) -> Course {
        self.course
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

fn deps(parts: &Parts, probes: &ProbesConfig, client: Client) -> Deps {
    let (store, clock) = (parts.store.clone(), parts.clock.clone());
    let listener = Arc::new(move |event| note(&store, &clock, event));
    let mut deps = Deps::new(client, parts.clock.clone(), Arc::clone(&parts.budget), listener);
    let parts = parts.clone();
    // How far apart probes are let through while clients report; `None` lets none through.
    let apart = match probes.when_clients_report {
        WhenClientsReport::Always => return deps,
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
    deps
}

/// Writes what happened to a probe into the book. The loop has logged it; here the book's lock is
/// held, under which nothing may wait for a log to be written.
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
            store.record(&[report.outcome(&target)], Arrival::Live, now);
            store.note_quotas(&target.provider, "", &report.quotas, report.at);
            store.note_probe(&target, |view| {
                view.success = Some(report.class == Class::Ok);
                view.last_run = Some(report.started_at);
                view.cost_usd += charged_usd;
                view.misconfigured.clone_from(&report.misconfigured);
            });
        }
    }
}
