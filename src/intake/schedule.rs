//! When probes run, and whether they may.
//!
//! Each target has a loop of its own that probes one at a time; a due moment that comes while a
//! probe is in flight is never made up for. Loops start apart and drift apart (jitter), so probes
//! do not leave together. A loop waits for its [`Bell`], or for less while its target is troubled;
//! then one [`round`] takes place: it passes the gates that bound what is in flight, asks whether
//! clients supply the evidence anyway and whether the day's budget allows it, probes, pays, and
//! tells. A skip is an event like a result, so that nobody takes silence for health.
//!
//! Prometheus exporters are not supposed to work on timers of their own. This one does, because a
//! probe costs money and must not multiply with the number of servers that scrape.
//!
//! This module spawns nothing and stores nothing: the app runs the loops, and what they find goes
//! to the closure it gives them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::probe::{Client, ProbeReport, ProbeSpec, probe};
use crate::domain::target::Target;
use crate::domain::time::{Timestamp, millis_of};
use crate::ground::clock::Clock;
use crate::ground::config::Adaptive;

mod plan;
mod bell;
mod cron_bell;
mod standing;
mod pace;
mod gates;
mod flights;
mod on_demand;
mod budget;
mod bill;

pub use bell::Bell;
pub use bill::{Bill, BillLine, DAYS_OF_MONTH, PriceBasis, Sum};
pub use budget::{Budget, BudgetDay, Reservation};
pub use cron_bell::{CronBell, CronError, Ring};
pub use flights::Flights;
pub use gates::{Gates, PROBES_IN_FLIGHT_MAX, PROBES_OF_PROVIDER_MAX, Pass};
pub use on_demand::{ASKED_APART, Answered, Found, OnDemand, Unanswered};
pub use plan::{Plan, Refusal, Timetable, plan, spec};
pub use standing::{Standing, Standings};

use pace::{Pace, Woken};

/// A probe that waits at a gate for longer than this says again that it is due, and not stuck.
const SAY_AGAIN: Duration = Duration::from_secs(30);

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
        /// Why it was made.
        occasion: Occasion,
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
    /// Its moment passed unnoticed: the cron bell was silent, or the machine asleep.
    Missed,
}

impl SkipReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Budget, Self::Overlap, Self::ClientsReport, Self::Missed];

    /// The value of the `reason` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Overlap => "overlap",
            Self::ClientsReport => "clients_report",
            Self::Missed => "missed",
        }
    }
}

/// Why a probe is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Its interval is over, or its cron expression fires.
    Timetable,
    /// Its target is troubled, and is looked after more often.
    Trouble,
    /// Somebody asks for it, whatever clients report.
    Asked,
}

/// How a round ended.
#[derive(Clone, Debug)]
pub enum Round {
    /// With a probe, which found this.
    Finished(Box<ProbeReport>),
    /// The probe was left out on purpose.
    Skipped(SkipReason),
    /// Its target is no longer troubled, and the probe not due any more.
    Withdrawn,
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
    /// The bounds on probes in flight.
    pub gates: Arc<Gates>,
    /// The probes in flight.
    pub flights: Flights,
    /// How the targets stand, from one loop to the next.
    pub standings: Arc<Standings>,
    /// How much more often a troubled target is probed, if at all.
    pub adaptive: Option<Adaptive>,
    /// The day's money.
    pub budget: Arc<Budget>,
    /// Whether clients supply the evidence.
    pub clients_report: EvidenceCheck,
    /// Where events go.
    pub listener: Listener,
}

impl Deps {
    /// With the default bounds, never more often than the bell says and whatever clients report.
    pub fn new(client: Client, clock: Clock, budget: Arc<Budget>, listener: Listener) -> Self {
        Self {
            client,
            clock,
            gates: Arc::default(),
            flights: Flights::default(),
            standings: Arc::default(),
            adaptive: None,
            budget,
            clients_report: Arc::new(|_| false),
            listener,
        }
    }

    fn tell(&self, event: ProbeEvent) {
        (self.listener)(event);
    }

    fn skip(&self, target: &Target, reason: SkipReason) -> Round {
        self.tell(ProbeEvent::Skipped { target: target.clone(), reason });
        Round::Skipped(reason)
    }
}

/// Probes one target whenever `bell` rings, and more often while it is troubled.
///
/// It ends when `token` is cancelled. A probe in flight is then given up at once and not recorded:
/// shutdown does not wait for a provider.
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
    bell.keep_apart(share_of(target));
    let mut pace = Pace::new(bell, deps.adaptive, deps.standings.of(target));
    loop {
        let next_run = pace.next_run(deps.clock.now());
        deps.tell(ProbeEvent::Scheduled { target: target.clone(), next_run });
        let left_out = match pace.wait().await {
            Woken::Gone => return,
            Woken::Changed => pace.left_out(),
            Woken::Due(occasion) => {
                let round = round(spec, occasion, deps, &mut probe_now).await;
                pace.note(occasion, &round)
            }
        };
        for _ in 0..left_out.overlapped {
            deps.skip(target, SkipReason::Overlap);
        }
        for _ in 0..left_out.missed {
            deps.skip(target, SkipReason::Missed);
        }
    }
}

/// One probe, unless there is a reason to leave it out: passes the gates, is admitted, probes,
/// pays and tells. Whoever makes a probe makes it here; a test plays `probe_now`.
pub async fn round<F: Future<Output = ProbeReport>>(
    spec: &ProbeSpec,
    occasion: Occasion,
    deps: &Deps,
    probe_now: impl FnOnce() -> F,
) -> Round {
    let target = &spec.target;
    // What is to be left out anyway does not queue.
    if is_reported(target, occasion, deps) {
        return deps.skip(target, SkipReason::ClientsReport);
    }
    let standing = deps.standings.of(target);
    let Some(_pass) = pass(target, occasion, &standing, deps).await else {
        return Round::Withdrawn;
    };
    let Some(flight) = deps.flights.take_off(target) else {
        // Who asks joins the other one; that is no probe left out.
        let joins = occasion == Occasion::Asked;
        let overlap = SkipReason::Overlap;
        return if joins { Round::Skipped(overlap) } else { deps.skip(target, overlap) };
    };
    let reservation = match admit(spec, occasion, deps) {
        Ok(reservation) => reservation,
        Err(reason) => return deps.skip(target, reason),
    };
    standing.note_last(Instant::now());
    if occasion == Occasion::Trouble {
        pace::count_faster(&standing, deps.adaptive, Instant::now());
    }
    let report = probe_now().await;
    let charged_usd = report.charge_usd(spec);
    deps.budget.settle(reservation, charged_usd);
    log(target, &report, &standing);
    let report = Box::new(report);
    let told = report.clone();
    let target = target.clone();
    deps.tell(ProbeEvent::Finished { target, report: told, occasion, charged_usd });
    // Those who waited for it find it in the book.
    flight.land(&report);
    Round::Finished(report)
}

/// Waits at the gates until the probe may leave; `None` if it is not due any more. When the target
/// becomes troubled, or well, the probe starts to wait anew at the gates that are now its own.
async fn pass(
    target: &Target,
    occasion: Occasion,
    standing: &Standing,
    deps: &Deps,
) -> Option<Pass> {
    let mut troubled = standing.watch();
    loop {
        let is_troubled = troubled.borrow_and_update().is_some();
        if occasion == Occasion::Trouble && !is_troubled {
            return None;
        }
        let mut passing = std::pin::pin!(deps.gates.pass(&target.provider, is_troubled));
        loop {
            tokio::select! {
                biased;
                // Its sender is in the standing, which is held here.
                Ok(()) = troubled.changed() => break,
                pass = &mut passing => return Some(pass),
                () = sleep(SAY_AGAIN), if occasion != Occasion::Asked => {
                    let next_run = Some(deps.clock.now());
                    deps.tell(ProbeEvent::Scheduled { target: target.clone(), next_run });
                }
            }
        }
    }
}

/// One line per probe for those who look closely, and one for a probe that needs its owner,
/// repeated only when the complaint changes.
fn log(target: &Target, report: &ProbeReport, standing: &Standing) {
    tracing::debug!(
        provider = target.provider.as_str(),
        model = target.model.as_str(),
        class = report.class.as_str(),
        latency_ms = report.total.map(millis_of),
        request_id = report.request_id.as_deref(),
        "a probe ended"
    );
    let complaint = report.misconfigured.as_ref();
    if standing.note_complaint(complaint) {
        tracing::warn!(
            provider = target.provider.as_str(),
            model = target.model.as_str(),
            complaint,
            "the probe is misconfigured"
        );
    }
}

/// Whether clients make a probe needless; one that somebody asks for never is.
fn is_reported(target: &Target, occasion: Occasion, deps: &Deps) -> bool {
    occasion != Occasion::Asked && (deps.clients_report)(target)
}

/// Whether a due probe may run: the one place where that is decided.
fn admit(spec: &ProbeSpec, occasion: Occasion, deps: &Deps) -> Result<Reservation, SkipReason> {
    if is_reported(&spec.target, occasion, deps) {
        return Err(SkipReason::ClientsReport);
    }
    let (now, provider, usd) = (deps.clock.now(), &spec.target.provider, spec.cost_bound_usd());
    deps.budget.reserve(now, provider, usd).ok_or(SkipReason::Budget)
}

/// A target's place among the others, 0 to 1, by its name: it keeps their probes apart.
fn share_of(target: &Target) -> f64 {
    let mut hasher = DefaultHasher::new();
    target.hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
