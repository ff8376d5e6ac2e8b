//! Whose fault is it when the network fails? Everybody at once means: ours.
//!
//! A provider that cannot be reached is down. When *every* provider with traffic fails with
//! `network` and nothing else, the common cause is on our side, and none of them is blamed.
//! While that is open (two providers fail, none has answered since) their failures are held back
//! for the moments that it takes to know.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::outcome::{Attempt, Class, Outcome};
use crate::domain::target::Provider;
use crate::domain::time::Timestamp;

/// Network failures in a row that make a provider count as unreachable.
const UNREACHABLE_MIN: u64 = 3;
/// Providers that must be unreachable: one alone proves nothing about us.
const PROVIDERS_MIN: usize = 2;
/// A failure counts for this long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What is believed of our own way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Egress {
    /// It works, or nothing speaks against it.
    #[default]
    Clear,
    /// Several providers fail at once and none answers, but too little to be sure.
    Suspected,
    /// Every provider with traffic fails.
    Certain,
}

/// What is known of the way to each provider.
#[derive(Debug, Default)]
pub(super) struct Reach {
    providers: HashMap<Provider, Run>,
}

/// Network failures in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    failures: u64,
    began: Timestamp,
    last_failure: Timestamp,
    last_answer: Timestamp,
}

impl Reach {
    /// Takes a fresh outcome; `now` is when it came.
    pub(super) fn add(&mut self, outcome: &Outcome, now: Timestamp) {
        if outcome.attempt == Attempt::Retry {
            return;
        }
        let run = match self.providers.get_mut(&outcome.target.provider) {
            Some(run) => run,
            None => self.providers.entry(outcome.target.provider.clone()).or_default(),
        };
        if outcome.class == Class::Network {
            if run.failures == 0 {
                run.began = now;
            }
            run.failures += u64::from(outcome.count);
            run.last_failure = now;
        } else {
            *run = Run { last_answer: now, ..Run::default() };
        }
    }

    /// What the failures of the last minute mean together.
    pub(super) fn judge(&self, now: Timestamp) -> Egress {
        let failing = || {
            let recent = |run: &&Run| now.since(run.last_failure) <= REMEMBERED;
            self.providers.values().filter(|run| run.failures > 0).filter(recent)
        };
        // An answer that came after the latest of them began to fail clears us.
        let all_fail_since = failing().map(|run| run.began).max().unwrap_or_default();
        let answered = self.providers.values().any(|run| run.last_answer >= all_fail_since);
        if failing().count() < PROVIDERS_MIN || answered {
            return Egress::Clear;
        }
        if failing().all(|run| run.failures >= UNREACHABLE_MIN) {
            return Egress::Certain;
        }
        Egress::Suspected
    }
}
