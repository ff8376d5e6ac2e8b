//! The exposition read by Prometheus' own linter and by its Python library.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use brownout::answers::metrics::Format;
use brownout::domain::time::Timestamp;

use super::sample::{Bench, NOW, rich};

/// Feeds `input` to a program and returns what it said; panics unless it exits with 0.
fn accepted_by(command: &mut Command, remedy: &str, input: Vec<u8>) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; {remedy}"));
    let mut stdin = child.stdin.take().unwrap();
    // On a thread of its own: a linter that complains a lot would fill its pipe meanwhile. A
    // broken pipe shows in the exit status.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?} says: {said}");
    said
}

/// Scrapes twice, so that nothing is held at 0 any more.
fn scraped(format: Format) -> (Bench, String) {
    let bench = Bench::new(rich());
    bench.scrape(format, NOW);
    let text = bench.scrape(format, Timestamp::from_secs(NOW.secs() + 15));
    (bench, text)
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let (_, text) = scraped(Format::Text004);
    promtool_accepts(text.into_bytes());
}

/// Fails if promtool finds anything to complain about in an exposition.
pub(crate) fn promtool_accepts(text: Vec<u8>) {
    let remedy = "install Debian's prometheus package, as tests/run does";
    let mut promtool = Command::new("promtool");
    let said = accepted_by(promtool.args(["check", "metrics"]), remedy, text);
    assert_eq!(said, "");
}

#[test]
fn the_python_library_reads_the_open_metrics_format() {
    let (_, text) = scraped(Format::OpenMetrics100);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let remedy = "make tests/.venv with prometheus-client in it, as tests/run does";
    let mut python = Command::new(root.join("tests/.venv/bin/python"));
    python.arg(root.join("tests/sdk/parse_openmetrics.py"));
    let samples = text.lines().filter(|line| !line.starts_with('#')).count();
    let said = accepted_by(&mut python, remedy, text.into_bytes());
    let mut lines: Vec<_> = said.lines().collect();
    let summary = lines.pop();
    assert_eq!(summary, Some(format!("{samples} samples").as_str()));
    for line in [
        "brownout_build info",
        "brownout_request_duration_seconds histogram seconds",
        "brownout_request_errors counter",
        "brownout_ingest_body_bytes counter bytes",
        "brownout_signal_estimate_ratio gauge ratio",
        "brownout_target info",
        "brownout_target_state gauge",
    ] {
        assert!(lines.contains(&line), "{line:?} is not among {lines:#?}");
    }
}
