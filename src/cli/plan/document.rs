//! The plan for programs.

use serde_json::{Value, json};

use crate::ground::config::{Config, Schedule, WhenClientsReport};
use crate::intake::probe::INPUT_TOKENS;
use crate::intake::schedule::{Bill, BillLine, DAYS_OF_MONTH, Sum};

use super::warnings::warnings;

/// The plan as one JSON object; its fields are documented in `docs/probes.md`.
pub(super) fn document(config: &Config, bill: &Bill) -> Value {
    let provider = |(provider, sum): (_, Sum)| {
        let mut object = sums(&sum);
        object["budget_lasts_ratio"] = json!(bill.provider_lasts(&provider));
        object["budget_usd_per_day"] = json!(bill.budget.per_provider.get(&provider));
        object["provider"] = json!(provider.as_str());
        object
    };
    let not_probed = bill.not_probed.iter().map(|(target, why)| {
        json!({"provider": target.provider.as_str(), "model": target.model.as_str(), "why": why})
    });
    let mut total = sums(&bill.total());
    total["usd_per_day_max"] = rounded(bill.usd_per_day_max());
    json!({
        "schedule": match &config.probes.schedule {
            None => Value::Null,
            Some(Schedule::Every(every)) => json!({"every_s": every.as_secs_f64()}),
            Some(Schedule::Cron(cron)) => json!({"cron": cron.with_seconds()}),
        },
        "when_clients_report": match config.probes.when_clients_report {
            WhenClientsReport::Skip => "skip",
            WhenClientsReport::Reduce => "reduce",
            WhenClientsReport::Always => "always",
        },
        "targets": bill.lines.iter().map(line).collect::<Vec<_>>(),
        "providers": bill.by_provider().into_iter().map(provider).collect::<Vec<_>>(),
        "total": total,
        "budget_usd_per_day": bill.budget.usd_per_day,
        "budget_lasts_ratio": bill.lasts(),
        "not_probed": not_probed.collect::<Vec<_>>(),
        "warnings": warnings(config, bill),
    })
}

fn line(line: &BillLine) -> Value {
    json!({
        "provider": line.target.provider.as_str(),
        "model": line.target.model.as_str(),
        "price": line.price.as_str(),
        "input_tokens": INPUT_TOKENS,
        "output_tokens": line.output_tokens,
        "probes_per_day": rounded(line.probes_per_day),
        "usd_per_probe": rounded(line.usd_per_probe),
        "usd_per_probe_max": rounded(line.usd_per_probe_max),
        "usd_per_day": rounded(line.usd_per_day()),
        "usd_per_month": rounded(line.usd_per_day() * DAYS_OF_MONTH),
        "usd_per_day_troubled": rounded(line.usd_per_day_troubled()),
    })
}

fn sums(sum: &Sum) -> Value {
    json!({
        "usd_per_day": rounded(sum.usd_per_day),
        "usd_per_month": rounded(sum.usd_per_month()),
        "usd_per_day_troubled": rounded(sum.usd_per_day_troubled),
    })
}

/// A billionth of a dollar is below any price; the digits behind it are the binary system's.
fn rounded(number: f64) -> Value {
    json!((number * 1e9).round() / 1e9)
}
