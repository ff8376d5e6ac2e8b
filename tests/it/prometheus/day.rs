//! A day of the demo's past in a real Prometheus: what was scraped, recorded and alerted.
//!
//! The samples are written by `brownout demo --backfill` and made into blocks by promtool. So are
//! the shipped recording rules, rule after rule as they read each other. promtool leaves alerts
//! out; here each is recorded as Prometheus would have, by its own expression and wait.

use std::path::{Path, PathBuf};
use std::process::Output;

use brownout::domain::time::Timestamp;
use serde_json::{Value, json};
use tokio::process::Command;

use super::dashboard::text;
use super::rules;
use super::server::Prometheus;

/// When the day ends: on a Friday, when everybody is still busy.
const END: &str = "2026-04-24T18:00:00Z";

/// Between two scrapes and two evaluations, in seconds.
pub(super) const STEP_S: u64 = 60;

/// A Prometheus over the day; its folder is removed with it.
pub(super) struct Day {
    pub(super) prometheus: Prometheus,
    folder: PathBuf,
}

impl Day {
    /// Makes the day. Takes some seconds.
    pub(super) async fn new() -> Self {
        let name = format!("day-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (scraped, blocks) = (folder.join("day.om"), folder.join("tsdb"));
        let mut demo = Command::new(env!("CARGO_BIN_EXE_brownout"));
        demo.arg("demo").arg("--backfill").arg(&scraped).args(["--backfill.end", END]);
        let told = done(&mut demo).await;
        assert!(told.contains("1441 scrapes"), "{told}");
        let mut import = promtool("openmetrics");
        done(import.arg(&scraped).arg(&blocks)).await;
        std::fs::remove_file(&scraped).unwrap();
        let mut prometheus = Prometheus::over(&blocks).await;
        for level in levels() {
            let file = folder.join("rules.yml");
            let groups = json!({"groups": [{"name": "level", "rules": level}]});
            std::fs::write(&file, groups.to_string()).unwrap();
            let mut record = promtool("rules");
            record.arg(format!("--url={}", prometheus.url()));
            record.arg(format!("--start={}", start_s())).arg(format!("--end={}", end_s()));
            record.arg(format!("--eval-interval={STEP_S}s"));
            done(record.arg(format!("--output-dir={}", blocks.display())).arg(&file)).await;
            // It looks for new blocks when it starts.
            prometheus.stop().await;
            prometheus = Prometheus::over(&blocks).await;
        }
        Self { prometheus, folder }
    }
}

impl Drop for Day {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// When the day ends, in seconds since 1970.
pub(super) fn end_s() -> u64 {
    Timestamp::parse(END).unwrap().secs()
}

fn start_s() -> u64 {
    end_s() - 24 * 60 * 60
}

/// It makes larger blocks than it would by itself, for it reads all of its input for each.
fn promtool(from: &str) -> Command {
    let mut command = Command::new("promtool");
    command.args(["tsdb", "create-blocks-from", "--max-block-duration=24h", "--quiet", from]);
    command
}

/// What a program says that must succeed.
async fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.kill_on_drop(true).output().await.unwrap();
    let told = [stdout, stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    // promtool tells of some errors and succeeds.
    assert!(status.success() && !told.contains("level=error"), "{command:?} says: {told}");
    told
}

/// The shipped rules as recording rules, each level of which reads only those before it.
fn levels() -> Vec<Vec<Value>> {
    let (alerts, mut left): (Vec<_>, Vec<_>) =
        rules::all().into_iter().partition(|rule| rule.get("alert").is_some());
    let mut levels = Vec::new();
    while !left.is_empty() {
        let waits = |rule: &Value| {
            let expr = text(&rule["expr"]);
            left.iter().any(|other| is_named(&expr, &text(&other["record"])))
        };
        let (later, now): (Vec<_>, Vec<_>) = left.iter().cloned().partition(waits);
        assert!(!now.is_empty(), "rules read each other in a circle: {later:?}");
        levels.push(now);
        left = later;
    }
    levels.push(alerts.iter().map(recorded).collect());
    levels
}

/// An alert as the series that Prometheus writes while it fires. How long it goes on firing
/// afterwards is left out.
fn recorded(alert: &Value) -> Value {
    let expr = text(&alert["expr"]);
    let waits = alert["for"].as_str().map_or(0, |waits| {
        humantime::parse_duration(waits)
            .unwrap_or_else(|error| panic!("{waits}: {error}"))
            .as_secs()
    });
    let times = waits.div_ceil(STEP_S);
    let held = match times {
        0 => expr,
        times => format!("count_over_time(({expr})[{}s:{STEP_S}s]) >= {times}", times * STEP_S),
    };
    let mut labels = alert["labels"].clone();
    labels["alertname"] = alert["alert"].clone();
    labels["alertstate"] = json!("firing");
    json!({"record": "ALERTS", "expr": format!("({held}) * 0 + 1"), "labels": labels})
}

/// Whether an expression names a metric.
fn is_named(expr: &str, metric: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    expr.match_indices(metric).any(|(at, _)| {
        let after = &expr[at + metric.len()..];
        !expr[..at].ends_with(is_name) && !after.starts_with(is_name)
    })
}

#[test]
fn rules_are_recorded_after_what_they_read() {
    assert!(is_named("sum(a:b:c{x=\"y\"})", "a:b:c"));
    assert!(!is_named("sum(a:b:c5m)", "a:b:c"));
    let levels = levels();
    assert!(levels.len() > 2, "ratios read counts, and alerts ratios");
    let passes: Vec<_> = (1..levels.len()).map(|pass| pass.to_string()).collect();
    let line = format!("for pass in {}; do", passes.join(" "));
    assert!(rules::file("docs/dashboards.md").contains(&line), "{line} is not documented");
    let count: usize = levels.iter().map(Vec::len).sum();
    assert_eq!(count, rules::all().len());
}
