//! Each attempt and each call once, however often and on however many ways it is told.

use serde_json::{Value, json};

use crate::daemon::{self, Running};
use crate::telemetry::{counted, now};

const TARGET: &str = "anthropic/claude-opus-4-7";

/// A span of a second in a trace, with its parent (0: none), how many seconds ago it ended, and
/// attributes.
fn span(trace: u8, id: u8, parent: u8, ago: u64, attributes: &[(&str, Value)]) -> Value {
    let attribute = |(key, value): &(&str, Value)| match value {
        Value::Number(number) => json!({"key": key, "value": {"intValue": number}}),
        other => json!({"key": key, "value": {"stringValue": other}}),
    };
    let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
    json!({"traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"),
        "parentSpanId": parent, "name": "x",
        "startTimeUnixNano": format!("{}000000000", now() - ago - 1),
        "endTimeUnixNano": format!("{}000000000", now() - ago),
        "attributes": attributes.iter().map(attribute).collect::<Vec<_>>()})
}

/// An attempt as httpx sees it.
fn http(trace: u8, id: u8, parent: u8, ago: u64, status: u16) -> (&'static str, Value) {
    let url = "https://api.anthropic.com/v1/messages";
    let attributes = [
        ("http.request.method", json!("POST")),
        ("url.full", json!(url)),
        ("http.response.status_code", json!(status)),
    ];
    ("opentelemetry.instrumentation.httpx", span(trace, id, parent, ago, &attributes))
}

/// A call as the Anthropic SDK tells of it.
fn native(trace: u8, id: u8, ago: u64, retries: u32, error: Option<&str>) -> (&'static str, Value) {
    let mut attributes = vec![
        ("gen_ai.request.model", json!("claude-opus-4-7")),
        ("server.address", json!("api.anthropic.com")),
        ("http.response.status_code", json!(200)),
        ("http.request.resend_count", json!(retries)),
        ("anthropic.request.id", json!(format!("req_0123456789{trace:02}"))),
    ];
    attributes.extend(error.map(|error| ("error.type", json!(error))));
    ("com.anthropic.sdk.python", span(trace, id, 0, ago, &attributes))
}

/// The same call as OpenLLMetry tells of it, in a trace of its own.
fn openllmetry(trace: u8, id: u8, ago: u64) -> (&'static str, Value) {
    let attributes = [
        ("gen_ai.request.model", json!("claude-opus-4-7")),
        ("gen_ai.provider.name", json!("anthropic")),
        ("llm.request.type", json!("chat")),
    ];
    ("opentelemetry.instrumentation.anthropic", span(trace, id, 0, ago, &attributes))
}

/// Exports spans of one process, each under its instrumentation.
async fn export(daemon: &Running, spans: &[(&str, Value)]) {
    export_as(daemon, "app", spans).await;
}

async fn export_as(daemon: &Running, service: &str, spans: &[(&str, Value)]) {
    let scopes: Vec<Value> = spans
        .iter()
        .map(|(scope, span)| json!({"scope": {"name": scope}, "spans": [span]}))
        .collect();
    let resource = json!({"attributes": [
        {"key": "service.name", "value": {"stringValue": service}}]});
    let body = json!({"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]});
    let request = daemon.request(reqwest::Method::POST, "/v1/traces");
    let request = request.header("content-type", "application/json").body(body.to_string());
    let answer = daemon.send(request).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
}

/// Waits until `what` of the last five minutes is `expected`.
async fn seen(daemon: &Running, pointer: &str, expected: &Value) {
    daemon
        .target_when(TARGET, &format!("{pointer} = {expected}"), |health| {
            health.pointer(pointer).is_some_and(|found| {
                expected.as_object().unwrap().iter().all(|(key, value)| found[key] == *value)
            })
        })
        .await;
}

#[tokio::test]
async fn attempts_of_an_http_client_get_their_model_from_the_call_around_them() {
    let daemon = daemon::start("").await;
    // Children are exported before their parent, here in a batch of their own.
    export(&daemon, &[http(1, 2, 1, 9, 529), http(1, 3, 1, 8, 503)]).await;
    export(&daemon, &[http(1, 4, 1, 7, 200), native(1, 1, 7, 2, None)]).await;
    // The stream of the last attempt fails behind its 200.
    export(&daemon, &[http(2, 2, 1, 6, 200), native(2, 1, 5, 0, Some("overloaded_error"))]).await;
    let attempts =
        json!({"attempts": 4, "ok": 1, "overloaded": 2, "unavailable": 1, "overload_ratio": 1.0});
    seen(&daemon, "/windows/5m", &attempts).await;
    let calls = json!({"operations": 2, "ok": 1, "overloaded": 1, "attempts_unclassified": 0});
    seen(&daemon, "/operations/5m", &calls).await;
    let health = daemon.json(&format!("/v1/health/{TARGET}")).await;
    let told: Vec<&Value> =
        health["coverage"].as_array().unwrap().iter().map(|one| &one["basis"]).collect();
    assert_eq!(told, ["attempt", "operation"]);
}

#[tokio::test]
async fn attempts_of_a_call_that_takes_long_are_fresh_when_it_ends() {
    let daemon = daemon::start("").await;
    for call in 1..=20 {
        // The headers came early, the stream went on for a minute and a half.
        export(&daemon, &[http(call, 2, 1, 95, 529), http(call, 3, 1, 90, 200)]).await;
        export(&daemon, &[native(call, 1, 0, 1, None)]).await;
    }
    seen(&daemon, "/windows/5m", &json!({"attempts": 40, "ok": 20, "overloaded": 20})).await;
    daemon
        .target_when(TARGET, "it is overloaded, and the streams are slow", |health| {
            health["state"] == "overloaded"
                && health["latency"]["p50_ms"].as_f64().is_some_and(|ms| ms > 75_000.0)
        })
        .await;
}

#[tokio::test]
async fn attempts_are_taken_from_reports_or_from_spans() {
    let daemon = daemon::start("").await;
    // The report of the call's last attempt has the id that the SDK's span has.
    for (attempt, id) in [(1, "req_of_the_first"), (2, "req_012345678901")] {
        let report = json!({"provider": "anthropic", "model": "claude-opus-4-7", "op": "a",
            "status": if attempt == 1 { 529 } else { 200 }, "attempt": attempt, "request_id": id});
        assert_eq!(daemon.report(report.to_string()).await.json()["accepted"], 1);
    }
    let call = [http(1, 2, 1, 9, 529), http(1, 3, 1, 8, 200), native(1, 1, 8, 1, None)];
    export(&daemon, &call).await;
    let calls = json!({"operations": 1, "ok": 1, "attempts_unclassified": 0});
    seen(&daemon, "/operations/5m", &calls).await;
    seen(&daemon, "/windows/5m", &json!({"attempts": 2, "ok": 1, "overloaded": 1})).await;
    counted(&daemon, "brownout_ingest_records_ignored_total{reason=\"request_id\"}", 2).await;
}

#[tokio::test]
async fn of_several_layers_of_a_process_the_best_counts() {
    let daemon = daemon::start("").await;
    let one = [http(1, 2, 1, 9, 200), native(1, 1, 9, 0, None), openllmetry(50, 1, 9)];
    for _ in 0..2 {
        export(&daemon, &one).await;
    }
    // In a later batch the worse layer comes alone.
    export(&daemon, &[native(2, 1, 8, 1, None)]).await;
    export(&daemon, &[openllmetry(51, 1, 8)]).await;
    seen(&daemon, "/operations/5m", &json!({"operations": 2, "attempts_unclassified": 1})).await;
    seen(&daemon, "/windows/5m", &json!({"attempts": 1, "ok": 1})).await;
    counted(&daemon, "brownout_ingest_records_ignored_total{reason=\"layer\"}", 2).await;
    counted(&daemon, "brownout_ingest_records_duplicate_total", 3).await;
}

#[tokio::test]
async fn processes_that_cannot_be_told_apart_are_not_taken_for_one() {
    let daemon = daemon::start("").await;
    for service in ["", "unknown_service:python"] {
        export_as(&daemon, service, &[native(1, service.len() as u8, 9, 0, None)]).await;
        export_as(&daemon, service, &[openllmetry(2, service.len() as u8, 9)]).await;
    }
    counted(&daemon, "brownout_ingest_records_ignored_total{reason=\"layer\"}", 0).await;
    // The third has the request id of the first.
    seen(&daemon, "/operations/5m", &json!({"operations": 4})).await;
}

#[tokio::test]
async fn the_last_attempt_is_the_last_even_if_those_before_it_were_lost() {
    let daemon = daemon::start("").await;
    export(&daemon, &[http(1, 3, 1, 8, 200), native(1, 1, 8, 2, None)]).await;
    let calls = json!({"operations": 1, "ok": 1, "attempts_unclassified": 2});
    seen(&daemon, "/operations/5m", &calls).await;
    let window = json!({"attempts": 1, "ok": 1, "overload_ratio": null});
    seen(&daemon, "/windows/5m", &window).await;
}

#[tokio::test]
async fn a_failure_that_the_first_to_tell_could_not_see_takes_the_place_of_its_success() {
    let id = "req_012345678901";
    let report = |more: Value| {
        let mut record = json!({"provider": "anthropic", "model": "claude-opus-4-7", "status": 200,
            "request_id": id});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record.to_string()
    };
    let line = json!({"provider": "anthropic", "model": "claude-opus-4-7", "status": 200,
        "ts": now(), "request_id": id});
    let failed = json!({"phase": "stream", "error_type": "overloaded_error"});
    let fields = ["provider", "model", "status", "ts", "request_id"];
    let fields = fields.map(|name| format!("{name}: {name}")).join(", ");
    let daemon = daemon::start(&format!("ingest: {{mappings: {{plain: {{{fields}}}}}}}")).await;
    let request = daemon.request(reqwest::Method::POST, "/v1/outcomes?mapping=plain");
    let request = request.header("content-type", "application/json").body(line.to_string());
    let answer = daemon.send(request).await;
    assert_eq!(answer.json()["accepted"], 1, "{answer:?}");
    assert_eq!(daemon.report(report(failed)).await.json()["accepted"], 1);
    seen(&daemon, "/windows/5m", &json!({"attempts": 1, "ok": 0, "overloaded": 1})).await;
    // The same where the attempt is an HTTP client's and the failure its call's.
    let other = json!({"provider": "anthropic", "model": "claude-opus-4-7", "status": 200,
        "ts": now(), "request_id": "req_012345678905"});
    let request = daemon.request(reqwest::Method::POST, "/v1/outcomes?mapping=plain");
    let request = request.header("content-type", "application/json").body(other.to_string());
    assert_eq!(daemon.send(request).await.json()["accepted"], 1);
    export(&daemon, &[http(5, 2, 1, 6, 200), native(5, 1, 5, 0, Some("overloaded_error"))]).await;
    seen(&daemon, "/windows/5m", &json!({"attempts": 2, "ok": 0, "overloaded": 2})).await;
    // A third word on it changes nothing.
    assert_eq!(daemon.report(report(json!({"class": "ok"}))).await.json()["accepted"], 1);
}

#[tokio::test]
async fn a_request_that_is_told_on_two_ways_counts_once_on_each_basis() {
    let daemon = daemon::start("").await;
    let id = "req_012345678901";
    export(&daemon, &[native(1, 1, 9, 0, None)]).await;
    let event = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{
        "timeUnixNano": format!("{}000000000", now()),
        "body": {"stringValue": "claude_code.api_request"},
        "attributes": [{"key": "model", "value": {"stringValue": "claude-opus-4-7"}},
            {"key": "request_id", "value": {"stringValue": id}}]}]}]}]});
    let request = daemon.request(reqwest::Method::POST, "/v1/logs");
    let request = request.header("content-type", "application/json").body(event.to_string());
    assert_eq!(daemon.send(request).await.status, 200);
    let report = json!({"provider": "anthropic", "model": "claude-opus-4-7", "status": 200,
        "request_id": id, "final": true});
    assert_eq!(daemon.report(report.to_string()).await.json()["accepted"], 1);
    seen(&daemon, "/operations/5m", &json!({"operations": 1})).await;
    seen(&daemon, "/windows/5m", &json!({"attempts": 1})).await;
    counted(&daemon, "brownout_ingest_records_ignored_total{reason=\"request_id\"}", 2).await;
    // The attempts below a call, the last of which is reported as well, by a request id of its own.
    export(&daemon, &[http(3, 2, 1, 9, 529), http(3, 3, 1, 8, 200), native(3, 1, 8, 1, None)])
        .await;
    let report = json!({"provider": "anthropic", "model": "claude-opus-4-7", "status": 200,
        "request_id": "req_012345678903"});
    assert_eq!(daemon.report(report.to_string()).await.json()["duplicate"], 1);
    seen(&daemon, "/windows/5m", &json!({"attempts": 3, "overloaded": 1})).await;
}

#[tokio::test]
async fn what_went_through_a_gateway_is_not_blamed_on_the_provider() {
    let attributes = |host: &str, provider: &str| {
        let attributes = [
            ("gen_ai.request.model", json!("claude-opus-4-7")),
            ("server.address", json!(host)),
            ("gen_ai.provider.name", json!(provider)),
            ("error.type", json!("InternalServerError")),
        ];
        [("opentelemetry.instrumentation.genai", span(1, 1, 0, 1, &attributes))]
    };
    for (yaml, host, provider, counts) in [
        ("", "litellm.internal", "anthropic", false),
        ("providers: {anthropic: {hosts: [litellm.internal]}}", "litellm.internal", "openai", true),
        ("", "api.anthropic.com", "openai", true),
        ("", "models.example.org", "example", true),
        ("", "gpu.internal:8000", "vllm", true),
        ("providers: {vllm: {base_url: \"http://gpu:8000/v1\"}}", "elsewhere", "vllm", false),
    ] {
        let daemon = daemon::start(yaml).await;
        export(&daemon, &attributes(host, provider)).await;
        let gateway = u64::from(!counts);
        let series = "brownout_ingest_records_ignored_total{reason=\"gateway\"}";
        counted(&daemon, series, gateway).await;
        let targets = daemon.json("/v1/health").await["targets"].as_array().unwrap().len();
        assert_eq!(targets > 0, counts, "{host} {provider}");
    }
}

#[tokio::test]
async fn an_attempt_whose_model_nobody_tells_is_left_out() {
    let daemon = daemon::start("").await;
    export(&daemon, &[http(1, 2, 0, 9, 529)]).await;
    counted(&daemon, "brownout_ingest_records_ignored_total{reason=\"no_model\"}", 1).await;
    assert_eq!(daemon.json("/v1/health").await["targets"], json!([]));
}

/// A native record of one call; `more` overrides and adds.
fn report(more: &Value) -> Value {
    let mut record = json!({"provider": "anthropic", "model": "claude-opus-4-7", "status": 200});
    let fields = more.as_object().unwrap().clone();
    record.as_object_mut().unwrap().extend(fields);
    record
}

#[tokio::test]
async fn a_stream_counts_on_its_first_content_and_is_corrected_when_it_fails() {
    let admitted = json!({"op": "a", "phase": "admitted", "ttft_ms": 200});
    let failed = json!({"op": "a", "phase": "stream", "error_type": "overloaded_error"});
    let ended = json!({"op": "a", "ms": 4000});
    let with = |base: &Value, more: Value| {
        let mut record = base.clone();
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let (numbered, last) = (json!({"attempt": 1}), json!({"final": true}));
    // records, attempts, ok, overloaded, calls or null, accepted
    for (records, attempts, ok, overloaded, calls, accepted) in [
        (vec![admitted.clone()], 1, 1, 0, Value::Null, 1),
        (vec![admitted.clone(), failed.clone()], 1, 0, 1, Value::Null, 2),
        (vec![admitted.clone(), ended.clone()], 1, 1, 0, Value::Null, 2),
        (vec![admitted.clone(), admitted.clone()], 1, 1, 0, Value::Null, 1),
        // The next attempt of the same call.
        (
            vec![admitted.clone(), failed.clone(), admitted.clone(), ended.clone()],
            2,
            1,
            1,
            Value::Null,
            4,
        ),
        // With a number, what comes late is known to be late.
        (
            vec![
                with(&admitted, numbered.clone()),
                with(&failed, numbered.clone()),
                with(&admitted, numbered.clone()),
            ],
            1,
            0,
            1,
            Value::Null,
            2,
        ),
        // The end is numbered, its beginning was not.
        (vec![admitted.clone(), with(&failed, numbered.clone())], 1, 0, 1, Value::Null, 2),
        // It was counted as a first attempt, and stays one.
        (vec![admitted.clone(), with(&failed, json!({"attempt": 2}))], 1, 0, 1, Value::Null, 2),
        // Numbered, so that a beginning that comes after its end is known for one.
        (
            vec![with(&failed, numbered.clone()), with(&admitted, numbered.clone())],
            1,
            0,
            1,
            Value::Null,
            1,
        ),
        (vec![with(&ended, last.clone())], 1, 1, 0, json!({"operations": 1, "ok": 1}), 1),
        (
            vec![with(&admitted, last.clone()), failed.clone()],
            1,
            0,
            1,
            json!({"operations": 1, "ok": 0, "overloaded": 1}),
            2,
        ),
        (
            vec![admitted.clone(), with(&failed, last.clone())],
            1,
            0,
            1,
            json!({"operations": 1, "ok": 0, "overloaded": 1}),
            2,
        ),
    ] {
        let daemon = daemon::start("").await;
        let mut taken = 0;
        for record in &records {
            let answer = daemon.report(report(record).to_string()).await;
            taken += answer.json()["accepted"].as_u64().unwrap();
        }
        assert_eq!(taken, accepted, "{records:?}");
        let window = json!({"attempts": attempts, "ok": ok, "overloaded": overloaded});
        seen(&daemon, "/windows/5m", &window).await;
        if calls.is_null() {
            let health = daemon.json(&format!("/v1/health/{TARGET}")).await;
            assert_eq!(health["operations"], Value::Null, "{records:?}");
        } else {
            seen(&daemon, "/operations/5m", &calls).await;
        }
        let requests = "brownout_requests_total{provider=\"anthropic\",\
            model=\"claude-opus-4-7\",source=\"client\",attempt=\"first\"}";
        counted(&daemon, requests, attempts).await;
        let retries = requests.replace("first", "retry") + " 0";
        let (_, metrics) = daemon.get("/metrics").await;
        assert!(metrics.lines().any(|line| line == retries), "{records:?}: none is a retry");
    }
}

#[tokio::test]
async fn an_admission_must_be_tied_to_its_call_and_cannot_be_a_failure() {
    let daemon = daemon::start("").await;
    for (record, text) in [
        (json!({"phase": "admitted"}), "op: required with phase"),
        (json!({"phase": "admitted", "op": "a", "status": 529}), "phase: expected"),
        (json!({"phase": "admitted", "op": "a", "error": "reset"}), "phase: expected"),
        (json!({"phase": "admitted", "op": "a", "class": "overloaded"}), "phase: expected"),
        (json!({"phase": "admitted", "op": "a", "n": 5}), "n: expected 1"),
    ] {
        let answer = daemon.report(report(&record).to_string()).await;
        assert_eq!(answer.status, 400, "{record}");
        assert!(answer.body.contains(text), "{record}: {}", answer.body);
    }
}
