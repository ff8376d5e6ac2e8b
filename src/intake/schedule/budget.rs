//! The day's money for probes: a hard bound, kept by reserving before spending.
//!
//! A probe's cost is known only after it ended, so what it may cost at most is taken out of the
//! day's money first and settled afterwards; several probes in flight can therefore never
//! overspend together. A probe that was given up stays charged, because the provider may bill it.
//! A provider may have a smaller budget of its own within the whole. Days are UTC. The book is in
//! memory; what was spent can be taken out and put back as a [`BudgetDay`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

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
    /// What is set aside, and may come back.
    set_aside: Vec<SetAside>,
}

/// The book's half of a [`Reservation`].
#[derive(Debug)]
struct SetAside {
    provider: Provider,
    usd: f64,
    /// Gone with the reservation: what it leaves charged does not come back.
    held: Weak<()>,
}

/// The money of one scope: all providers together, or one of them.
#[derive(Clone, Debug, Default)]
struct Account {
    spent_usd: f64,
    /// The most that was asked for and did not fit, 0 if everything did.
    refused_usd: f64,
    /// What the log has said of it.
    told: Vec<Shortage>,
}

/// Money set aside for one probe.
#[derive(Debug, PartialEq)]
#[must_use = "a reservation that is never settled stays charged in full"]
pub struct Reservation {
    day: u64,
    provider: Provider,
    usd: f64,
    _held: Arc<()>,
}

impl Reservation {
    /// How much is set aside, in US dollars.
    pub fn usd(&self) -> f64 {
        self.usd
    }
}

/// Why a probe does not fit into the day's money, the least bad first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Shortage {
    /// It would if those in flight cost nothing, and most cost less than was set aside.
    #[error("the rest of the day's budget for probes is set aside for those in flight")]
    SetAside,
    /// There is new money on the next day.
    #[error("the day's budget for probes does not allow it")]
    Spent,
    /// It may cost more than any day has.
    #[error("one probe may cost more than the budget for probes has for a whole day")]
    NeverFits,
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
        let (whole, providers, set_aside) = Default::default();
        Self { book: Mutex::new(Book { limits, day: 0, whole, providers, set_aside }) }
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
            account.told.clear();
            account.refused_usd = 0.0;
        }
    }

    /// Sets aside `usd` of the day of `now` for a probe of `provider`, if the whole and the
    /// provider have that much left. The first refusal of a day is told to the log.
    ///
    /// # Errors
    /// [`Shortage`], the worse of the two.
    pub fn reserve(
        &self,
        now: Timestamp,
        provider: &Provider,
        usd: f64,
    ) -> Result<Reservation, Shortage> {
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
            let account = book.providers.get(provider).cloned().unwrap_or_default();
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
    shortage: Shortage,
    /// `None` is the whole.
    provider: Option<Provider>,
    usd_per_day: f64,
    spent_usd: f64,
    resets_at: Timestamp,
}

impl News {
    fn log(self) {
        let Self { shortage, provider, usd_per_day, spent_usd, resets_at } = self;
        let limit = match provider {
            None => "probes.budget.usd_per_day".to_owned(),
            Some(provider) => format!("probes.budget.per_provider.{provider}"),
        };
        let spent_usd = (spent_usd * 1e6).round() / 1e6;
        match shortage {
            Shortage::SetAside => tracing::info!(
                limit,
                usd_per_day,
                spent_usd,
                "the rest of the day's budget for probes is set aside for those in flight, probes \
                 that do not fit are left out until these end"
            ),
            Shortage::Spent => tracing::warn!(
                limit,
                usd_per_day,
                spent_usd,
                %resets_at,
                "the day's budget for probes is reached, probes that do not fit are left out until \
                 it resets; probe less often or cheaper models, or raise the limit (see brownout \
                 plan)"
            ),
            Shortage::NeverFits => tracing::warn!(
                limit,
                usd_per_day,
                "one probe may cost more than the budget for probes has for a day and is always \
                 left out; raise the limit or probe a cheaper model (see brownout plan)"
            ),
        }
    }
}

impl Book {
    fn reserve(
        &mut self,
        now: Timestamp,
        provider: &Provider,
        usd: f64,
    ) -> (Result<Reservation, Shortage>, [Option<News>; 2]) {
        self.turn_to(now);
        self.set_aside.retain(|set_aside| set_aside.held.strong_count() > 0);
        let in_flight = |only: Option<&Provider>| -> f64 {
            let all = self.set_aside.iter();
            let counted = all.filter(|it| only.is_none_or(|only| *only == it.provider));
            counted.map(|set_aside| set_aside.usd).sum()
        };
        let (of_all, of_provider) = (in_flight(None), in_flight(Some(provider)));
        let resets_at = self.resets_at();
        let limit = self.limits.per_provider.get(provider).copied();
        let account = self.providers.entry(provider.clone()).or_default();
        let accounts = [
            (&mut self.whole, self.limits.usd_per_day, of_all, None),
            (account, limit, of_provider, Some(provider.clone())),
        ];
        let mut worst = None;
        let news = accounts.map(|(account, limit, in_flight, provider)| {
            let usd_per_day = limit?;
            let shortage = account.shortage(usd, usd_per_day, in_flight)?;
            worst = worst.max(Some(shortage));
            account.refused_usd = account.refused_usd.max(usd);
            if account.told.contains(&shortage) {
                return None;
            }
            account.told.push(shortage);
            let spent_usd = account.spent_usd;
            Some(News { shortage, provider, usd_per_day, spent_usd, resets_at })
        });
        let answer = worst.map_or_else(|| Ok(self.set_aside(provider, usd)), Err);
        (answer, news)
    }

    /// Takes out what is known to be there.
    fn set_aside(&mut self, provider: &Provider, usd: f64) -> Reservation {
        let (held, provider) = (Arc::new(()), provider.clone());
        let account = self.providers.entry(provider.clone()).or_default();
        for account in [&mut self.whole, account] {
            account.spent_usd += usd;
        }
        let set_aside = SetAside { provider: provider.clone(), usd, held: Arc::downgrade(&held) };
        self.set_aside.push(set_aside);
        Reservation { day: self.day, provider, usd, _held: held }
    }

    /// Opens a new page on a new day. A clock that steps back opens none, or it would hand out
    /// the day's money twice.
    fn turn_to(&mut self, now: Timestamp) {
        let day = now.millis() / DAY_MS;
        if day > self.day {
            self.day = day;
            self.whole = Account::default();
            self.providers.clear();
            // What is in flight was taken out of the day before.
            self.set_aside.clear();
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

    /// Why `usd` do not fit, if they do not; `in_flight` of what counts as spent may come back.
    fn shortage(&self, usd: f64, limit: f64, in_flight: f64) -> Option<Shortage> {
        if self.fits(usd, Some(limit)) {
            None
        } else if usd > limit {
            Some(Shortage::NeverFits)
        } else if self.spent_usd - in_flight + usd <= limit {
            Some(Shortage::SetAside)
        } else {
            Some(Shortage::Spent)
        }
    }

    /// Whether a probe was left out today that would not fit now either: money that was set aside
    /// in vain makes room again.
    fn is_exhausted(&self, limit: Option<f64>) -> bool {
        !self.fits(self.refused_usd, limit) && self.refused_usd > 0.0
    }
}

#[cfg(test)]
mod tests;
