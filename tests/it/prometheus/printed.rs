//! `brownout rules`: the committed files are what it prints, and what else it can print is good.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use brownout::answers::metrics::names;
use serde_json::Value;

use super::dashboard::{items, text};
use super::rules::file;
use crate::golden;
use crate::temp::TempFile;

/// Everything at once that differs from the defaults.
const OTHERS: [&str; 20] = [
    "--job",
    "llm",
    "--selector",
    SELECTOR,
    "--healthy",
    "1%",
    "--overloaded",
    "0.04",
    "--surge",
    "20%",
    "--surge-window",
    "10m",
    "--critical-windows",
    "2h/10m",
    "--warning-windows",
    "1d/90m",
    "--runbooks",
    "https://wiki.example.org/llm/",
    "--dashboards",
    "https://grafana.example.org",
];

const SELECTOR: &str = "cluster=\"eu\",env=~\"prod.*\"";

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brownout")).arg("rules").args(args).output().unwrap()
}

fn printed(args: &[&str]) -> String {
    let output = run(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every rule of a file.
fn rules(yaml: &str) -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(yaml).unwrap();
    items(&file["groups"]).iter().flat_map(|group| items(&group["rules"]).to_vec()).collect()
}

fn promtool_takes(yaml: &str) {
    let file = TempFile::new("rules.yml", yaml);
    let args = ["check", "rules", "--lint=all", "--lint-fatal", file.path()];
    let output = Command::new("promtool").args(args).output();
    let output = output.expect("install Debian's prometheus package, as tests/run does");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}\n{yaml}", String::from_utf8_lossy(&said));
}

#[test]
fn the_committed_rules_are_what_is_printed() {
    for (path, args) in [
        ("alerts/brownout.recording.yml", "--only recording"),
        ("alerts/brownout.alerts.yml", "--only alerts"),
        (
            "examples/kubernetes/prometheusrule.yaml",
            "--format kubernetes --label app.kubernetes.io/name=brownout \
             --label release=kube-prometheus-stack",
        ),
    ] {
        golden::check(path, &printed(&args.split_whitespace().collect::<Vec<_>>()));
    }
}

#[test]
fn the_manifest_and_the_two_files_hold_the_same_rules() {
    let both = printed(&[]);
    let apart = ["recording", "alerts"].map(|only| rules(&printed(&["--only", only])));
    assert_eq!(rules(&both), apart.concat());
    let object: Value = serde_saphyr::from_str(&printed(&["--format", "kubernetes"])).unwrap();
    let file: Value = serde_saphyr::from_str(&both).unwrap();
    assert_eq!(object["spec"], file);
}

#[test]
fn other_options_make_rules_that_prometheus_takes() {
    promtool_takes(&printed(&[]));
    let others = printed(&OTHERS);
    promtool_takes(&others);
    for rule in rules(&others).iter().filter(|rule| rule.get("alert").is_some()) {
        let annotations = &rule["annotations"];
        let runbook = format!("https://wiki.example.org/llm/{}.md", text(&rule["alert"]));
        assert_eq!(annotations["runbook_url"], runbook);
        let dashboard = text(&annotations["dashboard_url"]);
        assert!(dashboard.starts_with("https://grafana.example.org/d/brownout-"), "{dashboard}");
    }
}

/// Two sets of rules in one Prometheus must not read or judge each other's series.
#[test]
fn every_selector_carries_the_one_of_the_options() {
    let rules = rules(&printed(&OTHERS));
    let exported = names::all().map(|row| row.name.to_owned());
    let recorded = rules.iter().filter_map(|rule| rule.get("record").map(text));
    let ours: BTreeSet<_> =
        exported.chain(recorded).chain(["up".to_owned(), "ALERTS".to_owned()]).collect();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let mut seen = BTreeSet::new();
    for rule in &rules {
        let expr = text(&rule["expr"]);
        for name in &ours {
            for (at, _) in expr.match_indices(name.as_str()) {
                let after = &expr[at + name.len()..];
                if !expr[..at].ends_with(is_name) && !after.starts_with(is_name) {
                    assert!(after.starts_with(&format!("{{{SELECTOR}")), "{name} in {expr}");
                    seen.insert(name);
                }
            }
        }
        let alert = rule.get("alert").map(text);
        if alert.as_deref() == Some("BrownoutAbsent") {
            let labels = &rule["labels"];
            assert_eq!((&labels["job"], &labels["cluster"]), (&"llm".into(), &"eu".into()));
            assert_eq!(labels.get("env"), None, "a regular expression is no value");
        }
    }
    assert!(seen.len() > 20 && seen.contains(&"up".to_owned()), "{seen:?}");
}

#[test]
fn thresholds_and_windows_change_words_as_well_as_numbers() {
    let rules = rules(&printed(&OTHERS));
    for (name, exprs, words) in [
        (
            "BrownoutModelOverloadSurge",
            vec!["increase10m{", "> 0.2"],
            vec!["in 10m", "20%", "10 minutes"],
        ),
        (
            "BrownoutModelOverloadCritical",
            vec!["increase2h{", "> 0.04", "increase10m{", "wilson_lower2h{", "> 0.01"],
            vec!["over 2h", "4%", "2 hours", "10 minutes"],
        ),
        (
            "BrownoutModelOverloadWarning",
            vec!["increase1d{", "> 0.01", "increase90m{", "wilson_lower1d{", "> 0.01"],
            vec!["over 1d", "1% healthy", "last day", "90 minutes"],
        ),
        ("BrownoutProviderOverloadCritical", vec!["increase2h{", "> 0.04"], vec!["over 2h", "4%"]),
        ("BrownoutProviderOverloadWarning", vec!["increase1d{", "> 0.01"], vec!["last day", "1%"]),
        ("BrownoutAbsent", vec!["job=\"llm\""], vec![]),
    ] {
        let rule = rules.iter().find(|rule| rule.get("alert").is_some_and(|it| it == name));
        let rule = rule.unwrap_or_else(|| panic!("no {name}"));
        let expr = text(&rule["expr"]);
        for part in exprs {
            assert!(expr.contains(part), "{name} has no {part}: {expr}");
        }
        let annotations = &rule["annotations"];
        let said = text(&annotations["summary"]) + &text(&annotations["description"]);
        for word in words {
            assert!(said.contains(word), "{name} does not say {word}: {said}");
        }
    }
}

/// A file of rules that was cut is often a good one with fewer alerts.
#[test]
fn what_cannot_be_written_whole_is_an_error() {
    for args in [&["rules"][..], &["dashboards"], &["dashboards", "overview"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output =
            Command::new(env!("CARGO_BIN_EXE_brownout")).args(args).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("cannot write to standard output"), "{args:?}: {said}");
    }
}

#[test]
fn a_wrong_option_exits_64_and_says_what_to_do() {
    for (args, expected) in [
        (vec!["--healthy", "3%"], "--healthy, --overloaded and --surge in this order"),
        (vec!["--surge", "1%"], "surge (0.01) must be above overloaded (0.02)"),
        (vec!["--overloaded", "much"], "expected a ratio like 2% or 0.02"),
        (vec!["--critical-windows", "1h"], "expected LONG/SHORT, as in 1h/5m"),
        (vec!["--critical-windows", "5m/1h"], "5m is not longer than 1h"),
        (vec!["--surge-window", "30s"], "30s is not between 1m and 14d"),
        (vec!["--surge-window", "5"], "expected a window like 5m or 1h"),
        (vec!["--selector", "cluster=eu"], "expected label matchers like cluster=\"eu\""),
        (vec!["--selector", "provider=\"openai\""], "provider is not one of the scraped targets"),
        (vec!["--job", ""], "expected the value of the label job"),
        (vec!["--dashboards", "grafana"], "expected an address like https://"),
        (vec!["--namespace", "monitoring"], "go with --format kubernetes"),
        (vec!["--format", "kubernetes", "--namespace", "No"], "expected at most 63 of a-z"),
        (vec!["--format", "kubernetes", "--label", "x"], "expected KEY=VALUE"),
        (vec!["--only", "some"], "recording, alerts"),
    ] {
        let output = run(&args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

/// For each alert `promtool test rules` has a time at which it fires, with all that it tells, and
/// one at which it does not.
#[test]
fn every_alert_is_tested_to_fire_to_be_silent_and_to_end() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    let (mut fires, mut silent, mut ends) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".test.yml") {
            continue;
        }
        let suite: Value = serde_saphyr::from_str(&file(&format!("tests/alerts/{name}"))).unwrap();
        for test in items(&suite["tests"]) {
            let mut fired = BTreeSet::new();
            // In the order of time, as they are written.
            for case in test.get("alert_rule_test").map_or(&[][..], items) {
                let alert = text(&case["alertname"]);
                if !items(&case["exp_alerts"]).is_empty() {
                    fired.insert(alert.clone());
                    fires.insert(alert);
                } else if fired.contains(&alert) {
                    ends.insert(alert);
                } else {
                    silent.insert(alert);
                }
            }
        }
    }
    for alert in rules(&file("alerts/brownout.alerts.yml")) {
        let name = text(&alert["alert"]);
        assert!(fires.contains(&name), "{name} is never expected to fire");
        assert!(silent.contains(&name), "{name} is never expected to be silent");
        let must_end = alert.get("keep_firing_for").is_some();
        assert!(!must_end || ends.contains(&name), "{name} is never expected to end");
    }
}
