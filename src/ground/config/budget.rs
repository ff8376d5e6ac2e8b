//! `probes.budget`: what probes may cost in a UTC day, in all and at single providers.
//!
//! There is a budget unless it is lifted by name: nobody should learn from the bill that probes
//! cost money.

use std::collections::BTreeMap;

use crate::domain::target::Provider;

use super::problem::{Problems, quoted};
use super::reader::Field;
use super::{ProviderConfig, chains};

/// US dollars a day unless said otherwise: a probe a minute of a dozen cheap models, or of one
/// dear one, and nobody is ruined by it.
const USD_PER_DAY_DEFAULT: f64 = 1.0;
/// Largest daily budget in US dollars. More is a slip of the decimal point.
const USD_PER_DAY_MAX: f64 = 10_000.0;
/// Most providers with a budget of their own.
const PROVIDERS_MAX: usize = 500;

/// What probes may cost in one UTC day.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetConfig {
    /// Most US dollars in all; `None` is no limit, which must be asked for.
    pub usd_per_day: Option<f64>,
    /// Most US dollars at single providers, never more than in all.
    pub per_provider: BTreeMap<Provider, f64>,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { usd_per_day: Some(USD_PER_DAY_DEFAULT), per_provider: BTreeMap::new() }
    }
}

impl BudgetConfig {
    /// So many US dollars a day in all, `None` without a limit.
    pub fn of(usd_per_day: Option<f64>) -> Self {
        Self { usd_per_day, ..Self::default() }
    }
}

/// Reads it; needs the providers to be read.
pub(super) fn budget(
    field: &Field<'_>,
    providers: &BTreeMap<Provider, ProviderConfig>,
    problems: &mut Problems,
) -> BudgetConfig {
    if field.is_word("none") {
        return BudgetConfig::of(None);
    }
    let mut budget = BudgetConfig::default();
    if field.is_scalar() {
        let message = "says no currency and period, write {usd_per_day: 0.50}, or none";
        field.wrong(problems, message);
        return budget;
    }
    let keys = ["usd_per_day", "per_provider"];
    let Some(section) = field.section(&keys, problems) else { return budget };
    match section.get("usd_per_day") {
        None => {
            section.field().wrong(problems, "has no usd_per_day, write {usd_per_day: 0.50}");
        }
        Some(field) => {
            budget.usd_per_day = dollars(&field, problems);
        }
    }
    if let Some(field) = section.get("per_provider") {
        budget.per_provider = per_provider(&field, budget.usd_per_day, providers, problems);
    }
    budget
}

fn dollars(field: &Field<'_>, problems: &mut Problems) -> Option<f64> {
    let usd = field.number(problems)?;
    if usd <= 0.0 || usd > USD_PER_DAY_MAX {
        let message = "is not more than 0 and at most 10000; to probe nothing, remove probes";
        field.wrong(problems, message);
    }
    Some(usd)
}

fn per_provider(
    field: &Field<'_>,
    whole: Option<f64>,
    providers: &BTreeMap<Provider, ProviderConfig>,
    problems: &mut Problems,
) -> BTreeMap<Provider, f64> {
    let mut budgets = BTreeMap::new();
    for (key, field) in field.entries(PROVIDERS_MAX, problems).unwrap_or_default() {
        let provider = match chains::provider(&key.name, providers) {
            Ok(provider) => provider,
            Err(message) => {
                problems.push(&field.path, Some(key.place), message);
                continue;
            }
        };
        let Some(usd) = field.number(problems) else { continue };
        if usd <= 0.0 {
            let message = "is not more than 0; to probe nothing of it, list none of its models";
            field.wrong(problems, message);
        }
        if let Some(whole) = whole.filter(|whole| usd > *whole) {
            let message = format!("is more than usd_per_day, which is {whole}; raise that as well");
            field.wrong(problems, message);
        }
        if budgets.insert(provider.clone(), usd).is_some() {
            let message = format!("{} is {provider} again, name it once", quoted(&key.name));
            problems.push(&field.path, Some(key.place), message);
        }
    }
    budgets
}
