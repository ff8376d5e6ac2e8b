//! Per-hour rows: attempts, 529/429/503 counts and the three ratios.

use serde::Serialize;

use crate::domain::outcome::Signal;
use crate::domain::target::{Model, Provider};
use crate::domain::time::Timestamp;
use crate::store::snapshot::Snapshot;

/// Which rows are asked for; what is `None` does not restrict.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only this provider.
    pub provider: Option<Provider>,
    /// Only this model.
    pub model: Option<Model>,
    /// Hours that end after this moment.
    pub from: Option<Timestamp>,
    /// Hours that start before this moment.
    pub to: Option<Timestamp>,
}

#[derive(Serialize)]
struct HoursDocument<'a> {
    hours: Vec<HourDocument<'a>>,
}

/// Counts are of all attempts by class; ratios are by signal, over first attempts.
#[derive(Serialize)]
struct HourDocument<'a> {
    hour: String,
    provider: &'a str,
    model: &'a str,
    attempts: u64,
    ok: u64,
    overloaded: u64,
    rate_limited: u64,
    unavailable: u64,
    overload_ratio: Option<f64>,
    rate_limit_ratio: Option<f64>,
    outage_ratio: Option<f64>,
}

/// The rows as JSON, by hour, then provider, then model.
pub fn document(snapshot: &Snapshot, query: &Query) -> Vec<u8> {
    let mut hours = Vec::new();
    for view in &snapshot.targets {
        let target = &view.target;
        let wanted = query.provider.as_ref().is_none_or(|provider| *provider == target.provider)
            && query.model.as_ref().is_none_or(|model| *model == target.model);
        if !wanted {
            continue;
        }
        for (hour, tally) in &view.hours {
            let ends = Timestamp::from_millis(hour.start().millis() + crate::domain::time::HOUR_MS);
            if query.from.is_some_and(|from| ends <= from)
                || query.to.is_some_and(|to| hour.start() >= to)
            {
                continue;
            }
            hours.push(HourDocument {
                hour: hour.start().to_string(),
                provider: target.provider.as_str(),
                model: target.model.as_str(),
                attempts: tally.attempts,
                ok: tally.ok,
                overloaded: tally.overloaded,
                rate_limited: tally.rate_limited,
                unavailable: tally.unavailable,
                overload_ratio: tally.ratio(Signal::Overload),
                rate_limit_ratio: tally.ratio(Signal::RateLimit),
                outage_ratio: tally.ratio(Signal::Outage),
            });
        }
    }
    // RFC 3339 in UTC sorts as text; targets are sorted already and the sort is stable.
    hours.sort_by(|a, b| a.hour.cmp(&b.hour));
    serde_json::to_vec(&HoursDocument { hours }).expect("plain structs serialise")
}
