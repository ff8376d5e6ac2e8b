//! `brownout probe`, the real program.

use std::process::Output;

use tokio::net::TcpListener;
use tokio::process::Command;

use super::fake::{Act, CONTENT, KEY, OVERLOADED, START, STOP, play, response, stream};

/// A variable that no test environment sets by itself.
const KEY_VARIABLE: &str = "BROWNOUT_TEST_PROBE_KEY";

async fn command(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brownout"))
        .arg("probe")
        .args(args)
        .env_clear()
        .env(KEY_VARIABLE, KEY)
        .output()
        .await
        .unwrap()
}

/// Runs the program against a provider that does this.
async fn against(acts: &[Act], flags: &[&str]) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let file = std::env::temp_dir().join(format!("brownout-probe-{port}.yaml"));
    let config = format!(
        "providers:\n  anthropic:\n    base_url: http://127.0.0.1:{port}\n    \
         api_key: {{env: {KEY_VARIABLE}}}\n    models: [claude-haiku-4-5]\n"
    );
    std::fs::write(&file, config).unwrap();
    let mut args = vec!["anthropic/claude-haiku-4-5", "--config.file", file.to_str().unwrap()];
    args.extend(flags);
    let serving = async {
        loop {
            play(listener.accept().await.unwrap().0, acts).await;
        }
    };
    let output = tokio::select! {
        () = serving => unreachable!("the server never ends"),
        output = command(&args) => output,
    };
    std::fs::remove_file(&file).unwrap();
    for text in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(text).contains("T0P5ECRET"), "the key shows");
    }
    output
}

#[tokio::test]
async fn json_has_exactly_the_fields_of_the_contract() {
    let output = against(&stream(&[START, CONTENT, STOP]), &["--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut fields: Vec<_> = found.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut contract = [
        "class",
        "matched_by",
        "http_status",
        "connect_ms",
        "ttfb_ms",
        "ttft_ms",
        "total_ms",
        "cost_usd",
        "request_id",
        "retry_after_ms",
        "misconfigured",
    ];
    contract.sort_unstable();
    assert_eq!(fields, contract);
    assert_eq!(found["class"], "ok");
    assert_eq!(found["http_status"], 200);
    assert_eq!(found["request_id"], "req_011");
    assert!(found["ttft_ms"].is_f64());
    assert!(found["misconfigured"].is_null());
}

#[tokio::test]
async fn people_are_told_what_it_means_and_scripts_by_the_exit_code() {
    let json = "content-type: application/json\r\nretry-after: 7\r\n";
    let output = against(&response("529 Overloaded", json, OVERLOADED), &[]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "anthropic/claude-haiku-4-5: overloaded",
        "sheds load",
        "x-api-key: [redacted]",
        "anthropic-version: 2023-06-01",
        "\"max_tokens\":1",
        "(name, TCP and TLS together), HTTP/1.1",
        "HTTP 529 after",
        "asks to wait 7s",
        "decided by token",
        "`overloaded_error` in the answer",
        "Next: retry shortly",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[tokio::test]
async fn the_events_of_a_stream_are_told_with_their_times() {
    let output = against(&stream(&[START, CONTENT, STOP]), &[]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        " ms message_start\n",
        " ms content_block_delta (first content)\n",
        " ms message_delta (complete)\n",
        " ms message_stop\n",
        "request-id: req_011",
        "10 tokens in, 1 out",
        "the answer is complete",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains("text_delta"), "nothing of the answer is shown: {text}");
}

#[tokio::test]
async fn what_cannot_be_probed_is_a_usage_error_with_a_remedy() {
    for (args, remedy) in [
        (&["claude-haiku-4-5"][..], "PROVIDER/MODEL"),
        (&["nonesuch/model"], "nonesuch"),
        (&["anthropic/claude-haiku-4-5"], "ANTHROPIC_API_KEY"),
        (&["openai/gpt-5.5"], "OPENAI_API_KEY"),
        (&["deepseek/deepseek-v4-flash"], "DEEPSEEK_API_KEY"),
        (&["anthropic/m", "--config.file", "/nonexistent/brownout.yaml"], "/nonexistent"),
        (&[], "PROVIDER/MODEL"),
    ] {
        let output = command(args).await;
        assert_eq!(output.status.code(), Some(64), "{args:?}: {output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(remedy), "{args:?}: {remedy} is missing in {text}");
        assert!(output.stdout.is_empty());
    }
}
