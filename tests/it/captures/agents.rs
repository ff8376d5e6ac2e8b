//! Coding agents, run against the simulator: its ledger is the truth of these captures.

use brownout::domain::outcome::Class;
use brownout::domain::time::Timestamp;
use brownout::ground::config::Config;
use brownout::ground::names::Names;
use brownout::intake::sighting::{Basis, Layer, Sighting};
use serde_json::Value;

use super::{Client, cases_of, sightings};

const EVENTS: &str = "claude-code-2.1.331-logs";
const SPANS: &str = "claude-code-2.1.331-spans";

/// The code that tells a month's threshold from a minute's is lost.
const QUOTA: &[(&str, Option<Class>)] = &[("err_429quota", Some(Class::RateLimited))];

pub(super) const AGENTS: [Client; 6] = [
    Client {
        file: EVENTS,
        layer: Layer::ClaudeCode,
        basis: Basis::Operation,
        limits: QUOTA,
        retried: [9, 4],
    },
    Client {
        file: SPANS,
        layer: Layer::ClaudeCode,
        basis: Basis::Operation,
        limits: QUOTA,
        retried: [9, 9],
    },
    Client {
        file: "codex-0.169.0",
        layer: Layer::Codex,
        basis: Basis::Attempt,
        // The body of a refusal is not told, its status is.
        limits: &[
            ("err_503overloaded", Some(Class::Unavailable)),
            ("err_429quota", Some(Class::RateLimited)),
            ("err_429billing", Some(Class::RateLimited)),
        ],
        retried: [7, 7],
    },
    Client {
        file: "codex-0.169.0-websocket",
        layer: Layer::Codex,
        basis: Basis::Attempt,
        limits: &[],
        retried: [4, 4],
    },
    Client {
        file: "gemini-cli-0.61.0",
        layer: Layer::GeminiCli,
        basis: Basis::Attempt,
        // The SDK in it does not understand the error inside the stream.
        limits: &[("stream_overloaded_mid", Some(Class::Network))],
        retried: [9, 9],
    },
    Client {
        file: "handmade-gemini-cli-logs",
        layer: Layer::GeminiCli,
        basis: Basis::Attempt,
        limits: &[],
        retried: [0, 0],
    },
];

/// Whether the classes of its attempts are the simulator's, which are ours.
pub(super) fn is_simulated(client: &Client) -> bool {
    !client.file.starts_with("handmade")
        && matches!(client.layer, Layer::ClaudeCode | Layer::Codex | Layer::GeminiCli)
}

fn agent(file: &str) -> &'static Client {
    AGENTS.iter().find(|client| client.file == file).unwrap()
}

fn attempts(case: &Value) -> Vec<&str> {
    let attempts = case["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| attempt[0].as_str().unwrap()).collect()
}

fn classes(sightings: &[Sighting]) -> Vec<&'static str> {
    let names = Names::new(&Config::parse("", "test.yaml").unwrap());
    let class = |sighting: &Sighting| {
        sighting.outcome(&names, Timestamp::from_secs(1)).unwrap().outcome.class.as_str()
    };
    sightings.iter().map(class).collect()
}

/// Attempts are told each once, in order; where the class is another one it is listed here.
#[test]
fn every_attempt_is_told_once() {
    let mut others = Vec::new();
    for file in ["codex-0.169.0", "codex-0.169.0-websocket", "gemini-cli-0.61.0"] {
        for case in cases_of(file) {
            let seen = classes(&sightings(&case, agent(file)));
            let happened = attempts(&case);
            let name = case["case"].as_str().unwrap();
            assert_eq!(seen.len(), happened.len(), "{file} {name}");
            for (seen, happened) in seen.iter().zip(happened) {
                if *seen != happened {
                    others.push(format!("{file} {name}: {happened} as {seen}"));
                }
            }
        }
    }
    others.dedup();
    assert_eq!(
        others,
        [
            "codex-0.169.0 err_503overloaded: overloaded as unavailable",
            "codex-0.169.0 retry_503_ok: overloaded as unavailable",
            "codex-0.169.0 retry_503_500_ok: overloaded as unavailable",
            "codex-0.169.0 err_429quota: quota_exhausted as rate_limited",
            "codex-0.169.0 err_429billing: billing as rate_limited",
            "codex-0.169.0-websocket retry_connect503_ok: overloaded as unavailable",
            "gemini-cli-0.61.0 stream_overloaded_mid: overloaded as network",
            "gemini-cli-0.61.0 retry_stream_overloaded_ok: overloaded as network",
        ]
    );
}

#[test]
fn the_event_and_the_span_of_one_request_are_known_as_one() {
    for (events, spans) in cases_of(EVENTS).iter().zip(cases_of(SPANS)) {
        let name = events["case"].as_str().unwrap();
        assert_eq!(name, spans["case"]);
        let told = [sightings(events, agent(EVENTS)), sightings(&spans, agent(SPANS))];
        let [[event], [span]] = told.each_ref().map(Vec::as_slice) else {
            panic!("{name}: {told:?}")
        };
        assert!(event.replay_key.is_some(), "{name}");
        assert_eq!(event.replay_key, span.replay_key, "{name}");
        assert_eq!(1 + span.resends, attempts(&spans).len() as u32, "{name}");
        assert!(event.resends <= span.resends, "{name}");
    }
}

/// The attempts of one call have the prompt in common, and nothing else in the file has.
#[test]
fn attempts_of_gemini_cli_share_their_prompt() {
    let mut calls = Vec::new();
    for case in cases_of("gemini-cli-0.61.0") {
        let mut of_case: Vec<_> = sightings(&case, agent("gemini-cli-0.61.0"))
            .into_iter()
            .map(|sighting| sighting.call.unwrap())
            .collect();
        of_case.dedup();
        assert_eq!(of_case.len(), 1, "{}", case["case"]);
        calls.append(&mut of_case);
    }
    let count = calls.len();
    calls.sort();
    calls.dedup();
    assert_eq!(calls.len(), count);
}
