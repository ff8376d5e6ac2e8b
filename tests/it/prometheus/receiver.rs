//! Who gets Alertmanager's messages: a webhook, Slack's one, and a mailbox, all on loopback.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::Uri;
use axum::{Json, Router};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Something that arrived.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// A POST to this path.
    Post(String, Value),
    /// A mail, as it came over the wire.
    Mail(String),
}

type Messages = Arc<Mutex<Vec<Message>>>;

/// The receivers. They close with the test.
pub(super) struct Receiver {
    /// Where to POST, without a slash at the end.
    pub(super) url: String,
    /// Where mail is taken: host and port.
    pub(super) smtp: String,
    messages: Messages,
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", http.local_addr().unwrap());
        let smtp = mail.local_addr().unwrap().to_string();
        let messages = Messages::default();
        let router = Router::new().fallback(take).with_state(Arc::clone(&messages));
        let mailbox = Arc::clone(&messages);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(http, router).await.unwrap() });
        serving.spawn(async move {
            let mut sessions = JoinSet::new();
            loop {
                let (socket, _) = mail.accept().await.unwrap();
                sessions.spawn(take_mail(socket, Arc::clone(&mailbox)));
            }
        });
        Self { url, smtp, messages, _serving: serving }
    }

    /// Everything that arrived so far, in order.
    pub(super) fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }

    /// What was posted to a path.
    pub(super) fn posts(&self, path: &str) -> Vec<Value> {
        let to = |message| match message {
            Message::Post(at, body) if at == path => Some(body),
            Message::Post(..) | Message::Mail(_) => None,
        };
        self.messages().into_iter().filter_map(to).collect()
    }

    /// The mails that came.
    pub(super) fn mails(&self) -> Vec<String> {
        let to = |message| match message {
            Message::Mail(text) => Some(text),
            Message::Post(..) => None,
        };
        self.messages().into_iter().filter_map(to).collect()
    }
}

async fn take(State(messages): State<Messages>, uri: Uri, Json(body): Json<Value>) -> &'static str {
    messages.lock().unwrap().push(Message::Post(uri.path().to_owned(), body));
    "ok"
}

/// As much of SMTP as Alertmanager speaks without TLS and a password.
async fn take_mail(socket: TcpStream, messages: Messages) {
    let mut socket = BufReader::new(socket);
    socket.write_all(b"220 mailbox\r\n").await.unwrap();
    let mut line = String::new();
    // A connection that ends early is Alertmanager's to try again.
    while let Ok(1..) = socket.read_line(&mut line).await {
        let command = std::mem::take(&mut line);
        let answer = match command.split([' ', '\r']).next() {
            Some("DATA") => "354 go on\r\n",
            Some("QUIT") => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if answer.starts_with("354") {
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                if !matches!(socket.read_line(&mut mail).await, Ok(1..)) {
                    return;
                }
            }
            messages.lock().unwrap().push(Message::Mail(mail));
            let _ = socket.write_all(b"250 kept\r\n").await;
        }
    }
}
