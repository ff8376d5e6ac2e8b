//! Starts the real daemon, in this process, on a port of its own.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use brownout::app::{Daemon, Settings};
use brownout::ground::clock::Clock;
use brownout::ground::config::Config;
use brownout::ground::self_stats::SelfStats;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::temp::TempFile;

/// How long a condition may take to come true before a test gives up: far more than it needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until what it sees is good, and gives that; fails the test and shows the last look if
/// it takes too long.
pub(crate) async fn eventually<T: Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> T,
    good: impl Fn(&T) -> bool,
) -> T {
    let mut last = None;
    let wait = async {
        loop {
            let seen = last.insert(look().await);
            if good(seen) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, wait).await.is_ok();
    assert!(in_time, "it never came true that {what}; last: {last:#?}");
    last.expect("a good look is the last one")
}

/// A running daemon. It stops when dropped.
pub(crate) struct Running {
    url: String,
    client: reqwest::Client,
    shutdown: CancellationToken,
    _tasks: tokio::task::JoinSet<()>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

/// Starts a daemon with this configuration (YAML; empty for none).
pub(crate) async fn start(yaml: &str) -> Running {
    let config = Config::parse(yaml, "test.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    run(config, None).await
}

/// Starts a daemon with a configuration file, which it reads again when asked to.
pub(crate) async fn start_from(file: &TempFile) -> Running {
    let path = PathBuf::from(file.path());
    let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    run(config, Some(path)).await
}

async fn run(config: Config, config_file: Option<PathBuf>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        config,
        config_file,
        probes: Vec::new(),
        clock: Clock::System,
        stats: SelfStats::new(),
    };
    let daemon = Daemon::start(settings, listener).unwrap();
    let url = format!("http://{}", daemon.address());
    let shutdown = daemon.shutdown_token();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { daemon.run().await.unwrap() });
    Running { url, client: brownout::intake::probe::client().unwrap(), shutdown, _tasks: tasks }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Running {
    /// Its base URL, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// GETs a path.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.send(self.client.get(format!("{}{path}", self.url))).await;
        (answer.status, answer.body)
    }

    /// GETs JSON.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// POSTs a batch of outcomes as NDJSON or JSON.
    pub(crate) async fn report(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(reqwest::Method::POST, "/v1/outcomes");
        self.send(request.header("content-type", "application/json").body(body)).await
    }

    /// A request to be filled in and sent.
    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }

    /// Waits until a health document of one target satisfies a condition.
    pub(crate) async fn target_when(
        &self,
        target: &str,
        what: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        let path = format!("/v1/health/{target}");
        let look = async || {
            let (status, body) = self.get(&path).await;
            (status, serde_json::from_str(&body).unwrap())
        };
        let good = |(status, health): &(u16, Value)| *status == 200 && condition(health);
        eventually(&format!("{target} shows {what}"), look, good).await.1
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// A header as text, empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
