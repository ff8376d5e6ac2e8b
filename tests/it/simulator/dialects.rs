//! Every wire format: its answers, its refusals, and that each kind of weather is told so that
//! the classifier knows it.

use brownout::domain::outcome::Class;
use brownout::simulator::Kind;
use serde_json::{Value, json};

use super::formats::{FORMATS, Format, VERTEX, client};
use super::{beside, events, fleet, ledger};

#[tokio::test]
async fn every_kind_of_weather_is_told_in_every_format_as_what_it_is() {
    // What never ends is looked at with deadlines, by the probes' own tests.
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::HalfOpen) {
        let settings = if kind == Kind::Ok { vec![] } else { vec![(kind.as_str(), 1.0)] };
        let fleet = fleet(&[&settings[..], &[("slow_ms", 3.0)]].concat());
        beside(&fleet, async |base| {
            let client = client();
            for format in &FORMATS {
                for stream in [true, false] {
                    fleet.reset_ledger();
                    let seen = format.seen(&client, &base, stream).await;
                    let what = format!("{} {kind:?} streamed: {stream}", format.name);
                    let told = seen.class(format, stream);
                    let (status, text) = (seen.status, seen.text());
                    assert_eq!(told, kind.class(), "{what}: {status:?} {text}");
                    let row = (format.provider.to_owned(), kind.class(), status, 1);
                    assert_eq!(ledger(&fleet), [row], "{what}");
                }
            }
        })
        .await;
    }
}

/// Format, setting, status, a header, and a text that only this provider's body holds.
const WORDS: [(&str, &str, u16, &str, &str); 28] = [
    ("responses", "overloaded", 503, "x-request-id", "server_is_overloaded"),
    ("responses", "rate_limited", 429, "retry-after", "rate_limit_exceeded"),
    ("azure", "overloaded", 429, "apim-request-id", "experiencing high demand"),
    ("azure", "rate_limited", 429, "retry-after-ms", "have exceeded call rate limit"),
    ("azure", "quota_exhausted", 429, "apim-request-id", "insufficient_quota"),
    ("azure", "billing", 429, "apim-request-id", "billing_not_active"),
    ("azure", "auth", 401, "apim-request-id", "invalid subscription key"),
    ("azure", "unavailable", 503, "apim-request-id", "ServiceUnavailable"),
    ("azure", "server_error", 500, "apim-request-id", "Backend returned unexpected response"),
    ("gemini", "overloaded", 503, "x-content-type-options", "The model is overloaded"),
    ("gemini", "rate_limited", 429, "vary", "\"retryDelay\":\"0.02s\""),
    ("gemini", "quota_exhausted", 429, "vary", "PerDayPerProjectPerModel-FreeTier"),
    ("gemini", "billing", 400, "vary", "enable billing on your project"),
    ("gemini", "auth", 400, "vary", "API_KEY_INVALID"),
    ("gemini", "unavailable", 503, "vary", "currently unavailable"),
    ("gemini", "server_error", 500, "vary", "INTERNAL"),
    ("vertex", "overloaded", 429, "request-id", "Resource exhausted. Please try again later"),
    ("vertex", "rate_limited", 429, "request-id", "Quota exceeded for aiplatform"),
    ("vertex", "quota_exhausted", 429, "request-id", "PerDay"),
    ("vertex", "billing", 403, "request-id", "BILLING_DISABLED"),
    ("vertex", "auth", 401, "request-id", "UNAUTHENTICATED"),
    ("bedrock", "overloaded", 503, "x-amzn-errortype", "Too many connections"),
    ("bedrock", "rate_limited", 429, "x-amzn-requestid", "Too many requests"),
    ("bedrock", "quota_exhausted", 400, "x-amzn-errortype", "exceeds the service quota"),
    ("bedrock", "billing", 403, "x-amzn-errortype", "INVALID_PAYMENT_INSTRUMENT"),
    ("bedrock", "auth", 403, "x-amzn-errortype", "security token"),
    ("bedrock", "unavailable", 429, "x-amzn-errortype", "Model is not ready"),
    ("bedrock", "server_error", 500, "x-amzn-errortype", "unexpected error"),
];

#[tokio::test]
async fn every_format_has_its_own_words_and_headers() {
    for (name, setting, status, header, text) in WORDS {
        let fleet = fleet(&[(setting, 1.0)]);
        beside(&fleet, async |base| {
            let seen = Format::named(name).seen(&client(), &base, true).await;
            assert_eq!(seen.status, Some(status), "{name} {setting}");
            assert!(seen.text().contains(text), "{name} {setting}: {}", seen.text());
            assert_ne!(seen.header(header), "", "{name} {setting}: {:?}", seen.headers);
        })
        .await;
    }
}

#[tokio::test]
async fn streams_of_responses_are_numbered_and_end_as_their_cap_says() {
    let fleet = fleet(&[]);
    beside(&fleet, async |base| {
        let client = client();
        let ask = async |cap: u64| {
            let body =
                json!({"model": "m", "input": ".", "stream": true, "max_output_tokens": cap});
            let request = client.post(format!("{base}/v1/responses")).bearer_auth("any");
            events(&request.json(&body).send().await.unwrap().text().await.unwrap())
        };
        let all = ask(64).await;
        let numbers: Vec<_> = all.iter().map(|event| event["sequence_number"].clone()).collect();
        assert_eq!(numbers, (0..all.len()).map(|n| json!(n)).collect::<Vec<_>>());
        let types: Vec<_> = all.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let mut expected = vec!["response.created", "response.in_progress"];
        expected.extend(["response.output_item.added", "response.content_part.added"]);
        expected.extend(["response.output_text.delta"; 8]);
        expected.extend(["response.output_text.done", "response.content_part.done"]);
        expected.extend(["response.output_item.done", "response.completed"]);
        assert_eq!(types, expected);
        assert_eq!(all.last().unwrap()["response"]["usage"]["output_tokens"], 20);
        let cut = ask(16).await;
        let last = cut.last().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
        assert_eq!(last["response"]["usage"]["output_tokens"], 16);
        let refused = ask(15).await;
        assert_eq!(refused, Vec::<Value>::new(), "16 is the least");
    })
    .await;
}

#[tokio::test]
async fn a_gemini_that_thinks_may_have_nothing_to_say() {
    let fleet = fleet(&[]);
    beside(&fleet, async |base| {
        let client = client();
        let ask = async |call: &str, settings: Value| {
            let body = json!({"contents": [], "generationConfig": settings});
            let request = client.post(format!("{base}/gemini/v1beta/models/{call}"));
            let request = request.header("x-goog-api-key", "any").json(&body);
            request.send().await.unwrap().text().await.unwrap()
        };
        let stream = "m:streamGenerateContent?alt=sse";
        let thinking = events(&ask(stream, json!({"maxOutputTokens": 1})).await);
        assert_eq!(thinking.len(), 1);
        let candidate = &thinking[0]["candidates"][0];
        assert_eq!(candidate["finishReason"], "MAX_TOKENS");
        assert_eq!(candidate["content"], json!({"role": "model"}));
        assert_eq!(thinking[0]["usageMetadata"]["thoughtsTokenCount"], 1);
        let budget = json!({"maxOutputTokens": 1, "thinkingConfig": {"thinkingBudget": 0}});
        let talking = events(&ask(stream, budget).await);
        assert_eq!(talking[0]["candidates"][0]["content"]["parts"][0]["text"], "The");
        // Without `alt=sse` the stream is one JSON array.
        let array = ask("m:streamGenerateContent", json!({})).await;
        let array: Value = serde_json::from_str(&array).unwrap();
        assert_eq!(array.as_array().unwrap().len(), 8);
        assert_eq!(array[7]["candidates"][0]["finishReason"], "STOP");
    })
    .await;
}

#[tokio::test]
async fn what_a_format_demands_is_demanded() {
    let azure = "azure/openai/deployments";
    let key = ("api-key", "k");
    let aws = ("authorization", "Bearer k");
    let messages = r#"{"messages": [], "max_tokens": 1}"#;
    let version = r#"{"messages": [], "max_tokens": 1, "model": "m", "anthropic_version": "v"}"#;
    let unsigned = ("authorization", "AWS4-HMAC-SHA256 Credential=A/1/r/bedrock/aws4_request");
    let (invalid, auth) = (Class::InvalidRequest, Class::Auth);
    let chat = "chat/completions";
    let at = "?api-version=1";
    let table = [
        // path, key, body, status, text, ledger's model and class
        (format!("{azure}/m/{chat}"), key, messages, 404, "Resource not found", "m", invalid),
        (format!("{azure}/n/{chat}{at}"), key, messages, 404, "DeploymentNotFound", "n", invalid),
        (format!("{azure}/m/{chat}{at}"), ("x", "k"), messages, 401, "Access denied", "m", auth),
        (format!("{azure}/m/{chat}{at}"), key, "{}", 400, "messages", "m", invalid),
        ("azure/openai/v1/chat/completions".into(), key, "{}", 400, "model", "other", invalid),
        (VERTEX[1].to_owned(), aws, messages, 400, "anthropic_version", "m", invalid),
        (VERTEX[1].to_owned(), aws, version, 400, "model: Extra inputs", "m", invalid),
        (VERTEX[1].to_owned(), ("x-api-key", "k"), messages, 401, "UNAUTHENTICATED", "m", auth),
        (VERTEX[1].replace("m:", "n:"), aws, messages, 400, "anthropic_version", "n", invalid),
        (VERTEX[0].replace(":raw", ":"), aws, messages, 404, "NOT_FOUND", "m", invalid),
        (
            "gemini/v1beta/models/m:count".into(),
            ("x-goog-api-key", "k"),
            "{}",
            404,
            "NOT_FOUND",
            "m",
            invalid,
        ),
        (
            "gemini/v1beta/models/m:generateContent".into(),
            aws,
            "{}",
            403,
            "unregistered callers",
            "m",
            auth,
        ),
        (
            "bedrock/model/m/converse".into(),
            unsigned,
            messages,
            403,
            "Missing Authentication",
            "m",
            auth,
        ),
        ("bedrock/model/m/converse".into(), aws, "{", 400, "not valid JSON", "m", invalid),
        (
            "bedrock/model/eu.anthropic.x-v1%3A0/converse".into(),
            aws,
            messages,
            400,
            "model identifier is invalid",
            "eu.anthropic.x-v1:0",
            invalid,
        ),
        ("openai/v1/responses".into(), aws, r#"{"model": "m"}"#, 400, "input", "m", invalid),
        (
            "openai/v1/responses".into(),
            ("x-api-key", "k"),
            messages,
            401,
            "invalid_api_key",
            "other",
            auth,
        ),
    ];
    let fleet = fleet(&[]);
    beside(&fleet, async |base| {
        for (path, (name, value), body, status, text, model, class) in &table {
            fleet.reset_ledger();
            let request = client().post(format!("{base}/{path}")).header(*name, *value);
            let reply = request.body(*body).send().await.unwrap();
            assert_eq!(reply.status().as_u16(), *status, "{path} {body}");
            let answer = reply.text().await.unwrap();
            assert!(answer.contains(text), "{path} {body}: {answer}");
            let rows = fleet.ledger();
            let row = (rows.len(), rows[0].model.as_str(), rows[0].class, rows[0].count);
            assert_eq!(row, (1, *model, *class, 1), "{path} {body}");
        }
    })
    .await;
}
