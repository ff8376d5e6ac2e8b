//! Whether brownout itself is well: scrapes, reports, probes and what they cost.

use super::Options;
use crate::mixin::grafana::{Dashboard, Heading, Layout};

mod exporter;
mod probes;
mod reports;
mod stats;

const HEADING: Heading = Heading {
    uid: "brownout-operations",
    title: "Operations",
    description: "Whether brownout itself is well: scrapes, reports, probes and what they cost.",
    from: "now-6h",
    refresh: "1m",
};

pub(super) fn dashboard(options: &Options) -> Dashboard {
    let panels = Layout::default()
        .line(
            4,
            [
                (4, stats::instances(options)),
                (4, stats::age(options)),
                (4, stats::configuration(options)),
                (4, stats::egress(options)),
                (4, stats::budget(options)),
                (4, stats::misconfigured(options)),
            ],
        )
        .headline("Probes and what they cost")
        .line(9, [(24, probes::table(options))])
        .line(
            8,
            [(8, probes::sent(options)), (8, probes::spent(options)), (8, probes::cost(options))],
        )
        .line(8, [(12, probes::skipped(options)), (12, probes::status_pages(options))])
        .headline("Reports from clients")
        .line(8, [(12, reports::records(options)), (12, reports::requests(options))])
        .line(8, [(12, reports::classified(options)), (12, reports::bytes(options))])
        .headline("The exporter")
        .line(
            8,
            [
                (8, exporter::lateness(options)),
                (8, exporter::should_be_zero(options)),
                (8, exporter::requests(options)),
            ],
        )
        .line(
            8,
            [
                (8, exporter::memory(options)),
                (8, exporter::cpu(options)),
                (8, exporter::files(options)),
            ],
        )
        .line(6, [(24, exporter::builds(options))]);
    let marks = vec![options.firing_alerts_about_exporters()];
    Dashboard::new(HEADING, options.variables(), marks, panels)
}
