//! When probes run, and whether they may.
//!
//! Each target has a loop of its own that probes one at a time; a due moment that comes while a
//! probe is in flight is never made up for. Loops start apart and drift apart (jitter), so probes
//! do not leave together, and a semaphore bounds how many are in flight at all. Before each probe
//! the loop asks whether clients supply the evidence anyway and whether the day's budget allows
//! it; a skip is an event like a result, so that nobody takes silence for health.
//!
//! Prometheus exporters are not supposed to work on timers of their own. This one does, because a
//! probe costs money and must not multiply with the number of servers that scrape.
//!
//! This module spawns nothing and stores nothing: the app runs the loops, and what they find goes
//! to the closure it gives them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::probe::{Client, ProbeReport, ProbeSpec, probe};
use crate::domain::target::Target;
use crate::domain::time::{Timestamp, millis_of};
use crate::ground::clock::Clock;

mod plan;
mod bell;
mod budget;

pub use bell::{Bell, CronBell, CronError, Ring};
pub use budget::{Budget, Reservation};
pub use plan::{Plan, Refusal, Timetable, plan, spec};

/// Most probes in flight over all targets: a probe holds a socket and up to 256 KiB.
pub const PROBES_IN_FLIGHT_MAX: usize = 16;

/// Longest time over which the first probes of all targets are spread: long enough that thirty
/// targets do not leave together, short enough that the first results come soon after a start.
const START_SPREAD_MAX: Duration = Duration::from_secs(15);

/// Something that happened to a target's probe.
#[derive(Clone, Debug)]
pub enum ProbeEvent {
    /// The next probe is due at `next_run`, as far as that can be told.
    Scheduled {
        /// Whose probe.
        target: Target,
        /// When.
        next_run: Option<Timestamp>,
    },
    /// A probe ended.
    Finished {
        /// Whose probe.
        target: Target,
        /// What it found.
        report: Box<ProbeReport>,
        /// What it was charged in US dollars, an estimate where the bill is not known.
        charged_usd: f64,
    },
    /// A due probe was left out on purpose.
    Skipped {
        /// Whose probe.
        target: Target,
        /// Why.
        reason: SkipReason,
    },
}

/// Why a due probe was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// The day's money is spent.
    Budget,
    /// The one before is still in flight.
    Overlap,
    /// Clients report enough to judge by.
    ClientsReport,
}

impl SkipReason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Budget, Self::Overlap, Self::ClientsReport];

    /// The value of the `reason` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Overlap => "overlap",
            Self::ClientsReport => "clients_report",
        }
    }
}

/// Receives what happens. Called from the loop, so it must be quick and must not block.
pub type Listener = Arc<dyn Fn(ProbeEvent) + Send + Sync>;

/// Tells whether clients report enough about a target that probing it would buy nothing.
pub type EvidenceCheck = Arc<dyn Fn(&Target) -> bool + Send + Sync>;

/// What every loop shares. Clones are cheap and share everything.
#[derive(Clone)]
pub struct Deps {
    /// The probes' HTTP client.
    pub client: Client,
    /// The wall clock: time stamps and the day of the budget.
    pub clock: Clock,
    /// The bound on probes in flight, [`PROBES_IN_FLIGHT_MAX`] permits.
    pub in_flight: Arc<Semaphore>,
    /// The day's money.
    pub budget: Arc<Budget>,
    /// Whether clients supply the evidence.
    pub clients_report: EvidenceCheck,
    /// Where events go.
    pub listener: Listener,
}

impl Deps {
    /// With the default bound on probes in flight and probing whatever clients report.
    pub fn new(client: Client, clock: Clock, budget: Arc<Budget>, listener: Listener) -> Self {
        Self {
            client,
            clock,
            in_flight: Arc::new(Semaphore::new(PROBES_IN_FLIGHT_MAX)),
            budget,
            clients_report: Arc::new(|_| false),
            listener,
        }
    }
}

/// Probes one target whenever `bell` rings, until `token` is cancelled. A probe in flight is
/// then given up at once and not recorded: shutdown does not wait for a provider.
///
/// The app runs one of these per target; it returns early only if the cron bell is gone.
pub async fn run(spec: ProbeSpec, bell: Bell, deps: Deps, token: CancellationToken) {
    let probe_now = || probe(&deps.client, &spec, &deps.clock);
    tokio::select! {
        biased;
        () = token.cancelled() => {}
        () = rounds(&spec, bell, &deps, probe_now) => {}
    }
}

/// The loop itself, with the probe as a parameter so that a test can play it on paused time.
async fn rounds<F: Future<Output = ProbeReport>>(
    spec: &ProbeSpec,
    mut bell: Bell,
    deps: &Deps,
    mut probe_now: impl FnMut() -> F,
) {
    let target = &spec.target;
    let tell = |event| (deps.listener)(event);
    let mut last_complaint = None;
    if !bell.is_resumed() {
        bell.start_after(start_delay(target, &bell));
    }
    loop {
        tell(ProbeEvent::Scheduled {
            target: target.clone(),
            next_run: bell.next_run(deps.clock.now()),
        });
        if !bell.wait(rand::random()).await {
            return;
        }
        // Closing the semaphore is nobody's right; were it closed, no probe may run.
        let Ok(_permit) = deps.in_flight.acquire().await else { return };
        let clients_report = (deps.clients_report)(target);
        match admit(spec, &deps.budget, clients_report, deps.clock.now()) {
            Err(reason) => tell(ProbeEvent::Skipped { target: target.clone(), reason }),
            Ok(reservation) => {
                let report = probe_now().await;
                let charged_usd = report.charge_usd(spec);
                deps.budget.settle(reservation, charged_usd);
                log(target, &report, &mut last_complaint);
                let report = Box::new(report);
                tell(ProbeEvent::Finished { target: target.clone(), report, charged_usd });
            }
        }
        for _ in 0..bell.missed() {
            let reason = SkipReason::Overlap;
            tell(ProbeEvent::Skipped { target: target.clone(), reason });
        }
    }
}

/// One line per probe for those who look closely, and one for a probe that needs its owner,
/// repeated only when the complaint changes.
fn log(target: &Target, report: &ProbeReport, last_complaint: &mut Option<String>) {
    tracing::debug!(
        provider = target.provider.as_str(),
        model = target.model.as_str(),
        class = report.class.as_str(),
        latency_ms = report.total.map(millis_of),
        request_id = report.request_id.as_deref(),
        "a probe ended"
    );
    if let Some(complaint) = &report.misconfigured
        && last_complaint.as_ref() != Some(complaint)
    {
        tracing::warn!(
            provider = target.provider.as_str(),
            model = target.model.as_str(),
            complaint,
            "the probe is misconfigured"
        );
    }
    last_complaint.clone_from(&report.misconfigured);
}

/// Whether a due probe may run: the one place where that is decided.
fn admit(
    spec: &ProbeSpec,
    budget: &Budget,
    clients_report: bool,
    now: Timestamp,
) -> Result<Reservation, SkipReason> {
    if clients_report {
        return Err(SkipReason::ClientsReport);
    }
    budget.reserve(now, spec.cost_bound_usd()).ok_or(SkipReason::Budget)
}

/// How long a target waits before its first probe: a fixed share of the spread, by its name.
fn start_delay(target: &Target, bell: &Bell) -> Duration {
    let mut hasher = DefaultHasher::new();
    target.hash(&mut hasher);
    let share = (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64;
    bell.spread().min(START_SPREAD_MAX).mul_f64(share)
}

#[cfg(test)]
mod tests;
