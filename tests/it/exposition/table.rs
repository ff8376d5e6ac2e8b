//! The table of metrics, the exposition and the documentation say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use brownout::answers::metrics::names;

use super::reader::{family, labels, read};
use super::sample::{Bench, rich};

#[test]
fn exactly_the_rows_of_the_table_are_exported() {
    let text = Bench::new(rich()).text();
    let mut exported: BTreeMap<&str, BTreeSet<Vec<String>>> = BTreeMap::new();
    let samples = read(&text);
    for series in samples.keys().filter(|series| series.starts_with("brownout_")) {
        exported.entry(family(series)).or_default().insert(labels(series));
    }
    for row in names::all() {
        let label_sets = exported.remove(row.name);
        let Some(label_sets) = label_sets else { panic!("{} is not exported", row.name) };
        for label_set in label_sets {
            let (mut written, mut listed) = (label_set, row.labels.to_vec());
            // The library writes the labels of the process's own counters in its own order.
            written.sort();
            listed.sort_unstable();
            assert_eq!(written, listed, "{}", row.name);
        }
        assert!(text.contains(&format!("# HELP {} {}\n", row.name, row.help)), "{}", row.name);
    }
    assert!(exported.is_empty(), "exported without a row in the table: {:?}", exported.keys());
}

#[test]
fn the_documentation_lists_exactly_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let documentation = fs::read_to_string(path).unwrap();
    let listed: BTreeSet<&str> =
        documentation.lines().filter(|line| line.starts_with("| `brownout_")).collect();
    let expected: BTreeSet<String> = names::all()
        .map(|row| {
            let labels: Vec<_> = row.labels.iter().map(|label| format!("`{label}`")).collect();
            let kind = row.kind.as_str();
            format!("| `{}` | {kind} | {} | {} |", row.name, labels.join(" "), row.help)
        })
        .collect();
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let missing: Vec<_> = expected.difference(&listed).collect();
    let stray: Vec<_> = listed.difference(&expected).collect();
    assert!(missing.is_empty() && stray.is_empty(), "add {missing:#?}\nremove {stray:#?}");
}
