//! A provider that does what a test says, byte by byte, and probes of it.

use std::sync::Mutex;
use std::time::Duration;

use brownout::domain::target::Target;
use brownout::ground::catalog::{Dialect, Price};
use brownout::ground::clock::Clock;
use brownout::ground::config::{ProbesConfig, ProviderConfig};
use brownout::ground::secret::SecretSource;
use brownout::intake::probe::{Credential, ProbeReport, ProbeSpec, client, probe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for any loaded machine; a test that hangs for it has failed.
///
/// Tests of deadlines run on paused time: the clock then moves only while nothing can be read or
/// written, so that no result depends on the speed of the machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const KEY: &str = "sk-ant-api03-T0P5ECRET";

pub(super) const EVENT_STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
     request-id: req_011\r\nconnection: close\r\n\r\n";

pub(super) const START: &str = "event: message_start\n\
     data: {\"type\":\"message_start\",\"message\":\
     {\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n";

pub(super) const CONTENT: &str = "event: content_block_delta\n\
     data: {\"type\":\"content_block_delta\",\
     \"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n";

pub(super) const STOP: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":\
     {\"stop_reason\":\"max_tokens\"},\"usage\":{\"output_tokens\":1}}\n\n\
     event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

pub(super) const OVERLOADED: &str =
    "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}";

/// What a fake provider does with a connection, in order.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Sends this.
    Send(Vec<u8>),
    /// Waits, so that what follows is seen to come later.
    Pause(Duration),
    /// Cuts the connection with a reset.
    Reset,
    /// Never says anything more.
    Stall,
}

pub(super) fn send(bytes: impl Into<Vec<u8>>) -> Act {
    Act::Send(bytes.into())
}

/// A whole response with a body.
pub(super) fn response(status: &str, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    vec![send(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
    ))]
}

pub(super) fn stream(parts: &[&str]) -> Vec<Act> {
    std::iter::once(EVENT_STREAM).chain(parts.iter().copied()).map(send).collect()
}

/// Reads one request: its head and body as text.
pub(super) async fn read_request(socket: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = socket.read(&mut buffer).await.unwrap();
        text.extend_from_slice(&buffer[..read]);
        let whole = String::from_utf8_lossy(&text);
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.parse().unwrap());
            if body.len() >= length {
                return whole.into_owned();
            }
        }
        assert_ne!(read, 0, "the request ended early");
    }
}

/// Plays one connection.
pub(super) async fn play(mut socket: TcpStream, acts: &[Act]) -> String {
    let request = read_request(&mut socket).await;
    for act in acts {
        match act {
            // A client that has seen enough hangs up; that is its right.
            Act::Send(bytes) => drop(socket.write_all(bytes).await),
            Act::Pause(pause) => tokio::time::sleep(*pause).await,
            Act::Reset => socket.set_zero_linger().unwrap(),
            Act::Stall => std::future::pending().await,
        }
    }
    request
}

/// Whom to probe, and how patiently.
pub(super) struct Scene {
    pub(super) dialect: Dialect,
    pub(super) provider: &'static str,
    pub(super) timeout: Duration,
    pub(super) ttft_timeout: Duration,
}

pub(super) const ANTHROPIC: Scene = Scene {
    dialect: Dialect::Anthropic,
    provider: "anthropic",
    timeout: PATIENCE,
    ttft_timeout: PATIENCE,
};

pub(super) const OPENAI: Scene =
    Scene { dialect: Dialect::OpenAiChat, provider: "openai", ..ANTHROPIC };

impl Scene {
    pub(super) fn spec(&self, port: u16) -> ProbeSpec {
        let mut provider = ProviderConfig::new(self.dialect, format!("http://127.0.0.1:{port}"));
        let price = Price { input_usd_per_mtok: 5.0, output_usd_per_mtok: 25.0 };
        provider.price_of_others = Some(price);
        let source = SecretSource::Command(vec!["echo".to_owned(), KEY.to_owned()]);
        let probes = ProbesConfig {
            timeout: self.timeout,
            ttft_timeout: self.ttft_timeout,
            ..ProbesConfig::default()
        };
        let target = Target::parse(&format!("{}/m", self.provider)).unwrap();
        let credential = Credential::read(&source).unwrap();
        ProbeSpec::new(target, &provider, &probes, Some(credential)).unwrap()
    }

    /// One probe of a provider that does this. Gives the request too.
    pub(super) async fn seen(&self, acts: &[Act]) -> (ProbeReport, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec = self.spec(listener.local_addr().unwrap().port());
        let request = Mutex::new(String::new());
        let serving = async {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let text = play(socket, acts).await;
                *request.lock().unwrap() = text;
            }
        };
        let client = client().unwrap();
        let probing = tokio::time::timeout(PATIENCE, probe(&client, &spec, &Clock::System));
        let report = tokio::select! {
            () = serving => unreachable!("the server never ends"),
            report = probing => report.unwrap(),
        };
        let text = format!("{report:?} {spec:?}");
        assert!(!text.contains("T0P5ECRET"), "the key shows: {text}");
        let request = request.lock().unwrap().clone();
        (report, request)
    }

    pub(super) async fn report(&self, acts: &[Act]) -> ProbeReport {
        self.seen(acts).await.0
    }
}
