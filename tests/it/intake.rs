//! Reports, good and bad, through the real HTTP server.

use std::io::Write;

use serde_json::{Value, json};

use crate::daemon::{self, Running, eventually};
use crate::temp::TempFile;

const GOOD: &str = r#"{"provider":"anthropic","model":"claude-opus-4-7","status":200,"ms":900}"#;

#[tokio::test]
async fn a_report_is_seen_in_health_and_hours() {
    let daemon = daemon::start("").await;
    let shed = r#"{"provider":"anthropic","model":"claude-opus-4-7","status":529,"attempt":2}"#;
    let answer = daemon.report(format!("{GOOD}\n{shed}\n")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), json!({"accepted": 2, "duplicate": 0, "rejected": []}));
    let health = daemon
        .target_when("anthropic/claude-opus-4-7", "two attempts", |health| {
            health["windows"]["5m"]["attempts"] == 2
        })
        .await;
    let window = &health["windows"]["5m"];
    assert_eq!((&window["ok"], &window["overloaded"]), (&json!(1), &json!(1)));
    assert_eq!(window["overload_ratio"], 0.0, "a retry is counted, but not in the ratio");
    assert_eq!(health["sources"], json!({"client": 2, "probe": 0}));
    let hours = daemon.json("/v1/hours?provider=anthropic&model=Claude-Opus-4.7").await;
    let attempts: u64 =
        hours["hours"].as_array().unwrap().iter().map(|h| h["attempts"].as_u64().unwrap()).sum();
    assert_eq!(attempts, 2);
}

/// One case: a body, the expected status, and texts that the answer must hold.
async fn check(daemon: &Running, body: impl Into<reqwest::Body>, status: u16, texts: &[&str]) {
    let answer = daemon.report(body).await;
    assert_eq!(answer.status, status, "{answer:?}");
    for text in texts {
        assert!(answer.body.contains(text), "{text:?} is not in {}", answer.body);
    }
}

#[tokio::test]
async fn a_bad_record_is_named_by_index_and_field_and_the_good_ones_are_kept() {
    let daemon = daemon::start("").await;
    let mut good = 0;
    for (record, text) in [
        (r#"{"model":"m","status":200}"#, "provider or host: required"),
        (r#"{"provider":"p","status":200}"#, "model: required"),
        (r#"{"provider":"p","model":"m"}"#, "status, error or class: required"),
        (r#"{"provider":"p","model":"m","status":"200"}"#, "status: expected an integer"),
        (r#"{"provider":"p","model":"m","status":99}"#, "status: expected an integer"),
        (r#"{"provider":"p","model":"m","status":65736}"#, "status: expected an integer"),
        (r#"{"provider":"p","model":"m","status":1e400}"#, "malformed record"),
        (r#"{"provider":"p","model":"m","class":"sad"}"#, "class: expected one of ok, overl"),
        (r#"{"provider":"p","model":"m","error":"sad"}"#, "error: expected timeout"),
        (r#"{"provider":"p","model":["m"],"status":200}"#, "model: expected a string"),
        (r#"{"provider":"p","model":"a b","status":200}"#, "white space"),
        (r#"{"provider":"p","model":"m","status":200,"n":0}"#, "n: expected an integer from 1"),
        (r#"{"provider":"p","model":"m","status":200,"n":1000001}"#, "n: expected"),
        (r#"{"provider":"p","model":"m","status":200,"ms":-1}"#, "ms: expected"),
        (r#"{"provider":"p","model":"m","status":200,"ttft_ms":1e99}"#, "ttft_ms: expected"),
        (r#"{"provider":"p","model":"m","status":200,"ts":1}"#, "more than 24 hours ago"),
        (r#"{"provider":"p","model":"m","status":200,"ts":9999999999}"#, "60 seconds ahead"),
        (r#"{"provider":"p","model":"m","status":200,"ts":1777039391000}"#, "not milliseconds"),
        (r#"{"provider":"p","model":"m","status":200,"phase":"late"}"#, "phase: expected"),
        (r#"{"provider":"p","model":"m","status":200,"attempt":-1}"#, "attempt: expected"),
        (r#"{"provider":"p","model":"m","status":200,"final":"yes"}"#, "final: expected"),
        (r#"{"provider":"p","model":"m","status":200,"retry_after":"soon"}"#, "retry_after:"),
        ("7", "not an outcome as a JSON object"),
        ("null", "not an outcome as a JSON object"),
        (r#""tell me about the moon""#, "not an outcome as a JSON object (line 1"),
    ] {
        check(&daemon, format!("[{GOOD},{record}]"), 200, &["\"index\":1", text]).await;
        check(&daemon, format!("[{record}]"), 400, &["\"index\":0", text, "remedy"]).await;
        good += 1;
    }
    assert_eq!(counted_eventually(&daemon, good).await, good);
    let (_, metrics) = daemon.get("/metrics").await;
    let rejected = |reason: &str| {
        let name = format!("brownout_ingest_records_rejected_total{{reason=\"{reason}\"}} ");
        let line = metrics.lines().find(|line| line.starts_with(&name));
        line.unwrap_or_else(|| panic!("{name}")).rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(rejected("missing_field"), 6.0);
    assert_eq!(rejected("too_old"), 2.0);
    assert_eq!(rejected("too_new"), 2.0);
    assert!(rejected("invalid_field") > 20.0 && rejected("malformed") >= 4.0);
}

#[tokio::test]
async fn an_answer_never_repeats_what_was_sent_at_length() {
    let daemon = daemon::start("").await;
    let prompt = "tell me about the moon ".repeat(2_000);
    for record in [
        format!("{prompt:?}"),
        format!(r#"{{"provider":"p","model":"m","class":{prompt:?}}}"#),
        format!(r#"{{"provider":"p","model":"m","error":{:?}}}"#, &prompt[..100]),
        format!(r#"{{"provider":"p","model":{prompt:?},"status":200}}"#),
    ] {
        let answer = daemon.report(record).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.len() < 1_000, "{} bytes", answer.body.len());
    }
}

#[tokio::test]
async fn a_client_that_says_the_stream_was_shed_is_believed() {
    let daemon = daemon::start("").await;
    let said = r#"{"provider":"p","model":"m","status":200,"phase":"stream","class":"overloaded"}"#;
    daemon.report(said).await;
    daemon
        .target_when("p/m", "the overload", |health| health["windows"]["5m"]["overloaded"] == 1)
        .await;
}

#[tokio::test]
async fn a_broken_batch_keeps_what_came_before_the_break() {
    let daemon = daemon::start("").await;
    check(&daemon, format!("[{GOOD},{{\"provider\":"), 200, &["\"accepted\":1", "\"index\":1"])
        .await;
    check(&daemon, format!("{GOOD}\nnonsense\n{GOOD}"), 200, &["\"accepted\":2", "\"index\":1"])
        .await;
    let invalid = [GOOD.as_bytes(), b"\n{\"provider\":\"\xff\xfe\"}\n", GOOD.as_bytes()].concat();
    check(&daemon, invalid, 200, &["\"accepted\":2", "\"index\":1"]).await;
    let inside: &[&[u8]] =
        &[b"{\"outcomes\":[", GOOD.as_bytes(), b",{\"model\":\"\xff\n\"},", GOOD.as_bytes(), b"]}"];
    check(&daemon, inside.concat(), 200, &["\"accepted\":2", "\"index\":1"]).await;
    let deep = format!("[{GOOD},{}", "[".repeat(500_000));
    check(&daemon, deep, 200, &["\"accepted\":1", "\"index\":1"]).await;
    let nested = format!(
        "[{GOOD},{{\"provider\":{}1{},\"model\":\"m\",\"status\":200}}]",
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    check(&daemon, nested, 200, &["\"accepted\":1", "\"index\":1"]).await;
    check(&daemon, "", 400, &["empty_batch"]).await;
    check(&daemon, "   \n", 400, &["empty_batch"]).await;
    check(&daemon, "[]", 200, &["\"accepted\":0"]).await;
}

#[tokio::test]
async fn bodies_over_the_limits_are_refused_before_they_hurt() {
    let daemon = daemon::start("").await;
    check(&daemon, vec![b' '; 10 << 20], 413, &["body_too_large"]).await;
    check(&daemon, format!("{GOOD}\n").repeat(5_001), 413, &["too_many_records"]).await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..80 {
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let send = |encoding: &'static str, body: Vec<u8>| {
        let request = daemon.request(reqwest::Method::POST, "/v1/outcomes");
        let request = request.header("content-type", "application/x-ndjson");
        daemon.send(request.header("content-encoding", encoding).body(body))
    };
    let answer = send("gzip", bomb).await;
    assert_eq!((answer.status, answer.body.contains("decoded")), (413, true), "{answer:?}");
    assert_eq!(send("gzip", b"not gzip".to_vec()).await.status, 400);
    assert_eq!(send("br", GOOD.into()).await.status, 415);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(GOOD.as_bytes()).unwrap();
    assert_eq!(send("gzip", encoder.finish().unwrap()).await.status, 200);
    let zstd = zstd::stream::encode_all(GOOD.as_bytes(), 3).unwrap();
    assert_eq!(send("zstd", zstd).await.status, 200);
    assert_eq!(counted_eventually(&daemon, 2).await, 2);
}

async fn counted_eventually(daemon: &Running, attempts: u64) -> u64 {
    let health = daemon
        .target_when("anthropic/claude-opus-4-7", "its attempts", |health| {
            health["windows"]["24h"]["attempts"].as_u64().unwrap() >= attempts
        })
        .await;
    health["windows"]["24h"]["attempts"].as_u64().unwrap()
}

#[tokio::test]
async fn content_types_that_a_web_page_can_forge_are_refused() {
    let daemon = daemon::start("").await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let request = daemon.request(reqwest::Method::POST, "/v1/outcomes");
        let answer = daemon.send(request.header("content-type", content_type).body(GOOD)).await;
        assert_eq!(answer.status, 415, "{content_type}");
        assert!(answer.body.contains("application/x-ndjson"), "{}", answer.body);
    }
    let request = daemon.request(reqwest::Method::POST, "/v1/outcomes").body(GOOD);
    assert_eq!(daemon.send(request).await.status, 415, "no content type at all");
}

#[tokio::test]
async fn a_record_or_batch_sent_again_is_not_counted_again() {
    let daemon = daemon::start("").await;
    let with_id = r#"{"provider":"p","model":"m","status":200,"id":"01J"}"#;
    let first = daemon.report(format!("{with_id}\n{with_id}\n")).await;
    assert_eq!(first.json(), json!({"accepted": 1, "duplicate": 1, "rejected": []}));
    let again = daemon.report(with_id).await;
    assert_eq!(again.json(), json!({"accepted": 0, "duplicate": 1, "rejected": []}));
    let keyed = || {
        let request = daemon.request(reqwest::Method::POST, "/v1/outcomes");
        let request = request.header("content-type", "application/json");
        daemon.send(request.header("idempotency-key", "batch-7").body(GOOD))
    };
    assert_eq!(keyed().await.json()["accepted"], 1);
    assert_eq!(keyed().await.json()["duplicate"], 1);
}

#[tokio::test]
async fn every_payload_of_the_prototype_reporter_counts_as_its_ground_truth_says() {
    for line in include_str!("../data/captures/native-prototype/index.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let daemon = daemon::start("").await;
        let provider = case["provider"].as_str().unwrap();
        let model = case["model"].as_str().unwrap();
        for file in case["files"].as_array().unwrap() {
            let path = format!("tests/data/captures/{}", file.as_str().unwrap());
            let body = renamed(&std::fs::read_to_string(path).unwrap(), provider);
            let answer = daemon.report(body).await;
            assert_eq!(answer.json()["rejected"], json!([]), "{}", case["case"]);
        }
        let metrics = metrics_when_released(&daemon).await;
        let mut expected: std::collections::BTreeMap<&str, u64> = Default::default();
        for (name, count) in case["attempt_class_counts"].as_object().unwrap() {
            *expected.entry(class_of(name, &case)).or_default() += count.as_u64().unwrap();
        }
        for class in brownout::domain::outcome::Class::errors() {
            let name =
                format!("brownout_request_errors_total{{provider=\"{provider}\",model=\"{model}\"");
            let reason = format!("reason=\"{class}\"");
            let sum: f64 = metrics
                .lines()
                .filter(|line| line.starts_with(&name) && line.contains(&reason))
                .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
                .sum();
            let wanted = expected.get(class.as_str()).copied().unwrap_or(0);
            assert_eq!(sum as u64, wanted, "{}: {class}", case["case"]);
        }
        let health = daemon.json(&format!("/v1/health/{provider}/{model}")).await;
        let window = &health["windows"]["24h"];
        assert_eq!(window["attempts"], case["n_attempts"], "{}", case["case"]);
        assert_eq!(window["ok"], expected.get("ok").copied().unwrap_or(0), "{}", case["case"]);
    }
}

/// The prototype's names as the format has them now; its time stamps are of the day it was made.
fn renamed(ndjson: &str, provider: &str) -> String {
    let mut lines = String::new();
    for line in ndjson.lines() {
        let mut record: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        record.remove("ts");
        record.remove("provider_host");
        record.insert("provider".to_owned(), provider.into());
        if record.get("error") == Some(&json!("ReadError")) {
            record.insert("error".to_owned(), "reset".into());
        }
        lines.push_str(&Value::Object(record).to_string());
        lines.push('\n');
    }
    lines
}

/// Our class for one of the captures' own names.
fn class_of(name: &str, case: &Value) -> &'static str {
    let overloaded_503 = case["provider"] == "openai" && name == "unavailable";
    match name {
        "ok" => "ok",
        "overloaded" | "overloaded_midstream" => "overloaded",
        "unavailable" if overloaded_503 => "overloaded",
        "unavailable" => "unavailable",
        "connection_error" | "connection_error_midstream" => "network",
        "rate_limited" => "rate_limited",
        "timeout" => "timeout",
        other => panic!("{other} is new"),
    }
}

/// A target first seen in a report shows 0 for one scrape; the next shows its counts.
async fn metrics_when_released(daemon: &Running) -> String {
    let look = async || daemon.get("/metrics").await.1;
    eventually("a scrape shows the counts", look, |text| {
        text.lines()
            .filter(|line| line.starts_with("brownout_requests_total{"))
            .any(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.0)
    })
    .await
}

#[tokio::test]
async fn a_token_is_required_where_one_is_configured() {
    let file = TempFile::new("token", "secret-token\n");
    let yaml = format!("ingest: {{tokens: [{{name: team-a, file: {}}}]}}\n", file.path());
    let daemon = daemon::start(&yaml).await;
    let post = |path: &'static str, token: Option<&'static str>| {
        let request = daemon.request(reqwest::Method::POST, path);
        let request = request.header("content-type", "application/json").body(GOOD);
        daemon.send(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    };
    for path in ["/v1/outcomes", "/-/reload"] {
        for token in [None, Some("wrong"), Some("")] {
            let answer = post(path, token).await;
            assert_eq!(answer.status, 401, "{path} {token:?}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
            assert!(!answer.body.contains("secret-token"));
        }
        assert_eq!(post(path, Some("secret-token")).await.status, 200, "{path}");
    }
    assert_eq!(daemon.get("/v1/health").await.0, 200, "reading is open");
}
