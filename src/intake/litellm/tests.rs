//! What records stand for, by who made them. The fields are those that the real ones differ in.

use serde_json::{Value, json};

use super::read;
use crate::intake::sighting::{Ending, Reading, Sighting, TEXT_BYTES_MAX};

/// The trace of a call that the caller gave no name.
const TRACE: &str = "8f3d103d-456e-486f-b812-2cf5b87ea53d";

/// What a record says with these fields over those of a success.
fn reading(changes: &Value) -> Reading {
    let mut record = json!({
        "status": "success", "litellm_call_id": "call", "trace_id": TRACE, "model": "anthropic/m",
        "custom_llm_provider": "anthropic", "api_base": "https://api.anthropic.com/v1/messages",
        "startTime": 1.0, "endTime": 2.0, "metadata": {"user_api_key_request_route": null},
    });
    for (name, value) in changes.as_object().unwrap() {
        record[name] = value.clone();
    }
    let mut readings = read(record.to_string().as_bytes()).unwrap();
    assert_eq!(readings.len(), 1, "{readings:?}");
    readings.remove(0).unwrap()
}

/// A record as `BASIS ATTEMPT CALL RESENDS`, or why it is ignored.
fn say(changes: &Value) -> String {
    match reading(changes) {
        Reading::Seen(sighting) => format!(
            "{:?} {:?} {} {}",
            sighting.basis,
            sighting.attempt,
            sighting.call.as_deref().unwrap_or("-").replace(TRACE, "trace"),
            sighting.resends
        ),
        Reading::Ignored(reason) => reason.as_str().to_owned(),
    }
}

/// What the headers of a success say of the tries before it.
fn headers(retries: u32, fallbacks: u32) -> Value {
    json!({"additional_headers": {"x-litellm-attempted-retries": retries,
        "x-litellm-attempted-fallbacks": fallbacks}})
}

fn check(cases: &[(&str, Value, &str)]) {
    for (what, record, expected) in cases {
        assert_eq!(say(record), *expected, "{what}");
    }
}

#[test]
fn the_proxy_tells_of_a_first_failure_and_numbers_successes() {
    let proxy = json!({"user_api_key_request_route": "/v1/chat/completions"});
    let failed = json!({"error_code": "500", "error_message": "Overloaded"});
    check(&[
        // The proxy's failure is the first try; what follows is known where it is numbered.
        (
            "a failure of the proxy",
            json!({"metadata": proxy, "model_group": "g", "status": "failure",
                "error_information": failed}),
            "Attempt None call 0",
        ),
        (
            "a stream of the proxy",
            json!({"metadata": proxy, "model_group": "g"}),
            "Attempt None call 0",
        ),
        (
            "its first try",
            json!({"metadata": proxy, "model_group": "g", "hidden_params": headers(0, 0)}),
            "Attempt Some(1) call 0",
        ),
        (
            "its third",
            json!({"metadata": proxy, "model_group": "g", "hidden_params": headers(2, 0)}),
            "Attempt Some(3) call 1",
        ),
        (
            "a fallback's first",
            json!({"metadata": proxy, "model_group": "g", "hidden_params": headers(0, 1)}),
            "Attempt Some(2) call 0",
        ),
        (
            "a fallback's second",
            json!({"metadata": proxy, "model_group": "g", "hidden_params": headers(1, 1)}),
            "Attempt Some(3) call 1",
        ),
    ]);
}

#[test]
fn a_program_tells_of_each_try_unless_a_client_below_hides_some() {
    let failed = json!({"error_code": "500", "error_message": "Overloaded"});
    check(&[
        (
            "a router",
            json!({"model_group": "g", "status": "failure", "error_information": failed}),
            "Attempt None trace anthropic/m 0",
        ),
        (
            "a router's third",
            json!({"model_group": "g", "hidden_params": headers(2, 0)}),
            "Attempt None trace anthropic/m 0",
        ),
        (
            "a session of the caller's",
            json!({"model_group": "g", "trace_id": "monday", "hidden_params": headers(2, 0)}),
            "Attempt Some(3) - 0",
        ),
        ("a bare call", json!({}), "Attempt None call 0"),
        ("metadata of another form", json!({"metadata": "none"}), "Attempt None call 0"),
        (
            "a bare call with retries inside",
            json!({"custom_llm_provider": "openai"}),
            "Operation None call 0",
        ),
    ]);
}

#[test]
fn what_litellm_does_itself_is_the_gateways() {
    let proxy = json!({"user_api_key_request_route": "/v1/chat/completions"});
    check(&[
        ("its cache", json!({"cache_hit": true}), "gateway"),
        (
            "all deployments rest",
            json!({"metadata": proxy, "model_group": "g", "model": "g", "status": "failure",
                "custom_llm_provider": null, "api_base": null,
                "error_information": {"error_code": "429", "error_class": "RouterRateLimitError"}}),
            "gateway",
        ),
        ("another proxy", json!({"custom_llm_provider": "litellm_proxy"}), "gateway"),
    ]);
}

fn sighting(changes: &Value) -> Sighting {
    match reading(changes) {
        Reading::Seen(sighting) => *sighting,
        Reading::Ignored(reason) => panic!("{reason:?}"),
    }
}

#[test]
fn of_a_long_message_the_head_is_kept() {
    let message = format!("litellm.InternalServerError: Overloaded {}", "é".repeat(50_000));
    let error = json!({"error_code": "500", "error_message": message, "error_class": message});
    let told = sighting(&json!({"status": "failure", "error_information": error}));
    let Ending::Failed(evidence) = told.ending else { panic!("{:?}", told.ending) };
    for kept in [evidence.text, evidence.error_type] {
        let kept = kept.unwrap();
        assert!(message.starts_with(&kept));
        assert!((TEXT_BYTES_MAX - 1..=TEXT_BYTES_MAX).contains(&kept.len()), "{}", kept.len());
    }
}

#[test]
fn all_ids_that_others_may_know_are_kept() {
    let (request, answer) = ("req_011CSHoEeqs5C35K2UUqR7Fy", "chatcmpl-8146002d-98c6");
    let headers = json!({"additional_headers": {"llm_provider-request-id": request}});
    let said = json!({"error_message": format!("{{\"request_id\":\"{request}\"}}")});
    for (record, expected) in [
        (json!({"id": answer, "hidden_params": headers}), vec![request, answer]),
        (json!({"id": answer}), vec![answer]),
        (json!({"id": "call", "status": "failure", "error_information": said}), vec![request]),
        (json!({}), vec![]),
    ] {
        assert_eq!(sighting(&record).request_ids, expected, "{record}");
    }
}

#[test]
fn tries_of_a_call_are_told_apart_by_the_microsecond_they_began() {
    let key = |changes: Value| sighting(&changes).replay_key.unwrap();
    let first = key(json!({"startTime": 1_795_473_735.505_875}));
    assert_eq!(first, "litellm Attempt call false 1795473735505875");
    assert_eq!(first, key(json!({"startTime": "1795473735.505875"})));
    assert_ne!(first, key(json!({"startTime": 1_795_473_735.505_876})));
    assert_ne!(first, key(json!({"startTime": 1_795_473_735.505_875, "status": "failure"})));
}
