//! OTLP over gRPC: by hand, frame by frame, and with the exporters that people run.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::daemon::{self, Running};
use crate::sdk::python;
use crate::temp::TempFile;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// What a call ended with.
#[derive(Debug)]
struct Ended {
    http: u16,
    /// Headers and trailers, as a client of gRPC looks at both.
    fields: http::HeaderMap,
    trailers: bool,
    body: Bytes,
}

impl Ended {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn code(&self) -> u16 {
        self.field("grpc-status").parse().unwrap_or_else(|_| panic!("no status: {self:?}"))
    }
}

/// Sends a call over HTTP/2 without TLS or upgrade, as clients of gRPC do.
async fn call(daemon: &Running, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Ended {
    let address = daemon.url();
    let stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    let mut request = http::Request::post(format!("{address}{path}")).header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let (http, mut fields) = (response.status().as_u16(), response.headers().clone());
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    let has_trailers = trailers.is_some();
    fields.extend(trailers.unwrap_or_default());
    Ended { http, fields, trailers: has_trailers, body: collected.to_bytes() }
}

/// A message behind its prefix.
fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const PROTO: (&str, &str) = ("content-type", "application/grpc+proto");
const GZIP: (&str, &str) = ("grpc-encoding", "gzip");

/// A field of protobuf that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    [field, bytes.to_vec()].concat()
}

/// An export of one attempt of the Vercel AI SDK that ended then.
fn export(id: u8, ended: u64) -> Vec<u8> {
    let attributes = [
        ("ai.operationId", "ai.streamText.doStream"),
        ("gen_ai.system", "anthropic.messages"),
        ("gen_ai.request.model", "m"),
    ];
    let mut span = [field(1, &[7; 16]), field(2, &[id; 8]), field(5, b"ai.streamText")].concat();
    for (tag, secs) in [(7 << 3 | 1, ended - 1), (8 << 3 | 1, ended)] {
        span.push(tag);
        span.extend_from_slice(&(secs * 1_000_000_000).to_le_bytes());
    }
    for (key, value) in attributes {
        let value = field(2, &field(1, value.as_bytes()));
        span.extend(field(9, &[field(1, key.as_bytes()), value].concat()));
    }
    let scope = [field(1, &field(1, b"ai")), field(2, &span)].concat();
    field(1, &field(2, &scope))
}

fn now() -> u64 {
    brownout::ground::clock::Clock::System.now().secs()
}

#[tokio::test]
async fn exports_are_taken_and_end_in_trailers() {
    let daemon = daemon::start("").await;
    let good = b"\0\0\0\0\0";
    for (path, headers, body) in [
        (TRACES, &[GRPC][..], frame(0, b"")),
        (TRACES, &[PROTO], frame(0, &export(1, now()))),
        (TRACES, &[GRPC, GZIP], frame(1, &gzip(&export(2, now())))),
        // Whether it is compressed is a matter of each message.
        (TRACES, &[GRPC, GZIP], frame(0, &export(3, now()))),
        (TRACES, &[GRPC, ("grpc-encoding", "identity")], frame(0, &export(4, now()))),
        (LOGS, &[GRPC], frame(0, b"")),
        (METRICS, &[GRPC], frame(0, b"\x0a\x00")),
    ] {
        let ended = call(&daemon, path, headers, body).await;
        assert_eq!((ended.http, ended.code()), (200, 0), "{path} {headers:?}: {ended:?}");
        assert!(ended.trailers, "{ended:?}");
        assert_eq!(ended.field("content-type"), "application/grpc");
        assert_eq!(&ended.body[..], good, "an empty response");
    }
    let all = |health: &Value| health["windows"]["5m"]["ok"] == 4;
    daemon.target_when("anthropic/m", "four attempts", all).await;

    let ended = call(&daemon, TRACES, &[GRPC], frame(0, &export(5, now() - 200_000))).await;
    assert_eq!((ended.http, ended.code()), (200, 0), "{ended:?}");
    // partial_success { rejected_spans: 1, error_message: … }
    assert_eq!((ended.body[5], &ended.body[7..9]), (0x0a, &b"\x08\x01"[..]), "{ended:?}");
    let text = String::from_utf8_lossy(&ended.body);
    assert!(text.contains("more than 24 hours ago"), "{text}");

    let metrics = daemon.get("/metrics").await.1;
    for line in [
        "brownout_server_requests_total{code=\"2xx\",route=\"telemetry\"} 8",
        "brownout_ingest_requests_total{code=\"200\"} 8",
    ] {
        assert!(metrics.lines().any(|have| have == line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_ends_in_a_code_that_says_what_to_do() {
    let daemon = daemon::start("ingest: {max_body: 4KiB, max_decoded: 8KiB}\n").await;
    let (good, bomb) = (frame(0, b""), gzip(&[0x7a; 100_000]));
    let twice = [good.clone(), good.clone()].concat();
    let short = frame(0, &export(1, now()))[..40].to_vec();
    let zstd = ("grpc-encoding", "zstd");
    let (json, web) =
        (("content-type", "application/grpc+json"), ("content-type", "application/grpc-web"));
    let unknown = "/opentelemetry.proto.collector.trace.v1.TraceService/Import";
    for (path, headers, body, code, text) in [
        (TRACES, &[GRPC][..], Vec::new(), 3, "ended before its message began"),
        (TRACES, &[GRPC], vec![0, 0, 0], 3, "ended before its message began"),
        (TRACES, &[GRPC], short, 3, "before its message was complete"),
        (TRACES, &[GRPC], frame(0, b"")[..5].repeat(2), 3, "more than one message"),
        (TRACES, &[GRPC], twice, 3, "more than one message"),
        (TRACES, &[GRPC, GZIP], frame(7, b""), 3, "neither 0 nor 1"),
        (TRACES, &[GRPC], frame(1, &gzip(b"")), 3, "does not say how"),
        (TRACES, &[GRPC, GZIP], frame(1, b"secret"), 3, "not valid gzip"),
        (TRACES, &[GRPC], frame(0, b"secret"), 3, "not an export of OTLP"),
        (TRACES, &[GRPC, zstd], frame(1, b""), 12, "grpc-encoding \"zstd\" is not accepted"),
        (TRACES, &[json], good.clone(), 12, "application/grpc+proto"),
        (TRACES, &[web], good.clone(), 12, "application/grpc+proto"),
        (unknown, &[GRPC], good.clone(), 12, "TraceService"),
        ("/grpc.health.v1.Health/Check", &[GRPC], good, 12, "Export"),
        (TRACES, &[GRPC], frame(0, &[0x7a; 5_000]), 8, "larger than 4096 bytes on the wire"),
        (TRACES, &[GRPC, GZIP], frame(1, &bomb), 8, "larger than 8192 bytes decoded"),
    ] {
        let ended = call(&daemon, path, headers, body).await;
        let said = ended.field("grpc-message");
        assert_eq!((ended.http, ended.code()), (200, code), "{path} {headers:?}: {ended:?}");
        assert!(said.contains(text) && said.contains(": "), "{text}: {ended:?}");
        assert!(!said.contains("secret"), "{ended:?}");
        assert_eq!(ended.field("grpc-accept-encoding"), "identity,gzip");
        assert_eq!(ended.field("content-type"), "application/grpc");
        assert!(!ended.trailers && ended.body.is_empty(), "{ended:?}");
    }
    // What is no call of gRPC gets an answer of HTTP.
    for kind in ["application/x-protobuf", "application/json"] {
        let ended = call(&daemon, TRACES, &[("content-type", kind)], Vec::new()).await;
        assert_eq!(ended.http, 415, "{ended:?}");
    }
    let request = daemon.request(reqwest::Method::POST, TRACES).header(GRPC.0, GRPC.1);
    let answer = daemon.send(request.body(frame(0, b""))).await;
    assert_eq!((answer.status, answer.body.contains("HTTP/2")), (415, true), "{answer:?}");
}

#[tokio::test]
async fn the_token_is_needed_here_as_well() {
    let file = TempFile::new("token", "secret-token\n");
    let yaml = format!("ingest: {{tokens: [{{name: team-a, file: {}}}]}}\n", file.path());
    let daemon = daemon::start(&yaml).await;
    for path in [TRACES, LOGS, METRICS] {
        for (given, code) in [("Bearer secret-token", 0), ("Bearer wrong", 16), ("", 16)] {
            let headers = [GRPC, ("authorization", given)];
            let ended = call(&daemon, path, &headers, frame(0, b"")).await;
            assert_eq!((ended.http, ended.code()), (200, code), "{path} {given}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn what_the_exporters_of_opentelemetry_send_arrives_whichever_way() {
    let file = TempFile::new("token", "secret-token\n");
    let yaml = format!("ingest: {{tokens: [{{name: team-a, file: {}}}]}}\n", file.path());
    let daemon = daemon::start(&yaml).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/exporters.py");
    let run = Command::new(python())
        .args([script, &daemon.url(), "secret-token"])
        .env("no_proxy", "127.0.0.1")
        .kill_on_drop(true)
        .output();
    let output = run.await.unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    let out = String::from_utf8(output.stdout).unwrap();
    let ways: Vec<_> = out.lines().collect();
    assert_eq!(ways.len(), 8, "{out}");
    for way in ways {
        for (target, good, class, bad) in [
            (format!("anthropic/spans-{way}"), 3, "overloaded", 2),
            (format!("openai/events-{way}"), 2, "unavailable", 1),
        ] {
            // A day, for the script may take longer than five minutes on a slow machine.
            let health = daemon.json(&format!("/v1/health/{target}")).await;
            let window = &health["windows"]["24h"];
            let seen = (&window["attempts"], &window["ok"], &window[class]);
            assert_eq!(seen, (&json!(good + bad), &json!(good), &json!(bad)), "{target}");
        }
    }
    assert!(!daemon.get("/metrics").await.1.contains("ping"));
}
