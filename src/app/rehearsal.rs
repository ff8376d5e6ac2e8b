//! The daemon on a clock that is moved by hand, without sockets or tasks of its own.
//!
//! It is made of the parts of the daemon and asked through its routes, so that a day can be
//! played in seconds and its scrapes are those of the daemon. Left out is only what takes real
//! time: whoever plays moves the clock, and says when a probe is due and what it found. Status
//! pages are not read.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::sync::mpsc;

use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;
use crate::ground::config::Config;
use crate::ground::self_stats::SelfStats;
use crate::http::in_process::InProcess;
use crate::intake::probe::{self, ProbeReport, ProbeSpec};
use crate::intake::schedule::{self, Deps, Occasion, Plan, ProbeEvent, Round};

use super::parts::Parts;
use super::{Settings, probing};

/// A daemon whose time somebody else makes.
pub struct Rehearsal {
    parts: Parts,
    routes: InProcess,
    specs: Vec<ProbeSpec>,
    deps: Deps,
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsal").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl Rehearsal {
    /// Builds everything as of `start`. Reads the keys of the probes, which may block.
    ///
    /// # Errors
    /// When the daemon would not start with this configuration.
    pub fn new(config: Config, stats: SelfStats, start: Timestamp) -> anyhow::Result<Self> {
        let clock = Clock::manual(start);
        let Plan { specs, refused } = schedule::plan(&config);
        let probes = config.probes.clone();
        let settings = Settings { config, config_file: None, probes: Vec::new(), clock, stats };
        // Nobody listens for reloads.
        let (reload, _) = mpsc::channel(1);
        let parts = Parts::build(settings, reload)?;
        for (target, refusal) in refused {
            let why = format!("{:#}", anyhow::Error::from(refusal));
            parts.store.note_probe(&target, |view| view.misconfigured = Some(why));
        }
        let client = probe::client().context("cannot build the probes' HTTP client")?;
        let deps = probing::deps(&parts, &probes, client);
        Ok(Self { routes: InProcess::new(parts.http_context()), parts, specs, deps })
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// What is probed.
    pub fn specs(&self) -> &[ProbeSpec] {
        &self.specs
    }

    /// Lets time pass and the detectors know it, then publishes.
    pub fn advance(&self, by: Duration) {
        self.parts.clock.advance(by);
        self.parts.tick();
    }

    /// Asks one of the routes.
    pub async fn ask(&self, request: Request<Bytes>) -> (StatusCode, Bytes) {
        self.routes.ask(request).await
    }

    /// A probe is due now, and finds this unless there is a reason to leave it out.
    pub async fn probe(&self, spec: &ProbeSpec, report: ProbeReport) -> Round {
        schedule::round(spec, Occasion::Timetable, &self.deps, async || report).await
    }

    /// The next probe of a target is due then.
    pub fn schedule(&self, target: &Target, next_run: Timestamp) {
        let (target, next_run) = (target.clone(), Some(next_run));
        (self.deps.listener)(ProbeEvent::Scheduled { target, next_run });
    }
}
