//! The book itself: every target with its counts and its judge.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::domain::classify::Quota;
use crate::domain::outcome::Outcome;
use crate::domain::target::{Model, OTHER, Provider, Target};
use crate::domain::time::Timestamp;

use super::counts::{Arrival, Counts};
use super::egress::{Egress, Reach};
use super::judge::{Grids, Judge};
use super::pages::Pages;
use super::snapshot::{
    BudgetView, ProbeView, QuotaKey, QuotaView, Snapshot, StatusPageView, TargetView,
};
use super::{AHEAD_MAX, FRESH_MAX, LATE_MAX, Options};

/// A smaller step back of the wall clock is ordinary slewing.
const CLOCK_STEP_MIN: Duration = Duration::from_secs(1);
/// Longest step back during which the book's clock stands still instead.
const CLOCK_HELD_MAX: Duration = Duration::from_secs(60);

/// Rate limits remembered: a handful of kinds for each provider and account.
const QUOTAS_MAX: usize = 1_000;

#[derive(Debug)]
pub(super) struct Book {
    grids: Grids,
    probed: HashMap<Target, Duration>,
    targets_max: usize,
    entries: Vec<Entry>,
    /// Positions in `entries` by target. Keys come from clients, so the hash is seeded at random.
    index: HashTable<usize>,
    hasher: RandomState,
    quotas: BTreeMap<QuotaKey, QuotaView>,
    pages: Pages,
    budget: BudgetView,
    /// Second of the last tick.
    ticked_s: u64,
    /// The book's clock.
    newest: Timestamp,
    /// What the wall clock showed last.
    last_read: Timestamp,
    /// Targets known from reports alone, which the cap is about.
    reported: usize,
    providers: HashSet<Provider>,
    reach: Reach,
    egress: Egress,
    dropped_target_cap: u64,
    dropped_code_cap: u64,
    clock_steps_back: u64,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    configured: bool,
    first_seen: Timestamp,
    counts: Counts,
    judge: Judge,
    probe: Option<ProbeView>,
}

impl Book {
    pub(super) fn new(options: &Options, now: Timestamp) -> Self {
        let mut book = Self {
            grids: Grids::new(&options.thresholds),
            probed: HashMap::new(),
            targets_max: options.targets_max,
            entries: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            quotas: BTreeMap::new(),
            pages: Pages::default(),
            budget: BudgetView::default(),
            ticked_s: now.secs(),
            newest: now,
            last_read: now,
            reported: 0,
            providers: HashSet::new(),
            reach: Reach::default(),
            egress: Egress::default(),
            dropped_target_cap: 0,
            dropped_code_cap: 0,
            clock_steps_back: 0,
        };
        book.configure(options, now);
        book
    }

    pub(super) fn configure(&mut self, options: &Options, now: Timestamp) {
        let changed = self.grids.adopt(&options.thresholds);
        self.targets_max = options.targets_max;
        self.pages.watch(&options.status_pages);
        let probed: HashMap<Target, Duration> = options.probed.iter().cloned().collect();
        let configured: HashSet<Target> =
            options.configured.iter().chain(probed.keys()).cloned().collect();
        for entry in &mut self.entries {
            entry.configured = configured.contains(&entry.target);
            let interval = probed.get(&entry.target).copied();
            for signal in &changed {
                entry.judge.restart(*signal, &self.grids, interval);
            }
            entry.judge.set_probe_interval(interval);
            entry.probe = interval.map(|_| entry.probe.take().unwrap_or_default());
        }
        self.probed = probed;
        for target in configured {
            if self.find(&target).is_none() {
                self.insert(target, true, now);
            }
        }
    }

    /// Moves the book's clock to `now` and returns it. A wall clock that steps back a little is
    /// waited for; one that steps back by more than [`CLOCK_HELD_MAX`] is believed.
    pub(super) fn turn_clock(&mut self, now: Timestamp) -> Timestamp {
        if self.last_read.since(now) > CLOCK_STEP_MIN {
            self.clock_steps_back += 1;
        }
        self.last_read = now;
        if self.newest.since(now) > CLOCK_HELD_MAX {
            self.newest = now;
            self.ticked_s = now.secs();
            // Its moments lie in a future that has not come.
            self.reach = Reach::default();
        }
        self.newest = self.newest.max(now);
        self.newest
    }

    pub(super) fn record(&mut self, outcome: &Outcome, arrival: Arrival, now: Timestamp) {
        let age = now.since(outcome.at);
        // The book's clock may be held a little ahead of the one that the intake judged by.
        if age > LATE_MAX + CLOCK_HELD_MAX || outcome.at.since(now) > AHEAD_MAX {
            return;
        }
        let position = self.position(&outcome.target, u64::from(outcome.count), now);
        let entry = &mut self.entries[position];
        if entry.counts.add(outcome, arrival, now) {
            self.dropped_code_cap += u64::from(outcome.count);
        }
        let fresh = arrival == Arrival::Live && age <= FRESH_MAX;
        if fresh && !entry.target.is_other() {
            entry.judge.feed(outcome, &self.grids);
            self.reach.add(outcome, now);
        }
    }

    pub(super) fn note_quotas(
        &mut self,
        provider: &Provider,
        account: &str,
        quotas: &[Quota],
        at: Timestamp,
    ) {
        for quota in quotas {
            let key = QuotaKey {
                provider: provider.clone(),
                account: account.to_owned(),
                kind: quota.kind,
            };
            if self.quotas.len() < QUOTAS_MAX || self.quotas.contains_key(&key) {
                let view = QuotaView { limit: quota.limit, remaining: quota.remaining, at };
                self.quotas.insert(key, view);
            }
        }
    }

    pub(super) fn note_probe(&mut self, target: &Target, change: impl FnOnce(&mut ProbeView)) {
        let Some(position) = self.find(target) else { return };
        // A late word about a probe that was removed does not bring it back.
        if let Some(probe) = &mut self.entries[position].probe {
            change(probe);
        }
    }

    pub(super) fn note_status_page(&mut self, url: &str, change: impl FnOnce(&mut StatusPageView)) {
        self.pages.note(url, change);
    }

    pub(super) fn note_asked_probe(
        &mut self,
        target: &Target,
        change: impl FnOnce(&mut ProbeView),
    ) {
        let Some(position) = self.find(target) else { return };
        let entry = &mut self.entries[position];
        if entry.configured {
            change(entry.probe.get_or_insert_default());
        }
    }

    pub(super) fn note_budget(&mut self, budget: BudgetView) {
        self.budget = budget;
    }

    pub(super) fn tick(&mut self, now: Timestamp) {
        let now = self.turn_clock(now);
        let seconds = now.secs().saturating_sub(self.ticked_s);
        if seconds == 0 {
            return;
        }
        self.ticked_s = now.secs();
        self.egress = self.reach.judge(now);
        for entry in &mut self.entries {
            if !entry.target.is_other() {
                entry.judge.tick(&self.grids, seconds, self.egress, now);
            }
        }
    }

    pub(super) fn snapshot(&self, now: Timestamp) -> Snapshot {
        let now = self.newest.max(now);
        let known = self.entries.iter().filter(|entry| entry.is_known());
        let mut targets: Vec<TargetView> = known.map(|entry| entry.view(now)).collect();
        targets.sort_unstable_by(|a, b| a.target.cmp(&b.target));
        Snapshot {
            at: now,
            egress: self.egress == Egress::Certain,
            targets,
            quotas: self.quotas.clone(),
            status_pages: self.pages.views(now),
            budget: self.budget.clone(),
            dropped_target_cap: self.dropped_target_cap,
            dropped_code_cap: self.dropped_code_cap,
            clock_steps_back: self.clock_steps_back,
        }
    }

    /// How many targets there are.
    pub(super) fn targets(&self) -> usize {
        self.entries.len()
    }

    /// The position of a target, adding it, or of the overflow target when the cap is reached.
    fn position(&mut self, target: &Target, count: u64, now: Timestamp) -> usize {
        if let Some(position) = self.find(target) {
            return position;
        }
        if self.reported < self.targets_max {
            self.reported += 1;
            return self.insert(target.clone(), false, now);
        }
        self.dropped_target_cap += count;
        let overflow = self.overflow_of(&target.provider);
        match self.find(&overflow) {
            Some(position) => position,
            None => self.insert(overflow, false, now),
        }
    }

    /// `provider/other` for a provider that is in the book, else `other/other`: provider names
    /// are client input as well.
    fn overflow_of(&self, provider: &Provider) -> Target {
        let provider = if self.providers.contains(provider) {
            provider.clone()
        } else {
            Provider::new(OTHER).expect("a plain word is a valid name")
        };
        Target::new(provider, Model::other())
    }

    fn find(&self, target: &Target) -> Option<usize> {
        let hash = self.hasher.hash_one(target);
        self.index.find(hash, |position| self.entries[*position].target == *target).copied()
    }

    fn insert(&mut self, target: Target, configured: bool, now: Timestamp) -> usize {
        let hash = self.hasher.hash_one(&target);
        let position = self.entries.len();
        let interval = self.probed.get(&target).copied();
        self.providers.insert(target.provider.clone());
        self.entries.push(Entry {
            target,
            configured,
            first_seen: now,
            counts: Counts::new(),
            judge: Judge::new(&self.grids, interval, now),
            probe: interval.map(|_| ProbeView::default()),
        });
        let (hasher, entries) = (&self.hasher, &self.entries);
        self.index.insert_unique(hash, position, |other| hasher.hash_one(&entries[*other].target));
        position
    }
}

impl Entry {
    /// What is no longer configured and was never seen is not known any more.
    fn is_known(&self) -> bool {
        self.configured || self.counts.last_outcome_at().is_some()
    }

    fn view(&self, now: Timestamp) -> TargetView {
        let (state, reason) = self.judge.verdict();
        TargetView {
            target: self.target.clone(),
            configured: self.configured,
            first_seen: self.first_seen,
            state,
            reason,
            since: self.judge.since(),
            stale: self.judge.stale(),
            transitions: self.judge.transitions(),
            signals: self.judge.signals(),
            windows: self.counts.windows(now),
            recent_by_source: self.counts.recent_by_source(now),
            evident: self.counts.evident(now),
            latency: self.counts.latency(now),
            last_outcome_at: self.counts.last_outcome_at(),
            counters: self.counts.counters(),
            hours: self.counts.hours(),
            probe: self.probe.clone(),
            operations: self.counts.operations(now),
            coverage: self.counts.coverage(),
        }
    }
}
