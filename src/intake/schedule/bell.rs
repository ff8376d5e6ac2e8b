//! What makes a loop probe: an interval with jitter, or the fires of a cron expression.
//!
//! Intervals run on the runtime's clock. Fires come from the one [`CronBell`]
//! that all loops share; each loop is late by a share of its own, so that they do not leave
//! together, and by its luck.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::cron_bell::{CronBell, Ring};
use crate::domain::time::Timestamp;

/// Longest time over which the first probes of all targets are spread, and those of a cron fire:
/// long enough that thirty targets do not leave together, short enough that the first results
/// come soon.
const SPREAD_MAX: Duration = Duration::from_secs(15);
/// Longest delay that jitter adds to a cron fire: `*/5 8-20` means "about then".
const CRON_JITTER_MAX: Duration = Duration::from_secs(15);
/// Over which part of the time to the next fire the loops are spread.
const CRON_SPREAD_SHARE: f64 = 0.25;
/// Longest time between two fires in which a troubled target is probed more often. What is
/// further apart is a pause on purpose, as at night, in which nothing may be spent unasked.
const CRON_GAP_MAX: Duration = Duration::from_secs(3_600);

/// What a loop waits for.
#[derive(Debug)]
pub enum Bell {
    /// An interval.
    Every {
        /// Its mean length.
        every: Duration,
        /// By which share of it each one is longer or shorter, 0 to 1.
        jitter: f64,
        /// When the next probe is due.
        due: Instant,
        /// Whether it goes on from an earlier loop, and is not to be spread anew.
        resumed: bool,
    },
    /// Fires of a cron expression.
    Cron(CronEar),
}

/// One loop's ear for the cron bell.
#[derive(Debug)]
pub struct CronEar {
    rings: watch::Receiver<Ring>,
    /// Which share of the time to the next fire a probe may be late by, 0 to 1.
    jitter: f64,
    /// This loop's place among the others after a ring, 0 to 1.
    share: f64,
    /// The bell as last heard.
    seen: Ring,
    /// When the probe for the last ring leaves, if it has not left.
    leave: Option<Instant>,
    left_out: LeftOut,
}

/// What a loop heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A probe is due.
    Due,
    /// None is, but the next one is due at another time than was said.
    Moved,
    /// None ever will be.
    Gone,
}

/// Fires that no probe answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Because the probe before was still in flight.
    pub(super) overlapped: u64,
    /// Because nobody rang in time.
    pub(super) missed: u64,
}

impl Bell {
    /// A bell that rings every so often, give or take the share `jitter`.
    pub fn every(every: Duration, jitter: f64) -> Self {
        let (jitter, due) = (jitter.clamp(0.0, 1.0), Instant::now());
        Self::Every { every, jitter, due, resumed: false }
    }

    /// The same bell, going on from an earlier one that would have rung at `next_run`: a reload
    /// must not make a probe come early. A cron bell goes by the clock anyway.
    #[must_use]
    pub fn resumed_at(mut self, next_run: Timestamp, now: Timestamp) -> Self {
        if let Self::Every { every, jitter, due, resumed } = &mut self {
            // A clock that stepped back must not silence it for longer than usual.
            let longest = every.mul_f64(1.0 + *jitter);
            *due = Instant::now() + next_run.since(now).min(longest);
            *resumed = true;
        }
        self
    }

    /// The same bell, going on from an earlier one whose last probe left at `last` and is given up:
    /// it counts as made, for it may be billed.
    #[must_use]
    pub fn resumed_after(mut self, last: Instant) -> Self {
        if let Self::Every { every, due, resumed, .. } = &mut self {
            *due = last + *every;
            *resumed = true;
        }
        self
    }

    /// A bell that rings when `cron` does, late by at most the share `jitter` of the time to the
    /// next fire besides its own place.
    pub fn cron(cron: &CronBell, jitter: f64) -> Self {
        let rings = cron.subscribe();
        let seen = *rings.borrow();
        let jitter = jitter.clamp(0.0, 1.0);
        let left_out = LeftOut::default();
        Self::Cron(CronEar { rings, jitter, share: 0.0, seen, leave: None, left_out })
    }

    /// Keeps the loop apart from others by its `share`, 0 to 1: the first probe of an interval,
    /// every one of a cron expression.
    pub(super) fn keep_apart(&mut self, own: f64) {
        match self {
            Self::Every { resumed: true, .. } => {}
            Self::Every { every, due, .. } => {
                *due = Instant::now() + (*every).min(SPREAD_MAX).mul_f64(own);
            }
            Self::Cron(ear) => {
                ear.share = own;
                let place = ear.place();
                ear.leave = ear.leave.map(|leave| leave + place);
            }
        }
    }

    /// Rings for the last fire, of which an earlier loop heard and for which it sent no probe. The
    /// place of the loop still counts from the fire, or reload after reload could put it off.
    pub fn owe(&mut self, now: Timestamp) {
        if let Self::Cron(ear) = self
            && let Some(fired) = ear.seen.fired
        {
            let instant = Instant::now();
            ear.leave = Some(instant.checked_sub(now.since(fired)).unwrap_or(instant));
        }
    }

    /// By which share of its interval a probe may be early or late.
    pub(super) fn jitter(&self) -> f64 {
        match self {
            Self::Every { jitter, .. } | Self::Cron(CronEar { jitter, .. }) => *jitter,
        }
    }

    /// Whether a troubled target may be probed `every` so often instead.
    pub(super) fn may_be_hurried_to(&self, faster: Duration) -> bool {
        match self {
            Self::Every { every, .. } => faster < *every,
            Self::Cron(ear) => ear.gap().is_some_and(|gap| faster < gap && gap <= CRON_GAP_MAX),
        }
    }

    /// When the next probe is due, as far as that can be told.
    pub(super) fn next_run(&self, now: Timestamp) -> Option<Timestamp> {
        let at = |due: Instant| now.plus(due.saturating_duration_since(Instant::now()));
        match self {
            Self::Every { due, .. } => Some(at(*due)),
            Self::Cron(ear) => match ear.leave {
                Some(leave) => Some(at(leave)),
                None => ear.seen.next.map(|next| next.plus(ear.place())),
            },
        }
    }

    /// Waits for the next ring; `roll` in [0, 1) is the luck of the jitter. Giving up the wait
    /// loses nothing.
    pub(super) async fn wait(&mut self, roll: f64) -> Heard {
        match self {
            Self::Every { every, jitter, due, .. } => {
                sleep_until(*due).await;
                *due = next_due(*due, Instant::now(), period(*every, *jitter, roll));
                Heard::Due
            }
            Self::Cron(ear) => ear.wait(roll).await,
        }
    }

    /// Starts an interval afresh, because a probe has left for another reason.
    pub(super) fn restart(&mut self, roll: f64) {
        if let Self::Every { every, jitter, due, .. } = self {
            *due = Instant::now() + period(*every, *jitter, roll);
        }
    }

    /// The fires that were left out since this was last asked; those that came since the last
    /// ring waited for are. An interval has none: it starts again from a late probe.
    pub(super) fn left_out(&mut self) -> LeftOut {
        match self {
            Self::Every { .. } => LeftOut::default(),
            Self::Cron(ear) => {
                let ring = *ear.rings.borrow_and_update();
                ear.left_out.overlapped += ear.hear(ring);
                std::mem::take(&mut ear.left_out)
            }
        }
    }

    /// The last fire, if a probe has left for it or it was left out.
    pub(super) fn answered(&self) -> Option<Timestamp> {
        match self {
            Self::Every { .. } | Self::Cron(CronEar { leave: Some(_), .. }) => None,
            Self::Cron(ear) => ear.seen.fired,
        }
    }
}

impl CronEar {
    async fn wait(&mut self, roll: f64) -> Heard {
        if self.leave.is_none() {
            let seen = self.seen;
            let ring = self.rings.wait_for(|ring| *ring != seen).await.map(|ring| *ring);
            let Ok(ring) = ring else { return Heard::Gone };
            let rung = self.hear(ring);
            if rung == 0 {
                return Heard::Moved;
            }
            // Of several at once, one is answered.
            self.left_out.overlapped += rung - 1;
            let luck = self.late_by(self.jitter, CRON_JITTER_MAX).mul_f64(roll);
            self.leave = Some(Instant::now() + self.place() + luck);
        }
        if let Some(leave) = self.leave {
            sleep_until(leave).await;
        }
        self.leave = None;
        Heard::Due
    }

    /// Takes in the state of the bell; tells how often it rang since.
    fn hear(&mut self, ring: Ring) -> u64 {
        let seen = std::mem::replace(&mut self.seen, ring);
        self.left_out.missed += ring.missed - seen.missed;
        ring.count - seen.count
    }

    /// The time from the last fire to the next.
    fn gap(&self) -> Option<Duration> {
        Some(self.seen.next?.since(self.seen.fired?))
    }

    fn late_by(&self, share: f64, longest: Duration) -> Duration {
        self.gap().map_or(Duration::ZERO, |gap| gap.mul_f64(share).min(longest))
    }

    /// How long after a ring this loop leaves, besides its luck.
    fn place(&self) -> Duration {
        self.late_by(CRON_SPREAD_SHARE, SPREAD_MAX).mul_f64(self.share)
    }
}

/// The length of one interval: uniformly within `every` give or take the share `jitter`.
fn period(every: Duration, jitter: f64, roll: f64) -> Duration {
    every.mul_f64(1.0 + jitter * (2.0 * roll - 1.0))
}

/// When the next probe is due. One that left late (the machine slept, or the one before took
/// longer than the interval) moves all that follow: missed ones are never made up for in a burst.
/// This is `MissedTickBehavior::Delay` of tokio's interval, with a period that varies.
fn next_due(due: Instant, now: Instant, period: Duration) -> Instant {
    due.max(now) + period
}

#[cfg(test)]
mod tests;
