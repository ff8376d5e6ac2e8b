//! What makes a loop probe: an interval with jitter, or a cron expression.
//!
//! Intervals run on the runtime's clock. Cron expressions (UTC) are watched by
//! `tokio-cron-scheduler`, kept as a thin bell: its job only rings, and what a ring means is
//! decided here. It is not trusted further than that, for it is known to ring twice for one fire
//! when its book-keeping lags, and repeated jobs of it have been reported to fall silent under
//! load: a ring before the next fire is ignored, and a bell that misses a fire is hung up anew.
//! Without a fire to come nothing rings, whatever the scheduler does: a probe costs money.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;
use crate::ground::config::CronExpression;

/// Longest delay that jitter adds to a cron fire: `*/5 8-20` means "about then".
const CRON_JITTER_MAX: Duration = Duration::from_secs(30);

/// How late the bell may be before it counts as silent. It looks at the time twice a second.
const SILENCE_MAX: Duration = Duration::from_secs(10);

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
    Cron {
        /// Rings of the one bell that all loops share.
        rings: watch::Receiver<Ring>,
        /// Which share of the time to the next fire a probe may be late by, 0 to 1.
        jitter: f64,
        /// How many rings were heard.
        heard: u64,
        /// How long to wait after a ring, besides jitter: keeps the loops apart.
        stagger: Duration,
    },
}

/// The state of a cron bell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// How often it rang.
    pub count: u64,
    /// The fire it rang for.
    pub fired: Option<Timestamp>,
    /// The fire it rings for next.
    pub next: Option<Timestamp>,
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

    pub(super) fn is_resumed(&self) -> bool {
        matches!(self, Self::Every { resumed: true, .. })
    }

    /// A bell that rings when `cron` does, late by at most the share `jitter` of the time to the
    /// next fire.
    pub fn cron(cron: &CronBell, jitter: f64) -> Self {
        let rings = cron.rings.subscribe();
        let heard = rings.borrow().count;
        Self::Cron { rings, jitter: jitter.clamp(0.0, 1.0), heard, stagger: Duration::ZERO }
    }

    /// Over which time the first probes of all targets should be spread.
    pub(super) fn spread(&self) -> Duration {
        match self {
            Self::Every { every, .. } => *every,
            Self::Cron { rings, jitter, .. } => cron_spread(*rings.borrow(), *jitter),
        }
    }

    /// Delays the first probe (interval) or every one (cron) by this much.
    pub(super) fn start_after(&mut self, delay: Duration) {
        match self {
            Self::Every { due, .. } => *due = Instant::now() + delay,
            Self::Cron { stagger, .. } => *stagger = delay,
        }
    }

    /// When the next probe is due, as far as that can be told.
    pub(super) fn next_run(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { due, .. } => {
                Some(now.plus(due.saturating_duration_since(Instant::now())))
            }
            Self::Cron { rings, stagger, .. } => {
                rings.borrow().next.map(|next| next.plus(*stagger))
            }
        }
    }

    /// Waits for the next ring; `roll` in [0, 1) is the luck of the jitter. False if it will
    /// never ring again.
    pub(super) async fn wait(&mut self, roll: f64) -> bool {
        match self {
            Self::Every { every, jitter, due, .. } => {
                sleep_until(*due).await;
                *due = next_due(*due, Instant::now(), period(*every, *jitter, roll));
                true
            }
            Self::Cron { rings, jitter, heard, stagger } => {
                if rings.wait_for(|ring| ring.count > *heard).await.is_err() {
                    return false;
                }
                let ring = *rings.borrow_and_update();
                *heard = ring.count;
                sleep(*stagger + cron_spread(ring, *jitter).mul_f64(roll)).await;
                true
            }
        }
    }

    /// How many rings came since the last one waited for: they are left out. An interval has
    /// none; it starts again from a late probe.
    pub(super) fn missed(&mut self) -> u64 {
        match self {
            Self::Every { .. } => 0,
            Self::Cron { rings, heard, .. } => {
                let count = rings.borrow_and_update().count;
                count - std::mem::replace(heard, count)
            }
        }
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

fn cron_spread(ring: Ring, jitter: f64) -> Duration {
    match (ring.fired, ring.next) {
        (Some(fired), Some(next)) => next.since(fired).mul_f64(jitter).min(CRON_JITTER_MAX),
        _ => Duration::ZERO,
    }
}

/// Why there is no cron bell.
#[derive(Debug, thiserror::Error)]
pub enum CronError {
    /// The scheduler cannot be set up.
    #[error("probes.cron: the scheduler cannot be set up")]
    Scheduler(#[from] JobSchedulerError),
}

/// The one cron bell that all loops listen to.
#[derive(Debug)]
pub struct CronBell {
    expression: String,
    rings: watch::Sender<Ring>,
}

impl CronBell {
    /// A bell for an expression.
    ///
    /// # Errors
    /// [`CronError`] when the scheduler refuses it.
    pub fn new(expression: &CronExpression) -> Result<Self, CronError> {
        let expression = expression.with_seconds().to_owned();
        let next = next_fire(&expression)?;
        let (rings, _) = watch::channel(Ring { next, ..Ring::default() });
        Ok(Self { expression, rings })
    }

    /// Watches the time until `token` is cancelled. The app runs one of these.
    ///
    /// # Errors
    /// [`CronError`] when the scheduler cannot be set up.
    pub async fn run(self, clock: Clock, token: CancellationToken) -> Result<(), CronError> {
        loop {
            // A scheduler without a fire to come loses its job at once: look again now and then.
            if self.rings.borrow().next.is_none() {
                if token.run_until_cancelled(sleep(SILENCE_MAX)).await.is_none() {
                    return Ok(());
                }
                self.look(&clock);
                continue;
            }
            let (mut scheduler, mut bell) = hang(&self.expression).await?;
            let silent = tokio::select! {
                biased;
                () = token.cancelled() => false,
                () = self.listen(&mut bell, &clock) => true,
            };
            scheduler.shutdown().await?;
            if !silent {
                return Ok(());
            }
            if self.rings.borrow().next.is_some() {
                let cron = &self.expression;
                tracing::warn!(cron, "the cron bell fell silent and is hung up anew");
            }
        }
    }

    /// Passes rings on until the bell falls silent, or no fire is left.
    async fn listen(&self, bell: &mut mpsc::Receiver<()>, clock: &Clock) {
        loop {
            let Some(next) = self.rings.borrow().next else { return };
            let patience = next.since(clock.now()) + SILENCE_MAX;
            // Otherwise the scheduler has lost its job, or is late.
            let rang = matches!(timeout(patience, bell.recv()).await, Ok(Some(())));
            self.look(clock);
            if !rang {
                return;
            }
        }
    }

    /// Looks at the clock, and rings if a fire has come.
    fn look(&self, clock: &Clock) {
        let following = next_fire(&self.expression).ok().flatten();
        self.rings.send_if_modified(|ring| hear(ring, clock.now(), following));
    }
}

/// What a look at the clock at `now` means, when the expression fires at `following` after it:
/// true if a ring is to be passed on. A second one for the same fire is not, and neither is one
/// without a fire.
fn hear(ring: &mut Ring, now: Timestamp, following: Option<Timestamp>) -> bool {
    match ring.next {
        Some(next) if next <= now => {
            *ring = Ring { count: ring.count + 1, fired: Some(next), next: following };
            true
        }
        Some(_) => false,
        None => {
            ring.next = following;
            false
        }
    }
}

/// Starts a scheduler whose only job rings. A full channel means that a ring is waiting already.
async fn hang(expression: &str) -> Result<(JobScheduler, mpsc::Receiver<()>), JobSchedulerError> {
    let (ring, bell) = mpsc::channel(1);
    let job = Job::new(expression, move |_, _| {
        let _ = ring.try_send(());
    })?;
    let scheduler = JobScheduler::new().await?;
    scheduler.add(job).await?;
    scheduler.start().await?;
    Ok((scheduler, bell))
}

/// The first fire after this moment of the system's clock; `None` if there is none. A job that is
/// never added tells it, by the scheduler's own reading of the expression.
fn next_fire(expression: &str) -> Result<Option<Timestamp>, JobSchedulerError> {
    let seconds = Job::new(expression, |_, _| {})?.job_data()?.next_tick;
    Ok((seconds > 0).then(|| Timestamp::from_secs(seconds)))
}

#[cfg(test)]
mod tests;
