//! The exposition of a small snapshot as committed text: what users see is reviewed, not guessed.

use brownout::answers::metrics::Format;

use super::sample::{Bench, NOW, small};
use crate::golden;

/// Leaves out what differs between machines and releases (the operating system's view and the
/// program's version), and 23 of the 24 hours, which nobody would review.
fn stable(text: &str) -> String {
    let own = |line: &&str| {
        let other_hour = line.contains("hour=\"") && !line.contains("hour=\"14\"");
        let varies = line.contains("process_") || line.starts_with("brownout_build_info{");
        !other_hour && !varies
    };
    text.lines().filter(own).map(|line| format!("{line}\n")).collect()
}

fn check(format: Format, name: &str) {
    let bench = Bench::new(small());
    bench.stats.note_reload(NOW);
    let actual = stable(&bench.scrape(format, NOW));
    golden::check(&format!("tests/it/exposition/{name}"), &actual);
}

#[test]
fn the_text_format_is_as_committed() {
    check(Format::Text004, "small_text.txt");
}

#[test]
fn the_open_metrics_format_is_as_committed() {
    check(Format::OpenMetrics100, "small_openmetrics.txt");
}

#[test]
fn the_same_snapshot_gives_the_same_bytes() {
    let bench = Bench::new(small());
    bench.text();
    let lines = |text: String| {
        stable(&text).lines().filter(|l| !l.starts_with("brownout_scrape_")).collect::<String>()
    };
    assert_eq!(lines(bench.text()), lines(bench.text()));
}
