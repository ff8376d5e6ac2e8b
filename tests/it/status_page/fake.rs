//! A status page that answers what a test says and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(super) const SUMMARY: &str = "/api/v2/summary.json";
pub(super) const UNRESOLVED: &str = "/api/v2/incidents/unresolved.json";

pub(super) const GREEN: &str =
    r#"{"status":{"indicator":"none","description":"All Systems Operational"},"incidents":[]}"#;
pub(super) const NO_INCIDENTS: &str = r#"{"page":{"id":"x"},"incidents":[]}"#;

/// A page on loopback. It closes with the test.
pub(super) struct FakePage {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct State {
    /// Whole responses by path; what is not here is never answered.
    answers: BTreeMap<String, String>,
    requests: Vec<String>,
}

/// A whole response.
pub(super) fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
    )
}

impl FakePage {
    /// A page with these documents.
    pub(super) async fn start(summary: &str, unresolved: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let mut serving = JoinSet::new();
        let seen = Arc::clone(&state);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                connections.spawn(answer(socket, Arc::clone(&seen)));
            }
        });
        let page = Self { url, state, _serving: serving };
        page.answers(SUMMARY, &response("200 OK", "", summary));
        page.answers(UNRESOLVED, &response("200 OK", "", unresolved));
        page
    }

    /// From now on answers `path` so.
    pub(super) fn answers(&self, path: &str, response: &str) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), response.to_owned());
    }

    /// From now on never answers.
    pub(super) fn stalls(&self) {
        self.state.lock().unwrap().answers.clear();
    }

    /// The heads of all requests so far, in lower case.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

async fn answer(mut socket: TcpStream, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // A client that has given up hangs up; that is its right.
        let Ok(byte) = socket.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let answer = {
        let mut state = state.lock().unwrap();
        state.requests.push(head.to_ascii_lowercase());
        state.answers.get(&path).cloned()
    };
    match answer {
        Some(answer) => drop(socket.write_all(answer.as_bytes()).await),
        None => std::future::pending().await,
    }
}
