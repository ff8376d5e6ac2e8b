//! What the simulated providers say when they do not answer.

use brownout::domain::outcome::Class;
use serde_json::Value;

use super::{ask, beside, client, fleet, ledger};

/// Setting, path, status, and a text that only this provider's body holds.
const ERRORS: [(&str, &str, u16, &str); 28] = [
    ("overloaded", "anthropic/v1/messages", 529, "overloaded_error"),
    ("overloaded", "anthropic/v1/chat/completions", 529, "overloaded_error"),
    ("overloaded", "openai/v1/chat/completions", 503, "server_is_overloaded"),
    ("overloaded", "deepseek/chat/completions", 503, "Server Overloaded"),
    ("overloaded", "moonshot/v1/chat/completions", 429, "engine_overloaded_error"),
    ("overloaded", "openrouter/v1/chat/completions", 529, "provider_overloaded"),
    ("overloaded", "tokenmix/v1/chat/completions", 503, "server_is_overloaded"),
    // What cannot happen in a stream that is none happens before it.
    ("stream_overloaded", "anthropic/v1/messages", 529, "overloaded_error"),
    ("rate_limited", "anthropic/v1/messages", 429, "rate_limit_error"),
    ("rate_limited", "openai/v1/chat/completions", 429, "rate_limit_exceeded"),
    ("rate_limited", "moonshot/v1/chat/completions", 429, "rate_limit_reached_error"),
    ("rate_limited", "openrouter/v1/chat/completions", 429, "rate_limit_exceeded"),
    ("quota_exhausted", "anthropic/v1/messages", 429, "enforced_spend_limit_reached"),
    ("quota_exhausted", "openai/v1/chat/completions", 429, "insufficient_quota"),
    ("quota_exhausted", "moonshot/v1/chat/completions", 429, "exceeded_current_quota_error"),
    ("billing", "anthropic/v1/messages", 402, "billing_error"),
    ("billing", "openai/v1/chat/completions", 429, "billing_not_active"),
    ("billing", "deepseek/chat/completions", 402, "Insufficient Balance"),
    ("auth", "anthropic/v1/messages", 401, "authentication_error"),
    ("auth", "openai/v1/chat/completions", 401, "invalid_api_key"),
    ("auth", "deepseek/chat/completions", 401, "authentication_error"),
    // Not every outage is told by the provider: sometimes only a gateway is left to answer.
    ("unavailable", "anthropic/v1/messages", 503, "upstream connect error"),
    ("unavailable", "openai/v1/chat/completions", 503, "service_unavailable_error"),
    ("unavailable", "deepseek/chat/completions", 503, "<h1>503 Service"),
    ("unavailable", "moonshot/v1/chat/completions", 503, "server_unavailable"),
    ("unavailable", "openrouter/v1/chat/completions", 503, "No available model"),
    ("server_error", "anthropic/v1/messages", 500, "api_error"),
    ("server_error", "openai/v1/chat/completions", 500, "server_error"),
];

#[tokio::test]
async fn every_error_is_told_in_the_providers_own_words() {
    for (setting, path, status, text) in ERRORS {
        let fleet = fleet(&[(setting, 1.0)]);
        beside(&fleet, async |base| {
            let reply = ask(&client(), format!("{base}/{path}"), false).await;
            let headers = reply.headers().clone();
            assert_eq!(reply.status().as_u16(), status, "{setting} {path}");
            assert_eq!(headers.contains_key("retry-after"), setting == "rate_limited");
            let body = reply.text().await.unwrap();
            assert!(body.contains(text), "{setting} {path}: {body}");
            let is_json = serde_json::from_str::<Value>(&body).is_ok();
            assert_eq!(headers["content-type"] == "application/json", is_json, "{body}");
            let identified =
                headers.contains_key("request-id") || headers.contains_key("x-request-id");
            assert_eq!(identified, is_json, "a gateway knows no request ids: {body}");
        })
        .await;
        let (provider, _) = path.split_once('/').unwrap();
        let class = Class::parse(setting.trim_start_matches("stream_")).unwrap();
        assert_eq!(ledger(&fleet), [(provider.to_owned(), class, Some(status), 1)], "{path}");
    }
}

#[tokio::test]
async fn refusals_come_in_the_shape_of_the_dialect_and_are_in_the_ledger() {
    let whole = r#"{"model": "m", "max_tokens": 1, "messages": []}"#;
    let uncapped = r#"{"model": "m", "messages": []}"#;
    let elsewhere = r#"{"model": "x", "messages": [], "max_tokens": 1}"#;
    let unprintable = r#"{"model": "a b", "messages": []}"#;
    let deep = "[".repeat(100_000);
    let large = format!(r#"{{"model": "{}"}}"#, "m".repeat(2 * 1024 * 1024));
    // path, key, body, status, anthropic's type or openai's code, ledger's model and class
    let (messages, chat) = ("v1/messages", "v1/chat/completions");
    let invalid = Class::InvalidRequest;
    let table = [
        (messages, "", whole, 401, "authentication_error", "m", Class::Auth),
        (messages, "k", "{", 400, "invalid_request_error", "other", invalid),
        (messages, "k", deep.as_str(), 400, "invalid_request_error", "other", invalid),
        (messages, "k", "{}", 400, "model: Field required", "other", invalid),
        (messages, "k", r#"{"model": 7}"#, 400, "model: Field required", "other", invalid),
        (messages, "k", uncapped, 400, "max_tokens", "m", invalid),
        (messages, "k", elsewhere, 404, "not_found_error", "x", invalid),
        (messages, "k", large.as_str(), 413, "request_too_large", "other", invalid),
        (chat, "", whole, 401, "invalid_api_key", "m", Class::Auth),
        (chat, "k", "\u{feff}", 400, "could not parse the JSON", "other", invalid),
        (chat, "k", r#"{"model": "m"}"#, 400, "missing_required_parameter", "m", invalid),
        (chat, "k", unprintable, 404, "model_not_found", "other", invalid),
        (chat, "k", large.as_str(), 413, "request_too_large", "other", invalid),
        ("nobody/v1/messages", "k", whole, 404, "not_found_error", "m", invalid),
        ("a%20b/v1/chat/completions", "k", whole, 404, "model_not_found", "m", invalid),
    ];
    let fleet = fleet(&[]);
    beside(&fleet, async |base| {
        let client = client();
        for (path, key, body, status, text, model, class) in table {
            fleet.reset_ledger();
            let request = client.post(format!("{base}/{path}")).body(body.to_owned());
            let request = if key.is_empty() { request } else { request.bearer_auth(key) };
            let reply = request.send().await.unwrap();
            let shown = body.chars().take(60).collect::<String>();
            assert_eq!(reply.status().as_u16(), status, "{path} {shown}");
            let answer: Value = reply.json().await.unwrap();
            assert!(answer["error"]["message"].is_string(), "{path} {shown}: {answer}");
            assert!(answer.to_string().contains(text), "{path} {shown}: {answer}");
            let rows = fleet.ledger();
            let row = (rows.len(), rows[0].model.as_str(), rows[0].class, rows[0].count);
            assert_eq!(row, (1, model, class, 1), "{path} {shown}");
        }
    })
    .await;
}
