//! The health documents over HTTP: shapes, names, caching, errors.

use serde_json::{Value, json};

use crate::daemon::{self, eventually};
use crate::golden;

const CONFIG: &str = "
providers:
  openrouter:
    models: [anthropic/claude-opus-4-7]
  anthropic:
    models: [claude-opus-4-7]
    aliases: {my-deployment: claude-opus-4-7}
";

#[tokio::test]
async fn a_configured_target_is_unknown_until_something_is_seen() {
    let daemon = daemon::start(CONFIG).await;
    let health = daemon.json("/v1/health").await;
    assert_eq!(health["stale_after_s"], 10);
    let providers: Vec<&Value> = health["providers"].as_array().unwrap().iter().collect();
    assert_eq!(
        providers[0],
        &json!({"provider": "anthropic", "state": "unknown", "targets": 1,
                "overloaded_targets": 0})
    );
    let target = &health["targets"][0];
    assert_eq!(target["reason"], "no_evidence");
    assert_eq!(target["last_outcome_at"], Value::Null);
    assert_eq!(target["windows"]["5m"]["overload_ratio"], Value::Null);
}

/// The document with each value replaced by its kind.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "text".into(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect()
        }
    }
}

#[tokio::test]
async fn the_shape_of_a_document_is_as_committed() {
    let daemon = daemon::start("").await;
    let attempt = r#""provider":"anthropic","model":"claude-opus-4-7","status":200"#;
    daemon.report(format!("{{{attempt},\"ms\":900,\"ttft_ms\":300}}")).await;
    daemon
        .target_when("anthropic/claude-opus-4-7", "the report", |health| {
            health["windows"]["5m"]["attempts"] == 1
        })
        .await;
    let shape = shape(&daemon.json("/v1/health").await);
    golden::check("tests/it/health/shape.json", &format!("{shape:#}\n"));
}

#[tokio::test]
async fn a_target_is_found_by_every_name_it_has() {
    let daemon = daemon::start(CONFIG).await;
    for path in [
        "anthropic/claude-opus-4-7",
        "Anthropic/Claude-Opus-4-7",
        "anthropic/claude-opus-4.7",
        "anthropic/my-deployment",
        "anthropic/claude-opus-4-7/",
    ] {
        let health = daemon.json(&format!("/v1/health/{path}")).await;
        assert_eq!(health["model"], "claude-opus-4-7", "{path}");
    }
    let openrouter = daemon.json("/v1/health/openrouter").await;
    let model = openrouter["targets"][0]["model"].as_str().unwrap();
    for path in [
        format!("openrouter/{model}"),
        "openrouter/anthropic/claude-opus-4-7".to_owned(),
        "openrouter/anthropic%2Fclaude-opus-4-7".to_owned(),
    ] {
        assert_eq!(daemon.json(&format!("/v1/health/{path}")).await["provider"], "openrouter");
    }
}

#[tokio::test]
async fn a_new_target_is_found_as_soon_as_its_report_is_acknowledged() {
    let daemon = daemon::start(CONFIG).await;
    for n in 0..20 {
        daemon.report(format!(r#"{{"provider":"new-{n}","model":"m","status":200}}"#)).await;
        let target = daemon.json(&format!("/v1/health/new-{n}/m")).await;
        assert_eq!(target["windows"]["5m"]["attempts"], 1);
        let provider = daemon.json(&format!("/v1/health/new-{n}")).await;
        assert_eq!(provider["targets"][0]["model"], "m");
    }
}

#[tokio::test]
async fn an_unknown_target_gets_a_helpful_404() {
    let daemon = daemon::start(CONFIG).await;
    for path in ["/v1/health/nobody", "/v1/health/anthropic/claude-nano", "/v1/health/%00/x"] {
        let (status, body) = daemon.get(path).await;
        assert_eq!(status, 404, "{path}");
        let error: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(error["error"]["code"], "unknown_target");
        let remedy = error["error"]["remedy"].as_str().unwrap();
        assert!(remedy.contains("anthropic/claude-opus-4-7"), "{remedy}");
    }
    let (status, body) = daemon.get("/v1/health/p/%FF").await;
    let error: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &error["error"]["code"]), (400, &json!("bad_path")), "{body}");
    assert!(error["error"]["remedy"].as_str().unwrap().contains("UTF-8"), "{body}");
    let (status, body) = daemon.get("/v2/nothing").await;
    assert_eq!((status, body.contains("unknown_path")), (404, true));
    let answer = daemon.send(daemon.request(reqwest::Method::DELETE, "/v1/health")).await;
    assert_eq!((answer.status, answer.body.contains("wrong_method")), (405, true));
}

#[tokio::test]
async fn a_quiet_system_answers_304_and_news_changes_the_tag() {
    let daemon = daemon::start(CONFIG).await;
    let get = |tag: String| {
        let request = daemon.request(reqwest::Method::GET, "/v1/health/anthropic");
        daemon.send(request.header("if-none-match", tag))
    };
    let first = get(String::new()).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("cache-control"), "public, max-age=1");
    assert_eq!(first.header("content-type"), "application/json");
    let tag = first.header("etag").to_owned();
    let generated = first.json()["generated_at"].clone();
    // The tag outlives the snapshot it was made from: a later one says the same.
    let look = async || daemon.json("/v1/health/anthropic").await["generated_at"].clone();
    eventually("a later snapshot is served", look, |at| *at != generated).await;
    let again = get(tag.clone()).await;
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", tag.as_str()));
    assert_eq!(get(format!("\"other\", {tag}")).await.status, 304);
    daemon.report(r#"{"provider":"anthropic","model":"claude-opus-4-7","status":529}"#).await;
    daemon
        .target_when("anthropic/claude-opus-4-7", "the report", |health| {
            health["windows"]["5m"]["overloaded"] == 1
        })
        .await;
    let news = get(tag.clone()).await;
    assert_eq!(news.status, 200);
    assert_ne!(news.header("etag"), tag);
}

#[tokio::test]
async fn hours_are_filtered_and_bad_parameters_are_named() {
    let daemon = daemon::start(CONFIG).await;
    let hour_ago = r#""provider":"anthropic","model":"claude-opus-4-7","n":5"#;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let late = now - 3 * 3_600;
    daemon
        .report(format!(
            "[{{{hour_ago},\"status\":529,\"ts\":{late}}},{{{hour_ago},\"status\":200}}]"
        ))
        .await;
    daemon
        .target_when("anthropic/claude-opus-4-7", "both reports", |health| {
            health["windows"]["24h"]["attempts"] == 10
        })
        .await;
    let all = daemon.json("/v1/hours").await;
    assert_eq!(all["hours"].as_array().unwrap().len(), 2);
    let late_row = &all["hours"][0];
    assert_eq!(late_row["overloaded"], 5);
    assert_eq!(late_row["overload_ratio"], 1.0);
    assert_eq!(late_row["outage_ratio"], Value::Null);
    let keys: Vec<&String> = late_row.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 11);
    let recent = daemon.json(&format!("/v1/hours?from={}", now - 3_600)).await;
    assert_eq!(recent["hours"].as_array().unwrap().len(), 1);
    let past = daemon.json(&format!("/v1/hours?to={}", now - 2 * 3_600)).await;
    assert_eq!(past["hours"].as_array().unwrap().len(), 1);
    assert_eq!(daemon.json("/v1/hours?provider=openrouter").await["hours"], json!([]));
    for (query, text) in [
        ("from=yesterday", "from: expected"),
        ("since=1", "unknown field"),
        ("model=a%20b", "docs/health.md"),
        ("model=", "model is empty"),
    ] {
        let (status, body) = daemon.get(&format!("/v1/hours?{query}")).await;
        assert_eq!(status, 400);
        assert!(body.contains(text), "{body}");
    }
}

#[tokio::test]
async fn a_model_alone_selects_its_hours_with_all_providers() {
    let daemon = daemon::start(CONFIG).await;
    daemon
        .report(
            r#"[{"provider":"anthropic","model":"claude-opus-4-7","status":200},
                {"provider":"openrouter","model":"anthropic/claude-opus-4.7","status":200},
                {"provider":"anthropic","model":"claude-haiku-4-5","status":200}]"#,
        )
        .await;
    daemon
        .target_when("anthropic/claude-haiku-4-5", "the report", |health| {
            health["windows"]["5m"]["attempts"] == 1
        })
        .await;
    for (model, expected) in [
        ("claude-opus-4-7", &["anthropic", "openrouter"][..]),
        ("Anthropic/Claude-Opus-4.7", &["anthropic", "openrouter"]),
        ("my-deployment", &["anthropic", "openrouter"]),
        ("claude-haiku-4-5", &["anthropic"]),
        ("claude-nano", &[]),
    ] {
        let document = daemon.json(&format!("/v1/hours?model={model}")).await;
        let rows = document["hours"].as_array().unwrap();
        let mut providers: Vec<_> =
            rows.iter().map(|row| row["provider"].as_str().unwrap()).collect();
        // The three may lie on both sides of a full hour.
        providers.sort_unstable();
        assert_eq!(providers, expected, "{model}");
    }
}

#[tokio::test]
async fn hour_of_day_counters_can_be_switched_off() {
    for (switch, expected) in [("true", true), ("false", false)] {
        let yaml = format!("{CONFIG}metrics: {{hour_of_day: {switch}}}\n");
        let daemon = daemon::start(&yaml).await;
        let (status, text) = daemon.get("/metrics").await;
        assert_eq!(status, 200);
        assert!(text.contains("brownout_requests_total"));
        assert_eq!(text.contains("brownout_hour_of_day"), expected);
    }
}

#[tokio::test]
async fn the_landing_page_escapes_what_clients_name() {
    let daemon = daemon::start("").await;
    daemon.report(r#"{"provider":"p","model":"<script>alert(1)</script>","status":200}"#).await;
    daemon
        .target_when("p/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "the report", |health| {
            health["windows"]["5m"]["attempts"] == 1
        })
        .await;
    let answer = daemon.send(daemon.request(reqwest::Method::GET, "/")).await;
    assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    assert!(!answer.body.contains("<script"), "{}", answer.body);
}

/// A probe that may cost more than the whole day has.
const DEAR: &str = "
providers:
  local:
    dialect: openai
    base_url: http://127.0.0.1:1/v1
    api_key: none
    models: [m]
    prices: {m: {input_usd_per_mtok: 1000, output_usd_per_mtok: 1}}
  quiet:
    dialect: openai
    models: [n]
probes:
  every: 1s
  budget: {usd_per_day: 0.02, per_provider: {local: 0.01, openai: 0.01}}
";

#[tokio::test]
async fn a_spent_budget_is_shown_and_the_tag_does_not_move_with_every_probe() {
    let daemon = daemon::start(DEAR).await;
    let skipped = |health: &Value| health["probe"]["skipped"] == "budget";
    let target = daemon.target_when("local/m", "a probe left out", skipped).await;
    let next_run = &target["probe"]["next_run_at"];
    let expected = json!({"success": null, "last_run_at": null, "next_run_at": next_run,
                          "misconfigured": null, "skipped": "budget", "cost_usd": 0.0});
    assert_eq!(target["probe"], expected);
    assert_eq!(daemon.json("/v1/health/quiet/n").await["probe"], Value::Null);
    let look = async || daemon.json("/v1/health").await["probes"]["budget"].clone();
    let budget = eventually("the budget is exhausted", look, |b| b["exhausted"] == true).await;
    assert!(budget["resets_at"].as_str().unwrap().ends_with("T00:00:00Z"), "{budget}");
    assert_eq!((&budget["usd_per_day"], &budget["spent_usd"]), (&json!(0.02), &json!(0.0)));
    for (at, name, exhausted) in [(0, "local", true), (1, "openai", false)] {
        let (usd_per_day, spent_usd) = (0.01, 0.0);
        let expected = json!({"provider": name, "usd_per_day": usd_per_day,
                              "spent_usd": spent_usd, "exhausted": exhausted});
        assert_eq!(budget["providers"][at], expected);
    }
    let (_, metrics) = daemon.get("/metrics").await;
    for line in [
        "brownout_probe_budget_limit_usd 0.02",
        "brownout_probe_budget_spent_usd 0",
        "brownout_probe_budget_exhausted 1",
        "brownout_probe_provider_budget_limit_usd{provider=\"openai\"} 0.01",
        "brownout_probe_provider_budget_exhausted{provider=\"local\"} 1",
        "brownout_probe_provider_budget_exhausted{provider=\"openai\"} 0",
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line} is not in\n{metrics}");
    }
    // A probe was due between the two, and the tag is the same.
    let look = async || {
        let answer = daemon.send(daemon.request(reqwest::Method::GET, "/v1/health")).await;
        let next_run = answer.json()["targets"][0]["probe"]["next_run_at"].clone();
        (answer.header("etag").to_owned(), next_run)
    };
    let before = std::sync::Mutex::new(look().await);
    eventually("the tag rests while probes go on", look, |now| {
        let before = std::mem::replace(&mut *before.lock().unwrap(), now.clone());
        before.1 != now.1 && before.0 == now.0
    })
    .await;
}
