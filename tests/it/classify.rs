//! The classifier against the recorded cases, their disguises, garbage, and through the program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use brownout::domain::classify::{
    MatchedBy, Reply, Reported, Transport, classify, classify_reported, quotas, retry_after,
};
use brownout::domain::outcome::Class;
use brownout::domain::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

const CASES: &str = include_str!("../data/errors/cases.jsonl");

/// One recorded reply and the class it should get.
#[derive(Clone)]
struct Recorded {
    id: String,
    provider: String,
    dialect: Option<String>,
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body: String,
    stream: String,
    transport: Option<Transport>,
    expected: Class,
}

impl Recorded {
    fn class(&self) -> Class {
        let reply = Reply {
            provider: &self.provider,
            dialect: self.dialect.as_deref(),
            status: self.status,
            headers: &self.headers,
            body: self.body.as_bytes(),
            stream: self.stream.as_bytes(),
            transport: self.transport,
        };
        classify(&reply).class
    }

    fn reported_class(&self) -> Class {
        let text = if self.stream.is_empty() { &self.body } else { &self.stream };
        classify_reported(&Reported {
            provider: &self.provider,
            dialect: self.dialect.as_deref(),
            status: self.status,
            body: Some(text),
            transport: self.transport,
            in_stream: !self.stream.is_empty(),
            ..Reported::default()
        })
        .class
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn recorded() -> Vec<Recorded> {
    let read = |line: &str| {
        let case: Value = serde_json::from_str(line).unwrap();
        let headers = case["headers"].as_object().unwrap();
        Recorded {
            id: text(&case, "id"),
            provider: text(&case, "provider"),
            dialect: case["dialect"].as_str().map(str::to_owned),
            status: case["http_status"].as_u64().map(|status| u16::try_from(status).unwrap()),
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: text(&case, "body"),
            stream: text(&case, "stream_event"),
            transport: case["transport"].as_str().and_then(Transport::parse),
            expected: Class::parse(case["expected_class"].as_str().unwrap()).unwrap(),
        }
    };
    CASES.lines().map(read).collect()
}

/// The ids of the cases that a change of form gives another class.
fn misjudged(change: impl Fn(&mut Recorded)) -> Vec<String> {
    let changed = recorded().into_iter().map(|mut case| {
        change(&mut case);
        case
    });
    changed
        .filter(|case| case.class() != case.expected)
        .map(|case| format!("{}: {} for {}", case.id, case.class(), case.expected))
        .collect()
}

const NONE: &[String] = &[];

#[test]
fn all_recorded_cases_are_right() {
    assert_eq!(recorded().len(), 173);
    assert_eq!(misjudged(|_| ()), NONE);
}

#[test]
fn the_form_of_a_reply_changes_nothing() {
    let names = [("upper-case headers", upper_case_headers as fn(&mut Recorded))];
    let forms = [
        ("pretty JSON", pretty as fn(&mut Recorded)),
        ("escapes", escaped),
        ("CRLF", crlf),
        ("bare CR", bare_cr),
        ("byte order mark", byte_order_mark),
        ("white space around", blank_lines),
        ("shouting tokens", shouting_tokens),
        ("numbers as strings", stringly_numbers),
        ("upper-case provider", |case| case.provider = case.provider.to_uppercase()),
    ];
    for (name, change) in names.into_iter().chain(forms) {
        assert_eq!(misjudged(change), NONE, "{name}");
    }
}

#[test]
fn wrapping_an_error_in_another_envelope_changes_nothing() {
    type Wrap = fn(Value) -> Value;
    let wraps: [(&str, Wrap); 4] = [
        ("array", |body| json!([body])),
        ("response", |body| json!({"type": "response.failed", "response": body})),
        ("data", |body| json!({"object": "x", "data": body})),
        ("double error", |body| json!({"error": body})),
    ];
    for (name, wrap) in wraps {
        let wrong = misjudged(|case| {
            if let Ok(body) = serde_json::from_str::<Value>(&case.body)
                && body.get("error").is_some_and(Value::is_object)
            {
                case.body = wrap(body).to_string();
            }
        });
        assert_eq!(wrong, NONE, "{name}");
    }
}

#[test]
fn an_unknown_provider_or_lost_headers_cost_few_cases() {
    let unknown = misjudged(|case| {
        case.provider = "nobody".to_owned();
        case.dialect = None;
    });
    assert!(unknown.len() <= 5, "{unknown:#?}");
    let headless = misjudged(|case| case.headers.clear());
    assert!(headless.len() <= 3, "{headless:#?}");
}

#[test]
fn a_client_report_of_status_and_body_is_nearly_as_good_as_the_wire() {
    let wrong: Vec<_> = recorded()
        .into_iter()
        .filter(|case| case.reported_class() != case.expected)
        .map(|case| format!("{}: {} for {}", case.id, case.reported_class(), case.expected))
        .collect();
    assert!(wrong.len() <= 3, "{wrong:#?}");
}

#[test]
fn a_body_cut_after_its_tokens_keeps_its_class() {
    for case in recorded().into_iter().filter(|case| case.body.contains("\"overloaded_error\"")) {
        let end = case.body.find("overloaded_error").unwrap() + "overloaded_error\"".len();
        for end in end..=case.body.len() {
            let cut = Recorded { body: case.body[..end].to_owned(), ..case.clone() };
            // Without its number the token is all there is.
            assert_eq!(cut.class(), case.expected, "{} at {end}", case.id);
        }
    }
}

fn upper_case_headers(case: &mut Recorded) {
    for (name, _) in &mut case.headers {
        *name = name.to_uppercase();
    }
}

fn pretty(case: &mut Recorded) {
    if let Ok(body) = serde_json::from_str::<Value>(&case.body) {
        case.body = serde_json::to_string_pretty(&body).unwrap();
    }
    let reformat = |line: &str| match line.strip_prefix("data: ").map(serde_json::from_str) {
        // Data over many lines, each with its own field name.
        Some(Ok::<Value, _>(data)) => {
            let data = serde_json::to_string_pretty(&data).unwrap();
            data.lines().map(|line| format!("data: {line}\n")).collect()
        }
        _ => format!("{line}\n"),
    };
    case.stream = case.stream.lines().map(reformat).collect();
}

/// Every letter inside JSON strings as a `\u` escape.
fn escaped(case: &mut Recorded) {
    fn escape(json: &str) -> String {
        let mut is_string = false;
        let mut is_escaped = false;
        let mut out = String::new();
        for c in json.chars() {
            let was_escaped = std::mem::take(&mut is_escaped);
            match c {
                '"' if !was_escaped => is_string = !is_string,
                '\\' if !was_escaped => is_escaped = true,
                _ => {}
            }
            if is_string && !was_escaped && c.is_ascii_alphabetic() {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            } else {
                out.push(c);
            }
        }
        out
    }
    if serde_json::from_str::<Value>(&case.body).is_ok() {
        case.body = escape(&case.body);
    }
    let line = |line: &str| match line.strip_prefix("data: {") {
        Some(data) => format!("data: {{{}\n", escape(data)),
        None => format!("{line}\n"),
    };
    case.stream = case.stream.lines().map(line).collect();
}

fn crlf(case: &mut Recorded) {
    case.stream = case.stream.replace('\n', "\r\n");
}

fn bare_cr(case: &mut Recorded) {
    case.stream = case.stream.replace('\n', "\r");
}

fn byte_order_mark(case: &mut Recorded) {
    for text in [&mut case.body, &mut case.stream] {
        if !text.is_empty() {
            text.insert(0, '\u{feff}');
        }
    }
}

fn blank_lines(case: &mut Recorded) {
    for text in [&mut case.body, &mut case.stream] {
        if !text.is_empty() {
            *text = format!("\n\n  \n{text}\n\n");
        }
    }
}

fn shouting_tokens(case: &mut Recorded) {
    fn shout(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, member) in object {
                    match member {
                        Value::String(text)
                            if ["type", "code", "error_type"].contains(&key.as_str()) =>
                        {
                            *text = text.to_uppercase();
                        }
                        member => shout(member),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(shout),
            _ => {}
        }
    }
    if let Ok(mut body) = serde_json::from_str::<Value>(&case.body) {
        shout(&mut body);
        case.body = body.to_string();
    }
}

fn stringly_numbers(case: &mut Recorded) {
    fn quote(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, member) in object {
                    match member {
                        Value::Number(number) if key == "code" => {
                            *member = json!(number.to_string());
                        }
                        Value::String(text) if key == "code" => {
                            if let Ok(number) = text.parse::<u64>() {
                                *member = json!(number);
                            }
                        }
                        member => quote(member),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(quote),
            _ => {}
        }
    }
    if let Ok(mut body) = serde_json::from_str::<Value>(&case.body) {
        quote(&mut body);
        case.body = body.to_string();
    }
}

fn any_transport() -> impl Strategy<Value = Option<Transport>> {
    prop::option::of(prop::sample::select(Transport::ALL.to_vec()))
}

/// Recorded texts, whole, cut, spliced and with bytes changed, and plain garbage.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let cases = recorded();
    let texts: Vec<String> =
        cases.iter().flat_map(|it| [it.body.clone(), it.stream.clone()]).collect();
    let piece =
        (prop::sample::select(texts), any::<prop::sample::Index>(), any::<prop::sample::Index>())
            .prop_map(|(text, from, to)| {
                let bytes = text.as_bytes();
                let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
                bytes[from.min(to)..from.max(to)].to_vec()
            });
    let garbage = prop::collection::vec(any::<u8>(), 0..40);
    let syntax = "[\\[\\]{}\",:'a\\\\\n\r 0-9bx]{0,60}".prop_map(String::into_bytes);
    prop::collection::vec(prop_oneof![4 => piece, 1 => garbage, 1 => syntax], 0..5)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_reply_panics(
        body in any_text(),
        stream in any_text(),
        status in prop::option::of(100_u16..600),
        provider in prop::sample::select(vec!["anthropic", "bedrock", "zai", "", "x\u{0}"]),
        transport in any_transport(),
        header in ("[a-z-]{0,20}", "\\PC{0,20}"),
        now in any::<u64>(),
    ) {
        let names = [
            "retry-after", "x-ratelimit-reset", "anthropic-ratelimit-tokens-reset",
            "x-amzn-errortype", "content-type",
        ];
        let mut headers: Vec<_> =
            names.iter().map(|name| ((*name).to_owned(), header.1.clone())).collect();
        headers.push(header);
        let reply = Reply {
            provider, dialect: None, status, headers: &headers, body: &body, stream: &stream,
            transport,
        };
        let verdict = classify(&reply);
        prop_assert!(verdict.class != Class::Ok || !matches!(status, Some(300..)));
        retry_after(&headers, &body, Timestamp::from_millis(now));
        quotas(&headers, Timestamp::from_millis(now));
    }

    #[test]
    fn no_report_panics(
        body in any_text(),
        error_type in prop::option::of("\\PC{0,20}"),
        status in prop::option::of(any::<u16>()),
        transport in any_transport(),
        in_stream in any::<bool>(),
    ) {
        let body = String::from_utf8_lossy(&body);
        let report = Reported {
            provider: "openai", status, error_type: error_type.as_deref(), body: Some(&body),
            transport, in_stream, ..Reported::default()
        };
        classify_reported(&report);
    }
}

#[test]
fn deep_and_large_input_is_answered() {
    let kilobytes = 600;
    for body in [
        "[".repeat(kilobytes * 1024),
        "{\"error\":".repeat(100_000),
        "[{\"error\":{\"message\":\"".repeat(20_000),
        "[\n".repeat(200_000),
        "{\"a\n".repeat(200_000),
        format!("{{\"error\":{{\"message\":\"{}\"}}}}", "{".repeat(kilobytes * 1024)),
        "{'".repeat(200_000),
    ] {
        let reply = Reply { status: Some(500), body: body.as_bytes(), ..Reply::default() };
        assert_eq!(classify(&reply).class, Class::ServerError);
        let reply = Reply { status: Some(500), stream: body.as_bytes(), ..Reply::default() };
        assert_eq!(classify(&reply).class, Class::ServerError);
    }
}

#[test]
fn the_error_at_the_end_of_a_long_stream_is_seen() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\r\n\r\n";
    let error = "data: {\"error\":{\"code\":\"server_is_overloaded\"}}\r\n\r\n";
    let stream = chunk.repeat(20_000) + error;
    let reply = Reply { status: Some(200), stream: stream.as_bytes(), ..Reply::default() };
    assert_eq!(classify(&reply).class, Class::Overloaded);
}

/// Runs the program on an input; gives its output lines and exit code.
fn run(input: &str, args: &[&str]) -> (Vec<Value>, Option<i32>) {
    run_bytes(input.as_bytes(), args)
}

fn run_bytes(input: &[u8], args: &[&str]) -> (Vec<Value>, Option<i32>) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_brownout"))
        .arg("classify")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = program.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.code())
}

#[test]
fn the_program_classifies_all_cases_in_order() {
    let (lines, code) = run(CASES, &["--now", "2026-11-23T22:30:00Z"]);
    assert_eq!(code, Some(0));
    let cases = recorded();
    assert_eq!(lines.len(), cases.len());
    let matched_by: Vec<_> = MatchedBy::ALL.iter().map(|rule| rule.as_str()).collect();
    let mut waits = BTreeMap::new();
    for (line, case) in lines.iter().zip(&cases) {
        assert_eq!(line["id"], case.id.as_str());
        assert_eq!(line["class"], case.expected.as_str(), "{}", case.id);
        assert!(matched_by.contains(&line["matched_by"].as_str().unwrap()), "{line}");
        if let Some(wait) = line["retry_after_ms"].as_u64() {
            waits.insert(case.id.as_str(), wait);
        }
    }
    for (id, wait) in [
        ("anthropic-429-rate", 38_000),
        ("generic-503-retry-date", 900_000),
        ("gemini-429-per-day", 58_000),
        ("azure-429-high-demand", 20_000),
        ("cf-500-json", 5_000),
        ("moonshot-429-rpm", 20_000),
        ("together-429", 1_000),
        ("groq-429", 2_000),
        // Midnight of the next day, clamped to an hour.
        ("openrouter-429-platform", 3_600_000),
    ] {
        assert_eq!(waits.get(id), Some(&wait), "{id}");
    }
    assert!(!waits.contains_key("anthropic-529-classic"));
}

#[test]
fn the_program_takes_bad_lines_one_at_a_time() {
    let good = r#"{"id":"a","provider":"anthropic","http_status":529}"#;
    let input = format!(
        "{good}\n\nnot json\n{{\"id\":7,\"provider\":1}}\n{{\"id\":\"t\",\"provider\":\"x\",\
         \"transport\":\"smoke\"}}\n[]\n{good}"
    );
    let (lines, code) = run(&input, &[]);
    assert_eq!(code, Some(1));
    let good = json!({
        "id": "a", "class": "overloaded", "matched_by": "status", "retry_after_ms": null,
    });
    assert_eq!(lines[0], good);
    assert_eq!(lines[1]["id"], Value::Null);
    assert!(lines[1]["error"].as_str().unwrap().starts_with("line 3: not JSON"), "{}", lines[1]);
    assert_eq!(lines[2], json!({"id": 7, "error": "line 4: \"provider\" is not a string"}));
    assert_eq!(lines[3]["id"], "t");
    assert!(lines[3]["error"].as_str().unwrap().contains("reset_mid_stream"));
    assert!(lines[4]["error"].as_str().unwrap().starts_with("line 6: not an object"));
    assert_eq!(lines[5], good);
}

#[test]
fn the_program_takes_bodies_and_headers_in_every_form() {
    let lines = [
        json!({"id": 1, "provider": "x", "http_status": "500",
               "body": {"error": {"type": "overloaded_error"}}}),
        json!({"id": 2, "provider": "x", "http_status": 503, "body": null, "headers": null,
               "stream_event": null, "transport": null, "dialect": null}),
        json!({"id": 3, "provider": "x", "http_status": 429, "headers": {"Retry-After": 2}}),
        json!({"id": 4, "provider": "x", "http_status": 429,
               "headers": [["Retry-After", "1.5"]]}),
        json!({"id": 5, "provider": "x", "transport": "READ_TIMEOUT"}),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (lines, code) = run(&input, &[]);
    let found: Vec<_> = lines
        .iter()
        .map(|line| (line["class"].as_str().unwrap(), line["retry_after_ms"].as_u64()))
        .collect();
    assert_eq!(code, Some(0));
    assert_eq!(
        found,
        [
            ("overloaded", None),
            ("unavailable", None),
            ("rate_limited", Some(2000)),
            ("rate_limited", Some(1500)),
            ("timeout", None),
        ]
    );
}

#[test]
fn the_program_reads_broken_encodings() {
    let input =
        b"{\"id\":\"\xff\",\"provider\":\"x\",\"http_status\":500,\"body\":\"\xfe overloaded\"}\n";
    let (lines, code) = run_bytes(input, &[]);
    assert_eq!(code, Some(0));
    assert_eq!(lines[0]["class"], "overloaded");
}

#[test]
fn the_program_answers_while_its_input_is_still_open() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_brownout"))
        .arg("classify")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    let mut stdout = BufReader::new(program.stdout.take().unwrap());
    for _ in 0..3 {
        writeln!(stdin, "{}", json!({"id": 1, "provider": "x", "http_status": 529})).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.contains("overloaded"), "{line}");
    }
    drop(stdin);
    assert_eq!(program.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_brownout"))
        .arg("classify")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    let mut stdin = program.stdin.take().unwrap();
    let line = format!("{}\n", json!({"id": 1, "provider": "x", "http_status": 529}));
    // The program may be gone before all is written.
    while stdin.write_all(line.as_bytes()).is_ok() {}
    drop(stdin);
    let output = program.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
