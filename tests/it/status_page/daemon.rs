//! Pages as the daemon reads and shows them.

use serde_json::{Value, json};

use super::fake::{FakePage, GREEN, NO_INCIDENTS};
use crate::daemon::{self, Running, eventually};
use crate::temp::TempFile;

/// Two providers that share a page.
fn config(page: &str) -> String {
    format!(
        "providers:\n  anthropic: {{status_page: \"{page}\", models: [m]}}\n  \
         vertex: {{status_page: \"{page}\", models: [m]}}\n"
    )
}

/// A provider's entry in the health document, when its page satisfies a condition.
async fn when(daemon: &Running, provider: &str, good: impl Fn(&Value) -> bool) -> Value {
    let look = async || {
        let health = daemon.json("/v1/health").await;
        let providers = health["providers"].as_array().unwrap();
        providers.iter().find(|entry| entry["provider"] == provider).cloned().unwrap()
    };
    eventually("the status page is as expected", look, good).await
}

fn is_read(entry: &Value) -> bool {
    !entry["status_page"]["as_of"].is_null()
}

#[tokio::test]
async fn a_green_page_does_not_hide_overload_and_is_read_once_for_all() {
    let fake = FakePage::start(GREEN, NO_INCIDENTS).await;
    let daemon = daemon::start(&config(&fake.url)).await;
    for provider in ["anthropic", "vertex"] {
        let entry = when(&daemon, provider, is_read).await;
        assert_eq!(entry["status_page"]["indicator"], "none");
        assert_eq!(entry["status_page"]["agrees"], Value::Null, "silence is not green");
    }
    assert_eq!(fake.requests().len(), 2, "two documents, whoever shares the page");
    let attempt = r#"{"provider":"anthropic","model":"m","status":529,"n":200}"#;
    daemon.report(attempt).await;
    let entry = when(&daemon, "anthropic", |entry| entry["state"] == "overloaded").await;
    assert_eq!(entry["status_page"]["agrees"], json!(false));
    assert_eq!(entry["status_page"]["note"], "page says operational while we see overload");
    let (_, metrics) = daemon.get("/metrics").await;
    for provider in ["anthropic", "vertex"] {
        for (indicator, value) in [("none", 1), ("critical", 0), ("unknown", 0)] {
            let series = format!(
                "brownout_status_page_indicator{{provider=\"{provider}\",\
                 indicator=\"{indicator}\"}} {value}\n"
            );
            assert!(metrics.contains(&series), "{series}");
        }
    }
    let (_, page) = daemon.get("/").await;
    assert!(page.contains("page says operational while we see overload"), "{page}");
}

#[tokio::test]
async fn a_red_page_is_no_evidence() {
    let red = r#"{"status":{"indicator":"critical","description":"Major Outage"}}"#;
    let fake = FakePage::start(red, NO_INCIDENTS).await;
    let daemon = daemon::start(&config(&fake.url)).await;
    let entry = when(&daemon, "anthropic", is_read).await;
    assert_eq!(
        (&entry["state"], &entry["status_page"]["agrees"]),
        (&json!("unknown"), &json!(null))
    );
    daemon.report(r#"{"provider":"anthropic","model":"m","status":200,"n":2000}"#).await;
    let entry = when(&daemon, "anthropic", |entry| entry["state"] == "healthy").await;
    assert_eq!(entry["status_page"]["agrees"], json!(false));
    assert_eq!(entry["status_page"]["note"], "page reports an incident while we see none");
}

#[tokio::test]
async fn without_a_page_nothing_is_shown() {
    let daemon = daemon::start("providers: {anthropic: {models: [m]}}").await;
    let health = daemon.json("/v1/health").await;
    assert_eq!(health["providers"][0].get("status_page"), None);
    let (_, metrics) = daemon.get("/metrics").await;
    assert!(!metrics.contains("brownout_status_page"), "off unless configured");
}

#[tokio::test]
async fn a_reload_adds_and_removes_pages_and_leaves_the_others_alone() {
    let [stays, goes, comes] = [GREEN; 3].map(|summary| FakePage::start(summary, NO_INCIDENTS));
    let (stays, goes, comes) = tokio::join!(stays, goes, comes);
    let yaml = |stays: &FakePage, other: &FakePage| {
        format!(
            "providers:\n  anthropic: {{status_page: \"{}\", models: [m]}}\n  \
             openai: {{status_page: \"{}\", models: [m]}}\n",
            stays.url, other.url
        )
    };
    let file = TempFile::new("pages.yaml", &yaml(&stays, &goes));
    let daemon = daemon::start_from(&file).await;
    let first = when(&daemon, "anthropic", is_read).await;
    when(&daemon, "openai", is_read).await;
    let reload = async |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        let answer = daemon.send(daemon.request(reqwest::Method::POST, "/-/reload")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    reload(&yaml(&stays, &comes)).await;
    let new = |entry: &Value| entry["status_page"]["url"] == comes.url.as_str() && is_read(entry);
    when(&daemon, "openai", new).await;
    let same = when(&daemon, "anthropic", is_read).await;
    assert_eq!(same["status_page"]["as_of"], first["status_page"]["as_of"]);
    for fake in [&stays, &goes, &comes] {
        assert_eq!(fake.requests().len(), 2, "each was read once");
    }
    reload("providers: {anthropic: {models: [m]}}").await;
    when(&daemon, "anthropic", |entry| entry.get("status_page").is_none()).await;
}
