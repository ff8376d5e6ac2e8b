//! Which series of a scrape must still show 0, so that Prometheus sees them rise.
//!
//! `increase()` of a counter that is born at 50 is 0; served at 0 one scrape before, it is 50. A
//! target that the configuration names is known from the start and needs nothing; one first seen
//! in a report, and a status code that first appears, would be born with their count. They are
//! served at 0 in the first scrape that shows them and with their true count from the next on.
//!
//! A target waits at most [`HOLD_MAX`] for that scrape: after it, nobody was scraping and nothing
//! is to be gained. With several Prometheus servers the first to come gets the zero; the others
//! see the count at once, as they would without this. The memory follows the snapshot: a target
//! that leaves it is forgotten.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::classify::USUAL_STATUSES;
use crate::domain::outcome::Source;
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::store::snapshot::{Code, Snapshot, SourceCounters, TargetView};

/// Longest time after its first outcome that a target is held at 0.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(120);

/// Statuses that every target has a series of from the start, because rules and dashboards ask
/// for them.
pub(super) fn known_codes() -> impl Iterator<Item = Code> {
    std::iter::once(Code::None).chain(USUAL_STATUSES.map(Code::Status))
}

/// Whether a code is one of the [`known_codes`].
pub(super) fn is_known(code: Code) -> bool {
    known_codes().any(|known| known == code)
}

/// What has been served before.
#[derive(Debug, Default)]
pub(super) struct ZeroFirst {
    served: HashMap<Target, Served>,
}

/// The status codes of one target that have been served, by source. Every target has the
/// [`known_codes`], which are not listed.
#[derive(Debug, Default)]
struct Served {
    operations: bool,
    codes: [Vec<Code>; Source::COUNT],
}

/// What to hold back of one target in one scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hold {
    /// All its counters and histograms.
    pub everything: bool,
    /// The counters of its operations.
    pub operations: bool,
    /// These statuses only.
    pub codes: Vec<(Source, Code)>,
}

impl Hold {
    /// Whether the count of this status is held back.
    pub(super) fn holds(&self, source: Source, code: Code) -> bool {
        self.everything || self.codes.contains(&(source, code))
    }
}

impl ZeroFirst {
    /// What one scrape at `now` holds back, for each target in the snapshot's order; remembers
    /// that it has been served.
    pub(super) fn advance(&mut self, snapshot: &Snapshot, now: Timestamp) -> Vec<Hold> {
        let mut before = std::mem::take(&mut self.served);
        let mut holds = Vec::with_capacity(snapshot.targets.len());
        for view in &snapshot.targets {
            let known = before.remove_entry(&view.target);
            holds.push(hold(view, known.as_ref().map(|(_, served)| served), now));
            let (target, mut served) =
                known.unwrap_or_else(|| (view.target.clone(), Served::default()));
            served.operations = view.operations.is_some();
            for (codes, counters) in served.codes.iter_mut().zip(&view.counters.by_source) {
                // Rebuilt rather than added to: bounded by what the snapshot holds.
                codes.clear();
                codes.extend(rare_codes(counters));
            }
            self.served.insert(target, served);
        }
        holds
    }
}

fn hold(view: &TargetView, served: Option<&Served>, now: Timestamp) -> Hold {
    let is_new = served.is_none() && !view.configured;
    let everything = is_new && now.since(view.first_seen) < HOLD_MAX;
    let mut codes = Vec::new();
    for source in Source::ALL {
        let counters = &view.counters.by_source[source.index()];
        let known = served.map(|served| &served.codes[source.index()]);
        let fresh = rare_codes(counters).filter(|code| known.is_none_or(|all| !all.contains(code)));
        codes.extend(fresh.map(|code| (source, code)));
    }
    let operations_served = served.is_some_and(|served| served.operations);
    let operations = everything || view.operations.is_some() && !operations_served;
    Hold { everything, operations, codes }
}

fn rare_codes(counters: &SourceCounters) -> impl Iterator<Item = Code> + '_ {
    counters.by_code.iter().map(|(code, _)| *code).filter(|code| !is_known(*code))
}
