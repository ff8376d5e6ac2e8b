//! The probes of the configuration in force: started together, stopped together on a reload.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::outcome::Class;
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;
use crate::ground::config::{Config, ProbesConfig, WhenClientsReport};
use crate::intake::probe::{self, Client, ProbeSpec};
use crate::intake::schedule::{
    self, Bell, Bill, Deps, Occasion, Plan, ProbeEvent, Refusal, Ring, Timetable,
};
use crate::store::snapshot::ProbeView;
use crate::store::{Arrival, Store};

use super::parts::Parts;

/// Client outcomes of the last five minutes from which on a probe would add nothing: one probe a
/// minute brings five.
const CLIENTS_SUFFICE: u64 = 30;

/// The same of the last minute while a target is troubled: one probe in 5 s brings twelve. Older
/// reports do not count, for clients that fail over fall silent.
const CLIENTS_SUFFICE_IN_TROUBLE: u64 = 12;

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
    pub(super) fn read(config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        let timetable = Timetable::new(&config.probes, clock.now());
        let client = probe::client().context("cannot build the probes' HTTP client")?;
        let Plan { specs, refused } = schedule::plan(config);
        let rings = timetable.as_ref().and_then(Timetable::rings);
        let course = Course { probes: config.probes.clone(), specs, rings };
        Ok(Self { course, refused, timetable, client })
    }
}

/// What was probed and when, to be gone on with after a reload.
#[derive(Debug)]
pub(super) struct Course {
    probes: ProbesConfig,
    specs: Vec<ProbeSpec>,
    /// The cron bell, if there is one.
    rings: Option<watch::Receiver<Ring>>,
}

impl Course {
    /// Whether a probe of `spec` is the same, at the same times, as here.
    fn runs(&self, spec: &ProbeSpec, probes: &ProbesConfig) -> bool {
        let same_times =
            self.probes.schedule == probes.schedule && self.probes.jitter == probes.jitter;
        same_times && self.specs.contains(spec)
    }

    /// Where the cron bell stopped, if `probes` has the same one.
    fn ring(&self, probes: &ProbesConfig) -> Option<Ring> {
        let rings = self.rings.as_ref().filter(|_| self.probes.schedule == probes.schedule)?;
        Some(*rings.borrow())
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
    /// moment, so that reloads cannot make probes more frequent, and answers the cron fire that
    /// its predecessor heard and did not come to answer; a misconfigured one is tried soon, as
    /// its repair may be why there was a reload.
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
        parts.standings.keep_only(course.specs.iter().map(|spec| &spec.target));
        let deps = deps(parts, &course.probes, client);
        let asked = parts.on_demand.clone().run(
            parts.config.load_full(),
            course.specs.clone(),
            deps.clone(),
            stop.clone(),
        );
        tasks.spawn(async move {
            asked.await;
            Ok(())
        });
        let Some(timetable) = timetable else { return Self { tasks, stop, course } };
        let ring = before.and_then(|before| before.ring(&course.probes));
        if let Some(ring) = ring {
            timetable.go_on_from(ring);
        }
        let now = parts.clock.now();
        let known = parts.store.snapshot(now);
        log_bill(&Bill::of(&course.specs, &course.probes, now));
        for spec in &course.specs {
            let mut bell = timetable.bell();
            let goes_on = before.is_some_and(|before| before.runs(spec, &course.probes));
            let standing = parts.standings.of(&spec.target);
            let view = known.target(&spec.target).and_then(|view| view.probe.as_ref());
            if let Some(view) = view.filter(|_| goes_on) {
                bell = resumed(bell, view, standing.last(), now);
            }
            if let Some(fired) = ring.and_then(|ring| ring.fired) {
                if !goes_on {
                    // A new one begins with the next fire.
                    standing.note_answered(fired);
                } else if standing.answered() < Some(fired) {
                    bell.owe(now);
                }
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

/// What the probes of `parts` share.
pub(super) fn deps(parts: &Parts, probes: &ProbesConfig, client: Client) -> Deps {
    let (store, clock) = (parts.store.clone(), parts.clock.clone());
    let listener = Arc::new(move |event| note(&store, &clock, event));
    let mut deps = Deps::new(client, parts.clock.clone(), Arc::clone(&parts.budget), listener);
    deps.standings = Arc::clone(&parts.standings);
    deps.adaptive = probes.adaptive;
    let reduced_to = match probes.when_clients_report {
        WhenClientsReport::Always => return deps,
        WhenClientsReport::Reduce => Some(REDUCED_TO_EVERY),
        WhenClientsReport::Skip => None,
    };
    let usual = Sufficient { clients: CLIENTS_SUFFICE, every: probes.interval() };
    let parts = parts.clone();
    let adaptive = probes.adaptive;
    deps.clients_report = Arc::new(move |target| {
        let is_troubled = parts.standings.of(target).is_troubled();
        parts.snapshot.load().target(target).is_some_and(|view| {
            let (sufficient, reported) = match adaptive.filter(|_| is_troubled) {
                Some(adaptive) => {
                    let clients = CLIENTS_SUFFICE_IN_TROUBLE;
                    let every = adaptive.every.min(usual.every);
                    (Sufficient { clients, every }, view.evident.last_minute)
                }
                None => (usual, view.evident.five_minutes),
            };
            let last_run = view.probe.as_ref().and_then(|probe| probe.last_run);
            let now = parts.clock.now();
            let is_due = |every: u32| {
                let apart = sufficient.every * every;
                last_run.is_none_or(|last_run| now.since(last_run) >= apart)
            };
            let enough = reported >= sufficient.clients;
            enough && !reduced_to.is_some_and(is_due)
        })
    });
    deps
}

/// From how many reports on probes add nothing, and how far apart the probes would be.
#[derive(Clone, Copy, Debug)]
struct Sufficient {
    clients: u64,
    every: Duration,
}

/// The bell of a probe that stays as it is across a reload: it goes on with what it waited for.
fn resumed(bell: Bell, view: &ProbeView, last: Option<Instant>, now: Timestamp) -> Bell {
    match (view.next_run, last) {
        // A misconfigured one is tried soon: its repair may be why there was a reload.
        _ if view.misconfigured.is_some() => bell,
        (None, _) => bell,
        // It was in flight, or about to be.
        (Some(next_run), Some(last)) if next_run <= now => bell.resumed_after(last),
        (Some(next_run), _) => bell.resumed_at(next_run, now),
    }
}

/// What probes will cost, in the log before they do.
fn log_bill(bill: &Bill) {
    if bill.lines.is_empty() {
        tracing::info!("nothing can be probed");
        return;
    }
    let (targets, usual) = (bill.lines.len(), bill.usd_per_day_within_budget());
    let most = match bill.budget.usd_per_day {
        Some(usd) => format!("at most ${usd:.2}"),
        None => "without a limit".to_owned(),
    };
    let plural = if targets == 1 { "" } else { "s" };
    tracing::info!("probing {targets} target{plural}, about ${usual:.2} a day, {most}");
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
                view.left_out = Some(reason.as_str());
            });
        }
        ProbeEvent::GivenUp { target, charged_usd } => {
            store.note_probe(&target, |view| view.cost_usd += charged_usd);
        }
        ProbeEvent::Finished { target, report, occasion, charged_usd } => {
            let now: Timestamp = clock.now();
            let asked = occasion == Occasion::Asked;
            store.record(&[report.outcome(&target)], Arrival::Live, now);
            store.note_quotas(&target.provider, "", &report.quotas, report.at);
            let change = |view: &mut ProbeView| {
                view.success = Some(report.class == Class::Ok);
                view.last_run = Some(report.started_at);
                view.cost_usd += charged_usd;
                view.left_out = None;
                view.misconfigured.clone_from(&report.misconfigured);
                view.phases = report.phases();
            };
            if asked {
                store.note_asked_probe(&target, change);
            } else {
                store.note_probe(&target, change);
            }
            store.log_probe(&target, report.run(asked));
        }
    }
}
