//! What real clients sent, read against what really happened to them.
//!
//! Each file of `tests/data/captures` holds the bodies that one client sent, case by case, with
//! the class of every attempt as the provider's side knows it. The table of what is read right is
//! in `captures/table.txt`; what is not is listed by name below, and is a limit of the client, not
//! of the reader.

mod agents;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;

use brownout::domain::outcome::Class;
use brownout::domain::time::Timestamp;
use brownout::ground::config::Config;
use brownout::ground::names::Names;
use brownout::intake::litellm;
use brownout::intake::otlp::{self, Encoding, Signal};
use brownout::intake::sighting::{Basis, Layer, Reading, Sighting};
use serde_json::Value;

use crate::golden;

/// One client's file and what is to be seen in it.
struct Client {
    file: &'static str,
    layer: Layer,
    basis: Basis,
    /// Cases whose end is not what the client says, and what it says instead.
    limits: &'static [(&'static str, Option<Class>)],
    /// Attempts in the cases with retries, and how many of them it tells of in any way.
    retried: [u32; 2],
}

const CLIENTS: [Client; 11] = [
    Client {
        file: "py-anthropic-native",
        layer: Layer::AnthropicSdk,
        basis: Basis::Operation,
        limits: &[],
        retried: [12, 12],
    },
    Client {
        file: "py-anthropic-native+httpx+traceloop",
        layer: Layer::AnthropicSdk,
        basis: Basis::Operation,
        limits: &[],
        retried: [12, 12],
    },
    Client {
        file: "py-openai-genai",
        layer: Layer::GenAi,
        basis: Basis::Operation,
        // The code is lost, and others say the same words of a minute's limit.
        limits: &[("err_429quota", Some(Class::RateLimited))],
        retried: [12, 4],
    },
    Client {
        file: "js-vercel_anthropic-json",
        layer: Layer::VercelAi,
        basis: Basis::Attempt,
        limits: &[("stream_overloaded_mid", Some(Class::Ok))],
        retried: [6, 6],
    },
    Client {
        file: "py-anthropic-openinference",
        layer: Layer::OpenInference,
        basis: Basis::Operation,
        limits: &[],
        retried: [12, 4],
    },
    Client {
        file: "py-anthropic-traceloop",
        layer: Layer::OpenLlmetry,
        basis: Basis::Operation,
        limits: &[
            ("stream_overloaded_mid", None),
            ("stream_overloaded_first_event", None),
            ("stream_reset_mid", None),
            ("streamhelper_overloaded_mid", None),
        ],
        retried: [12, 4],
    },
    Client {
        file: "py-openai-httpx",
        layer: Layer::Http,
        basis: Basis::Attempt,
        limits: &[
            ("err_429quota", Some(Class::RateLimited)),
            ("err_503slow", Some(Class::Unavailable)),
            ("stream_overloaded_mid", Some(Class::Ok)),
            ("stream_overloaded_first_event", Some(Class::Ok)),
            ("stream_reset_mid", Some(Class::Ok)),
        ],
        retried: [12, 12],
    },
    Client {
        file: "py-anthropic-native+httpx+traceloop",
        layer: Layer::Http,
        basis: Basis::Attempt,
        limits: &[
            ("stream_overloaded_mid", Some(Class::Ok)),
            ("stream_overloaded_first_event", Some(Class::Ok)),
            ("stream_reset_mid", Some(Class::Ok)),
            ("streamhelper_overloaded_mid", Some(Class::Ok)),
        ],
        retried: [12, 12],
    },
    Client {
        file: "py-litellm-sdk",
        layer: Layer::LiteLlmCallback,
        basis: Basis::Attempt,
        limits: &[],
        retried: [4, 2],
    },
    Client {
        file: "py-litellm-proxy",
        layer: Layer::LiteLlmCallback,
        basis: Basis::Attempt,
        limits: &[],
        retried: [3, 3],
    },
    Client {
        file: "handmade-claude-code-logs",
        layer: Layer::ClaudeCode,
        basis: Basis::Operation,
        limits: &[],
        retried: [0, 0],
    },
];

/// What ended how, and how often.
type Counts = BTreeMap<(String, &'static str), u32>;

#[test]
fn what_clients_tell_is_read_as_it_happened() {
    let config = Config::parse("", "test.yaml").unwrap();
    let names = Names::new(&config);
    let mut wrong = Vec::new();
    let mut table =
        String::from("client, layer, ends read right, attempts told of where retried\n");
    for client in CLIENTS.iter().chain(&agents::AGENTS) {
        let (mut right, mut cases, mut retried) = (0, 0, [0, 0]);
        for case in cases_of(client.file) {
            let sightings = sightings(&case, client);
            let name = case["case"].as_str().unwrap();
            for sighting in &sightings {
                assert_eq!(sighting.basis, basis(client, sighting), "{} {name}", client.file);
            }
            let attempts = case["attempts"].as_array().unwrap().len() as u32;
            if name.contains("retry_") || name.contains("retries_") {
                retried[0] += attempts;
                retried[1] += told(&sightings);
            }
            let seen = ends(&sightings, client, &names, &case);
            let happened = truth(&case, client);
            let expected = match client.limits.iter().find(|(limit, _)| *limit == name) {
                Some((_, instead)) => limited(&happened, *instead),
                None => happened.clone(),
            };
            cases += 1;
            right += u32::from(seen == happened);
            if seen != expected {
                wrong.push(format!("{} {name}: saw {seen:?}, not {expected:?}", client.file));
            }
        }
        if retried != client.retried {
            wrong.push(format!("{}: retried {retried:?}", client.file));
        }
        let layer = format!("{:?}", client.layer);
        let [all, told] = retried;
        let file = client.file;
        writeln!(table, "{file:38} {layer:16} {right:2} of {cases:2}  {told:2} of {all:2}")
            .unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    golden::check("tests/it/captures/table.txt", &table);
}

/// What a sighting stands for. In a program without a router, `LiteLLM` asks some providers through
/// the client of `OpenAI`, which hides its retries.
fn basis(client: &Client, sighting: &Sighting) -> Basis {
    match (client.file, sighting.provider.as_deref()) {
        ("py-litellm-sdk", Some("openai" | "moonshot")) => Basis::Operation,
        _ => client.basis,
    }
}

/// The attempts told of: one by one, or as a number with the last of them.
fn told(sightings: &[Sighting]) -> u32 {
    sightings.iter().map(|sighting| 1 + sighting.resends).sum()
}

/// The cases of a client's file.
pub(crate) fn cases_of(file: &str) -> Vec<Value> {
    let path = format!("tests/data/captures/{file}.ndjson.gz");
    let mut text = String::new();
    let packed = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn readings(body: &Value) -> Vec<Reading> {
    let hex = body["hex"].as_str().map(bytes_of);
    let text = body["text"].as_str().map(|text| text.as_bytes().to_vec());
    let encoding = if hex.is_some() { Encoding::Protobuf } else { Encoding::Json };
    let bytes = hex.or(text).unwrap();
    match body["path"].as_str().unwrap() {
        "traces" => otlp::read(&bytes, Signal::Traces, encoding).unwrap(),
        "logs" => otlp::read(&bytes, Signal::Logs, encoding).unwrap(),
        _ => litellm::read(&bytes).unwrap().into_iter().map(Result::unwrap).collect(),
    }
}

/// Bytes written in hexadecimal.
pub(crate) fn bytes_of(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// What the layer tells of a case, in order.
fn sightings(case: &Value, client: &Client) -> Vec<Sighting> {
    let mut bodies = case["bodies"].as_array().unwrap().as_slice();
    // Those made by hand hold the same records in both encodings.
    if client.file.starts_with("handmade") {
        bodies = &bodies[..1];
    }
    let mut sightings: Vec<Sighting> = bodies
        .iter()
        .flat_map(readings)
        .filter_map(|reading| match reading {
            Reading::Seen(sighting) => Some(*sighting),
            Reading::Ignored(_) => None,
        })
        .filter(|sighting| sighting.layer == client.layer)
        .collect();
    sightings.sort_by_key(|sighting| sighting.at);
    sightings
}

/// How it ended by what is told: each record of a batch, the last of a single call.
fn ends(sightings: &[Sighting], client: &Client, names: &Names, case: &Value) -> Counts {
    let mut counts = Counts::new();
    let is_batch = case["model"] == "mixed" || client.file.starts_with("handmade");
    let from = if is_batch { 0 } else { sightings.len().saturating_sub(1) };
    for sighting in &sightings[from..] {
        let mut sighting = sighting.clone();
        if client.layer == Layer::Http {
            assert_eq!(sighting.model, None);
            sighting.model = Some("unknown".to_owned());
        }
        let outcome = sighting.outcome(names, Timestamp::from_secs(1)).unwrap().outcome;
        let target = match client.layer {
            Layer::Http => outcome.target.provider.to_string(),
            _ => format!("{}/{}", outcome.target.provider, outcome.target.model),
        };
        *counts.entry((target, outcome.class.as_str())).or_default() += 1;
    }
    counts
}

/// How it really ended.
fn truth(case: &Value, client: &Client) -> Counts {
    let mut counts = Counts::new();
    let mut add = |model: &str, class: &str, count: u32| {
        let model = model.rsplit('/').next().unwrap();
        let provider = match model.split('-').next().unwrap() {
            "claude" => "anthropic",
            "gpt" => "openai",
            "deepseek" => "deepseek",
            "kimi" => "moonshot",
            "gemini" => "gemini",
            other => panic!("{other} is new"),
        };
        let class = class_of(class, provider, case["case"].as_str().unwrap(), client);
        let target = match client.layer {
            Layer::Http => provider.to_owned(),
            _ => format!("{provider}/{model}"),
        };
        *counts.entry((target, class)).or_default() += count;
    };
    for end in case["expected"].as_array().into_iter().flatten() {
        let Some(class) = end["class"].as_str() else { continue };
        let model = end["model"].as_str().or(case["model"].as_str()).unwrap();
        add(model, class, end["n"].as_u64().unwrap_or(1) as u32);
    }
    let attempts = case["attempts"].as_array().unwrap();
    let from = if case["model"] == "mixed" { 0 } else { attempts.len().saturating_sub(1) };
    for attempt in &attempts[from..] {
        add(attempt[1].as_str().unwrap(), attempt[0].as_str().unwrap(), 1);
    }
    counts
}

/// The truth as a client tells it that says something else of one case, or nothing.
fn limited(truth: &Counts, instead: Option<Class>) -> Counts {
    let told = |((target, _), count): (&(String, &str), &u32)| {
        Some(((target.clone(), instead?.as_str()), *count))
    };
    truth.iter().filter_map(told).collect()
}

/// Our class for one of the captures' own names.
fn class_of(name: &str, provider: &str, case: &str, client: &Client) -> &'static str {
    // What the texts of these providers say of their 503; an HTTP client does not see the text.
    let says_overloaded =
        !matches!(provider, "anthropic" | "gemini") && client.layer != Layer::Http;
    if agents::is_simulated(client) {
        return Class::parse(name).unwrap().as_str();
    }
    match name {
        "ok" => "ok",
        "client_error" if case.contains("401") => "auth",
        "client_error" => "invalid_request",
        "server_error" if case == "err_502html" => "unavailable",
        "unavailable" if case == "err_503slow" || says_overloaded => "overloaded",
        "connection_error" | "connection_error_midstream" => "network",
        _ if name.starts_with("overloaded") => "overloaded",
        "quota_exhausted" => "quota_exhausted",
        "rate_limited" => "rate_limited",
        "server_error" => "server_error",
        "timeout" => "timeout",
        "unavailable" => "unavailable",
        other => panic!("{other} is new"),
    }
}

#[test]
fn both_encodings_of_the_same_events_say_the_same() {
    for case in cases_of("handmade-claude-code-logs") {
        let bodies = case["bodies"].as_array().unwrap();
        let [json, protobuf] = bodies.as_slice() else { panic!("two bodies, not {bodies:?}") };
        assert_eq!(readings(json), readings(protobuf), "{}", case["case"]);
    }
}

/// A file of the proxy may hold spans of the case before, so the whole is compared.
#[test]
fn the_spans_of_litellm_say_what_its_callbacks_say() {
    let config = Config::parse("", "test.yaml").unwrap();
    let names = Names::new(&config);
    let mut counts =
        [Layer::LiteLlmCallback, Layer::LiteLlmSpan].map(|layer| (layer, Counts::new()));
    let mut keys: BTreeMap<String, Vec<Layer>> = BTreeMap::new();
    for case in cases_of("py-litellm-proxy") {
        for reading in case["bodies"].as_array().unwrap().iter().flat_map(readings) {
            let Reading::Seen(sighting) = reading else { continue };
            keys.entry(sighting.replay_key.clone().unwrap()).or_default().push(sighting.layer);
            let of_layer = counts.iter_mut().find(|(layer, _)| *layer == sighting.layer);
            let outcome = sighting.outcome(&names, Timestamp::from_secs(1)).unwrap().outcome;
            let target = format!("{}/{}", outcome.target.provider, outcome.target.model);
            *of_layer.unwrap().1.entry((target, outcome.class.as_str())).or_default() += 1;
        }
    }
    let [(_, callbacks), (_, spans)] = counts;
    assert_eq!(spans, callbacks);
    for (key, mut layers) in keys {
        layers.sort();
        assert_eq!(layers, [Layer::LiteLlmCallback, Layer::LiteLlmSpan], "known as one: {key}");
    }
    assert_eq!(callbacks[&("anthropic/claude-opus-4-7".to_owned(), "overloaded")], 6);
}
