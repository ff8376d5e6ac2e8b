//! `brownout probe` against a mock of the providers' APIs that no one here wrote: `LLMock`, from
//! the Python index. Our own simulator could share a misreading with our probes; this one cannot.

use std::process::{Output, Stdio};

use brownout::intake::probe;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use crate::daemon::PATIENCE;
use crate::sdk::python;
use crate::temp::TempFile;

/// Takes whatever key it is given.
const KEY_VARIABLE: &str = "BROWNOUT_TEST_MOCK_KEY";

/// Who is probed, where the mock plays it, and in which dialect.
const PLAYED: [(&str, &str, &str); 8] = [
    ("anthropic/claude-haiku-4-5", "/anthropic", "anthropic"),
    ("openai/gpt-5.5", "/v1", "openai"),
    ("responses/gpt-5.5", "/v1", "openai_responses"),
    ("gemini/gemini-2.5-flash-lite", "/gemini", "gemini"),
    ("mistral/mistral-small", "/mistral/v1", "openai"),
    ("groq/openai/gpt-oss-20b", "/groq/openai/v1", "openai"),
    ("together/openai/gpt-oss-20b", "/together/v1", "openai"),
    ("xai/grok-4", "/xai/v1", "openai"),
];

/// A running mock. It is killed when dropped.
struct Mock {
    url: String,
    // Kept open, or what the mock logs there would end it.
    _log: BufReader<ChildStderr>,
    _child: Child,
}

impl Mock {
    async fn start() -> Self {
        let mut child = Command::new(python())
            .args(["-m", "llmock.cli", "serve", "--host", "127.0.0.1", "--port", "0"])
            .args(["--log-level", "info"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        // It says which port it got once it listens there.
        let listening = async {
            while log.read_line(&mut seen).await.unwrap() > 0 {
                let line = seen.lines().last().unwrap_or_default();
                if let Some((_, url)) = line.split_once("running on ") {
                    return url.split_whitespace().next().map(str::to_owned);
                }
            }
            None
        };
        let found = tokio::time::timeout(PATIENCE, listening).await;
        let url = found.ok().flatten().unwrap_or_else(|| {
            panic!("the mock does not start: run tests/run, which installs it; it said: {seen}")
        });
        Self { url, _log: log, _child: child }
    }

    /// Makes it do this to the next request.
    async fn will(&self, behaviour: &Value) {
        let url = format!("{}/_llmock/scenario", self.url);
        let body = json!({ "behaviors": [behaviour] });
        let answer = probe::client().unwrap().post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201, "{behaviour}: {answer:?}");
    }

    /// Probes one of those played with the real program, and gives what it says as JSON.
    async fn probed(&self, target: &str) -> Value {
        let (_, path, dialect) = PLAYED.iter().find(|(name, ..)| *name == target).unwrap();
        let (provider, model) = target.split_once('/').unwrap();
        let config = format!(
            "providers:\n  {provider}:\n    base_url: {}{path}\n    dialect: {dialect}\n    \
             api_key: {{env: {KEY_VARIABLE}}}\n    models: [{model}]\n",
            self.url
        );
        let file = TempFile::new("mock.yaml", &config);
        let command = Command::new(env!("CARGO_BIN_EXE_brownout"))
            .args(["probe", target, "--json", "--config.file", file.path()])
            .env_clear()
            .env(KEY_VARIABLE, "a-key-for-the-mock")
            .kill_on_drop(true)
            .output();
        let output: Output = tokio::time::timeout(PATIENCE, command).await.unwrap().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{target}: {error}: {output:?}"));
        let expected = i32::from(report["class"] != "ok");
        assert_eq!(output.status.code(), Some(expected), "{target}: {output:?}");
        report
    }
}

#[tokio::test]
async fn a_mock_that_no_one_here_wrote_is_probed_to_the_end() {
    let mock = Mock::start().await;
    for (target, ..) in PLAYED {
        let report = mock.probed(target).await;
        assert_eq!(report["class"], "ok", "{target}: {report}");
        assert_eq!(report["http_status"], 200, "{target}: {report}");
        assert!(report["misconfigured"].is_null(), "{target}: {report}");
        let [ttfb, ttft, total] =
            ["ttfb_ms", "ttft_ms", "total_ms"].map(|name| report[name].as_f64());
        assert!(ttfb.is_some() && ttfb <= ttft && ttft <= total, "{target}: {report}");
    }
}

#[tokio::test]
async fn what_the_mock_makes_fail_is_named_for_what_it_is() {
    let fail = |status: u16| json!({"type": "fail", "status": status});
    let cut = |kind: &str| json!({"type": "stream_fault", "kind": kind, "after_chunks": 1});
    let throttle = json!({"type": "fail", "status": 429, "retry_after": 2});
    let mock = Mock::start().await;
    for (target, behaviour, class, status) in [
        ("anthropic/claude-haiku-4-5", fail(529), "overloaded", 529),
        ("anthropic/claude-haiku-4-5", throttle.clone(), "rate_limited", 429),
        ("anthropic/claude-haiku-4-5", fail(500), "server_error", 500),
        ("anthropic/claude-haiku-4-5", fail(401), "auth", 401),
        ("anthropic/claude-haiku-4-5", cut("truncate"), "network", 200),
        ("openai/gpt-5.5", throttle.clone(), "rate_limited", 429),
        ("openai/gpt-5.5", fail(503), "unavailable", 503),
        ("openai/gpt-5.5", fail(400), "invalid_request", 400),
        ("openai/gpt-5.5", cut("disconnect"), "network", 200),
        ("responses/gpt-5.5", fail(503), "unavailable", 503),
        ("responses/gpt-5.5", cut("truncate"), "network", 200),
        ("gemini/gemini-2.5-flash-lite", fail(503), "unavailable", 503),
        ("gemini/gemini-2.5-flash-lite", throttle.clone(), "rate_limited", 429),
        ("xai/grok-4", fail(503), "unavailable", 503),
    ] {
        mock.will(&behaviour).await;
        let report = mock.probed(target).await;
        assert_eq!(report["class"], class, "{target}, {behaviour}: {report}");
        assert_eq!(report["http_status"], status, "{target}, {behaviour}: {report}");
        if behaviour == throttle {
            assert_eq!(report["retry_after_ms"], 2000, "{target}: {report}");
        }
        let misconfigured = matches!(class, "auth" | "invalid_request");
        assert_eq!(report["misconfigured"].is_string(), misconfigured, "{behaviour}: {report}");
    }
    // What was asked for has happened once; the mock is itself again.
    assert_eq!(mock.probed("openai/gpt-5.5").await["class"], "ok");
}
