//! Debian's Prometheus as a child process, in a folder and on a port of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::dashboard::items;
use super::rules;
use crate::daemon::PATIENCE;

/// The shipped rules that record.
const RECORDING: &str = "brownout.recording.yml";

/// The shipped rules that alert.
pub(super) const ALERTS: &str = "brownout.alerts.yml";

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A running Prometheus. It is killed when dropped, and its folder removed.
pub(super) struct Prometheus {
    url: String,
    folder: PathBuf,
    client: reqwest::Client,
    child: Child,
    started: tokio::time::Instant,
}

/// One series of an answer: its labels and its values.
pub(super) struct Series {
    pub(super) labels: Value,
    pub(super) values: Vec<f64>,
}

impl Prometheus {
    /// Starts one that scrapes `target` (host and port) each second and evaluates the shipped
    /// rules. The waits of the alerts in `hurried` are taken away, for a test cannot wait so long;
    /// the others keep theirs, or one scrape missed on a busy machine would fire them. All windows
    /// stay.
    pub(super) async fn start(target: &str, hurried: &[&str]) -> Self {
        Self::start_alerting(&[target], hurried, "").await
    }

    /// The same for several replicas under one job, with alerts sent to the Alertmanager at
    /// `alertmanager` (host and port), if that is not empty.
    pub(super) async fn start_alerting(
        targets: &[&str],
        hurried: &[&str],
        alertmanager: &str,
    ) -> Self {
        let folder = own_folder();
        for name in [RECORDING, ALERTS] {
            std::fs::write(folder.join(name), impatient(name, hurried)).unwrap();
        }
        let targets = targets.join("','");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}}\n\
             rule_files: [{RECORDING}, {ALERTS}]\n\
             scrape_configs:\n\
             - {{job_name: brownout, static_configs: [{{targets: ['{targets}']}}]}}\n"
        );
        let alerting = format!(
            "alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n"
        );
        let config = config + if alertmanager.is_empty() { "" } else { &alerting };
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        // The port is free when we look and may be taken when Prometheus binds it: try again.
        for _ in 0..5 {
            if let Some(prometheus) = Self::try_start(&folder, &folder.join("tsdb")).await {
                return prometheus;
            }
        }
        panic!("prometheus does not start: {}", log(&folder));
    }

    /// Starts one over blocks that are there already, of any age. It scrapes nothing.
    pub(super) async fn over(blocks: &Path) -> Self {
        let folder = own_folder();
        std::fs::write(folder.join("prometheus.yml"), "global: {scrape_interval: 1m}\n").unwrap();
        for _ in 0..5 {
            if let Some(prometheus) = Self::try_start(&folder, blocks).await {
                return prometheus;
            }
        }
        panic!("prometheus does not start: {}", log(&folder));
    }

    async fn try_start(folder: &Path, blocks: &Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", blocks.display()))
            .arg("--storage.tsdb.retention.time=10y")
            .arg(format!("--web.listen-address={free}"))
            // After a reload it knows no Alertmanager for some seconds and what it sends is lost,
            // so it must tell again soon. What is not told for four times this counts as over.
            .arg("--rules.alert.resend-delay=4s")
            .args(["--web.enable-lifecycle", "--log.level=warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "prometheus: {error}; install Debian's prometheus package, as tests/run does"
                )
            });
        let client = brownout::intake::probe::client().unwrap();
        let folder = folder.to_owned();
        let url = format!("http://{free}");
        let started = tokio::time::Instant::now();
        let mut prometheus = Self { url, folder, client, child, started };
        let ready = format!("{}/-/ready", prometheus.url);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while prometheus.child.try_wait().unwrap().is_none() {
            let answer = prometheus.client.get(&ready).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Some(prometheus);
            }
            assert!(tokio::time::Instant::now() < deadline, "never ready: {}", prometheus.log());
            tokio::time::sleep(LOOK).await;
        }
        // Gone already. Its folder is used again by the next try.
        prometheus.folder = PathBuf::new();
        None
    }

    /// Stops it and waits for its end, so that another may have its blocks.
    pub(super) async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Where it answers.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A range, as a query says it, that reaches back to before the first scrape.
    pub(super) fn lifetime(&self) -> String {
        format!("{}s", self.started.elapsed().as_secs() + 5)
    }

    /// What it logged.
    pub(super) fn log(&self) -> String {
        log(&self.folder)
    }

    /// Has it read its files again with other rules for alerts, and gives the status it answers.
    pub(super) async fn reload(&self, alerts: &str) -> u16 {
        std::fs::write(self.folder.join(ALERTS), alerts).unwrap();
        let reload = self.client.post(format!("{}/-/reload", self.url));
        reload.send().await.unwrap().status().as_u16()
    }

    /// An answer of its API, which must be a success.
    pub(super) async fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.try_api(path, parameters).await;
        answer.unwrap_or_else(|error| panic!("{path} {parameters:?}: {error}"))
    }

    /// An answer of its API, or what it says is wrong.
    async fn try_api(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let form: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let url = format!("{}/api/v1/{path}?{}", self.url, form.join("&"));
        let body = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"));
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(body) }
    }

    /// The value of each series at a time in seconds, or what is wrong with the query.
    pub(super) async fn try_query(&self, expr: &str, at: f64) -> Result<Vec<Series>, String> {
        let at = at.to_string();
        let data = self.try_api("query", &[("query", expr), ("time", &at)]).await?;
        Ok(series(&data))
    }

    /// The values of each series from start to end in steps, all in seconds, or what is wrong
    /// with the query.
    pub(super) async fn try_range(
        &self,
        expr: &str,
        range: [u64; 3],
    ) -> Result<Vec<Series>, String> {
        let [start, end, step] = range.map(|seconds| seconds.to_string());
        let parameters = [("query", expr), ("start", &start), ("end", &end), ("step", &step)];
        Ok(series(&self.try_api("query_range", &parameters).await?))
    }

    /// The value of each series now, or at a time in seconds.
    pub(super) async fn query(&self, expr: &str, at: Option<f64>) -> Vec<Series> {
        let at = at.map(|at| at.to_string());
        let mut parameters = vec![("query", expr)];
        parameters.extend(at.as_deref().map(|at| ("time", at)));
        series(&self.api("query", &parameters).await)
    }

    /// The values of each series over the last minute.
    pub(super) async fn last_minute(&self, expr: &str, now: f64) -> Vec<Series> {
        let [start, end] = [now - 60.0, now].map(|at| at.to_string());
        let parameters = [("query", expr), ("start", &start), ("end", &end), ("step", "1")];
        series(&self.api("query_range", &parameters).await)
    }

    /// The one value of an expression, if it has one.
    pub(super) async fn value(&self, expr: &str, at: Option<f64>) -> Option<f64> {
        let series = self.query(expr, at).await;
        assert!(series.len() <= 1, "{expr} has {} series", series.len());
        series.first().and_then(|series| series.values.last().copied())
    }

    /// Waits until an expression has series.
    pub(super) async fn until(&self, expr: &str) {
        let wait = async {
            while self.query(expr, None).await.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(in_time, "{expr} never came true; log: {}", self.log());
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // What it writes meanwhile may keep the folder: it lies in the build's own and is small.
        let _ = self.child.start_kill();
        if !std::thread::panicking() && self.folder.is_absolute() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn own_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("prometheus-{}-{number}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// The shipped rules of a file, those of the alerts in `hurried` without their waits.
pub(super) fn impatient(name: &str, hurried: &[&str]) -> String {
    let rules = std::fs::read_to_string(rules::folder().join(name)).unwrap();
    let mut hurry = false;
    let line = |line: &str| {
        if let Some(alert) = line.trim_start().strip_prefix("- alert: ") {
            hurry = hurried.contains(&alert);
        }
        let (key, _) = line.trim_start().split_once(": ").unwrap_or((line, ""));
        let indent = &line[..line.len() - line.trim_start().len()];
        match key {
            "for" if hurry => format!("{indent}for: 0s\n"),
            "keep_firing_for" if hurry => format!("{indent}keep_firing_for: 3s\n"),
            _ => format!("{line}\n"),
        }
    };
    rules.lines().map(line).collect()
}

/// Vectors and matrices alike.
fn series(data: &Value) -> Vec<Series> {
    let number = |pair: &Value| pair[1].as_str().and_then(|text| text.parse().ok()).unwrap();
    items(&data["result"])
        .iter()
        .map(|series| Series {
            labels: series["metric"].clone(),
            values: match series.get("value") {
                Some(pair) => vec![number(pair)],
                None => items(&series["values"]).iter().map(number).collect(),
            },
        })
        .collect()
}

/// Percent-encoded for a query string.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
