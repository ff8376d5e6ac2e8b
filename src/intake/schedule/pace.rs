//! When the next probe of a target is due: as its bell says, and sooner while it is troubled.
//!
//! Failing over starves the evidence: clients that leave a provider stop reporting it, and a
//! probe a minute notices the end of an overload eight minutes late. So a troubled target is
//! probed every few seconds, up to so many times an hour, and less often beyond that.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::bell::{Bell, Heard, LeftOut};
use super::standing::Standing;
use super::{Occasion, Round};
use crate::domain::outcome::{Class, Signal};
use crate::domain::time::Timestamp;
use crate::ground::config::Adaptive;
use crate::intake::probe::ProbeReport;

/// By how much faster probes are slowed down once the hour's share of them is spent: with the
/// defaults, from every 5 s to every 30 s.
pub(super) const SPENT_SLOWER: u32 = 6;

/// What a loop waits for.
#[derive(Debug)]
pub(super) struct Pace {
    bell: Bell,
    adaptive: Option<Adaptive>,
    standing: Arc<Standing>,
    /// Since when the target is troubled, if it is.
    troubled: watch::Receiver<Option<Instant>>,
    /// The luck of the jitter, drawn once for each probe.
    roll: f64,
    /// Whether the last probe told anything about the provider. One that is misconfigured or
    /// throttled learns nothing by asking again soon, and makes it worse.
    tells: bool,
}

/// Why a loop wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// A probe is due.
    Due(Occasion),
    /// The time of the next probe has changed.
    Changed,
    /// The bell will never ring again.
    Gone,
}

impl Pace {
    pub(super) fn new(bell: Bell, adaptive: Option<Adaptive>, standing: Arc<Standing>) -> Self {
        let troubled = standing.watch();
        Self { bell, adaptive, standing, troubled, roll: rand::random(), tells: true }
    }

    /// When the next probe is due, as far as that can be told.
    pub(super) fn next_run(&self, now: Timestamp) -> Option<Timestamp> {
        let faster = self.faster_due().map(|due| {
            let wait = due.saturating_duration_since(Instant::now());
            now.plus(wait)
        });
        [self.bell.next_run(now), faster].into_iter().flatten().min()
    }

    /// Waits until a probe is due, or something else is to be told.
    pub(super) async fn wait(&mut self) -> Woken {
        let faster = self.faster_due();
        let faster_due = async {
            match faster {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // Its sender is in the standing, which is held here.
            Ok(()) = self.troubled.changed() => Woken::Changed,
            heard = self.bell.wait(self.roll) => match heard {
                Heard::Due => self.leave(Occasion::Timetable),
                Heard::Moved => Woken::Changed,
                Heard::Gone => Woken::Gone,
            },
            () = faster_due => self.leave(Occasion::Trouble),
        }
    }

    fn leave(&mut self, occasion: Occasion) -> Woken {
        self.roll = rand::random();
        self.standing.note_last(Instant::now());
        Woken::Due(occasion)
    }

    /// The last fire needs no probe any more: it is sent, or left out.
    pub(super) fn note_answered(&self) {
        if let Some(fired) = self.bell.answered() {
            self.standing.note_answered(fired);
        }
    }

    /// Takes note of how a round ended; gives what was left out meanwhile.
    pub(super) fn note(&mut self, occasion: Occasion, round: &Round) -> LeftOut {
        if let Round::Finished(report) = round {
            self.tells = tells(report);
        }
        if occasion == Occasion::Trouble && !matches!(round, Round::Withdrawn) {
            // An interval is the time between two probes, whatever made them leave.
            self.bell.restart(self.roll);
        }
        self.left_out()
    }

    /// What was left out since this was last asked.
    pub(super) fn left_out(&mut self) -> LeftOut {
        let left_out = self.bell.left_out();
        self.note_answered();
        left_out
    }

    /// When a probe is due because the target is troubled.
    fn faster_due(&self) -> Option<Instant> {
        let since = (*self.troubled.borrow()).filter(|_| self.tells)?;
        let adaptive = self.adaptive?;
        let every = if self.has_spent(&adaptive) {
            adaptive.every.saturating_mul(SPENT_SLOWER)
        } else {
            adaptive.every
        };
        if !self.bell.may_be_hurried_to(every) {
            return None;
        }
        // Give or take the jitter, as of any interval; those that hear of it together are spread
        // over the same time.
        let jitter = every.mul_f64(self.bell.jitter());
        let earliest = self.standing.last().map_or(since, |last| since.max(last + every - jitter));
        Some(earliest + jitter.mul_f64(2.0 * self.roll))
    }

    fn has_spent(&self, adaptive: &Adaptive) -> bool {
        self.standing.faster_in_hour(Instant::now()) >= adaptive.per_hour
    }
}

/// Whether a probe told how the provider is, and not only how our account or request is.
fn tells(report: &ProbeReport) -> bool {
    let of_provider = match report.class.signal() {
        Some(Signal::Overload | Signal::Outage) => true,
        Some(Signal::RateLimit) => false,
        None => report.class == Class::Ok,
    };
    of_provider && report.misconfigured.is_none()
}

/// Counts a faster probe `now` counts against the hour's share.
pub(super) fn count_faster(standing: &Standing, adaptive: Option<Adaptive>, now: Instant) {
    // Those that leave slowly, because the share is spent, do not: it would never be new.
    if adaptive.is_some_and(|adaptive| standing.faster_in_hour(now) < adaptive.per_hour) {
        standing.note_faster(now);
    }
}
