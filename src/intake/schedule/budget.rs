//! The day's money for probes: a hard bound, kept by reserving before spending.
//!
//! A probe's cost is known only after it ended, so what it may cost at most is taken out of the
//! day's money first and settled afterwards; several probes in flight can therefore never
//! overspend together. A probe that was given up stays charged, because the provider may bill it.
//! A provider may have a smaller budget of its own within the whole. Days are UTC. The book is in
//! memory; what was spent can be taken out and put back as a [`BudgetDay`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::target::Provider;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::ground::config::BudgetConfig;
use crate::store::snapshot::{BudgetView, ProviderBudgetView};

/// The day's money, or no limit. There is one in a process: what is spent stays spent, whatever
/// the limits become.
#[derive(Debug)]
pub struct Budget {
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    limits: BudgetConfig,
    day: u64,
    whole: Account,
    providers: BTreeMap<Provider, Account>,
}

/// The money of one scope: all providers together, or one of them.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    spent_usd: f64,
    /// The most that was asked for and did not fit, 0 if everything did.
    refused_usd: f64,
    /// Whether the log has said so.
    is_told: bool,
}

/// Money set aside for one probe.
#[derive(Debug, PartialEq)]
#[must_use = "a reservation that is never settled stays charged in full"]
pub struct Reservation {
    day: u64,
    provider: Provider,
    usd: f64,
}

/// What was spent on one UTC day: all that has to outlive the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BudgetDay {
    /// Days since 1970.
    pub day: u64,
    /// US dollars in all.
    pub spent_usd: f64,
    /// US dollars at each provider that was probed.
    pub by_provider: BTreeMap<Provider, f64>,
}

impl Budget {
    /// A budget with these limits for each UTC day.
    pub fn new(limits: BudgetConfig) -> Self {
        let (whole, providers) = Default::default();
        Self { book: Mutex::new(Book { limits, day: 0, whole, providers }) }
    }

    /// Changes how much a day has, from now on and for the day that runs.
    pub fn set_limits(&self, limits: BudgetConfig) {
        let mut book = self.book();
        if book.limits == limits {
            return;
        }
        book.limits = limits;
        // Whoever changed them wants to hear of the new ones.
        let Book { whole, providers, .. } = &mut *book;
        for account in providers.values_mut().chain([whole]) {
            (account.is_told, account.refused_usd) = (false, 0.0);
        }
    }

    /// Sets aside `usd` of the day of `now` for a probe of `provider`, if the whole and the
    /// provider have that much left. The first refusal of a day is told to the log.
    pub fn reserve(&self, now: Timestamp, provider: &Provider, usd: f64) -> Option<Reservation> {
        let (reservation, news) = self.book().reserve(now, provider, usd);
        for news in news.into_iter().flatten() {
            news.log();
        }
        reservation
    }

    /// Replaces what was set aside by what was really spent.
    pub fn settle(&self, reservation: Reservation, spent_usd: f64) {
        let mut book = self.book();
        // A probe that ran over midnight belongs to the day it was reserved on, which is closed.
        if book.day == reservation.day {
            let Book { whole, providers, .. } = &mut *book;
            let account = providers.entry(reservation.provider).or_default();
            for account in [whole, account] {
                account.spent_usd = (account.spent_usd - reservation.usd + spent_usd).max(0.0);
            }
        }
    }

    /// How the day of `now` stands, money set aside included.
    pub fn view(&self, now: Timestamp) -> BudgetView {
        let mut book = self.book();
        book.turn_to(now);
        let limited = book.limits.per_provider.iter();
        let providers = limited.map(|(provider, limit)| {
            let account = book.providers.get(provider).copied().unwrap_or_default();
            ProviderBudgetView {
                provider: provider.clone(),
                usd_per_day: *limit,
                spent_usd: account.spent_usd,
                exhausted: account.is_exhausted(Some(*limit)),
            }
        });
        BudgetView {
            usd_per_day: book.limits.usd_per_day,
            spent_usd: book.whole.spent_usd,
            exhausted: book.whole.is_exhausted(book.limits.usd_per_day),
            resets_at: book.resets_at(),
            providers: providers.collect(),
        }
    }

    /// What was spent on the day of `now`, to be kept. Money set aside counts as spent.
    pub fn day(&self, now: Timestamp) -> BudgetDay {
        let mut book = self.book();
        book.turn_to(now);
        let spent =
            |(provider, account): (&Provider, &Account)| (provider.clone(), account.spent_usd);
        BudgetDay {
            day: book.day,
            spent_usd: book.whole.spent_usd,
            by_provider: book.providers.iter().map(spent).collect(),
        }
    }

    /// Takes over what was kept of the day of `now`; any other day is over, or a clock was wrong.
    /// Call it before the first probe: of two accounts of one day the dearer is believed.
    pub fn restore(&self, kept: BudgetDay, now: Timestamp) {
        let mut book = self.book();
        book.turn_to(now);
        if kept.day != book.day {
            return;
        }
        // `max` also drops what a damaged file may hold in the place of a number.
        book.whole.spent_usd = book.whole.spent_usd.max(kept.spent_usd);
        for (provider, usd) in kept.by_provider {
            let account = book.providers.entry(provider).or_default();
            account.spent_usd = account.spent_usd.max(usd);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Plain numbers: whole even if a holder panicked.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A limit was reached, which the log does not know yet.
#[derive(Debug)]
struct News {
    /// `None` is the whole.
    provider: Option<Provider>,
    usd_per_day: f64,
    spent_usd: f64,
    resets_at: Timestamp,
}

impl News {
    fn log(self) {
        let Self { provider, usd_per_day, spent_usd, resets_at } = self;
        let limit = match provider {
            None => "probes.budget.usd_per_day".to_owned(),
            Some(provider) => format!("probes.budget.per_provider.{provider}"),
        };
        tracing::warn!(
            limit,
            usd_per_day,
            spent_usd = (spent_usd * 1e6).round() / 1e6,
            %resets_at,
            "the day's budget for probes is reached, probes that do not fit are left out until it \
             resets; probe less often or cheaper models, or raise the limit (see brownout plan)"
        );
    }
}

impl Book {
    fn reserve(
        &mut self,
        now: Timestamp,
        provider: &Provider,
        usd: f64,
    ) -> (Option<Reservation>, [Option<News>; 2]) {
        self.turn_to(now);
        let resets_at = self.resets_at();
        let limit = self.limits.per_provider.get(provider).copied();
        let account = self.providers.entry(provider.clone()).or_default();
        let accounts = [
            (&mut self.whole, self.limits.usd_per_day, None),
            (account, limit, Some(provider.clone())),
        ];
        if accounts.iter().all(|(account, limit, _)| account.fits(usd, *limit)) {
            for (account, ..) in accounts {
                account.spent_usd += usd;
            }
            let (day, provider) = (self.day, provider.clone());
            return (Some(Reservation { day, provider, usd }), [None, None]);
        }
        let news = accounts.map(|(account, limit, provider)| {
            let usd_per_day = limit.filter(|_| !account.fits(usd, limit))?;
            account.refused_usd = account.refused_usd.max(usd);
            let is_news = !std::mem::replace(&mut account.is_told, true);
            let spent_usd = account.spent_usd;
            is_news.then_some(News { provider, usd_per_day, spent_usd, resets_at })
        });
        (None, news)
    }

    /// Opens a new page on a new day. A clock that steps back opens none, or it would hand out
    /// the day's money twice.
    fn turn_to(&mut self, now: Timestamp) {
        let day = now.millis() / DAY_MS;
        if day > self.day {
            self.day = day;
            self.whole = Account::default();
            self.providers.clear();
        }
    }

    fn resets_at(&self) -> Timestamp {
        Timestamp::from_millis((self.day + 1) * DAY_MS)
    }
}

impl Account {
    fn fits(&self, usd: f64, limit: Option<f64>) -> bool {
        limit.is_none_or(|limit| self.spent_usd + usd <= limit)
    }

    /// Whether a probe was left out today that would not fit now either: money that was set aside
    /// in vain makes room again.
    fn is_exhausted(&self, limit: Option<f64>) -> bool {
        !self.fits(self.refused_usd, limit) && self.refused_usd > 0.0
    }
}

#[cfg(test)]
mod tests;
