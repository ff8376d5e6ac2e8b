//! The classifier against the recorded cases, their disguises, garbage, and through the program.

mod disguise;
mod garbage;
mod program;

use brownout::domain::classify::{
    Reply, Reported, Transport, Verdict, classify, classify_reported,
};
use brownout::domain::outcome::Class;
use serde_json::Value;

/// Replies as providers send them, with their sources.
const CASES: &str = include_str!("../data/errors/cases.jsonl");
/// The same facts in forms that no recorded reply has, with the rule that should decide.
const SHAPES: &str = include_str!("../data/errors/shapes.jsonl");
/// What clients keep of an attempt.
const REPORTS: &str = include_str!("../data/errors/reports.jsonl");

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
        self.verdict().class
    }

    fn verdict(&self) -> Verdict {
        let reply = Reply {
            provider: &self.provider,
            dialect: self.dialect.as_deref(),
            status: self.status,
            headers: &self.headers,
            body: self.body.as_bytes(),
            stream: self.stream.as_bytes(),
            transport: self.transport,
        };
        classify(&reply)
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
    CASES.lines().map(|line| read(&serde_json::from_str(line).unwrap())).collect()
}

fn read(case: &Value) -> Recorded {
    let headers = case["headers"].as_object().into_iter().flatten();
    Recorded {
        id: text(case, "id"),
        provider: text(case, "provider"),
        dialect: case["dialect"].as_str().map(str::to_owned),
        status: case["http_status"].as_u64().map(|status| u16::try_from(status).unwrap()),
        headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect(),
        body: text(case, "body"),
        stream: text(case, "stream_event"),
        transport: case["transport"].as_str().and_then(Transport::parse),
        expected: Class::parse(case["expected_class"].as_str().unwrap()).unwrap(),
    }
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

/// Notes an expectation that a verdict does not meet.
fn note(wrong: &mut Vec<String>, expected: &Value, verdict: Verdict) {
    let found = (verdict.class.as_str(), verdict.matched_by.as_str());
    if found != (&text(expected, "expected_class"), &text(expected, "expected_matched_by")) {
        wrong.push(format!("{found:?} for {expected}"));
    }
}

#[test]
fn every_shape_of_a_fact_has_its_class_and_rule() {
    let mut wrong = Vec::new();
    for line in SHAPES.lines() {
        let shape: Value = serde_json::from_str(line).unwrap();
        let verdict = read(&shape).verdict();
        note(&mut wrong, &shape, verdict);
    }
    assert_eq!(wrong, NONE);
}

#[test]
fn reports_are_read_like_the_exceptions_they_come_from() {
    let mut wrong = Vec::new();
    for line in REPORTS.lines() {
        let report: Value = serde_json::from_str(line).unwrap();
        let verdict = classify_reported(&Reported {
            provider: report["provider"].as_str().unwrap_or("x"),
            status: report["http_status"].as_u64().map(|status| u16::try_from(status).unwrap()),
            error_type: report["error_type"].as_str(),
            error_code: report["error_code"].as_str(),
            body: report["body"].as_str(),
            transport: report["transport"].as_str().and_then(Transport::parse),
            in_stream: report["in_stream"].as_bool().unwrap_or_default(),
            ..Reported::default()
        });
        note(&mut wrong, &report, verdict);
    }
    assert_eq!(wrong, NONE);
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
