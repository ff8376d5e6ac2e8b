//! Probes against providers that answer every way a provider can, byte by byte.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brownout::domain::outcome::Class;
use brownout::domain::target::Target;
use brownout::domain::time::Timestamp;
use brownout::ground::catalog::Price;
use brownout::ground::clock::Clock;
use brownout::ground::secret::{Secret, SecretSource};
use brownout::intake::probe::{ProbeDialect, ProbeReport, ProbeSpec, SpecInput, client, probe};
use brownout::intake::schedule::{Bell, Budget, Deps, ProbeEvent, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Long enough for any loaded machine; a test that hangs for it has failed.
///
/// Tests of deadlines run on paused time: the clock then moves only while nothing can be read or
/// written, so that no result depends on the speed of the machine.
const PATIENCE: Duration = Duration::from_secs(60);

const KEY: &str = "sk-ant-api03-T0P5ECRET";

const EVENT_STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
     request-id: req_011\r\nconnection: close\r\n\r\n";

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":\
     {\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n";

const CONTENT: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\
     \"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n";

const STOP: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":\
     {\"stop_reason\":\"max_tokens\"},\"usage\":{\"output_tokens\":1}}\n\n\
     event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const OVERLOADED: &str =
    "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}";

/// What a fake provider does with a connection, in order.
#[derive(Clone, Debug)]
enum Act {
    /// Sends this.
    Send(String),
    /// Waits, so that what follows is seen to come later.
    Pause(Duration),
    /// Cuts the connection with a reset.
    Reset,
    /// Never says anything more.
    Stall,
}

fn send(text: impl Into<String>) -> Act {
    Act::Send(text.into())
}

/// A whole response with a body.
fn response(status: &str, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    vec![send(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
    ))]
}

fn stream(parts: &[&str]) -> Vec<Act> {
    std::iter::once(EVENT_STREAM).chain(parts.iter().copied()).map(send).collect()
}

/// Reads one request: its head and body as text.
async fn read_request(socket: &mut TcpStream) -> String {
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
async fn play(mut socket: TcpStream, acts: &[Act]) -> String {
    let request = read_request(&mut socket).await;
    for act in acts {
        match act {
            // A client that has seen enough hangs up; that is its right.
            Act::Send(text) => drop(socket.write_all(text.as_bytes()).await),
            Act::Pause(pause) => tokio::time::sleep(*pause).await,
            Act::Reset => socket.set_zero_linger().unwrap(),
            Act::Stall => std::future::pending().await,
        }
    }
    request
}

struct Scene {
    dialect: ProbeDialect,
    provider: &'static str,
    timeout: Duration,
    ttft_timeout: Duration,
}

const ANTHROPIC: Scene = Scene {
    dialect: ProbeDialect::Anthropic,
    provider: "anthropic",
    timeout: PATIENCE,
    ttft_timeout: PATIENCE,
};

const OPENAI: Scene = Scene { dialect: ProbeDialect::OpenAiChat, provider: "openai", ..ANTHROPIC };

fn secret() -> Secret {
    let mut file = std::env::temp_dir();
    let unique = rand::random::<u64>();
    file.push(format!("brownout-probe-{}-{unique:x}", std::process::id()));
    std::fs::File::create(&file).unwrap().write_all(KEY.as_bytes()).unwrap();
    let secret = SecretSource::File(file.clone()).read().unwrap();
    std::fs::remove_file(&file).unwrap();
    secret
}

impl Scene {
    fn spec(&self, port: u16) -> ProbeSpec {
        ProbeSpec::new(SpecInput {
            target: Target::parse(&format!("{}/m", self.provider)).unwrap(),
            dialect: self.dialect,
            base_url: &format!("http://127.0.0.1:{port}"),
            wire_model: "m",
            api_key: Some(secret()),
            timeout: self.timeout,
            ttft_timeout: self.ttft_timeout,
            price: Some(Price { input_usd_per_mtok: 5.0, output_usd_per_mtok: 25.0 }),
            body: serde_json::Map::new(),
        })
        .unwrap()
    }

    /// One probe of a provider that does this. Gives the request too.
    async fn seen(&self, acts: &[Act]) -> (ProbeReport, String) {
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

    async fn report(&self, acts: &[Act]) -> ProbeReport {
        self.seen(acts).await.0
    }
}

#[tokio::test(start_paused = true)]
async fn a_complete_stream_is_ok_with_its_times_apart_and_its_cost() {
    let pause = Duration::from_millis(30);
    let mut acts = vec![send(EVENT_STREAM), send(": keep-alive\n\n"), send(START)];
    acts.extend([Act::Pause(pause), send(CONTENT), Act::Pause(pause), send(STOP)]);
    let (report, _) = ANTHROPIC.seen(&acts).await;
    assert_eq!(report.class, Class::Ok);
    assert_eq!(report.http_status, Some(200));
    assert_eq!(report.request_id.as_deref(), Some("req_011"));
    assert_eq!(report.misconfigured, None);
    // The first token is the first content: later than the first byte, earlier than the end.
    let (ttfb, ttft) = (report.ttfb.unwrap(), report.ttft.unwrap());
    let (connect, total) = (report.connect.unwrap(), report.total.unwrap());
    assert!(connect <= ttfb && ttft >= ttfb + pause && total >= ttft + pause, "{report:?}");
    assert!((report.cost_usd.unwrap() - 7.5e-5).abs() < 1e-12);
}

#[tokio::test]
async fn the_request_is_the_documented_one() {
    let acts = stream(&[START, CONTENT, STOP]);
    let (_, request) = ANTHROPIC.seen(&[&acts[..], &[Act::Reset]].concat()).await;
    let request = request.to_ascii_lowercase();
    for part in [
        "post /v1/messages http/1.1\r\n",
        "x-api-key: sk-ant-api03-t0p5ecret\r\n",
        "anthropic-version: 2023-06-01\r\n",
        "accept: application/json, text/event-stream\r\n",
        "user-agent: brownout/",
        "content-type: application/json\r\n",
        "\"max_tokens\":1",
        "\"stream\":true",
    ] {
        assert!(request.contains(part), "{part} is missing in {request}");
    }
    assert!(!request.contains("accept-encoding"));
}

#[tokio::test]
async fn every_fate_has_its_class() {
    let error_event = format!("event: error\ndata: {OVERLOADED}\n\n");
    let json = "content-type: application/json\r\n";
    let page = "<html><head><title>529</title></head><body>overloaded_error</body></html>";
    let cases: Vec<(&str, Vec<Act>, Class, Option<u16>)> = vec![
        ("529", response("529 Overloaded", json, OVERLOADED), Class::Overloaded, Some(529)),
        (
            "503",
            response("503 Service Unavailable", json, "{\"error\":{\"message\":\"down\"}}"),
            Class::Unavailable,
            Some(503),
        ),
        ("overload in the stream", stream(&[START, &error_event]), Class::Overloaded, Some(200)),
        (
            "overload after content",
            stream(&[START, CONTENT, &error_event]),
            Class::Overloaded,
            Some(200),
        ),
        (
            "overload, then silence",
            [stream(&[START, &error_event]), vec![Act::Stall]].concat(),
            Class::Overloaded,
            Some(200),
        ),
        ("end before the terminal event", stream(&[START, CONTENT]), Class::Network, Some(200)),
        (
            "reset in the stream",
            [stream(&[START, CONTENT]), vec![Act::Pause(Duration::from_millis(20)), Act::Reset]]
                .concat(),
            Class::Network,
            Some(200),
        ),
        ("reset before the headers", vec![Act::Reset], Class::Network, None),
        ("end before the headers", vec![], Class::Network, None),
        ("no HTTP at all", vec![send("SSH-2.0-OpenSSH\r\n\r\n")], Class::Network, None),
        (
            "a portal's page",
            response("200 OK", "content-type: text/html\r\n", page),
            Class::Other,
            Some(200),
        ),
        ("empty answer", stream(&[START, STOP]), Class::Ok, Some(200)),
        (
            "error whose body never comes",
            vec![send("HTTP/1.1 529 X\r\ncontent-length: 99\r\n\r\n"), Act::Reset],
            Class::Overloaded,
            Some(529),
        ),
    ];
    for (name, acts, class, status) in cases {
        let report = ANTHROPIC.report(&acts).await;
        assert_eq!(report.class, class, "{name}: {report:?}");
        assert_eq!(report.http_status, status, "{name}");
        assert!(report.total.is_some(), "{name}");
        assert!(report.connect.is_some(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout_before_and_after_the_headers() {
    let soon = Duration::from_millis(150);
    let scene = Scene { ttft_timeout: soon, ..ANTHROPIC };
    let silent_after = |parts: &[&str]| [stream(parts), vec![Act::Stall]].concat();
    for (name, acts, status) in [
        ("no headers", vec![Act::Stall], None),
        ("no event", silent_after(&[]), Some(200)),
        ("no content", silent_after(&[START, ": keep-alive\n\n"]), Some(200)),
    ] {
        let report = scene.report(&acts).await;
        assert_eq!(report.class, Class::Timeout, "{name}: {report:?}");
        assert_eq!(report.http_status, status, "{name}");
        assert_eq!(report.ttft, None, "{name}");
    }
    let scene = Scene { timeout: soon, ..ANTHROPIC };
    let report = scene.report(&silent_after(&[START, CONTENT])).await;
    assert_eq!(report.class, Class::Timeout);
    assert!(report.ttft.is_some(), "content had come");
    // A complete answer is one, even if the connection then hangs.
    let scene = Scene { ttft_timeout: PATIENCE, ..ANTHROPIC };
    let report = scene.report(&silent_after(&[START, CONTENT, STOP])).await;
    assert_eq!(report.class, Class::Ok);
}

#[tokio::test(start_paused = true)]
async fn keep_alives_do_not_put_off_the_deadline() {
    let scene = Scene { ttft_timeout: Duration::from_millis(100), ..OPENAI };
    let mut acts = vec![send(EVENT_STREAM)];
    for _ in 0..1_000 {
        acts.extend([send(": keep-alive\n\n"), Act::Pause(Duration::from_millis(5))]);
    }
    assert_eq!(scene.report(&acts).await.class, Class::Timeout);
}

#[tokio::test]
async fn a_refused_connection_and_an_unknown_name_are_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let client = client().unwrap();
    let mut spec = ANTHROPIC.spec(port);
    for url in [spec.url.clone(), "http://name.invalid/v1/messages".to_owned()] {
        spec.url = url;
        let report = probe(&client, &spec, &Clock::System).await;
        assert_eq!(report.class, Class::Network, "{}", spec.url);
        assert_eq!((report.http_status, report.connect), (None, None));
        assert!(report.charge_usd(&spec) == 0.0, "nothing was sent");
    }
}

#[tokio::test]
async fn a_server_without_tls_on_an_https_port_is_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut spec = ANTHROPIC.spec(listener.local_addr().unwrap().port());
    spec.url = spec.url.replace("http://", "https://");
    let client = client().unwrap();
    let serving = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut hello = [0; 16];
        socket.read_exact(&mut hello).await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        socket
    };
    let (report, _) = tokio::join!(probe(&client, &spec, &Clock::System), serving);
    assert_eq!(report.class, Class::Network);
    assert_eq!(report.connect, None);
}

#[tokio::test]
async fn a_limit_says_how_long_to_wait() {
    let headers = "content-type: application/json\r\nretry-after: 17\r\n";
    let body = "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"x\"}}";
    let report = ANTHROPIC.report(&response("429 Too Many Requests", headers, body)).await;
    assert_eq!(report.class, Class::RateLimited);
    assert_eq!(report.retry_after, Some(Duration::from_secs(17)));
    assert_eq!(report.misconfigured, None, "a rate limit is no misconfiguration");
}

#[tokio::test]
async fn a_refused_key_is_a_misconfigured_probe_and_never_shown() {
    let body = format!(
        "{{\"type\":\"error\",\"error\":{{\"type\":\"authentication_error\",\
         \"message\":\"key {KEY} has expired\"}}}}"
    );
    let json = "content-type: application/json\r\n";
    let report = ANTHROPIC.report(&response("401 Unauthorized", json, &body)).await;
    assert_eq!(report.class, Class::Auth);
    assert_eq!(report.misconfigured.as_deref(), Some("auth: key [redacted] has expired"));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_not_sent_on() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("location: http://{}/\r\n", elsewhere.local_addr().unwrap());
    let acts = response("307 Temporary Redirect", &location, "");
    let visited = tokio::select! {
        biased;
        _ = elsewhere.accept() => true,
        report = ANTHROPIC.report(&acts) => {
            assert_eq!(report.http_status, Some(307));
            assert_ne!(report.class, Class::Ok);
            false
        }
    };
    assert!(!visited, "the key was sent on");
}

#[tokio::test]
async fn a_body_bomb_is_cut_at_the_cap() {
    let bomb = "x".repeat(64 * 1024);
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: ",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\"",
        "HTTP/1.1 529 X\r\ncontent-type: application/json\r\n\r\n\"",
    ] {
        // Eight times the cap, then silence: reading on would hang.
        let mut acts = vec![send(head)];
        acts.extend(vec![send(bomb.clone()); 32]);
        acts.push(Act::Stall);
        let report = ANTHROPIC.report(&acts).await;
        let expected = if head.contains("529") { Class::Overloaded } else { Class::Other };
        assert_eq!(report.class, expected, "{head}");
    }
}

#[tokio::test]
async fn chat_completions_are_read_to_their_end() {
    let chunk = |delta: &str, finish: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{delta},\"finish_reason\":{finish}}}]}}\r\n\r\n")
    };
    let role = chunk("{\"role\":\"assistant\",\"content\":\"\"}", "null");
    let content = chunk("{\"content\":\"x\"}", "null");
    let finish = chunk("{}", "\"length\"");
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":8,\
         \"completion_tokens\":16}}\n\n";
    let done = "data: [DONE]\n\n";
    let (report, request) = OPENAI.seen(&stream(&[&role, &content, &finish, usage, done])).await;
    assert_eq!(report.class, Class::Ok);
    assert!((report.cost_usd.unwrap() - (8.0 * 5.0 + 16.0 * 25.0) / 1e6).abs() < 1e-12);
    assert!(request.starts_with("POST /chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: Bearer {KEY}\r\n")), "{request}");

    // `[DONE]` alone, or a reason to finish alone, ends an answer; neither does not.
    for (parts, class) in [
        (vec![&*role, &*content, done], Class::Ok),
        (vec![&*role, &*finish], Class::Ok),
        (vec![&*role, &*content], Class::Network),
        (vec![": keep-alive\n\n"], Class::Network),
    ] {
        assert_eq!(OPENAI.report(&stream(&parts)).await.class, class, "{parts:?}");
    }
}

/// A provider that answers any number of probes on one warm connection.
async fn keep_answering(listener: &TcpListener) {
    let body = format!("{START}{CONTENT}{STOP}");
    let length = body.len();
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        for _ in 0..1_000 {
            read_request(&mut socket).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
            let answer = format!("{head}content-length: {length}\r\n\r\n{body}");
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

/// The shared parts of a loop, and a channel of what happens.
fn deps() -> (Deps, tokio::sync::mpsc::UnboundedReceiver<ProbeEvent>) {
    let (tell, events) = tokio::sync::mpsc::unbounded_channel();
    let listener = Arc::new(move |event| drop(tell.send(event)));
    (Deps::new(client().unwrap(), Clock::System, Budget::new(None), listener), events)
}

#[tokio::test]
async fn the_loop_keeps_probing_on_one_warm_connection_until_told_to_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = ANTHROPIC.spec(listener.local_addr().unwrap().port());
    let target = spec.target.clone();
    let (deps, mut events) = deps();
    let token = CancellationToken::new();
    let bell = Bell::every(Duration::from_millis(2), 0.2);
    let watching = async {
        let (mut reports, mut due) = (Vec::new(), Timestamp::default());
        while reports.len() < 200 {
            match events.recv().await.unwrap() {
                ProbeEvent::Finished { report, .. } => reports.push(report),
                ProbeEvent::Scheduled { next_run, .. } => due = due.max(next_run.unwrap()),
                ProbeEvent::Skipped { reason, .. } => panic!("skipped: {reason:?}"),
            }
        }
        token.cancel();
        (reports, due)
    };
    let running = run(spec, bell, deps, token.clone());
    let (reports, due) = tokio::select! {
        () = keep_answering(&listener) => unreachable!("the server never ends"),
        ((), found) = async { tokio::join!(running, watching) } => found,
    };
    assert!(reports.iter().all(|report| report.class == Class::Ok));
    assert!(reports[0].connect.is_some());
    assert!(reports[1..].iter().all(|report| report.connect.is_none()), "one connection");
    assert!(due > reports[0].started_at);
    assert_eq!(reports[0].outcome(&target).time_to_first_token, reports[0].ttft);
}

#[tokio::test]
async fn shutdown_gives_up_a_probe_in_flight_and_records_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = ANTHROPIC.spec(listener.local_addr().unwrap().port());
    let (deps, mut events) = deps();
    let token = CancellationToken::new();
    let running = run(spec, Bell::every(Duration::from_millis(2), 0.0), deps, token.clone());
    let stopping = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await;
        token.cancel();
        // Kept open: the loop must not need the provider to end.
        socket
    };
    let ((), _socket) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(running, stopping) }).await.unwrap();
    while let Some(event) = events.recv().await {
        assert!(matches!(event, ProbeEvent::Scheduled { .. }), "{event:?}");
    }
}
