//! A report as the store's log keeps it.

use super::ProbeReport;
use crate::store::journal::{Phases, ProbeRun};

impl ProbeReport {
    /// The times of the probe.
    pub fn phases(&self) -> Phases {
        Phases { connect: self.connect, ttfb: self.ttfb, ttft: self.ttft, total: self.total }
    }

    /// The report as an entry of the log of the last probes.
    pub fn run(&self, on_demand: bool) -> ProbeRun {
        ProbeRun {
            at: self.at,
            class: self.class,
            matched_by: self.matched_by,
            http_status: self.http_status,
            phases: self.phases(),
            cost_usd: self.cost_usd,
            request_id: self.request_id.clone(),
            retry_after: self.retry_after,
            misconfigured: self.misconfigured.clone(),
            on_demand,
        }
    }
}
