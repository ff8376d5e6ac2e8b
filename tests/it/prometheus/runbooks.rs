//! The queries in the runbooks: whoever is woken by an alert types them in as they stand.

use std::path::Path;

use super::rules;

/// A query in a runbook.
pub(super) struct Query {
    /// The runbook's file.
    pub(super) page: String,
    /// As it stands there, with a name of a provider and of a model filled in.
    pub(super) expr: String,
}

/// Every code in a runbook that names a metric of ours.
pub(super) fn queries() -> Vec<Query> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let mut queries = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let page = entry.unwrap().file_name().to_str().unwrap().to_owned();
        let text = rules::file(&format!("docs/runbooks/{page}"));
        let codes = text.split('`').skip(1).step_by(2);
        for code in codes.filter(|code| code.contains("brownout_")) {
            let expr = code.replace("PROVIDER", "deepseek").replace("MODEL", "deepseek-v4-pro");
            queries.push(Query { page: page.clone(), expr });
        }
    }
    queries
}

#[test]
fn runbooks_ask_for_metrics_that_there_are() {
    let exported = rules::file("docs/metrics.md");
    let recorded = rules::file("alerts/brownout.recording.yml");
    let queries = queries();
    assert!(queries.len() > 30, "only {} queries found", queries.len());
    for Query { page, expr } in queries {
        let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        for metric in words.filter(|word| word.contains("brownout_")) {
            let row = format!("| `{metric}` |");
            let rule = format!("record: {metric}\n");
            let known = exported.contains(&row) || recorded.contains(&rule);
            assert!(known, "{page}: there is no {metric}: {expr}");
        }
    }
}
