//! Label values that the floors below know as words and the floors above as enums.
//!
//! The exporter may not import what it counts, so nothing but this ties the two together.

use std::collections::BTreeSet;

use brownout::domain::classify::MatchedBy;
use brownout::intake::refusal::RejectReason;
use brownout::intake::schedule::SkipReason;
use brownout::intake::sighting::Ignored;
use brownout::store::snapshot::{ProbeView, Snapshot};

use super::reader::{family, read};
use super::sample::{Bench, NOW, quiet};

#[test]
fn closed_sets_of_label_values_are_those_of_the_enums() {
    let mut view = quiet("p/m", true);
    view.probe = Some(ProbeView::default());
    let bench = Bench::new(Snapshot { at: NOW, targets: vec![view], ..Snapshot::default() });
    let samples = read(&bench.text());
    for (name, label, known) in [
        (
            "brownout_probe_skipped_total",
            "reason",
            SkipReason::ALL.map(SkipReason::as_str).to_vec(),
        ),
        (
            "brownout_ingest_records_rejected_total",
            "reason",
            RejectReason::ALL.map(RejectReason::as_str).to_vec(),
        ),
        (
            "brownout_ingest_records_ignored_total",
            "reason",
            Ignored::ALL.map(Ignored::as_str).to_vec(),
        ),
        ("brownout_classified_total", "matched_by", MatchedBy::ALL.map(MatchedBy::as_str).to_vec()),
    ] {
        let before = format!("{label}=\"");
        let exported: BTreeSet<&str> = samples
            .keys()
            .filter(|series| family(series) == name)
            .map(|series| series.split_once(&before).unwrap().1.split('"').next().unwrap())
            .collect();
        let known: BTreeSet<&str> = known.into_iter().chain(["other"]).collect();
        assert_eq!(exported, known, "{name}");
    }
}
