//! Reports of exchanges that were seen, in tables; the exchanges themselves are in `tests/it`.

use serde_json::{Value, json};

use super::credential::key_header;
use super::request_id::REQUEST_ID_BYTES_MAX;
use super::trace::Events;
use super::*;
use crate::domain::model_name;
use crate::domain::target::Provider;
use crate::ground::catalog::{Auth, Dialect, Price};
use crate::ground::config::{ProbesConfig, ProviderConfig};
use crate::ground::secret::SecretSource;

/// Where chat completions live, given the base URL of [`spec`].
const CHAT: &str = "https://api.example.com/v1/chat/completions";

fn configured(provider: &str, dialect: Dialect, wire_model: &str) -> (Target, ProviderConfig) {
    let model = model_name::model(wire_model).unwrap();
    let target = Target::new(Provider::new(provider).unwrap(), model);
    let mut config = ProviderConfig::new(dialect, "https://api.example.com/v1");
    config.wire_names.insert(target.model.clone(), wire_model.to_owned());
    let price = Price { input_usd_per_mtok: 5.0, output_usd_per_mtok: 25.0 };
    config.prices.insert(target.model.clone(), price);
    (target, config)
}

fn spec(provider: &str, dialect: Dialect, wire_model: &str) -> ProbeSpec {
    let (target, config) = configured(provider, dialect, wire_model);
    ProbeSpec::new(target, &config, &ProbesConfig::default(), None).unwrap()
}

fn body(spec: &ProbeSpec) -> Value {
    serde_json::from_slice(&spec.body).unwrap()
}

fn judged(exchange: &Exchange) -> ProbeReport {
    let spec = spec("anthropic", Dialect::Anthropic, "claude-opus-4-7");
    report(&spec, None, exchange, Timestamp::from_secs(1), Timestamp::from_secs(2))
}

#[test]
fn bodies_are_the_smallest_each_provider_accepts() {
    use Dialect::{Anthropic, OpenAiChat};
    for (provider, dialect, model, url, has, lacks) in [
        (
            "anthropic",
            Anthropic,
            "claude-opus-4-7",
            "https://api.example.com/v1/messages",
            &[("max_tokens", "1"), ("service_tier", "\"standard_only\"")][..],
            &["thinking"][..],
        ),
        (
            "openai",
            OpenAiChat,
            "gpt-5.5",
            CHAT,
            &[
                ("max_completion_tokens", "16"),
                ("service_tier", "\"default\""),
                ("reasoning_effort", "\"none\""),
                ("stream_options", r#"{"include_usage":true}"#),
            ],
            &["max_tokens"],
        ),
        (
            "deepseek",
            OpenAiChat,
            "deepseek-v4-pro",
            CHAT,
            &[("max_tokens", "1"), ("thinking", r#"{"type":"disabled"}"#)],
            &["service_tier", "max_completion_tokens"],
        ),
        ("moonshot", OpenAiChat, "kimi-k2.7-code", CHAT, &[("max_tokens", "1")], &["thinking"]),
        (
            "openrouter",
            OpenAiChat,
            "anthropic/claude-opus-4.7",
            CHAT,
            &[
                ("max_tokens", "16"),
                ("provider", r#"{"allow_fallbacks":false,"order":["anthropic"]}"#),
            ],
            &["thinking"],
        ),
        ("mistral", OpenAiChat, "mistral-small", CHAT, &[("max_tokens", "1")], &["stream_options"]),
    ] {
        let spec = spec(provider, dialect, model);
        assert_eq!(spec.url, url, "{provider}");
        let body = body(&spec);
        assert_eq!(body["model"], model, "{provider}");
        assert_eq!(body["stream"], true, "{provider}");
        for (field, value) in has {
            assert_eq!(body[*field].to_string(), *value, "{provider} {field}");
        }
        for field in lacks {
            assert!(body.get(*field).is_none(), "{provider} {field}");
        }
    }
}

#[test]
fn overrides_tune_the_body_but_not_what_is_measured() {
    let bound = spec("openai", Dialect::OpenAiChat, "gpt-5.5").cost_bound_usd();
    let (target, mut config) = configured("openai", Dialect::OpenAiChat, "gpt-5.5");
    let patch = |value: Value| value.as_object().unwrap().clone();
    config.request.body = patch(json!({
        "service_tier": null,
        "max_completion_tokens": 32,
        "stream_options": {"x": 1},
        "stream": false,
        "model": "another",
        "messages": null,
    }));
    let own = patch(json!({"max_completion_tokens": 64}));
    config.request.model_body.insert(target.model.clone(), own);
    let spec = ProbeSpec::new(target, &config, &ProbesConfig::default(), None).unwrap();
    let body = body(&spec);
    assert!(body.get("service_tier").is_none());
    assert_eq!(body["max_completion_tokens"], 64, "the model's own comes last");
    assert_eq!(body["stream_options"], json!({"include_usage": true, "x": 1}));
    assert_eq!(body["stream"], true);
    assert_eq!(body["model"], "gpt-5.5");
    assert_eq!(body["messages"][0]["content"], ".");
    assert!(spec.cost_bound_usd() > bound, "a larger answer may cost more");
}

#[test]
fn an_answer_without_a_limit_is_bounded_all_the_same() {
    let (target, mut config) = configured("anthropic", Dialect::Anthropic, "m");
    config.request.body.insert("max_tokens".to_owned(), Value::Null);
    let spec = ProbeSpec::new(target, &config, &ProbesConfig::default(), None).unwrap();
    assert_eq!(spec.max_tokens, None);
    assert!(spec.cost_bound_usd() > 1e-3);
}

#[test]
fn a_base_url_that_is_none_is_refused() {
    for base_url in [
        "",
        "api.example.com",
        "ftp://example.com",
        "http://",
        "data:x",
        "https://user:password@example.com",
        "https://example.com/v1?key=x",
        "https://example.com/v1#x",
    ] {
        let (target, mut config) = configured("anthropic", Dialect::Anthropic, "m");
        base_url.clone_into(&mut config.base_url);
        let made = ProbeSpec::new(target, &config, &ProbesConfig::default(), None);
        assert_eq!(made.unwrap_err(), SpecError::Url, "{base_url:?}");
    }
}

#[test]
fn the_key_is_sent_the_providers_way_and_never_shown() {
    for (auth, expected) in [
        (Auth::Bearer, Some(("authorization", "Bearer k"))),
        (Auth::XApiKey, Some(("x-api-key", "k"))),
        (Auth::ApiKey, Some(("api-key", "k"))),
        (Auth::XGoogApiKey, Some(("x-goog-api-key", "k"))),
        (Auth::SigV4, None),
    ] {
        let header = key_header(auth, &Secret::new("k")).unwrap();
        let found = header.as_ref().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        assert_eq!(found, expected);
        assert!(header.is_none_or(|(_, value)| value.is_sensitive()));
    }
    let broken = key_header(Auth::Bearer, &Secret::new("a\nb"));
    assert_eq!(broken.unwrap_err(), SpecError::Key);
}

#[test]
fn the_charge_is_nothing_when_refused_and_the_bound_when_in_doubt() {
    let spec = spec("anthropic", Dialect::Anthropic, "claude-opus-4-7");
    let bound = spec.cost_bound_usd();
    let billed = Usage { input_tokens: Some(10), output_tokens: Some(1) };
    let opened = Connection::Opened(Duration::ZERO);
    for (connection, status, transport, usage, charge) in [
        (opened, Some(200), None, billed, 7.5e-5),
        (opened, Some(200), Some(Transport::ResetMidStream), Usage::default(), bound),
        (opened, Some(200), Some(Transport::ResetMidStream), billed, bound),
        (opened, Some(529), None, Usage::default(), 0.0),
        (opened, Some(401), None, Usage::default(), 0.0),
        (opened, None, Some(Transport::ReadTimeout), Usage::default(), bound),
        (opened, None, Some(Transport::ResetBeforeHeaders), Usage::default(), bound),
        (Connection::Reused, None, Some(Transport::ReadTimeout), Usage::default(), bound),
        (Connection::Failed, None, Some(Transport::ConnectRefused), Usage::default(), 0.0),
        (Connection::Opening, None, Some(Transport::ConnectTimeout), Usage::default(), 0.0),
    ] {
        let whole = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        let stream = if transport.is_none() { whole.to_vec() } else { Vec::new() };
        let answer = if transport.is_none() { Answer::Complete } else { Answer::Cut };
        let exchange = Exchange {
            connection,
            status,
            transport,
            usage,
            stream,
            answer,
            ..Exchange::default()
        };
        let found = judged(&exchange).charge_usd(&spec);
        assert!((found - charge).abs() < 1e-12, "{connection:?} {status:?} {transport:?}: {found}");
    }
}

#[test]
fn a_key_never_crosses_a_network_in_clear_text() {
    for (base_url, with_key, expected) in [
        ("http://192.0.2.7:4000/v1", true, Err(SpecError::ClearText)),
        ("http://llm.example.com/v1", true, Err(SpecError::ClearText)),
        ("http://127.0.0.1.example.com/v1", true, Err(SpecError::ClearText)),
        ("http://192.0.2.7:4000/v1", false, Ok(())),
        ("https://192.0.2.7:4000/v1", true, Ok(())),
        ("http://127.0.0.1:4000/v1", true, Ok(())),
        ("http://[::1]:4000/v1", true, Ok(())),
        ("http://localhost:4000/v1", true, Ok(())),
    ] {
        // As `--probe` does it: the file names no key, the environment has one.
        let (target, mut config) = configured("litellm", Dialect::OpenAiChat, "m");
        base_url.clone_into(&mut config.base_url);
        let source = SecretSource::Command(vec!["echo".to_owned(), "k".to_owned()]);
        let key = with_key.then(|| Credential::read(&source).unwrap());
        let made = ProbeSpec::new(target, &config, &ProbesConfig::default(), key);
        assert_eq!(made.map(drop), expected, "{base_url} {with_key}");
    }
    let (target, mut config) = configured("bedrock", Dialect::Bedrock, "m");
    config.request.auth = Some(Auth::SigV4);
    config.request.region = Some("us-east-1".to_owned());
    "http://bedrock.example.com".clone_into(&mut config.base_url);
    let made = ProbeSpec::new(target, &config, &ProbesConfig::default(), None);
    assert_eq!(made.map(drop), Err(SpecError::ClearText));
}

#[test]
fn the_providers_request_id_comes_before_the_cdns() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (headers, expected) in [
        (vec![pair("cf-ray", "8f"), pair("request-id", "req_1")], Some("req_1")),
        (vec![pair("cf-ray", "8f")], Some("8f")),
        (vec![pair("x-request-id", "a.b_c:1-Z")], Some("a.b_c:1-Z")),
        (vec![pair("x-request-id", "a b")], None),
        (vec![pair("x-request-id", "a\u{e9}")], None),
        (vec![pair("x-request-id", "a\u{1b}[2J")], None),
        (vec![pair("x-request-id", "")], None),
        (vec![pair("request-id", "sk-T0P5ECRET"), pair("cf-ray", "8f")], Some("8f")),
        (vec![pair("request-id", "req-sk-T0P5ECRET-1")], None),
        (vec![pair("request-id", "T0P5ECRET")], None),
        (vec![], None),
    ] {
        let found = request_id(&headers, Some("sk-T0P5ECRET"));
        assert_eq!(found.as_deref(), expected, "{headers:?}");
    }
    for (length, is_kept) in [(REQUEST_ID_BYTES_MAX, true), (REQUEST_ID_BYTES_MAX + 1, false)] {
        let long = vec![pair("request-id", &"x".repeat(length))];
        assert_eq!(request_id(&long, None).is_some(), is_kept, "{length}");
    }
}

#[test]
fn a_complaint_is_redacted_and_bounded_its_class_included() {
    let spec = spec("anthropic", Dialect::Anthropic, "claude-opus-4-7");
    let key = Secret::new("sk-T0P5ECRET");
    let message = format!("sk-T0P5ECRET {}", "word ".repeat(1_000));
    let body = serde_json::json!({"error": {"type": "invalid_request_error", "message": message}});
    let body = body.to_string().into_bytes();
    let exchange = Exchange { status: Some(400), body, ..Exchange::default() };
    let report =
        report(&spec, Some(&key), &exchange, Timestamp::from_secs(1), Timestamp::from_secs(2));
    let complaint = report.misconfigured.unwrap();
    assert_eq!(complaint.chars().count(), redact::MESSAGE_CHARS_MAX);
    assert!(complaint.starts_with("invalid_request: [redacted] word"), "{complaint}");
}

#[test]
fn an_outcome_carries_what_the_report_measured() {
    let report = judged(&Exchange {
        status: Some(529),
        total: Duration::from_millis(70),
        body: br#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#.to_vec(),
        ..Exchange::default()
    });
    let target = Target::parse("anthropic/claude-opus-4-7").unwrap();
    let outcome = report.outcome(&target);
    assert_eq!(outcome.source, Source::Probe);
    assert_eq!(outcome.class, Class::Overloaded);
    assert_eq!(outcome.code, Some(529));
    assert_eq!(outcome.duration, Some(Duration::from_millis(70)));
    assert_eq!(outcome.at, Timestamp::from_secs(2));
}

/// Accepts one connection, reads something, says `answer` and cuts it, with a reset if asked.
async fn cut(listener: &tokio::net::TcpListener, answer: &str, reset: bool) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut buffer = [0; 8192];
    assert_ne!(socket.read(&mut buffer).await.unwrap(), 0);
    socket.write_all(answer.as_bytes()).await.unwrap();
    if reset {
        // The client must have read what was said, or the reset would swallow it.
        tokio::time::sleep(Duration::from_millis(1)).await;
        socket.set_zero_linger().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_transport_failed_of_is_told_from_types() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    let open_ended = format!("{head}\r\ndata: 1\n\n");
    let counted = format!("{head}content-length: 999\r\n\r\ndata: 1\n\n");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n");
    let client = client().unwrap();
    for (scheme, answer, reset, expected) in [
        ("http", "", false, Transport::ResetBeforeHeaders),
        ("http", "", true, Transport::ResetBeforeHeaders),
        ("http", "garbage\r\n\r\n", false, Transport::ResetBeforeHeaders),
        ("http", &*open_ended, false, Transport::EofBeforeTerminal),
        ("http", &*counted, false, Transport::EofBeforeTerminal),
        ("http", &*chunked, false, Transport::EofBeforeTerminal),
        ("http", &*open_ended, true, Transport::ResetMidStream),
        ("http", &*chunked, true, Transport::ResetMidStream),
        ("https", "", false, Transport::Tls),
        ("https", "HTTP/1.1 400 Bad Request\r\n\r\n", false, Transport::Tls),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut spec = spec("anthropic", Dialect::Anthropic, "m");
        spec.url = format!("{scheme}://{}/", listener.local_addr().unwrap());
        let probing = attempt::exchange(&client, &spec, None, Events::default());
        let (seen, ()) = tokio::join!(probing, cut(&listener, answer, reset));
        let case = format!("{scheme} {answer:?} reset {reset}");
        assert_eq!(seen.unwrap().transport, Some(expected), "{case}");
    }
    let mut spec = spec("anthropic", Dialect::Anthropic, "m");
    // A label of 64 characters is refused by every resolver before it asks anybody.
    let no_name = format!("http://{}.invalid/", "x".repeat(64));
    for (url, expected) in
        [(&*no_name, Transport::Dns), ("http://127.0.0.1:1/", Transport::ConnectRefused)]
    {
        url.clone_into(&mut spec.url);
        let seen = attempt::exchange(&client, &spec, None, Events::default()).await.unwrap();
        assert_eq!(seen.transport, Some(expected), "{url}");
    }
}
