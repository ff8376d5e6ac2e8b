//! What a provider's status page says, beside what was measured: corroboration, never health.

use serde::Serialize;

use crate::domain::status_page::{Indicator, agreement};
use crate::store::snapshot::{Snapshot, StatusPageView, TargetView};

use super::document::{Precision, stamp};

/// A provider's status page.
#[derive(Serialize)]
pub(super) struct StatusPageDocument<'a> {
    url: &'a str,
    indicator: &'static str,
    description: &'a str,
    incidents: Vec<IncidentDocument<'a>>,
    as_of: Option<String>,
    stale: bool,
    agrees: Option<bool>,
    note: Option<&'static str>,
}

#[derive(Serialize)]
struct IncidentDocument<'a> {
    name: &'a str,
    impact: &'static str,
    status: &'static str,
    started_at: Option<String>,
}

/// One for each provider of `targets`, in their order; `None` where no page is configured.
pub(super) fn documents<'a>(
    snapshot: &'a Snapshot,
    targets: &'a [TargetView],
    precision: Precision,
) -> Vec<Option<StatusPageDocument<'a>>> {
    let by_provider = targets.chunk_by(|a, b| a.target.provider == b.target.provider);
    let document = |targets: &'a [TargetView]| {
        let page = snapshot.status_pages.get(&targets[0].target.provider)?;
        Some(StatusPageDocument::new(page, targets, precision))
    };
    by_provider.map(document).collect()
}

impl<'a> StatusPageDocument<'a> {
    fn new(page: &'a StatusPageView, targets: &[TargetView], precision: Precision) -> Self {
        let reading = page.reading.as_deref();
        // `model="other"` never drives a state, nor a doubt about one.
        let own = targets.iter().filter(|view| !view.target.is_other());
        let agreement = agreement(reading, own.map(|view| view.state));
        let incident = reading.map(|reading| reading.incidents.iter()).into_iter().flatten();
        Self {
            url: &page.url,
            indicator: reading.map_or(Indicator::Unknown, |reading| reading.indicator).as_str(),
            description: reading.map_or("", |reading| &reading.description),
            incidents: incident
                .map(|incident| IncidentDocument {
                    name: &incident.name,
                    impact: incident.impact.as_str(),
                    status: incident.status.as_str(),
                    started_at: incident.started_at.map(|at| at.to_string()),
                })
                .collect(),
            as_of: page.as_of.and_then(|at| stamp(at, precision)),
            stale: page.failing || reading.is_none(),
            agrees: agreement.agrees,
            note: agreement.note,
        }
    }
}
