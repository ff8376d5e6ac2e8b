//! Probes that somebody asks for over HTTP, beside the schedule.
//!
//! They pass the same gates, budget and book as all others, so what they find counts and what they
//! cost is paid. Whoever asks gets the probe that is in flight, if there is one; after that a
//! target is left alone for a few seconds, because a question costs money. A probe once begun is
//! finished and counted, whether the one who asked still listens or not: a scrape that is given
//! up after a second must not look like a provider that failed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::plan::{Refusal, spec_with};
use super::{Deps, Occasion, Round, Shortage, round};
use crate::domain::target::Target;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::ground::causes::with_causes;
use crate::ground::config::Config;
use crate::intake::probe::{ProbeReport, ProbeSpec, Trace, explain, probe_traced};

mod keyring;

use keyring::Keyring;

/// How long a target is left alone after somebody asked for its probe.
pub const ASKED_APART: Duration = Duration::from_secs(5);
/// Most asked probes worked on at once. The gates bound those in flight further.
const ASKED_AT_ONCE_MAX: usize = 16;
/// Most asked probes that wait to be worked on.
const ASKED_WAITING_MAX: usize = 32;
/// How long an answer may take beyond the probe's own time-out: a turn at the gates.
const GRACE: Duration = Duration::from_secs(1);

/// A handle to ask by. Clones share everything.
#[derive(Clone, Debug, Default)]
pub struct OnDemand(Arc<Mutex<Desk>>);

#[derive(Debug, Default)]
struct Desk {
    /// The configuration in force; `None` before the first.
    open: Option<Open>,
    asked: BTreeMap<Target, Asked>,
}

#[derive(Debug)]
struct Open {
    config: Arc<Config>,
    jobs: mpsc::Sender<Job>,
}

/// The last time somebody asked for a target, and what became of it.
#[derive(Debug)]
struct Asked {
    at: Instant,
    answer: watch::Receiver<Option<Answer>>,
}

type Answer = Result<Arc<Answered>, Unanswered>;

/// One probe to be made.
#[derive(Debug)]
struct Job {
    target: Target,
    answer: watch::Sender<Option<Answer>>,
}

/// A probe that was asked for, or joined.
#[derive(Debug)]
pub struct Answered {
    spec: ProbeSpec,
    trace: Option<Trace>,
    /// What it found.
    pub report: ProbeReport,
    /// Whether it was made because somebody asked.
    pub on_demand: bool,
}

/// How a question ended.
#[derive(Clone, Debug)]
pub enum Found {
    /// With a probe.
    Answered(Arc<Answered>),
    /// The patience of the one who asks ended first, after so long; the probe goes on.
    Unfinished(Duration),
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The configuration does not name the target.
    #[error("it is not a configured model")]
    Unknown,
    /// Its provider has no key.
    #[error("its provider has no API key")]
    NoKey,
    /// It was asked for a moment ago.
    #[error("it was asked for less than {} s ago", ASKED_APART.as_secs())]
    TooSoon(Duration),
    /// Too many are being asked for.
    #[error("too many probes are being asked for at once")]
    Busy,
    /// The budget does not allow it; it may after so long, if ever.
    #[error("{0}")]
    Budget(Shortage, Option<Duration>),
    /// No probe can be made of the configuration.
    #[error("{0}")]
    Refused(String),
    /// It was given up: a reload, or the end.
    #[error("it was given up because the configuration changed or brownout stops")]
    GivenUp,
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(with_causes(&refusal))
    }
}

impl Answered {
    /// What happened, step by step.
    pub fn explain(&self) -> String {
        explain(&self.spec, &self.report, self.trace.as_ref())
    }
}

impl OnDemand {
    /// Finds out about a target, in a probe of its own if none is in flight. Gives up waiting, and
    /// not the probe, after `patience`, or a little after the probe's own time-out.
    ///
    /// # Errors
    /// [`Unanswered`] when no probe was made.
    pub async fn ask(
        &self,
        target: &Target,
        patience: Option<Duration>,
    ) -> Result<Found, Unanswered> {
        let (mut answer, longest) = self.post(target)?;
        let patience = patience.map_or(longest, |patience| patience.min(longest));
        let asked = Instant::now();
        let waiting = answer.wait_for(Option::is_some);
        let found = match timeout(patience, waiting).await {
            Ok(Ok(found)) => found.clone(),
            Ok(Err(_closed)) => Some(Err(Unanswered::GivenUp)),
            Err(_elapsed) => None,
        };
        match found {
            Some(answer) => answer.map(Found::Answered),
            None => Ok(Found::Unfinished(asked.elapsed())),
        }
    }

    /// Takes the question, or joins one that is being answered. Also tells how long that may take.
    fn post(
        &self,
        target: &Target,
    ) -> Result<(watch::Receiver<Option<Answer>>, Duration), Unanswered> {
        let mut desk = self.lock();
        let Desk { open, asked } = &mut *desk;
        let open = open.as_ref().ok_or(Unanswered::GivenUp)?;
        check(&open.config, target)?;
        let longest = open.config.probes.timeout + GRACE;
        if let Some(last) = asked.get(target) {
            if last.is_open() {
                return Ok((last.answer.clone(), longest));
            }
            let elapsed = last.at.elapsed();
            if elapsed < ASKED_APART {
                return Err(Unanswered::TooSoon(ASKED_APART - elapsed));
            }
        }
        asked.retain(|_, asked| asked.is_open() || asked.at.elapsed() < ASKED_APART);
        let (answer, receiver) = watch::channel(None);
        let job = Job { target: target.clone(), answer };
        open.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unanswered::Busy,
            mpsc::error::TrySendError::Closed(_) => Unanswered::GivenUp,
        })?;
        asked.insert(target.clone(), Asked { at: Instant::now(), answer: receiver.clone() });
        Ok((receiver, longest))
    }

    /// Answers questions by this configuration until `token` is cancelled; probes in flight are
    /// given up then. The app runs one of these.
    pub async fn run(
        self,
        config: Arc<Config>,
        specs: Vec<ProbeSpec>,
        deps: Deps,
        token: CancellationToken,
    ) {
        let (jobs, mut queue) = mpsc::channel(ASKED_WAITING_MAX);
        self.lock().open = Some(Open { config: Arc::clone(&config), jobs });
        // Providers of the schedule have read their keys already; the others do when asked.
        let keyring = Keyring::of(&specs);
        let specs = specs.into_iter().map(|spec| (spec.target.clone(), spec)).collect();
        let counter = Counter { config, keyring, specs: Mutex::new(specs), deps };
        let answering = async {
            let mut working = FuturesUnordered::new();
            loop {
                tokio::select! {
                    Some(job) = queue.recv(), if working.len() < ASKED_AT_ONCE_MAX => {
                        working.push(counter.work(job));
                    }
                    Some(()) = working.next() => {}
                    else => return,
                }
            }
        };
        tokio::select! {
            biased;
            () = token.cancelled() => {}
            () = answering => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        // Every change is a single step: whole even if a holder panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// Whether an answer is still to come.
    fn is_open(&self) -> bool {
        self.answer.borrow().is_none() && self.answer.has_changed().is_ok()
    }
}

/// Whether a target may be asked for at all.
fn check(config: &Config, target: &Target) -> Result<(), Unanswered> {
    let provider = config.providers.get(&target.provider).ok_or(Unanswered::Unknown)?;
    if !provider.models.contains(&target.model) {
        return Err(Unanswered::Unknown);
    }
    if provider.may_be_probed() { Ok(()) } else { Err(Unanswered::NoKey) }
}

/// What answers.
struct Counter {
    config: Arc<Config>,
    keyring: Keyring,
    specs: Mutex<BTreeMap<Target, ProbeSpec>>,
    deps: Deps,
}

impl Counter {
    async fn work(&self, job: Job) {
        let answer = self.answer(&job.target).await;
        // Nobody may be listening any more.
        let _ = job.answer.send(Some(answer));
    }

    async fn answer(&self, target: &Target) -> Answer {
        let spec = self.spec(target).await?;
        if let Some(joined) = self.joined(&spec).await {
            return Ok(joined);
        }
        let (mut trace, deps) = (None, &self.deps);
        let (kept, asked) = (&mut trace, &spec);
        let probe_now = move || async move {
            let (report, trace) = probe_traced(&deps.client, asked, &deps.clock).await;
            *kept = Some(trace);
            report
        };
        match round(&spec, Occasion::Asked, deps, probe_now).await {
            Round::Finished(report) => {
                Ok(Arc::new(Answered { spec, trace, report: *report, on_demand: true }))
            }
            Round::Unaffordable(shortage) => {
                Err(Unanswered::Budget(shortage, wait_for_money(shortage, deps.clock.now())))
            }
            // One of the schedule took off while this one waited at a gate.
            Round::Joined => self.joined(&spec).await.ok_or(Unanswered::Busy),
            // Not what becomes of a question.
            Round::Skipped(_) | Round::Withdrawn => Err(Unanswered::GivenUp),
        }
    }

    /// What a probe in flight finds.
    async fn joined(&self, spec: &ProbeSpec) -> Option<Arc<Answered>> {
        let report = self.deps.flights.join(&spec.target).await?;
        let report = ProbeReport::clone(&report);
        Some(Arc::new(Answered { spec: spec.clone(), trace: None, report, on_demand: false }))
    }

    /// The specification, made when it is first needed, with its provider's credential.
    async fn spec(&self, target: &Target) -> Result<ProbeSpec, Unanswered> {
        let known = self.specs().get(target).cloned();
        if let Some(spec) = known {
            return Ok(spec);
        }
        let credential = self.keyring.credential(&self.config, &target.provider).await?;
        let spec = spec_with(&self.config, target, credential)?;
        self.specs().insert(target.clone(), spec.clone());
        Ok(spec)
    }

    fn specs(&self) -> MutexGuard<'_, BTreeMap<Target, ProbeSpec>> {
        self.specs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After how long it makes sense to ask again, if at all.
fn wait_for_money(shortage: Shortage, now: Timestamp) -> Option<Duration> {
    match shortage {
        // Most probes take seconds, and the target is left alone for as long anyway.
        Shortage::SetAside => Some(ASKED_APART),
        Shortage::Spent => Some(Duration::from_millis(DAY_MS - now.millis() % DAY_MS)),
        Shortage::NeverFits => None,
    }
}

#[cfg(test)]
mod tests;
