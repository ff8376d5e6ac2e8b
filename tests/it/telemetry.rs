//! OpenTelemetry's exports and LiteLLM's callback, through the real HTTP server.

use serde_json::{Value, json};

use crate::captures::cases_of;
use crate::daemon::{self, Answer, Running, eventually};
use crate::temp::TempFile;

/// Seconds since 1970, now.
pub(crate) fn now() -> u64 {
    brownout::ground::clock::Clock::System.now().secs()
}

/// A span of the Vercel AI SDK.
fn span(id: &str, parent: &str, operation: &str, ended: u64, error: Option<&str>) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let mut span = json!({
        "traceId": "9bc91359f9c09b470b45e8d25a688351", "spanId": id, "parentSpanId": parent,
        "name": operation, "startTimeUnixNano": format!("{}000000000", ended - 1),
        "endTimeUnixNano": format!("{ended}000000000"),
        "attributes": [text("ai.operationId", operation), text("ai.model.id", "claude-opus-4-7"),
            text("gen_ai.system", "anthropic.messages"), text("ai.prompt", "tell me a secret"),
            text("gen_ai.request.model", "claude-opus-4-7")],
    });
    if let Some(error) = error {
        span["status"] = json!({"code": 2, "message": error});
    }
    span
}

fn traces(spans: &[Value]) -> String {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans, "scope": {"name": "ai"}}]}]})
        .to_string()
}

async fn post(daemon: &Running, path: &str, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = daemon.request(reqwest::Method::POST, path);
    daemon.send(request.header("content-type", kind).body(body.into())).await
}

/// Waits until the counter of this series has this value.
pub(crate) async fn counted(daemon: &Running, series: &str, value: u64) {
    let look = async || daemon.get("/metrics").await.1;
    let line = format!("{series} {value}");
    eventually(&line, look, |text| text.lines().any(|have| have == line)).await;
}

#[tokio::test]
async fn attempts_of_one_call_are_told_apart_and_a_replay_counts_nothing() {
    let daemon = daemon::start("").await;
    let call = "f6956660c1daf503";
    let spans = [
        span("0000000000000003", call, "ai.generateText.doGenerate", now(), None),
        span("0000000000000001", call, "ai.generateText.doGenerate", now() - 9, Some("Overloaded")),
        span("0000000000000002", call, "ai.generateText.doGenerate", now() - 5, Some("Overloaded")),
        span(call, "", "ai.generateText", now(), None),
    ];
    for _ in 0..2 {
        let answer = post(&daemon, "/v1/traces", "application/json", traces(&spans)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    }
    let health = daemon
        .target_when("anthropic/claude-opus-4-7", "three attempts", |health| {
            health["windows"]["5m"]["attempts"] == 3
        })
        .await;
    let window = &health["windows"]["5m"];
    assert_eq!((&window["ok"], &window["overloaded"]), (&json!(1), &json!(2)));
    assert_eq!(window["overload_ratio"], 1.0, "the first attempt was shed, the others are retries");
    counted(&daemon, "brownout_ingest_records_accepted_total", 3).await;
    counted(&daemon, "brownout_ingest_records_duplicate_total", 3).await;
    counted(&daemon, "brownout_ingest_records_ignored_total{reason=\"wrapper\"}", 2).await;
    assert!(!daemon.get("/metrics").await.1.contains("secret"));
}

#[tokio::test]
async fn calls_are_counted_apart_from_attempts_with_the_retries_inside_them() {
    let daemon = daemon::start("").await;
    let call = |id: u8, retries: u64, status: u64| {
        let attribute = |key: &str, value: Value| json!({"key": key, "value": value});
        let text = |key: &str, value: &str| attribute(key, json!({"stringValue": value}));
        let number = |key: &str, n: u64| attribute(key, json!({"intValue": n.to_string()}));
        json!({
            "traceId": format!("{id:032x}"), "spanId": format!("{id:016x}"),
            "name": "anthropic.messages.create", "endTimeUnixNano": format!("{}000000000", now()),
            "attributes": [
                text("gen_ai.request.model", "claude-opus-4-7"),
                text("server.address", "api.anthropic.com"),
                number("http.response.status_code", status),
                number("http.request.resend_count", retries),
            ],
        })
    };
    let spans = [call(1, 0, 200), call(2, 2, 200), call(3, 2, 529)];
    let body = json!({"resourceSpans": [{"scopeSpans": [
        {"scope": {"name": "com.anthropic.sdk.python"}, "spans": spans}]}]});
    for _ in 0..2 {
        let answer = post(&daemon, "/v1/traces", "application/json", body.to_string()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    }
    let health = daemon
        .target_when("anthropic/claude-opus-4-7", "three calls", |health| {
            health["operations"]["5m"]["operations"] == 3
        })
        .await;
    let expected = json!({"operations": 3, "ok": 2, "overloaded": 1, "rate_limited": 0,
        "unavailable": 0, "overload_ratio": 0.333333, "attempts_unclassified": 4});
    assert_eq!(health["operations"]["5m"], expected);
    assert_eq!(health["windows"]["5m"]["attempts"], 0, "no attempt is told of");
    let coverage = &health["coverage"][0];
    assert_eq!(
        (&coverage["layer"], &coverage["basis"]),
        (&json!("anthropic_sdk"), &json!("operation"))
    );
    assert_eq!((&coverage["retries"], &coverage["can_clear"]), (&json!("counted"), &json!(true)));
}

/// A call as two libraries tell of it, which know different ids of it.
#[tokio::test]
async fn a_call_that_two_programs_tell_of_counts_once_by_any_id() {
    let daemon = daemon::start("providers: {anthropic: {base_url: 'http://127.0.0.1:9999'}}").await;
    let call = |scope: &str, service: &str, ids: &[(&str, &str)]| {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let mut attributes = vec![
            text("gen_ai.request.model", "claude-opus-4-7"),
            text("gen_ai.provider.name", "anthropic"),
            // The configured server is on this port, and any other on this machine is not it.
            text("server.address", "127.0.0.1"),
            json!({"key": "server.port", "value": {"intValue": "9999"}}),
        ];
        attributes.extend(ids.iter().map(|(key, id)| text(key, id)));
        let span = json!({"name": "x", "endTimeUnixNano": format!("{}000000000", now()),
            "attributes": attributes});
        let resource = json!({"attributes": [text("service.name", service)]});
        let scopes = json!([{"scope": {"name": scope}, "spans": [span]}]);
        json!({"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]}).to_string()
    };
    let request = ("anthropic.request.id", "req_011CSHoEeqs5C35K2UUqR7Fy");
    let answer = ("gen_ai.response.id", "msg_01XFDUDYJgAACzvnptvVoYEL");
    for body in [
        call("com.anthropic.sdk.python", "a", &[request, answer]),
        call("opentelemetry.instrumentation.anthropic", "b", &[answer]),
        call(
            "opentelemetry.instrumentation.anthropic",
            "b",
            &[("gen_ai.response.id", "msg_2-new-one")],
        ),
    ] {
        let answer = post(&daemon, "/v1/traces", "application/json", body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    }
    counted(&daemon, "brownout_ingest_records_accepted_total", 2).await;
    counted(&daemon, "brownout_ingest_records_ignored_total{reason=\"request_id\"}", 1).await;
}

#[tokio::test]
async fn payloads_of_litellm_are_read_in_every_form() {
    let daemon = daemon::start("").await;
    let mut payloads = 0;
    for case in cases_of("py-litellm-sdk") {
        let text = case["bodies"][0]["text"].as_str().unwrap();
        let answer = post(&daemon, "/v1/litellm", "application/json", text).await;
        let number = if case["model"] == "mixed" { 8 } else { 1 };
        // They were sent to a loopback address that nobody configured as a provider's.
        let (status, receipt) = (answer.status, answer.json());
        assert_eq!((status, &receipt["ignored"]), (200, &json!(number)), "{}", case["case"]);
        payloads += number;
    }
    let gateway = "brownout_ingest_records_ignored_total{reason=\"gateway\"}";
    counted(&daemon, gateway, payloads).await;
    let own = r#"[{"status":"failure","model":"m","error_information":
        {"error_code":"429","error_rate_limit_category":"litellm_rate_limit"}},
        {"status":"success","model":"m","cache_hit":true}, 7]"#;
    let answer = post(&daemon, "/v1/litellm", "application/json", own).await;
    assert_eq!(answer.json()["rejected"], 1, "{answer:?}");
    counted(&daemon, gateway, payloads + 2).await;
}

#[tokio::test]
async fn answers_keep_the_contract_of_exporters() {
    let daemon = daemon::start("").await;
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    let old = traces(&[span("0000000000000009", "", "ai.x.doStream", now() - 200_000, None)]);
    for (path, kind, body, status, text) in [
        ("/v1/traces", json, "{}", 200, "{}"),
        ("/v1/traces", "application/json; charset=utf-8", "{}", 200, "{}"),
        ("/v1/traces", protobuf, "", 200, ""),
        ("/v1/logs", json, r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#, 200, "{}"),
        ("/v1/metrics", protobuf, "whatever", 200, ""),
        ("/v1/traces", json, &old, 200, r#""rejectedSpans":"1""#),
        ("/v1/traces", json, &old, 200, "more than 24 hours ago"),
        ("/v1/traces", json, "[]", 400, r#""code":3"#),
        ("/v1/traces", json, r#"{"resourceSpans":[{"scopeSpans":7}]}"#, 400, "unexpected type"),
        ("/v1/traces", json, "secret", 400, "not JSON"),
        ("/v1/traces", protobuf, "secret", 400, "not an export of OTLP"),
        ("/v1/traces", "text/plain", "{}", 415, "http/protobuf"),
        ("/v1/litellm", "text/plain", "{}", 415, "application/x-ndjson"),
        ("/v1/litellm", json, "", 400, "empty_batch"),
        // In the JSON of protobuf, null is the default of every field.
        ("/v1/traces", json, r#"{"resourceSpans":null}"#, 200, "{}"),
        ("/v1/traces", json, NULLS, 200, "{}"),
    ] {
        let answer = post(&daemon, path, kind, body).await;
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        assert!(answer.body.contains(text), "{path} {body}: {answer:?}");
        assert!(!answer.body.contains("secret"), "{answer:?}");
    }
}

/// What an export may hold that leaves nothing out.
const NULLS: &str = r#"{"resourceSpans":[{"resource":null,"schemaUrl":null,"scopeSpans":[
    {"scope":{"name":null,"attributes":null},"spans":[{"traceId":null,"spanId":null,"name":null,
    "parentSpanId":null,"startTimeUnixNano":null,"endTimeUnixNano":null,"status":null,
    "attributes":[{"key":"gen_ai.request.model","value":null}],"events":[{"name":null}]},
    {"status":{"code":null,"message":null},"attributes":null,"events":null,"links":null}]}]}]}"#;

#[tokio::test]
async fn exports_are_known_under_any_prefix_and_by_their_body() {
    let daemon = daemon::start("").await;
    let (json, protobuf, text) = ("application/json", "application/x-protobuf", "text/plain");
    let spans = traces(&[span("0000000000000001", "", "ai.x.doStream", now(), None)]);
    let profiles = r#"{"resourceProfiles":[]}"#;
    for (method, path, kind, body, status, text) in [
        ("POST", "/otlp/v1/traces", json, "{}", 200, "{}"),
        ("POST", "/a/b/v1/logs", protobuf, "", 200, ""),
        ("POST", "//v1/metrics", protobuf, "whatever", 200, ""),
        ("POST", "/v1/traces/", json, "{}", 200, "{}"),
        ("POST", "/otlp/v1/traces", text, "{}", 415, "http/protobuf"),
        ("POST", "/otlp/v1/traces", json, "[]", 400, r#""code":3"#),
        ("POST", "/ingest/otlp", json, &spans, 200, "{}"),
        ("POST", "/ingest/otlp", json, r#"{"resourceMetrics":[{}]}"#, 200, "{}"),
        ("POST", "/", json, r#"{"resourceLogs":[]}"#, 200, "{}"),
        // Nothing is guessed of what cannot be told.
        ("POST", "/", json, "{}", 404, "unknown_path"),
        ("POST", "/", text, &spans, 404, "unknown_path"),
        ("POST", "/ingest/otlp", json, profiles, 404, "send exports to /v1/traces"),
        ("POST", "/ingest/otlp", json, r#"{"model":"secret"}"#, 404, "unknown_path"),
        ("POST", "/ingest/otlp", protobuf, "", 404, "send exports to /v1/traces"),
        ("POST", "/ingest/otlp", protobuf, "secret", 404, "send exports to /v1/traces"),
        // Neither at the daemon's own paths, nor of profiles.
        ("POST", "/v1/trace", json, &spans, 404, "unknown_path"),
        ("POST", "/v1development/profiles", json, &spans, 404, "unknown_path"),
        ("POST", "/otlp/v1development/profiles", protobuf, "", 404, "unknown_path"),
        ("POST", "/v1/health/v1/traces", json, &spans, 405, "wrong_method"),
        ("GET", "/otlp/v1/traces", json, "", 404, "unknown_path"),
        ("PUT", "/otlp/v1/traces", json, &spans, 404, "unknown_path"),
        ("GET", "/ingest/otlp", json, "", 404, "unknown_path"),
        ("GET", "/v1/traces", json, "", 405, "wrong_method"),
        ("PUT", "/", json, "", 405, "wrong_method"),
    ] {
        let request = daemon.request(method.parse().unwrap(), path).header("content-type", kind);
        let answer = daemon.send(request.body(body.to_owned())).await;
        assert_eq!(answer.status, status, "{method} {path} {kind} {body}: {answer:?}");
        assert!(answer.body.contains(text), "{method} {path} {kind} {body}: {answer:?}");
        assert!(!answer.body.contains("secret"), "{answer:?}");
    }
    let health = daemon.json("/v1/health/anthropic/claude-opus-4-7").await;
    assert_eq!(health["windows"]["5m"]["attempts"], 1, "what the body told was counted");
}

#[tokio::test]
async fn bodies_are_decoded_as_exporters_send_them_and_within_the_limit() {
    let daemon = daemon::start("ingest: {max_body: 32KiB, max_decoded: 64KiB}\n").await;
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(70_000));
    for (coding, kind, body, status, text) in [
        ("gzip", json, "{}", 200, "{}"),
        ("deflate", json, "{}", 200, "{}"),
        ("zstd", json, "{}", 200, "{}"),
        ("gzip", protobuf, "", 200, ""),
        ("gzip", json, &long, 413, r#""code":8"#),
        ("deflate", json, &long, 413, "65536 bytes decoded"),
        ("zstd", protobuf, &long, 413, "65536 bytes decoded"),
        ("br", json, "{}", 415, "use gzip, deflate, zstd or none"),
        ("br", protobuf, "", 415, "use gzip, deflate, zstd or none"),
    ] {
        // Of unknown length, so it goes in chunks, as the exporters for JavaScript send it.
        let chunks = encoded(coding, body).into_iter().map(|byte| Ok::<_, String>(vec![byte]));
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
        let request = daemon.request(reqwest::Method::POST, "/v1/traces");
        let request = request.header("content-type", kind).header("content-encoding", coding);
        let answer = daemon.send(request.body(body)).await;
        assert_eq!(answer.status, status, "{coding} {kind}: {answer:?}");
        assert!(answer.body.contains(text), "{coding} {kind}: {answer:?}");
        assert_eq!(answer.header("content-type"), kind, "{coding}: {answer:?}");
    }
}

fn encoded(coding: &str, body: &str) -> Vec<u8> {
    use std::io::Write;
    let level = flate2::Compression::fast();
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(body.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(body.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::stream::encode_all(body.as_bytes(), 1).unwrap(),
        _ => body.as_bytes().to_vec(),
    }
}

#[tokio::test]
async fn exporters_need_the_token_where_one_is_configured() {
    let file = TempFile::new("token", "secret-token\n");
    let yaml = format!("ingest: {{tokens: [{{name: team-a, file: {}}}]}}\n", file.path());
    let daemon = daemon::start(&yaml).await;
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics", "/v1/litellm", "/otlp/v1/traces"] {
        let refused = post(&daemon, path, "application/json", "{}").await;
        assert_eq!((refused.status, refused.headers.contains_key("www-authenticate")), (401, true));
        let request = daemon.request(reqwest::Method::POST, path).bearer_auth("secret-token");
        let request = request.header("content-type", "application/json").body("{}");
        assert_eq!(daemon.send(request).await.status, 200, "{path}");
    }
    let untold = post(&daemon, "/ingest/otlp", "application/json", "{}").await;
    assert_eq!(untold.status, 401, "a body is not looked at before the token");
}
