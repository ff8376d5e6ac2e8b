//! One round of a target: from the moment its probe is due to what became of that.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::budget::{Reservation, Shortage};
use super::flights::Flight;
use super::gates::Pass;
use super::standing::Standing;
use super::{Deps, Occasion, ProbeEvent, SkipReason, pace};
use crate::domain::target::Target;
use crate::domain::time::millis_of;
use crate::intake::probe::{ProbeReport, ProbeSpec};

/// A probe that waits at a gate or is in flight for longer than this says again that it is due,
/// and not stuck.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// How a round ended.
#[derive(Clone, Debug)]
pub enum Round {
    /// With a probe, which found this.
    Finished(Box<ProbeReport>),
    /// The probe was left out on purpose.
    Skipped(SkipReason),
    /// The probe was left out because the budget does not allow it.
    Unaffordable(Shortage),
    /// Another probe of the target is in flight, and whoever asks joins that one.
    Joined,
    /// Its target is no longer troubled, and the probe not due any more.
    Withdrawn,
}

/// One probe, unless there is a reason to leave it out: passes the gates, is admitted, probes,
/// pays and tells. Whoever makes a probe makes it here; a test plays `probe_now`.
pub async fn round<F: Future<Output = ProbeReport>>(
    spec: &ProbeSpec,
    occasion: Occasion,
    deps: &Deps,
    probe_now: impl FnOnce() -> F,
) -> Round {
    let due = Due { spec, occasion, deps, standing: &deps.standings.of(&spec.target) };
    // What is to be left out anyway does not queue.
    if due.is_reported() {
        return due.skip(SkipReason::ClientsReport);
    }
    let Some(_pass) = due.pass().await else {
        return Round::Withdrawn;
    };
    let Some(flight) = deps.flights.take_off(&spec.target) else {
        return match occasion {
            // That is no probe left out.
            Occasion::Asked => Round::Joined,
            Occasion::Timetable | Occasion::Trouble => due.skip(SkipReason::Overlap),
        };
    };
    // Again, for waiting at the gates may have taken long.
    if due.is_reported() {
        return due.skip(SkipReason::ClientsReport);
    }
    match due.reserve() {
        Ok(reservation) => due.fly(flight, reservation, probe_now).await,
        Err(shortage) => {
            due.skip(SkipReason::Budget);
            Round::Unaffordable(shortage)
        }
    }
}

/// A probe that is due.
struct Due<'a> {
    spec: &'a ProbeSpec,
    occasion: Occasion,
    deps: &'a Deps,
    standing: &'a Standing,
}

impl Due<'_> {
    /// Whether clients make it needless; one that somebody asks for never is.
    fn is_reported(&self) -> bool {
        self.occasion != Occasion::Asked && (self.deps.clients_report)(&self.spec.target)
    }

    fn skip(&self, reason: SkipReason) -> Round {
        self.deps.skip(&self.spec.target, reason)
    }

    /// Waits at the gates until the probe may leave; `None` if it is not due any more. When the
    /// target becomes troubled, or well, the probe starts to wait anew at the gates that are now
    /// its own.
    async fn pass(&self) -> Option<Pass> {
        let mut troubled = self.standing.watch();
        loop {
            let is_troubled = troubled.borrow_and_update().is_some();
            if self.occasion == Occasion::Trouble && !is_troubled {
                return None;
            }
            let passing = pin!(self.deps.gates.pass(&self.spec.target.provider, is_troubled));
            tokio::select! {
                biased;
                // Its sender is in the standing, which is held here.
                Ok(()) = troubled.changed() => {}
                pass = self.saying_again(passing) => return Some(pass),
            }
        }
    }

    /// Sets aside what the probe may cost: its bound, or what one like it has cost, as a gateway
    /// may add to the prompt.
    fn reserve(&self) -> Result<Reservation, Shortage> {
        let (now, provider) = (self.deps.clock.now(), &self.spec.target.provider);
        let usd = self.spec.cost_bound_usd().max(self.standing.dearest_usd(now));
        self.deps.budget.reserve(now, provider, usd)
    }

    /// The probe itself, once nothing is in its way: probes, pays and tells.
    async fn fly<F: Future<Output = ProbeReport>>(
        &self,
        flight: Flight,
        reservation: Reservation,
        probe_now: impl FnOnce() -> F,
    ) -> Round {
        let &Self { spec, occasion, deps, standing } = self;
        standing.note_last(Instant::now());
        if occasion == Occasion::Trouble {
            pace::count_faster(standing, deps.adaptive, Instant::now());
        }
        let mut under_way = UnderWay { due: self, charged_usd: Some(reservation.usd()) };
        let report = self.saying_again(pin!(probe_now())).await;
        under_way.charged_usd = None;
        let charged_usd = report.charge_usd(spec);
        deps.budget.settle(reservation, charged_usd);
        standing.note_charge(deps.clock.now(), charged_usd);
        log(&spec.target, &report, standing);
        let report = Box::new(report);
        let (target, told) = (spec.target.clone(), report.clone());
        deps.tell(ProbeEvent::Finished { target, report: told, occasion, charged_usd });
        // Those who waited for it find it in the book.
        flight.land(&report);
        Round::Finished(report)
    }

    /// Awaits what may take its time. Until then the schedule says now and then that its probe is
    /// due; one that somebody asks for is on none.
    async fn saying_again<T>(&self, mut awaited: Pin<&mut impl Future<Output = T>>) -> T {
        loop {
            tokio::select! {
                biased;
                done = &mut awaited => return done,
                () = sleep(SAY_AGAIN), if self.occasion != Occasion::Asked => {
                    let next_run = Some(self.deps.clock.now());
                    let target = self.spec.target.clone();
                    self.deps.tell(ProbeEvent::Scheduled { target, next_run });
                }
            }
        }
    }
}

/// A probe in flight; dropped before its end, it tells what it stays charged with.
struct UnderWay<'a> {
    due: &'a Due<'a>,
    charged_usd: Option<f64>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(charged_usd) = self.charged_usd {
            let target = self.due.spec.target.clone();
            self.due.deps.tell(ProbeEvent::GivenUp { target, charged_usd });
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
