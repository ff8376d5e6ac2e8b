//! What makes a loop probe: an interval with jitter, or a cron expression.
//!
//! Intervals run on the runtime's clock. Cron expressions (UTC) are watched by
//! `tokio-cron-scheduler`, kept as a thin bell: its job only rings, and what a ring means is
//! decided here. It is not trusted further than that, for it is known to ring twice for one fire
//! when its book-keeping lags, and repeated jobs of it have been reported to fall silent under
//! load: a ring before the next fire is ignored, and a bell that misses a fire is hung up anew.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;

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
        Self::Every { every, jitter: jitter.clamp(0.0, 1.0), due: Instant::now() }
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
            Self::Every { every, jitter, due } => {
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
    /// The expression is none.
    #[error(
        "probes.cron: \"{expression}\" is no cron expression, expected five fields \
         (minute hour day month weekday) or six with seconds first, in UTC"
    )]
    Expression {
        /// As configured.
        expression: String,
        /// What the parser says.
        #[source]
        source: JobSchedulerError,
    },
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
    /// A bell for an expression of five fields, or of six with seconds first.
    ///
    /// # Errors
    /// [`CronError`] when it is no cron expression.
    pub fn new(expression: &str) -> Result<Self, CronError> {
        let fields = expression.split_whitespace().count();
        let with_seconds =
            if fields == 5 { format!("0 {expression}") } else { expression.to_owned() };
        let next = next_fire(&with_seconds).map_err(|source| CronError::Expression {
            expression: expression.to_owned(),
            source,
        })?;
        let (rings, _) = watch::channel(Ring { next, ..Ring::default() });
        Ok(Self { expression: with_seconds, rings })
    }

    /// Watches the time until `token` is cancelled. The app runs one of these.
    ///
    /// # Errors
    /// [`CronError`] when the scheduler cannot be set up.
    pub async fn run(self, clock: Clock, token: CancellationToken) -> Result<(), CronError> {
        loop {
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
            tracing::warn!(cron = self.expression, "the cron bell fell silent and is hung up anew");
        }
    }

    /// Passes rings on until the bell falls silent.
    async fn listen(&self, bell: &mut mpsc::Receiver<()>, clock: &Clock) {
        loop {
            let next = self.rings.borrow().next;
            let patience = match next {
                Some(next) => next.since(clock.now()) + SILENCE_MAX,
                // No fire is left, or none can be told: look again now and then.
                None => SILENCE_MAX,
            };
            let rang = match timeout(patience, bell.recv()).await {
                Ok(Some(())) => true,
                // The scheduler has lost its job, or is late.
                Ok(None) => false,
                Err(_) if next.is_none() => continue,
                Err(_) => false,
            };
            self.rings.send_if_modified(|ring| {
                hear(ring, clock.now(), next_fire(&self.expression).ok().flatten())
            });
            if !rang {
                return;
            }
        }
    }
}

/// What a ring at `now` means, when the expression fires at `following` after it: true if it is
/// to be passed on. A second ring for the same fire is not.
fn hear(ring: &mut Ring, now: Timestamp, following: Option<Timestamp>) -> bool {
    if ring.next.is_some_and(|next| now < next) {
        return false;
    }
    *ring = Ring { count: ring.count + 1, fired: ring.next.or(Some(now)), next: following };
    true
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
