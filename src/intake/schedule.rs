//! When probes run, and whether they may.
//!
//! Each target has a loop of its own that probes one at a time; a due moment that comes while a
//! probe is in flight is never made up for. Loops start apart and drift apart (jitter), so probes
//! do not leave together. A loop waits for its [`Bell`], or for less while its target is troubled;
//! then one [`round()`] takes place: it passes the gates that bound what is in flight, asks whether
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

use tokio_util::sync::CancellationToken;

use super::probe::{Client, ProbeReport, ProbeSpec, probe};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;
use crate::ground::config::Adaptive;

mod plan;
mod bell;
mod cron_bell;
mod standing;
mod pace;
mod gates;
mod flights;
mod round;
mod on_demand;
mod budget;
mod bill;

pub use bell::Bell;
pub use bill::{Bill, BillLine, DAYS_OF_MONTH, PriceBasis, Sum};
pub use budget::{Budget, BudgetDay, Reservation, Shortage};
pub use cron_bell::{CronBell, CronError, Ring};
pub use flights::Flights;
pub use gates::{Gates, PROBES_IN_FLIGHT_MAX, PROBES_OF_PROVIDER_MAX, Pass};
pub use on_demand::{ASKED_APART, Answered, Found, OnDemand, Unanswered};
pub use plan::{Plan, Refusal, Timetable, plan, spec};
pub use round::{Round, round};
pub use standing::{Standing, Standings};

use pace::{Pace, Woken};

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
    /// A probe was given up in flight: the daemon stops, or has a new configuration.
    GivenUp {
        /// Whose probe.
        target: Target,
        /// What it stays charged with in US dollars, for the provider may bill it.
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
                // A fire is answered once its probe is sent: one that a reload then gives up is
                // charged, and must not be sent and charged again.
                let sent = || {
                    pace.note_answered();
                    probe_now()
                };
                let round = round(spec, occasion, deps, sent).await;
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

/// A target's place among the others, 0 to 1, by its name: it keeps their probes apart.
fn share_of(target: &Target) -> f64 {
    let mut hasher = DefaultHasher::new();
    target.hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
