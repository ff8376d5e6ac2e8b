//! `brownout classify` as a filter.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use brownout::domain::classify::MatchedBy;
use serde_json::{Value, json};

use super::{CASES, recorded};

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
