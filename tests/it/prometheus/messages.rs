//! What people read in Slack and in their mail: the shipped templates, rendered by Alertmanager.

use std::fmt::Write as _;

use brownout::ground::clock::Clock;
use serde_json::{Value, json};

use super::alertmanager::Alertmanager;
use super::dashboard::text;
use super::receiver::{Message, Receiver};
use crate::daemon::eventually;
use crate::golden;

/// When the alerts that are over began and ended. The others begin now: a group whose first alert
/// is older than `group_wait` is told at once, before the others of it have come.
const BEGAN: &str = "2026-04-24T14:03:11Z";
const ENDED: &str = "2026-04-24T14:21:41Z";

/// A name as a client might report it, to be clever.
const CLEVER: &str = "<!channel>&*";

fn alert(name: &str, labels: &Value, summary: &str, description: &str) -> Value {
    let mut labels = labels.clone();
    labels["alertname"] = json!(name);
    labels["job"] = json!("brownout");
    let [provider, model] = ["provider", "model"].map(|label| text(&labels[label]));
    let model = model.replace('<', "%3C").replace('>', "%3E").replace('&', "%26");
    let runbooks = "https://github.com/brownout-project/brownout/blob/main/docs/runbooks";
    let dashboard = match text(&labels["instance"]).as_str() {
        "" => format!("/d/brownout-target?var-provider={provider}&var-model={model}"),
        instance => format!("/d/brownout-operations?var-job=brownout&var-instance={instance}"),
    };
    json!({
        "labels": labels,
        "annotations": {
            "summary": summary,
            "description": description,
            "runbook_url": format!("{runbooks}/{name}.md"),
            "dashboard_url": dashboard,
        },
        "startsAt": Clock::System.now().to_string(),
    })
}

fn ended(mut alert: Value) -> Value {
    alert["startsAt"] = json!(BEGAN);
    alert["endsAt"] = json!(ENDED);
    alert
}

fn over(alerts: Vec<Value>) -> Vec<Value> {
    alerts.into_iter().map(ended).collect()
}

fn surge() -> Value {
    let labels = json!({"severity": "critical", "scope": "model", "provider": "anthropic",
                        "model": "claude-opus-4-7"});
    let summary = "anthropic/claude-opus-4-7 overload surge: 12.4% shed in 5m";
    let description = "More than 10% of the requests of the last 5 minutes were answered \
                       529/overloaded. Back off, fall back a tier or fail over now.";
    alert("BrownoutModelOverloadSurge", &labels, summary, description)
}

fn critical() -> Value {
    let labels = json!({"severity": "critical", "scope": "model", "provider": "anthropic",
                        "model": "claude-opus-4-7"});
    let summary =
        "anthropic/claude-opus-4-7 is shedding load (3.1% of requests overloaded over 1h)";
    let description = "More than 2% of requests were answered 529/overloaded. Back off, fall back \
                       a tier or fail over; raising your quota will not help.";
    alert("BrownoutModelOverloadCritical", &labels, summary, description)
}

/// So many models of one provider, the first with the clever name.
fn warnings(count: usize) -> Vec<Value> {
    let one = |number: usize| {
        let model = if number == 0 { CLEVER.to_owned() } else { format!("model-{number:02}") };
        let labels = json!({"severity": "warning", "scope": "model", "provider": "openrouter",
                            "model": model});
        let summary = format!("openrouter/{model} is above the 0.5% healthy baseline");
        let description = "Retries absorb this; move what can wait to a quiet hour.";
        alert("BrownoutModelOverloadWarning", &labels, &summary, description)
    };
    (0..count).map(one).collect()
}

/// So many replicas that do not answer.
fn down(count: usize) -> Vec<Value> {
    let one = |number: usize| {
        let instance = format!("brownout-{number:02}:10529");
        let labels = json!({"severity": "warning", "scope": "exporter", "instance": instance});
        let summary = format!("brownout {instance} cannot be scraped");
        let description = "Prometheus gets no answer from it; the other replicas go on.";
        alert("BrownoutDown", &labels, &summary, description)
    };
    (0..count).map(one).collect()
}

#[tokio::test]
async fn slack_and_mail_are_told_what_a_tired_person_needs() {
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver).await;
    let mut actual = String::new();
    type Step = (&'static str, fn() -> Vec<Value>);
    let steps: [Step; 8] = [
        ("two alerts of one model", || vec![surge(), critical()]),
        ("the worse of them is over", || vec![ended(surge()), critical()]),
        ("both are over", || vec![ended(critical())]),
        ("more alerts than anyone reads", || warnings(25)),
        ("all of them over", || over(warnings(25))),
        ("a replica is down", || down(1)),
        ("many are", || down(12)),
        ("all of them answer", || over(down(12))),
    ];
    for (what, alerts) in steps {
        let before = told(&receiver).len();
        alertmanager.send(&Value::Array(alerts())).await;
        let look = async || (told(&receiver), alertmanager.log());
        let (told, _) = eventually(what, look, |(told, _)| told.len() > before).await;
        write!(actual, "=== {what} ===\n{}\n", told[before]).unwrap();
    }
    // A name of a model that was reported can neither call everybody nor be markup.
    assert!(!actual.contains(&format!("openrouter/{CLEVER}")), "{actual}");
    golden::check("tests/it/prometheus/messages.txt", &actual);
}

/// Every message in Slack or the mailbox, as text.
fn told(receiver: &Receiver) -> Vec<String> {
    let as_text = |message| match message {
        Message::Post(path, body) => (path == "/slack").then(|| slack(&body)),
        Message::Mail(raw) => Some(mail(&raw)),
    };
    receiver.messages().into_iter().filter_map(as_text).collect()
}

fn slack(body: &Value) -> String {
    let mut told = format!("to Slack, {}\n", text(&body["channel"]));
    for key in ["color", "title", "title_link", "text"] {
        let value = text(&body["attachments"][0][key]);
        writeln!(told, "{key}: {}", value.trim_end()).unwrap();
    }
    told
}

/// Recipient and subject, then each part, decoded.
fn mail(raw: &str) -> String {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let mut told = format!("by mail, {}\nsubject: {}\n", header("To: "), header("Subject: "));
    let (_, boundary) = head.split_once("boundary=").unwrap();
    let boundary = boundary.split(['\r', ';']).next().unwrap().trim_matches('"');
    for part in body.split(&format!("--{boundary}")) {
        let Some((head, body)) = part.trim_start().split_once("\r\n\r\n") else { continue };
        let kind = head.split("Content-Type: ").nth(1).unwrap().split(['\r', ';']).next().unwrap();
        let body = timeless(&decoded(body));
        write!(told, "--- {kind} ---\n{}\n", body.trim_end()).unwrap();
    }
    told
}

/// With zeros for the digits of the time at which an alert began.
fn timeless(body: &str) -> String {
    let mut parts = body.split("since ");
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (time, rest) = part.split_once(" UTC").unwrap();
        let time: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        write!(all, "since {time} UTC{rest}").unwrap();
    }
    all
}

/// Quoted-printable as text.
fn decoded(body: &str) -> String {
    let body = body.replace("=\r\n", "").replace("\r\n", "\n");
    let mut bytes = Vec::new();
    let mut rest = body.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'=', [high, low, after @ ..]) => {
                let hex = [*high, *low];
                let hex = std::str::from_utf8(&hex).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).unwrap()
}
