//! The last probes of each target, one by one, for those who ask what exactly happened.
//!
//! Failures are kept longer than successes: a probe a minute would push the one that matters out
//! in no time. A log beside the book and not part of a snapshot, which is made every second.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::classify::MatchedBy;
use crate::domain::outcome::Class;
use crate::domain::target::Target;
use crate::domain::time::Timestamp;

/// Successes kept of one target.
pub const SUCCESSES_MAX: usize = 10;
/// Failures kept of one target.
pub const FAILURES_MAX: usize = 30;
/// Targets with a log: more are not probed by one machine, and a full one takes about 15 KiB.
const TARGETS_MAX: usize = 500;

/// One probe that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeRun {
    /// When it ended.
    pub at: Timestamp,
    /// What it ended as.
    pub class: Class,
    /// Which rule decided that.
    pub matched_by: MatchedBy,
    /// The HTTP status, if there was a response.
    pub http_status: Option<u16>,
    /// The times that were measured.
    pub phases: Phases,
    /// What it cost in US dollars, if known.
    pub cost_usd: Option<f64>,
    /// The provider's name for the request.
    pub request_id: Option<String>,
    /// How long the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// Why it means a misconfigured probe, redacted; `None` if it does not.
    pub misconfigured: Option<String>,
    /// Whether someone asked for it, beside the schedule.
    pub on_demand: bool,
}

/// The times of one probe, each from sending; absent where it did not come so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// To open the connection; absent where a warm one was used.
    pub connect: Option<Duration>,
    /// To the headers of the answer.
    pub ttfb: Option<Duration>,
    /// To the first content.
    pub ttft: Option<Duration>,
    /// To the end.
    pub total: Option<Duration>,
}

impl Phases {
    /// The names of the phases with their times, in the order they come.
    pub fn named(&self) -> [(&'static str, Option<Duration>); 4] {
        [("connect", self.connect), ("ttfb", self.ttfb), ("ttft", self.ttft), ("total", self.total)]
    }
}

/// A handle to read the log by. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ProbeLog(Arc<Mutex<BTreeMap<Target, Runs>>>);

/// The probes of one target, oldest first.
#[derive(Debug, Default)]
struct Runs {
    successes: VecDeque<ProbeRun>,
    failures: VecDeque<ProbeRun>,
}

impl ProbeLog {
    /// The kept probes of a target, newest first.
    pub fn of(&self, target: &Target) -> Vec<ProbeRun> {
        self.lock().get(target).map(Runs::newest_first).unwrap_or_default()
    }

    /// The last `count` probes of all targets, newest first.
    pub fn latest(&self, count: usize) -> Vec<(Target, ProbeRun)> {
        let mut all: Vec<(Target, ProbeRun)> = self
            .lock()
            .iter()
            .flat_map(|(target, runs)| runs.each().map(move |run| (target.clone(), run.clone())))
            .collect();
        all.sort_by_key(|(_, run)| std::cmp::Reverse(run.at));
        all.truncate(count);
        all
    }

    pub(super) fn note(&self, target: &Target, run: ProbeRun) {
        let mut log = self.lock();
        if !log.contains_key(target) && log.len() >= TARGETS_MAX {
            // Whoever was not probed for the longest time is probably gone.
            let oldest = log.iter().min_by_key(|(_, runs)| runs.newest()).map(|(it, _)| it.clone());
            if let Some(oldest) = oldest {
                log.remove(&oldest);
            }
        }
        log.entry(target.clone()).or_default().push(run);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Target, Runs>> {
        // A log that lacks its last entry is still a log.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs {
    fn push(&mut self, run: ProbeRun) {
        let (runs, max) = if run.class == Class::Ok {
            (&mut self.successes, SUCCESSES_MAX)
        } else {
            (&mut self.failures, FAILURES_MAX)
        };
        if runs.len() == max {
            runs.pop_front();
        }
        runs.push_back(run);
    }

    fn each(&self) -> impl Iterator<Item = &ProbeRun> {
        self.successes.iter().chain(&self.failures)
    }

    fn newest(&self) -> Option<Timestamp> {
        self.each().map(|run| run.at).max()
    }

    fn newest_first(&self) -> Vec<ProbeRun> {
        let mut runs: Vec<ProbeRun> = self.each().cloned().collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.at));
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(second: u64, class: Class) -> ProbeRun {
        ProbeRun {
            at: Timestamp::from_secs(second),
            class,
            matched_by: MatchedBy::Status,
            http_status: None,
            phases: Phases::default(),
            cost_usd: None,
            request_id: None,
            retry_after: None,
            misconfigured: None,
            on_demand: false,
        }
    }

    #[test]
    fn failures_are_kept_longer_than_successes_and_both_are_bounded() {
        let log = ProbeLog::default();
        let target = Target::parse("anthropic/m").unwrap();
        for second in 0..100 {
            log.note(&target, run(second, Class::Overloaded));
        }
        for second in 100..200 {
            log.note(&target, run(second, Class::Ok));
        }
        let kept = log.of(&target);
        assert_eq!(kept.len(), SUCCESSES_MAX + FAILURES_MAX);
        assert_eq!((kept[0].at.secs(), kept[0].class), (199, Class::Ok));
        assert_eq!(kept.iter().filter(|run| run.class == Class::Ok).count(), SUCCESSES_MAX);
        assert_eq!(kept[SUCCESSES_MAX].at.secs(), 99, "the failures are all still there");
        assert!(kept.is_sorted_by(|newer, older| newer.at >= older.at));
    }

    #[test]
    fn the_log_of_all_is_bounded_and_forgets_whom_nobody_probed_for_longest() {
        let log = ProbeLog::default();
        let target = |n: u64| Target::parse(&format!("p/m{n}")).unwrap();
        let last = TARGETS_MAX as u64 + 1;
        for n in 0..last {
            log.note(&target(n), run(n, Class::Ok));
        }
        assert!(log.of(&target(0)).is_empty(), "the oldest made room");
        assert_eq!(log.of(&target(last - 1)).len(), 1);
        let latest = log.latest(3);
        let found: Vec<u64> = latest.iter().map(|(_, run)| run.at.secs()).collect();
        assert_eq!(found, [last - 1, last - 2, last - 3]);
    }
}
