//! Debian's Alertmanager with the shipped configuration, as a child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::receiver::Receiver;
use super::rules;
use crate::daemon::PATIENCE;

/// Between two looks at whether it is ready.
const LOOK: Duration = Duration::from_millis(50);

/// How it is named in messages.
const EXTERNAL_URL: &str = "http://alertmanager.example";

/// A running Alertmanager. It is killed when dropped, and its folder removed.
pub(super) struct Alertmanager {
    /// Host and port.
    pub(super) address: String,
    folder: PathBuf,
    client: reqwest::Client,
    child: Child,
}

/// The shipped configuration with these receivers, and without its waits: one second stays, so
/// that alerts which are sent one after the other can hold each other back.
fn config(receiver: &Receiver) -> String {
    let mut config = rules::file("alerts/alertmanager.example.yml");
    for (shipped, ours) in [
        ("http://127.0.0.1:9095", receiver.url.as_str()),
        ("smtp_smarthost: 127.0.0.1:25", &format!("smtp_smarthost: {}", receiver.smtp)),
        ("group_wait: 30s", "group_wait: 1s"),
        ("group_interval: 5m", "group_interval: 1s"),
    ] {
        assert!(config.contains(shipped), "{shipped} is no longer in the example");
        config = config.replace(shipped, ours);
    }
    config
}

impl Alertmanager {
    pub(super) async fn start(receiver: &Receiver) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("alertmanager-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("alertmanager.yml"), config(receiver)).unwrap();
        let templates = rules::file("alerts/brownout.tmpl");
        std::fs::write(folder.join("brownout.tmpl"), templates).unwrap();
        // The port is free when we look and may be taken when it is bound: try again.
        for _ in 0..5 {
            if let Some(alertmanager) = Self::try_start(&folder).await {
                return alertmanager;
            }
        }
        panic!("prometheus-alertmanager does not start: {}", log(&folder));
    }

    async fn try_start(folder: &Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", folder.join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .arg(format!("--web.external-url={EXTERNAL_URL}"))
            // Without a cluster it opens no port for gossip.
            .args(["--cluster.listen-address=", "--log.level=warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "prometheus-alertmanager: {error}; install Debian's package of that name, \
                     as tests/run does"
                )
            });
        let client = brownout::intake::probe::client().unwrap();
        let mut one = Self { address: free.to_string(), folder: folder.to_owned(), client, child };
        let ready = format!("http://{free}/-/ready");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while one.child.try_wait().unwrap().is_none() {
            let answer = one.client.get(&ready).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Some(one);
            }
            assert!(tokio::time::Instant::now() < deadline, "never ready: {}", log(folder));
            tokio::time::sleep(LOOK).await;
        }
        // Gone already. Its folder is used again by the next try.
        one.folder = PathBuf::new();
        None
    }

    /// The alerts of one name for one target, provider or the like.
    pub(super) async fn alerts(&self, name: &str, label: &str, value: &str) -> Vec<Value> {
        let url = format!("http://{}/api/v2/alerts", self.address);
        let body = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let all: Vec<Value> = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"));
        let wanted =
            |alert: &Value| alert["labels"]["alertname"] == name && alert["labels"][label] == value;
        all.into_iter().filter(wanted).collect()
    }

    /// Sends it alerts, as Prometheus does.
    pub(super) async fn send(&self, alerts: &Value) {
        let url = format!("http://{}/api/v2/alerts", self.address);
        let answer = self.client.post(url).json(alerts).send().await.unwrap();
        let status = answer.status().as_u16();
        assert_eq!(status, 200, "{}", answer.text().await.unwrap());
    }

    /// What it logged.
    pub(super) fn log(&self) -> String {
        log(&self.folder)
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // What it writes meanwhile may keep the folder: it lies in the build's own and is small.
        let _ = self.child.start_kill();
        if !std::thread::panicking() && self.folder.is_absolute() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}
