//! What the owner of a plan should look at before it is put into force, each with its remedy.

use crate::domain::time::DAY_MS;
use crate::ground::config::{Config, Schedule};
use crate::intake::probe::PRICE_ASSUMED;
use crate::intake::schedule::{Bill, BillLine, DAYS_OF_MONTH, PriceBasis};

use super::table::{moment, usd};

/// From how many US dollars a month on a single target is dear.
const DEAR_USD_PER_MONTH: f64 = 10.0;
/// How much rarer probes a dear target is advised to have.
const RARER: u32 = 10;

/// All of them, a sentence or two each.
pub(super) fn warnings(config: &Config, bill: &Bill) -> Vec<String> {
    let mut warnings: Vec<String> =
        bill.lines.iter().filter_map(|line| dear(config, line)).collect();
    warnings.extend(assumed(bill));
    warnings.extend(bill.lines.iter().filter_map(|line| never(bill, line)));
    if let Some(share) = bill.lasts() {
        let end = stop(config, share);
        let remedy = "probe less often, cheaper models or fewer, or raise probes.budget";
        warnings.push(format!("the budget stops all probes {end}: {remedy}"));
    }
    for provider in bill.budget.per_provider.keys() {
        // Once everything has stopped, nobody misses it.
        let share = bill.provider_lasts(provider);
        if let Some(share) = share.filter(|share| bill.lasts().is_none_or(|all| *share < all)) {
            let end = stop(config, share);
            let remedy = format!("raise probes.budget.per_provider.{provider}");
            warnings.push(format!("its own budget stops probes of {provider} {end}: {remedy}"));
        }
    }
    warnings
}

fn dear(config: &Config, line: &BillLine) -> Option<String> {
    let usd_per_month = line.usd_per_day() * DAYS_OF_MONTH;
    if usd_per_month < DEAR_USD_PER_MONTH {
        return None;
    }
    let rarer = match &config.probes.schedule {
        Some(Schedule::Every(every)) => {
            let every = humantime::format_duration(*every * RARER);
            let less = usd(usd_per_month / f64::from(RARER));
            format!("less often (every: {every} makes that {less})")
        }
        Some(Schedule::Cron(_)) | None => "less often".to_owned(),
    };
    let (target, much) = (&line.target, usd(usd_per_month));
    Some(format!("{target} costs about {much} a month: probe a cheaper model of it, or {rarer}"))
}

/// One for all, as a provider without prices has none for any of its models.
fn assumed(bill: &Bill) -> Option<String> {
    let lines = bill.lines.iter().filter(|line| line.price == PriceBasis::Assumed);
    let names: Vec<String> = lines.map(|line| line.target.to_string()).collect();
    let first = names.first()?;
    let others = match names.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let (input, output) = (PRICE_ASSUMED.input_usd_per_mtok, PRICE_ASSUMED.output_usd_per_mtok);
    Some(format!(
        "the price of {first}{others} is not known; that of the dearest models is \
         assumed (${input} and ${output} a million tokens in and out): set prices of the \
         provider to be exact"
    ))
}

fn never(bill: &Bill, line: &BillLine) -> Option<String> {
    let limit = usd(bill.never_fits(line)?);
    let (target, most) = (&line.target, usd(line.usd_per_probe_max));
    Some(format!(
        "{target} is never probed: one probe may cost {most}, more than its budget of {limit}; \
         raise probes.budget, or limit the tokens of its answer in body"
    ))
}

/// When a budget that lasts for this share of a day stops probes.
fn stop(config: &Config, share: f64) -> String {
    match &config.probes.schedule {
        Some(Schedule::Cron(_)) => format!("after {:.0} % of a day's probes", share * 100.0),
        Some(Schedule::Every(_)) | None => {
            format!("after about {} each day", moment((DAY_MS as f64 * share) as u64))
        }
    }
}
