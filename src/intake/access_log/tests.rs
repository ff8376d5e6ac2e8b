//! Lines as the proxies wrote them (nginx 1.22, `HAProxy` 2.6, Caddy 2.6, Envoy 1.40), and lines
//! for what they were not seen to do.

use serde_json::{Value, json};

use crate::domain::outcome::Attempt;
use crate::domain::time::Timestamp;
use crate::ground::config::Config;
use crate::ground::names::Names;

use super::Mappings;
use super::exchange::{Read, read};

/// When all of it happened.
const AT: f64 = 1_795_598_462.116;

/// What a line comes to: `class code attempt ms` for each exchange, or why there is none.
fn told(mappings: &Mappings, mapping: &str, line: &Value) -> String {
    let names = Names::new(&Config::default());
    let now = Timestamp::from_millis((AT * 1e3) as u64);
    let line = line.to_string();
    let records = match read(&mappings.0[mapping], line.as_bytes(), &names) {
        Ok(Read::Records(records)) => records,
        Ok(Read::Ignored(reason)) => return reason.as_str().to_owned(),
        Err(refusal) => return refusal.error,
    };
    let outcomes = records.iter().map(|record| match record.outcome(&names, now) {
        Err(refusal) => refusal.error,
        Ok(classified) => {
            let outcome = classified.outcome;
            let code = outcome.code.map_or("-".to_owned(), |code| code.to_string());
            let attempt = if outcome.attempt == Attempt::Retry { " retry" } else { "" };
            let ms = outcome.duration.map(|duration| format!(" {}ms", duration.as_millis()));
            format!("{} {code}{attempt}{}", outcome.class, ms.unwrap_or_default())
        }
    });
    outcomes.collect::<Vec<_>>().join(", ")
}

/// Each line is `base` with these fields over it.
fn check(mapping: &str, base: &Value, cases: &[(Value, &str)]) {
    let mappings = Mappings::new(&Config::default().ingest);
    for (fields, expected) in cases {
        let mut line = base.clone();
        for (name, value) in fields.as_object().unwrap() {
            line[name] = value.clone();
        }
        assert_eq!(told(&mappings, mapping, &line), *expected, "{fields}");
    }
}

#[test]
fn nginx_tells_of_every_attempt() {
    let base = json!({"msec": "1795598462.116", "model": "claude-opus-4-7",
        "proxy_host": "api.anthropic.com", "request_uri": "/v1/messages", "status": "200",
        "request_time": "0.250", "id": "4ce2a14108cb58f14bb8f8b8eabaa83e"});
    let lists = |status: &str, addr: &str, header: &str, connect: &str, time: &str| {
        json!({"status": "502", "upstream_status": status, "upstream_addr": addr,
            "upstream_header_time": header, "upstream_connect_time": connect,
            "upstream_response_time": time})
    };
    let a = "10.0.0.1:443";
    let two = "10.0.0.1:443, 10.0.0.2:443";
    check(
        "nginx",
        &base,
        &[
            (lists("200", a, "0.1", "0.0", "0.2"), "ok 200 200ms"),
            (
                lists("529, 200", two, "0.1, 0.1", "0.0, 0.0", "0.002, 0.2"),
                "overloaded 529 2ms, ok 200 retry 200ms",
            ),
            (
                lists(
                    "529 : 200",
                    "10.0.0.1:443 : 10.0.0.2:443",
                    "0.1 : 0.1",
                    "0 : 0",
                    "0.002 : 0.2",
                ),
                "overloaded 529 2ms, ok 200 retry 200ms",
            ),
            // The upstream's own 502 and 504 have headers; those of nginx have none.
            (
                lists("502, 529", two, "-, 0.002", "0.000, 0.000", "0.002, 0.002"),
                "network - 2ms, overloaded 529 retry 2ms",
            ),
            (lists("502", a, "0.002", "0.000", "0.002"), "unavailable 502 2ms"),
            (
                lists("502, 502", two, "-, -", "-, -", "0.000, 0.000"),
                "network - 0ms, network - retry 0ms",
            ),
            (lists("504", a, "-", "0.000", "1.001"), "timeout - 1001ms"),
            (lists("504", a, "-", "-", "1.001"), "network - 1001ms"),
            // No server alive: the group's name for an address.
            (
                lists("429, 502", "10.0.0.1:443, llm", "0.001, -", "0.000, -", "0.001, 0.000"),
                "rate_limited 429 1ms",
            ),
            (lists("502", "llm", "-", "-", "0.000"), "gateway"),
            // Its own limit, its own answer.
            (json!({"status": "429", "upstream_status": "", "upstream_addr": ""}), "gateway"),
            (json!({"status": "503", "upstream_status": "-", "upstream_addr": "-"}), "gateway"),
            // The client was gone.
            (
                json!({"status": "499", "upstream_status": "-", "upstream_addr": a,
            "upstream_response_time": "0.502", "upstream_header_time": "-",
            "upstream_connect_time": "0.000"}),
                "other - 502ms",
            ),
        ],
    );
}

#[test]
fn nginx_without_its_upstreams_tells_what_the_client_got() {
    let base = json!({"msec": "1795598462.116", "model": "claude-opus-4-7",
        "proxy_host": "api.anthropic.com", "request_time": "0.250"});
    check(
        "nginx",
        &base,
        &[
            (json!({"status": "429", "upstream_status": "-"}), "gateway"),
            (json!({"status": "529"}), "overloaded 529 250ms"),
            (json!({"status": 200}), "ok 200 250ms"),
            (json!({"status": "529", "model": "-"}), "no_model"),
            (
                json!({"status": "200", "model": "", "uri": "/models/gemini-3:generateContent"}),
                "ok 200 250ms",
            ),
            (json!({"status": "529", "id": "x".repeat(65)}), "overloaded 529 250ms"),
            (json!({"status": "529", "retry_count": "2"}), "overloaded 529 retry 250ms"),
            (json!({"status": "529", "retry_count": "0"}), "overloaded 529 250ms"),
        ],
    );
}

#[test]
fn attempts_of_a_line_end_one_after_the_other_under_ids_of_their_own() {
    let line = json!({"msec": "1795598462.116", "model": "m", "proxy_host": "api.anthropic.com",
        "id": "a", "upstream_addr": "1.1.1.1:1, 1.1.1.1:1", "upstream_status": "529, 200",
        "upstream_response_time": "0.100, 2.016"});
    let (text, names) = (line.to_string(), Names::new(&Config::default()));
    let mappings = Mappings::new(&Config::default().ingest);
    let Ok(Read::Records(records)) = read(&mappings.0["nginx"], text.as_bytes(), &names) else {
        panic!("no records")
    };
    let now = Timestamp::from_secs(1_795_598_462);
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            let at = record.outcome(&names, now).unwrap().outcome.at.millis();
            (record.id().unwrap(), at)
        })
        .collect();
    assert_eq!(told, [("a:1", 1_795_598_460_100), ("a:2", 1_795_598_462_116)]);
}

#[test]
fn haproxy_says_who_ended_it_and_when() {
    let base = json!({"time": 1_795_598_462_116_u64, "model": "claude-opus-4-7", "status": 200,
        "termination_state": "--", "server": "api.anthropic.com", "retries": "0", "active_ms": 6});
    let state = |state: &str, status: i64| json!({"termination_state": state, "status": status});
    check(
        "haproxy",
        &base,
        &[
            (json!({}), "ok 200 6ms"),
            (state("--", 529), "overloaded 529 6ms"),
            (state("----", 503), "unavailable 503 6ms"),
            (state("SC", 503), "network - 6ms"),
            (state("sC", 503), "network - 6ms"),
            (state("SH", 502), "network - 6ms"),
            (state("PH", 502), "network - 6ms"),
            (state("sH", 504), "timeout - 6ms"),
            (state("SD", 200), "network 200 6ms"),
            (state("sD", 200), "timeout 200 6ms"),
            (state("SD", 529), "overloaded 529 6ms"),
            (state("cD", 200), "ok 200 6ms"),
            (state("CD", 529), "overloaded 529 6ms"),
            (state("CH", -1), "other - 6ms"),
            (state("CC", -1), "other - 6ms"),
            (state("sQ", 503), "gateway"),
            (state("CQ", -1), "gateway"),
            (state("CR", 400), "gateway"),
            (state("LR", 429), "gateway"),
            (state("PR", 503), "gateway"),
            (state("PC", 503), "gateway"),
            (state("RC", 503), "gateway"),
            (json!({"termination_state": "SC", "status": 503, "server": "<NOSRV>"}), "gateway"),
            (json!({"retries": "+1"}), "ok 200 retry 6ms"),
            (json!({"retry_count": "-", "active_ms": -1}), "ok 200"),
            (json!({"retry_count": "1"}), "ok 200 retry 6ms"),
        ],
    );
}

/// A good answer in Envoy's log.
fn envoy_line() -> Value {
    json!({"emit_time": "2026-11-25T09:21:02.116Z", "model": "claude-opus-4-7",
        "response_code": 200, "response_flags": "-", "response_code_details": "via_upstream",
        "upstream_host": "10.0.0.1:443", "authority": "api.anthropic.com", "duration": 42,
        "upstream_host_name": "10.0.0.1", "upstream_request_attempt_count": 1,
        "gen_ai.provider.name": "a-route"})
}

#[test]
fn envoy_flags_its_own_answers() {
    let line = |code: u16, flags: &str, details: &str| {
        json!({"response_code": code, "response_flags": flags,
            "response_code_details": details})
    };
    let before = "upstream_reset_before_response_started{connection_termination}";
    let behind = "upstream_reset_after_response_started{connection_termination}";
    check(
        "envoy",
        &envoy_line(),
        &[
            (json!({}), "ok 200 42ms"),
            (line(529, "-", "via_upstream"), "overloaded 529 42ms"),
            (line(503, "URX", "via_upstream"), "unavailable 503 42ms"),
            (line(503, "UpstreamRetryLimitExceeded", "via_upstream"), "unavailable 503 42ms"),
            (line(503, "UF", before), "network - 42ms"),
            (line(503, "UF,URX", before), "network - 42ms"),
            (
                line(503, "UpstreamConnectionFailure,UpstreamRetryLimitExceeded", before),
                "network - 42ms",
            ),
            (line(503, "UC", before), "network - 42ms"),
            (line(200, "UC", behind), "network 200 42ms"),
            (line(529, "UC", behind), "overloaded 529 42ms"),
            (line(504, "UT", "response_timeout"), "timeout - 42ms"),
            (line(200, "SI", "stream_idle_timeout"), "timeout 200 42ms"),
            (line(503, "DF", "dns_resolution_failure"), "network - 42ms"),
            (line(0, "DC", "downstream_remote_disconnect"), "other - 42ms"),
            (line(200, "DC", "downstream_remote_disconnect"), "ok 200 42ms"),
            (line(529, "DI", "via_upstream"), "overloaded 529 42ms"),
            (line(429, "RL", "local_rate_limited"), "gateway"),
            (line(503, "UO", "upstream_reset_before_response_started{overflow}"), "gateway"),
            (line(503, "UH", "no_healthy_upstream"), "gateway"),
            (line(503, "LH", "health_check_failed"), "gateway"),
            (line(404, "NR", "route_not_found"), "gateway"),
            (line(503, "-", "direct_response"), "gateway"),
            (line(403, "-", "rbac_access_denied"), "gateway"),
            (line(503, "FI", "fault_filter_abort"), "gateway"),
            (json!({"upstream_request_attempt_count": 3}), "ok 200 retry 42ms"),
            (json!({"retry_count": "1"}), "ok 200 retry 42ms"),
        ],
    );
}

#[test]
fn envoys_router_logs_an_attempt_a_line() {
    let router = |code: u16, flags: &str| {
        json!({"response_code": code, "response_flags": flags, "response_code_details": null,
            "upstream_request_attempt_count": 0})
    };
    check(
        "envoy",
        &envoy_line(),
        &[
            (router(529, "-"), "overloaded 529 42ms"),
            (router(0, "UC"), "network - 42ms"),
            (router(0, "UT"), "timeout - 42ms"),
            (router(200, "UC"), "network 200 42ms"),
            (router(0, "-"), "other - 42ms"),
            (
                json!({"response_code": 0, "response_flags": "-", "response_code_details": null,
            "upstream_host": null}),
                "gateway",
            ),
            (
                json!({"response_code_details": null, "x-envoy-attempt-count": "2"}),
                "ok 200 retry 42ms",
            ),
            // A key with dots of its own, and a path to a model.
            (json!({"model": null, "gen_ai.request.model": "gpt-5.5"}), "ok 200 42ms"),
            (json!({"model": null, "path": "/model/a.b%3A0/converse"}), "ok 200 42ms"),
            (json!({"model": null, "path": "/v1/messages"}), "no_model"),
        ],
    );
}

#[test]
fn caddy_marks_what_an_upstream_answered() {
    let base = json!({"level": "info", "ts": AT, "duration": 0.004_810_422, "status": 200,
        "request": {"uri": "/v1/messages", "headers": {"X-Api-Key": ["secret"]}},
        "resp_headers": {"X-Llm-Model": ["claude-opus-4-7"], "X-Llm-Provider": ["anthropic"],
            "X-Llm-Upstream": ["10.0.0.1:443"], "Content-Type": ["application/json"],
            "Retry-After": ["Wed, 25 Nov 2026 09:21:12 GMT"]}});
    let own = |status: u16| {
        json!({"status": status, "resp_headers": {"Server": ["Caddy"], "Content-Type": [],
            "X-Llm-Model": ["claude-opus-4-7"], "X-Llm-Provider": ["anthropic"]}})
    };
    check(
        "caddy",
        &base,
        &[
            (json!({}), "ok 200 4ms"),
            (json!({"status": 529}), "overloaded 529 4ms"),
            (json!({"status": 502}), "unavailable 502 4ms"),
            (own(502), "network - 4ms"),
            (own(504), "timeout - 4ms"),
            (own(503), "gateway"),
            (own(429), "gateway"),
            (own(0), "other - 4ms"),
            (own(200), "ok 200 4ms"),
            (
                json!({"request": {"headers": {"X-Stainless-Retry-Count": ["1"]}}}),
                "ok 200 retry 4ms",
            ),
            (json!({"status": 500, "resp_headers": {"Content-Type": ["text/plain"]}}), "no_model"),
        ],
    );
}

#[test]
fn a_configured_mapping_names_what_it_reads() {
    let yaml = "ingest:
  mappings:
    own:
      provider: {value: anthropic}
      model: [{url: http.path}, labels.model, {value: claude-haiku-4-5}]
      status: http.code
      ts: {key: at, unit: ms}
      ms: {key: took, unit: us}
      attempt: n
    edge: {from: envoy, provider: {value: bedrock}, host: nothing, model: {value: fixed}}
";
    let config = Config::parse(yaml, "a.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let mappings = Mappings::new(&config.ingest);
    let at = 1_795_598_462_116_u64;
    for (mapping, line, expected) in [
        ("own", json!({"http": {"code": 529}, "at": at, "took": 7000}), "overloaded 529 7ms"),
        ("own", json!({"http": {"code": "200"}, "n": 2, "at": at}), "ok 200 retry"),
        ("own", json!({"http": {"code": 0}}), "status, error or class: required, but missing"),
        ("own", json!({"http": [{"code": 503}]}), "unavailable 503"),
        (
            "own",
            json!([1]),
            "malformed record: not a line of a log as a JSON object \
            (line 1, column 0)",
        ),
        ("edge", json!({"response_code": 529, "upstream_host": "1.1.1.1:1"}), "overloaded 529"),
        ("edge", json!({"response_code": 503, "response_flags": "UO"}), "gateway"),
    ] {
        assert_eq!(told(&mappings, mapping, &line), expected, "{line}");
    }
}

#[test]
fn ids_of_requests_are_kept_as_long_as_those_of_reports() {
    let mappings = Mappings::new(&Config::default().ingest);
    let names = Names::new(&Config::default());
    for (length, is_kept) in [(20, true), (64, true), (65, true), (128, true), (129, false)] {
        let id = "r".repeat(length);
        let line = json!({"status": "200", "model": "m", "host": "api.openai.com",
            "upstream_status": "200", "upstream_addr": "1.2.3.4:443", "upstream_request_id": id});
        let line = line.to_string();
        let read = read(&mappings.0["nginx"], line.as_bytes(), &names);
        let Ok(Read::Records(records)) = read else { panic!("{length}: nothing read") };
        let said = format!("{:?}", records[0]);
        assert_eq!(said.contains(&id), is_kept, "{length}: {said}");
    }
}
