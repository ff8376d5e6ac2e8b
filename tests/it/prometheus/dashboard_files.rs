//! `brownout dashboards` and the committed files, which are its output.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use brownout::mixin::dashboards::{self, Options};

use super::dashboard::Dashboard;
use super::promql;
use crate::golden;
use crate::temp::TempFolder;

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
    command.arg("dashboards").args(args).output().unwrap()
}

#[test]
fn the_committed_files_are_what_the_program_prints() {
    // Kustomize makes ConfigMaps only of files beside or below it.
    let mut expected = BTreeSet::from(["kustomization.yaml".to_owned()]);
    for dashboard in dashboards::all(&Options::default()) {
        let name = format!("{}.json", dashboard.uid());
        golden::check(&format!("dashboards/{name}"), &dashboard.to_json());
        expected.insert(name);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    assert_eq!(files(&folder), expected, "files in dashboards/");
}

#[test]
fn the_program_lists_prints_and_writes() {
    let all = dashboards::all(&Options::default());
    let listed = text(&run(&[]).stdout);
    for dashboard in &all {
        let line = format!("{:<12} {}", dashboard.name(), dashboard.description());
        assert!(listed.lines().any(|one| one == line), "{line:?} is not in\n{listed}");
        assert_eq!(text(&run(&[dashboard.name()]).stdout), dashboard.to_json());
    }
    let folder = TempFolder::new("dashboards");
    let inside = folder.path().join("made/here");
    let output = run(&["--output", inside.to_str().unwrap()]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let said = text(&output.stderr);
    for dashboard in &all {
        let file = inside.join(format!("{}.json", dashboard.uid()));
        assert!(said.contains(&format!("wrote {}\n", file.display())), "{said}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), dashboard.to_json());
    }
}

#[test]
fn other_thresholds_change_lines_and_words() {
    let changed = run(&["overview", "--healthy", "1%", "--overloaded", "0.04"]);
    let changed = text(&changed.stdout);
    for part in ["\"value\": 0.01\n", "\"value\": 0.04\n", "1 % and 4 %"] {
        assert!(changed.contains(part), "{part:?} is not in the dashboard");
    }
    for part in ["\"value\": 0.005\n", "\"value\": 0.02\n", "0.5 %", " 2 %"] {
        assert!(!changed.contains(part), "{part:?} is still in the dashboard");
    }
    let moved = text(&run(&["overview", "--runbooks", "https://wiki.example/llm/"]).stdout);
    assert!(moved.contains("\"https://wiki.example/llm/README.md\""));
}

#[test]
fn what_cannot_be_is_refused_with_the_remedy() {
    for (args, code, said) in [
        (&["overview", "--healthy", "5%"][..], 64, "healthy (0.05) < overloaded (0.02)"),
        (&["overview", "--overloaded", "2"], 64, "2 per cent are written 2% or 0.02"),
        (&["overview", "--overloaded", "two"], 64, "a ratio like 2% or 0.02"),
        (&["overview", "--selector", "eu"], 64, "expected label matchers like cluster"),
        (&["overview", "--runbooks", "wiki"], 64, "expected an address like https://"),
        (&["overwiev"], 64, "possible values: overview"),
        (&["--output", "/dev/null/x"], 1, "--output: cannot make the folder /dev/null/x"),
    ] {
        let output = run(args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn what_a_user_adds_to_selectors_is_in_every_one() {
    for made in dashboards::all(&Options::default()) {
        let printed = run(&[made.name(), "--selector", "{cluster=\"eu\"}"]);
        let json = serde_json::from_slice(&printed.stdout).unwrap();
        let dashboard = Dashboard { name: made.name().to_owned(), json };
        for query in [dashboard.queries(), dashboard.variable_queries()].concat() {
            for one in promql::selectors(&query.expr) {
                let added = one.matchers.iter().any(|matcher| matcher == "cluster=\"eu\"");
                assert!(added, "{} {}: {one:?}", dashboard.name, query.of);
            }
        }
    }
}

fn files(folder: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
