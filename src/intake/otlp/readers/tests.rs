//! Records of clients of which there is no capture, in tables.

use serde_json::{Value, json};

use super::super::{Encoding, Signal, read};
use crate::domain::time::Timestamp;
use crate::ground::config::Config;
use crate::ground::names::Names;
use crate::intake::sighting::{Basis, Reading, Sighting};

/// What is read of one event or span.
fn reading(
    signal: Signal,
    scope: &str,
    name: &str,
    more: &Value,
    pairs: &[(&str, Value)],
) -> Reading {
    let attributes: Vec<Value> = pairs
        .iter()
        .map(|(key, value)| {
            let kind = if value.is_number() { "intValue" } else { "stringValue" };
            json!({"key": key, "value": {kind: value}})
        })
        .collect();
    let mut record = json!({"name": name, "eventName": name, "attributes": attributes});
    for (field, value) in more.as_object().unwrap() {
        record[field] = value.clone();
    }
    let [groups, scopes, records] = match signal {
        Signal::Traces => ["resourceSpans", "scopeSpans", "spans"],
        Signal::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
    };
    let scope = json!({"scope": {"name": scope}, records: [record]});
    let body = json!({groups: [{scopes: [scope]}]}).to_string();
    let mut readings = read(body.as_bytes(), signal, Encoding::Json).unwrap();
    assert_eq!(readings.len(), 1, "{readings:?}");
    readings.remove(0)
}

/// The only call that is seen in a record.
fn sighting(
    signal: Signal,
    scope: &str,
    name: &str,
    more: &Value,
    attributes: &[(&str, Value)],
) -> Sighting {
    match reading(signal, scope, name, more, attributes) {
        Reading::Seen(sighting) => *sighting,
        Reading::Ignored(reason) => panic!("{reason:?}"),
    }
}

/// One event or span, as `attempt|operation TARGET CLASS first|retry`, or why it is ignored.
fn say(signal: Signal, scope: &str, name: &str, attributes: &[(&str, Value)]) -> String {
    let sighting = match reading(signal, scope, name, &json!({}), attributes) {
        Reading::Seen(sighting) => sighting,
        Reading::Ignored(reason) => return reason.as_str().to_owned(),
    };
    let names = Names::new(&Config::parse("", "test.yaml").unwrap());
    let mut named = sighting.clone();
    named.model.get_or_insert_with(|| "unknown".to_owned());
    let outcome = named.outcome(&names, Timestamp::from_secs(1)).unwrap().outcome;
    let basis = match sighting.basis {
        Basis::Attempt => "attempt",
        Basis::Operation => "operation",
    };
    let (target, class, attempt) = (outcome.target, outcome.class, outcome.attempt.as_str());
    format!("{basis} {}/{} {class} {attempt}", target.provider, target.model)
}

#[test]
fn events_of_codex_are_read_by_attempt() {
    let model = ("model", json!("gpt-5.5"));
    let attempt = |number| ("attempt", json!(number));
    let status = |number: &str| ("http.response.status_code", json!(number));
    let text = |text: &str| ("error.message", json!(text));
    let endpoint = |path: &str| ("endpoint", json!(path));
    let kind = |kind: &str| ("event.kind", json!(kind));
    let after = |ms: &str| ("duration_ms", json!(ms));
    for (name, attributes, expected) in [
        // Only let in: the stream's end tells how it ended.
        ("api_request", vec![attempt(0), status("200"), endpoint("/responses")], "wrapper"),
        ("api_request", vec![attempt(0), status("200")], "wrapper"),
        (
            "api_request",
            vec![attempt(1), status("200"), endpoint("/responses/compact")],
            "attempt openai/gpt-5.5 ok retry",
        ),
        (
            "api_request",
            vec![attempt(1), status("503"), text("server_is_overloaded")],
            "attempt openai/gpt-5.5 overloaded retry",
        ),
        ("api_request", vec![text("timed out")], "attempt openai/gpt-5.5 timeout first"),
        ("api_request", vec![endpoint("/models"), status("500")], "unrelated"),
        (
            "sse_event",
            vec![kind("response.completed"), text("at capacity")],
            "attempt openai/gpt-5.5 overloaded first",
        ),
        ("sse_event", vec![kind("response.completed")], "attempt openai/gpt-5.5 ok first"),
        // As they came, beside the summing-up.
        ("sse_event", vec![kind("response.completed"), after("4")], "wrapper"),
        ("sse_event", vec![kind("response.failed"), after("4"), text("overloaded")], "wrapper"),
        ("sse_event", vec![after("4"), text("Transport error: network error")], "wrapper"),
        (
            "websocket_connect",
            vec![("success", json!("false")), status("503"), text("http 503")],
            "attempt openai/gpt-5.5 unavailable first",
        ),
        ("websocket_connect", vec![("success", json!("true"))], "wrapper"),
        ("websocket_request", vec![("success", json!("true"))], "wrapper"),
        ("tool_result", vec![], "unrelated"),
    ] {
        let attributes = [vec![model.clone()], attributes].concat();
        let name = format!("codex.{name}");
        let said = say(Signal::Logs, "codex", &name, &attributes);
        assert_eq!(said, expected, "{name} {attributes:?}");
    }
}

#[test]
fn claude_code_says_who_serves_claude() {
    for (provider, expected) in [
        ("firstParty", "operation anthropic/claude-opus-4-7 ok first"),
        ("anthropicAws", "operation anthropic/claude-opus-4-7 ok first"),
        ("bedrock", "operation bedrock/claude-opus-4-7 ok first"),
        ("mantle", "operation bedrock/claude-opus-4-7 ok first"),
        ("vertex", "operation vertex/claude-opus-4-7 ok first"),
        ("foundry", "operation azure/claude-opus-4-7 ok first"),
        ("gateway", "gateway"),
    ] {
        let attributes =
            [("model", json!("claude-opus-4-7")), ("anthropic.provider", json!(provider))];
        let said = say(Signal::Logs, "", "claude_code.api_request", &attributes);
        assert_eq!(said, expected, "{provider}");
    }
}

#[test]
fn gemini_cli_tells_its_account_and_not_its_host() {
    let model = ("model", json!("gemini-2.5-pro"));
    for (account, expected) in [
        ("vertex-ai", "attempt vertex/gemini-2.5-pro ok first"),
        ("gemini-api-key", "attempt gemini/gemini-2.5-pro ok first"),
    ] {
        let attributes = [model.clone(), ("auth_type", json!(account))];
        let said = say(Signal::Logs, "gemini-cli", "gemini_cli.api_response", &attributes);
        assert_eq!(said, expected, "{account}");
    }
}

/// A case: the scope, the attributes, and what is said of them.
type Case = (&'static str, Vec<(&'static str, Value)>, &'static str);

fn check_spans(cases: Vec<Case>) {
    for (scope, attributes, expected) in cases {
        let said = say(Signal::Traces, scope, "x", &attributes);
        assert_eq!(said, expected, "{scope} {attributes:?}");
    }
}

#[test]
fn spans_of_http_clients_are_read_without_a_model() {
    let url = ("url.full", json!("https://api.openai.com/v1/responses?key=1"));
    let post = ("http.request.method", json!("POST"));
    let status = |number| ("http.response.status_code", json!(number));
    check_spans(vec![
        // undici writes numbers of a DOMException.
        (
            "undici",
            vec![url.clone(), post.clone(), ("error.type", json!(23))],
            "attempt openai/unknown timeout first",
        ),
        (
            "undici",
            vec![url, post.clone(), status(529), ("error.type", json!("529"))],
            "attempt openai/unknown overloaded first",
        ),
        ("fastapi", vec![post, status(500), ("url.path", json!("/v1/messages"))], "unrelated"),
    ]);
}

#[test]
fn spans_are_read_by_meaning() {
    let kind = |kind: &str| ("openinference.span.kind", json!(kind));
    let model = ("gen_ai.request.model", json!("gpt-5.5"));
    let status = |number| ("http.response.status_code", json!(number));
    check_spans(vec![
        // The model of a failed call is only in its parameters.
        (
            "openinference.instrumentation.openai",
            vec![
                kind("LLM"),
                ("llm.system", json!("openai")),
                ("llm.invocation_parameters", json!(r#"{"model": "gpt-5.5"}"#)),
                ("error.type", json!("APITimeoutError")),
            ],
            "operation openai/gpt-5.5 timeout first",
        ),
        ("openinference.instrumentation.langchain", vec![kind("CHAIN")], "wrapper"),
        // The SDK is OpenAI's, the host is not.
        (
            "opentelemetry.instrumentation.openai.v1",
            vec![
                model.clone(),
                ("gen_ai.system", json!("openai")),
                ("gen_ai.openai.api_base", json!("https://api.deepseek.com/v1/")),
                ("error.type", json!("InternalServerError")),
                ("error.message", json!("Error code: 529 - Overloaded")),
            ],
            "operation deepseek/gpt-5.5 overloaded first",
        ),
        (
            "agents",
            vec![model.clone(), ("gen_ai.operation.name", json!("invoke_agent"))],
            "wrapper",
        ),
        // LiteLLM's 500 is no evidence, its message is.
        (
            "litellm",
            vec![
                ("litellm.provider.model", json!("anthropic/claude-opus-4-7")),
                status(500),
                (
                    "error.message",
                    json!("litellm.InternalServerError: AnthropicError - Overloaded"),
                ),
            ],
            "operation anthropic/claude-opus-4-7 overloaded first",
        ),
        (
            "litellm",
            vec![
                ("litellm.provider.model", json!("anthropic/claude-opus-4-7")),
                ("metadata.user_api_key_request_route", json!("/v1/chat/completions")),
            ],
            "attempt anthropic/claude-opus-4-7 ok first",
        ),
        // A failure inside a stream has the status 200.
        (
            "com.anthropic.sdk.typescript",
            vec![model, status(200), ("error.type", json!("overloaded_error"))],
            "operation anthropic/gpt-5.5 overloaded first",
        ),
    ]);
}

/// A call of the Anthropic SDK's own span with these attributes.
fn native(attributes: &[(&str, Value)]) -> Sighting {
    let model = [("gen_ai.request.model", json!("claude-opus-4-7"))];
    let attributes = [&model[..], attributes].concat();
    sighting(Signal::Traces, "com.anthropic.sdk.python", "x", &json!({}), &attributes)
}

#[test]
fn an_address_is_kept_with_its_port() {
    for (address, port, expected) in [
        (json!("127.0.0.1"), json!(9999), "127.0.0.1:9999"),
        (json!("127.0.0.1"), json!("9999"), "127.0.0.1:9999"),
        (json!("127.0.0.1:8080"), json!(9999), "127.0.0.1:8080"),
        (json!("::1"), json!(9999), "[::1]:9999"),
        (json!("[::1]"), json!(9999), "[::1]:9999"),
        (json!("http://127.0.0.1/v1"), json!(9999), "http://127.0.0.1/v1"),
        (json!("api.anthropic.com"), json!(0), "api.anthropic.com"),
        (json!("api.anthropic.com"), json!("https"), "api.anthropic.com"),
    ] {
        for [host, number] in
            [["server.address", "server.port"], ["net.peer.name", "net.peer.port"]]
        {
            let pairs = [(host, address.clone()), (number, port.clone())];
            assert_eq!(native(&pairs).host.as_deref(), Some(expected), "{pairs:?}");
        }
    }
    let old = [("http.host", json!("127.0.0.1:9999")), ("net.peer.name", json!("proxy"))];
    assert_eq!(native(&old).host.as_deref(), Some("127.0.0.1:9999"));
    let config = "providers: {anthropic: {base_url: 'http://127.0.0.1:9999'}}";
    let names = Names::new(&Config::parse(config, "test.yaml").unwrap());
    let told = native(&[("server.address", json!("127.0.0.1")), ("server.port", json!(9999))]);
    assert!(names.serves(told.host.as_deref().unwrap()));
}

#[test]
fn ids_of_the_request_and_of_its_answer_are_kept() {
    let request = ("anthropic.request.id", json!("req_011CSHoEeqs5C35K2UUqR7Fy"));
    let answer = ("gen_ai.response.id", json!("msg_01XFDUDYJgAACzvnptvVoYEL"));
    let failed = ("error.type", json!("overloaded_error"));
    let text = ("error.message", json!(r#"{"request_id":"req_011CSHoEeqs5C35K2UUqR7Fy"}"#));
    for (pairs, expected) in [
        (vec![answer.clone(), request.clone()], vec![&request.1, &answer.1]),
        (vec![request.clone(), failed.clone(), text.clone()], vec![&request.1]),
        (vec![failed, text], vec![&request.1]),
    ] {
        let expected: Vec<_> = expected.iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(native(&pairs).request_ids, expected, "{pairs:?}");
    }
}

#[test]
fn events_of_one_millisecond_are_told_apart() {
    let model = |model: &str| ("model", json!(model));
    let at = json!({"timeUnixNano": "1795473738741000000"});
    let key = |more: &Value, attributes: &[(&str, Value)]| {
        let name = "gemini_cli.api_error";
        sighting(Signal::Logs, "gemini-cli", name, more, attributes).replay_key
    };
    let base = [model("gemini-2.5-pro"), ("status_code", json!(503)), ("duration_ms", json!(7))];
    let same = key(&at, &base);
    assert!(same.is_some());
    assert_eq!(same, key(&at, &base), "the same event sent again");
    for other in [
        ("model", json!("gemini-2.5-flash")),
        ("status_code", json!(429)),
        ("duration_ms", json!(8)),
        ("prompt_id", json!("prompt")),
        ("session.id", json!("session")),
    ] {
        let mut pairs = base.to_vec();
        pairs.retain(|(name, _)| *name != other.0);
        pairs.push(other);
        assert_ne!(key(&at, &pairs), same, "{pairs:?}");
    }
    assert_eq!(key(&json!({}), &base), None, "without a time nothing tells events apart");
    let numbered = [model("m"), ("session.id", json!("s")), ("event.sequence", json!(3))];
    assert!(key(&json!({}), &numbered).is_some());
}

#[test]
fn no_more_than_a_thousand_attempts_are_believed() {
    for told in [json!(4_000_000_000_u64), json!("1e300"), json!(1_001)] {
        let pairs = [("model", json!("m")), ("status_code", json!(529)), ("attempt", told)];
        let name = "claude_code.api_error";
        let told = sighting(Signal::Logs, "", name, &json!({}), &pairs);
        assert_eq!((told.attempt, told.resends), (Some(1_000), 999), "{pairs:?}");
    }
    let events = vec![json!({"name": "gen_ai.request.attempt"}); 1_500];
    let name = "claude_code.llm_request";
    let pairs = [("gen_ai.request.model", json!("m"))];
    let told = sighting(Signal::Traces, "", name, &json!({"events": events}), &pairs);
    assert_eq!(told.resends, 999);
}
