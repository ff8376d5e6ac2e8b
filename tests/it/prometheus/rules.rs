//! The shipped rules and what stands around them: runbooks, routes, thresholds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use brownout::domain::bounds::Bounds;
use serde_json::Value;

use super::dashboard::{items, text};
use crate::temp::TempFile;

/// Where the rules of `alerts/` lie.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts")
}

/// A file of the repository as text.
pub(super) fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every rule of the two files.
pub(super) fn all() -> Vec<Value> {
    ["alerts/brownout.recording.yml", "alerts/brownout.alerts.yml"]
        .iter()
        .flat_map(|path| {
            let file: Value = serde_saphyr::from_str(&file(path)).unwrap();
            let groups = items(&file["groups"]).to_vec();
            groups.into_iter().flat_map(|group| items(&group["rules"]).to_vec())
        })
        .collect()
}

fn alerts() -> Vec<Value> {
    all().into_iter().filter(|rule| rule.get("alert").is_some()).collect()
}

#[test]
fn every_alert_says_what_how_and_where() {
    assert!(alerts().len() >= 10);
    for alert in alerts() {
        let name = text(&alert["alert"]);
        let annotations = &alert["annotations"];
        assert!(name.starts_with("Brownout"), "{name}");
        for key in ["summary", "description", "runbook_url", "dashboard_url"] {
            assert!(!text(&annotations[key]).is_empty(), "{name} has no {key}");
        }
        let page = format!("docs/runbooks/{name}.md");
        assert!(text(&annotations["runbook_url"]).ends_with(&page), "{name}: {annotations}");
        let runbook = file(&page);
        for part in ["## What it means", "## What to check", "## What to do"] {
            assert!(runbook.contains(part), "{page} has no part {part:?}");
        }
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning"].contains(&severity.as_str()), "{name}: {severity}");
        let scope = text(&alert["labels"]["scope"]);
        let dashboard = match scope.as_str() {
            "model" => {
                "/d/brownout-target?var-provider={{ $labels.provider | urlquery }}&var-model="
            }
            "provider" => "/d/brownout-overview?var-provider=",
            "exporter" => "/d/brownout-operations",
            other => panic!("{name}: {other}"),
        };
        let link = text(&annotations["dashboard_url"]);
        assert!(link.starts_with(dashboard), "{name}: {link}");
        assert!(alert.get("for").is_some(), "{name} fires on one bad scrape");
    }
}

#[test]
fn every_alert_has_a_route_and_every_runbook_an_alert() {
    let names: BTreeSet<_> = alerts().iter().map(|alert| text(&alert["alert"])).collect();
    let routes = file("tests/alerts/routes.txt");
    let index = file("docs/runbooks/README.md");
    for name in &names {
        assert!(routes.contains(&format!("alertname={name} ")), "no route is tested for {name}");
        assert!(index.contains(&format!("[{name}]({name}.md)")), "{name} is not in the index");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().to_str().unwrap().replace(".md", "");
        assert!(name == "README" || names.contains(&name), "the runbook {name} has no alert");
    }
}

/// The thresholds have one home, the detector's defaults; people who read an alert and routers
/// that read a state must mean the same by "overloaded".
#[test]
fn the_thresholds_are_those_of_the_states() {
    let cases = [
        ("BrownoutModelOverloadCritical", Bounds::OVERLOAD.overloaded()),
        ("BrownoutProviderOverloadCritical", Bounds::OVERLOAD.overloaded()),
        ("BrownoutModelOverloadWarning", Bounds::OVERLOAD.healthy()),
        ("BrownoutQuotaRateLimited", Bounds::RATE_LIMIT.overloaded()),
    ];
    for (name, threshold) in cases {
        let alert = alerts().into_iter().find(|alert| alert["alert"] == name).unwrap();
        let expr = text(&alert["expr"]);
        let first = expr.lines().find(|line| line.contains("error_ratio:increase")).unwrap();
        let (_, value) = first.rsplit_once("> ").unwrap();
        assert_eq!(value.trim().parse(), Ok(threshold), "{name}: {first}");
    }
}

#[test]
fn the_configuration_of_prometheus_for_probes_on_demand_is_good() {
    let said = checked(&block("docs/probes.md"));
    assert!(said.contains("SUCCESS"), "{said}");
}

/// With the rules where they are in the repository, for the block names them from its root.
#[test]
fn the_configuration_of_prometheus_in_the_readme_is_good() {
    let block = block("README.md");
    assert_eq!(block.matches("alerts/brownout.").count(), 2, "{block}");
    let said = checked(&block.replace("alerts/", &format!("{}/", folder().display())));
    let found = said.matches("rules found").count();
    assert_eq!(found, 2, "both files of rules are read: {said}");
}

/// The configuration of Prometheus in a document.
fn block(document: &str) -> String {
    let text = file(document);
    let (_, block) = text.split_once("```yaml\n# prometheus.yml\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// What promtool says of a configuration that it takes.
fn checked(config: &str) -> String {
    let config = TempFile::new("prometheus.yml", config);
    let output = Command::new("promtool").args(["check", "config", config.path()]).output();
    let output = output.expect("install Debian's prometheus package, as tests/run does");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    said
}
