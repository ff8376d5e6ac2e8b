//! The bell that rings for every fire of a cron expression (UTC), for all loops at once.
//!
//! Expressions are watched by `tokio-cron-scheduler`, kept as a thin bell: its job only rings,
//! and what a ring means is decided here. It is not trusted further than that. Its repeated jobs
//! fall silent for good once their next moment has drifted into the past (its issue 113; 0.15.1
//! still adds the interval to the last moment due and drops whatever is then before the last
//! run). Its cron jobs, the only ones used here, take their next moment from the clock and cannot
//! drift. But what is due is noted by a task beside the one that looks twice a second: where that
//! task lags, one fire rings twice, where the clock steps back, the job sleeps until it has caught
//! up, and where the note fails, it rings for ever. So a ring before the next fire is ignored, a
//! bell that misses a fire is hung up anew, and fires that nobody rang for are counted. Without a
//! fire to come nothing rings, whatever the scheduler does: a probe costs money.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;
use crate::ground::config::CronExpression;

/// How late the scheduler may be before it counts as silent. It looks at the time twice a second.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How late a fire may be answered: one that a sleeping machine slept through is past, and the
/// expression may not want a probe any more.
const LATE_MAX: Duration = Duration::from_secs(60);
/// How far the clock may step back and be waited for, as in the store; beyond that it is believed.
const CLOCK_HELD_MAX: Duration = Duration::from_secs(60);
/// Longest time without a look at the clock, which may be set at any moment.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long to rest before a bell that fell silent is hung up anew.
const REST: Duration = Duration::from_secs(1);
/// Fires counted one by one after a silence: an hour of one a second.
const COUNTED_MAX: u64 = 3_600;

/// Why there is no cron bell.
#[derive(Debug, thiserror::Error)]
pub enum CronError {
    /// The scheduler cannot be set up.
    #[error("probes.cron: the scheduler cannot be set up")]
    Scheduler(#[from] JobSchedulerError),
}

/// The state of a cron bell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// How often it rang.
    pub count: u64,
    /// How many fires passed without a ring.
    pub missed: u64,
    /// The fire that passed last.
    pub fired: Option<Timestamp>,
    /// The fire it rings for next.
    pub next: Option<Timestamp>,
}

/// The one cron bell that all loops listen to.
#[derive(Debug)]
pub struct CronBell {
    cron: CronExpression,
    rings: watch::Sender<Ring>,
}

/// A scheduler with its one job, which rings.
#[derive(Debug)]
pub(super) struct Hung<S> {
    pub(super) scheduler: S,
    pub(super) bell: mpsc::Receiver<()>,
}

impl CronBell {
    /// A bell for an expression, whose next fire is the first after `now`.
    pub fn new(cron: CronExpression, now: Timestamp) -> Self {
        let next = cron.next_after(now);
        let (rings, _) = watch::channel(Ring { next, ..Ring::default() });
        Self { cron, rings }
    }

    /// Goes on where an earlier bell for the same expression stopped: a fire that came between the
    /// two is not lost, one that has rung does not ring again. Say so before anyone subscribes.
    pub fn go_on_from(&self, ring: Ring) {
        self.rings.send_replace(ring);
    }

    /// Its state, now and from now on.
    pub fn subscribe(&self) -> watch::Receiver<Ring> {
        self.rings.subscribe()
    }

    /// Watches the time until `token` is cancelled. The app runs one of these.
    ///
    /// # Errors
    /// [`CronError`] when the scheduler cannot be set up.
    pub async fn run(self, clock: Clock, token: CancellationToken) -> Result<(), CronError> {
        let hang = || hang(self.cron.with_seconds());
        let take_down = |mut scheduler: JobScheduler| async move { scheduler.shutdown().await };
        Ok(self.watch(&clock, &token, hang, take_down).await?)
    }

    /// The same with any scheduler, so that a test can play one that fails.
    pub(super) async fn watch<S, E, H, T>(
        &self,
        clock: &Clock,
        token: &CancellationToken,
        hang: impl Fn() -> H,
        take_down: impl Fn(S) -> T,
    ) -> Result<(), E>
    where
        H: Future<Output = Result<Hung<S>, E>>,
        T: Future<Output = Result<(), E>>,
    {
        loop {
            self.look(clock);
            // A scheduler without a fire to come loses its job at once: look again now and then.
            let mut rest = SILENCE_MAX;
            if self.next().is_some() {
                let Hung { scheduler, mut bell } = hang().await?;
                let silent = token.run_until_cancelled(self.listen(&mut bell, clock)).await;
                take_down(scheduler).await?;
                if silent.is_some() && self.next().is_some() {
                    let cron = self.cron.with_seconds();
                    tracing::warn!(cron, "the cron bell fell silent and is hung up anew");
                }
                rest = REST;
            }
            if token.run_until_cancelled(sleep(rest)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Passes rings on until the bell falls silent, or no fire is left.
    async fn listen(&self, bell: &mut mpsc::Receiver<()>, clock: &Clock) {
        while let Some(next) = self.next() {
            let left = next.since(clock.now());
            let patience = if left > LOOK_EVERY { LOOK_EVERY } else { left + SILENCE_MAX };
            match timeout(patience, bell.recv()).await {
                Ok(Some(())) => {
                    self.look(clock);
                }
                // The scheduler has lost its job.
                Ok(None) => return,
                // It is late: the fire has come, and it did not say so.
                Err(_) if self.look(clock) => return,
                Err(_) => {}
            }
        }
    }

    /// Looks at the clock, and rings if a fire has come. Tells whether one has.
    fn look(&self, clock: &Clock) -> bool {
        let now = clock.now();
        let mut passed = false;
        self.rings.send_if_modified(|ring| {
            let before = *ring;
            hear(ring, now, |after| self.cron.next_after(after));
            passed = ring.fired != before.fired;
            *ring != before
        });
        passed
    }

    fn next(&self) -> Option<Timestamp> {
        self.rings.borrow().next
    }
}

/// What a look at the clock at `now` means: the latest fire that has come rings unless it is too
/// late for it, those before it are missed. A second look for the same fire rings no more, and
/// neither does one without a fire.
fn hear(ring: &mut Ring, now: Timestamp, next_after: impl Fn(Timestamp) -> Option<Timestamp>) {
    // Only a clock that was set back can show a time before a fire that has passed.
    let set_back = ring.fired.is_some_and(|fired| fired.since(now) > CLOCK_HELD_MAX);
    let Some(mut fired) = ring.next.filter(|next| *next <= now) else {
        if ring.next.is_none() || set_back {
            ring.next = next_after(now);
        }
        return;
    };
    for _ in 0..COUNTED_MAX {
        match next_after(fired) {
            Some(following) if following <= now => {
                ring.missed += 1;
                fired = following;
            }
            _ => break,
        }
    }
    ring.fired = Some(fired);
    ring.next = next_after(now);
    if now.since(fired) <= LATE_MAX {
        ring.count += 1;
    } else {
        ring.missed += 1;
    }
}

/// Starts a scheduler whose only job rings. A full channel means that a ring is waiting already.
async fn hang(expression: &str) -> Result<Hung<JobScheduler>, JobSchedulerError> {
    let (ring, bell) = mpsc::channel(1);
    let job = Job::new(expression, move |_, _| {
        let _ = ring.try_send(());
    })?;
    let scheduler = JobScheduler::new().await?;
    scheduler.add(job).await?;
    scheduler.start().await?;
    Ok(Hung { scheduler, bell })
}

#[cfg(test)]
mod tests;
