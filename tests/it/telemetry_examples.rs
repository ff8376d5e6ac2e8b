//! The configurations of other people's programs under `examples/telemetry`.
//!
//! None of those programs runs here, so each file is held to what its documentation names
//! (`docs/telemetry.md` says where): that it parses, uses no option but those, asks for no
//! content, and points at paths that a real daemon answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::Value;

use crate::daemon;

/// Where the files say that brownout is.
const BROWNOUT: &str = "http://brownout:10529";

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/telemetry");
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Python has a reader of TOML and we have none.
fn toml(name: &str) -> Value {
    let script = "import json, sys, tomllib\nprint(json.dumps(tomllib.loads(sys.argv[1])))";
    let output =
        Command::new(crate::sdk::python()).args(["-c", script, &read(name)]).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The names of a list.
fn names(value: &Value) -> BTreeSet<&str> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

fn only(value: &Value, known: &[&str]) {
    let unknown: Vec<&str> = keys(value).into_iter().filter(|key| !known.contains(key)).collect();
    assert!(unknown.is_empty(), "not an option: {unknown:?}");
}

/// Paths that the files make clients post to; what is posted to them must be taken.
async fn are_answered(urls: &[&str]) {
    let daemon = daemon::start("").await;
    for url in urls {
        let path = url.strip_prefix(BROWNOUT).unwrap_or_else(|| panic!("{url} is elsewhere"));
        let request = daemon.request(Method::POST, path);
        let body = if path == "/v1/litellm" { "[]" } else { "{}" };
        let answer =
            daemon.send(request.header("content-type", "application/json").body(body)).await;
        assert_eq!(answer.status, 200, "{url}: {}", answer.body);
    }
}

#[tokio::test]
async fn the_settings_of_coding_agents_point_here_and_ask_for_no_prompts() {
    let claude = json("claude-code-managed-settings.json");
    only(&claude, &["env"]);
    only(
        &claude["env"],
        &[
            "CLAUDE_CODE_ENABLE_TELEMETRY",
            "OTEL_LOGS_EXPORTER",
            "OTEL_METRICS_EXPORTER",
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_LOG_USER_PROMPTS",
        ],
    );
    let env: BTreeMap<String, String> = serde_json::from_value(claude["env"].clone()).unwrap();
    assert_eq!(env["OTEL_LOGS_EXPORTER"], "otlp");
    assert_eq!(env["OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"], "http/protobuf");
    assert_eq!(env["OTEL_LOG_USER_PROMPTS"], "0");

    let codex = &toml("codex-config.toml")["otel"];
    only(codex, &["log_user_prompt", "environment", "exporter", "trace_exporter"]);
    assert_eq!(codex["log_user_prompt"], false);
    let exporter = &codex["exporter"]["otlp-http"];
    only(exporter, &["endpoint", "protocol", "headers", "tls"]);
    assert!(["binary", "json"].contains(&exporter["protocol"].as_str().unwrap()));

    let gemini = &json("gemini-cli-settings.json")["telemetry"];
    only(gemini, &["enabled", "target", "otlpProtocol", "otlpEndpoint", "logPrompts"]);
    assert_eq!((&gemini["enabled"], &gemini["logPrompts"]), (&true.into(), &false.into()));
    assert_eq!((&gemini["otlpProtocol"], &gemini["target"]), (&"http".into(), &"local".into()));
    let base = gemini["otlpEndpoint"].as_str().unwrap();

    are_answered(&[
        &env["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"],
        exporter["endpoint"].as_str().unwrap(),
        &format!("{base}/v1/traces"),
        &format!("{base}/v1/logs"),
        &format!("{base}/v1/metrics"),
    ])
    .await;
}

#[tokio::test]
async fn the_litellm_proxy_gets_a_callback_and_where_it_sends_to() {
    let litellm = yaml("litellm-config.yaml");
    only(&litellm, &["model_list", "litellm_settings", "environment_variables"]);
    let callbacks = names(&litellm["litellm_settings"]["callbacks"]);
    let reporter = read("../../clients/python/src/brownout_reporter/litellm.py");
    for callback in callbacks {
        let name = callback.strip_prefix("brownout_reporter.litellm.").unwrap();
        assert!(reporter.contains(&format!("\"{name}\": Brownout")), "the reporter has no {name}");
    }
    assert!(read("litellm-config.yaml").contains("# callbacks: [generic_api]"));
    let variables = &litellm["environment_variables"];
    only(variables, &["BROWNOUT_URL", "GENERIC_LOGGER_ENDPOINT", "GENERIC_LOGGER_HEADERS"]);
    assert_eq!(variables["BROWNOUT_URL"], BROWNOUT);
    are_answered(&[variables["GENERIC_LOGGER_ENDPOINT"].as_str().unwrap()]).await;
}

#[tokio::test]
async fn the_collector_sends_what_is_about_models_here_too_and_without_content() {
    let collector = yaml("otel-collector.yaml");
    only(&collector, &["receivers", "processors", "exporters", "service"]);
    let exporter = &collector["exporters"]["otlphttp/brownout"];
    only(exporter, &["endpoint", "compression", "headers", "retry_on_failure", "sending_queue"]);
    assert_eq!(exporter["compression"], "gzip");
    let pipelines = collector["service"]["pipelines"].as_object().unwrap();
    let mut used = BTreeSet::new();
    for (name, pipeline) in pipelines {
        for kind in ["receivers", "processors", "exporters"] {
            let Some(list) = pipeline.get(kind) else { continue };
            let parts = names(list);
            let defined = keys(&collector[kind]);
            assert!(parts.is_subset(&defined), "{name}: {kind} {parts:?} of {defined:?}");
            used.extend(parts);
        }
        let exporters = names(&pipeline["exporters"]);
        let filtered = pipeline.get("processors").is_some();
        assert_eq!(
            exporters.contains("otlphttp/brownout"),
            filtered,
            "{name}: what goes on is cut"
        );
    }
    for kind in ["receivers", "processors", "exporters"] {
        assert!(keys(&collector[kind]).is_subset(&used), "{kind}: something is not used");
    }
    let kept = &collector["processors"]["filter/models"];
    assert!(kept["traces"]["span"][0].as_str().unwrap().contains("gen_ai.request.model"));
    let patterns: Vec<regex_syntax::hir::Hir> =
        collector["processors"]["attributes/content"]["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|action| {
                only(action, &["pattern", "action"]);
                assert_eq!(action["action"], "delete");
                regex_syntax::parse(action["pattern"].as_str().unwrap()).unwrap()
            })
            .collect();
    assert!(patterns.len() >= 5);
    let base = exporter["endpoint"].as_str().unwrap();
    are_answered(&[&format!("{base}/v1/traces"), &format!("{base}/v1/logs")]).await;
}
