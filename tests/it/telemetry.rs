//! OpenTelemetry's exports and LiteLLM's callback, through the real HTTP server.

use serde_json::{Value, json};

use crate::captures::cases_of;
use crate::daemon::{self, Answer, Running, eventually};
use crate::temp::TempFile;

/// Seconds since 1970, now.
fn now() -> u64 {
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
async fn counted(daemon: &Running, series: &str, value: u64) {
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
        (&coverage["source"], &coverage["basis"]),
        (&json!("anthropic_sdk"), &json!("operation"))
    );
    assert_eq!((&coverage["retries"], &coverage["can_clear"]), (&json!("counted"), &json!(true)));
}

#[tokio::test]
async fn payloads_of_litellm_are_read_in_every_form() {
    let daemon = daemon::start("").await;
    let mut payloads = 0;
    for case in cases_of("py-litellm-sdk") {
        let text = case["bodies"][0]["text"].as_str().unwrap();
        let answer = post(&daemon, "/v1/litellm", "application/json", text).await;
        let number = if case["model"] == "mixed" { 8 } else { 1 };
        // They were recorded long ago, which is found out after all else was read.
        let (status, receipt) = (answer.status, answer.json());
        assert_eq!((status, &receipt["rejected"]), (200, &json!(number)), "{}", case["case"]);
        payloads += number;
    }
    counted(&daemon, "brownout_ingest_records_rejected_total{reason=\"too_old\"}", payloads).await;
    let own = r#"[{"status":"failure","model":"m","error_information":
        {"error_code":"429","error_rate_limit_category":"litellm_rate_limit"}},
        {"status":"success","model":"m","cache_hit":true}, 7]"#;
    let answer = post(&daemon, "/v1/litellm", "application/json", own).await;
    assert_eq!(answer.json()["rejected"], 1, "{answer:?}");
    counted(&daemon, "brownout_ingest_records_ignored_total{reason=\"gateway\"}", 2).await;
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
    ] {
        let answer = post(&daemon, path, kind, body).await;
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        assert!(answer.body.contains(text), "{path} {body}: {answer:?}");
        assert!(!answer.body.contains("secret"), "{answer:?}");
    }
}

#[tokio::test]
async fn exporters_need_the_token_where_one_is_configured() {
    let file = TempFile::new("token", "secret-token\n");
    let yaml = format!("ingest: {{tokens: [{{name: team-a, file: {}}}]}}\n", file.path());
    let daemon = daemon::start(&yaml).await;
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics", "/v1/litellm"] {
        assert_eq!(post(&daemon, path, "application/json", "{}").await.status, 401, "{path}");
        let request = daemon.request(reqwest::Method::POST, path).bearer_auth("secret-token");
        let request = request.header("content-type", "application/json").body("{}");
        assert_eq!(daemon.send(request).await.status, 200, "{path}");
    }
}
