//! What people deploy: the image, and the examples for compose, Kubernetes and systemd.
//!
//! None of them can be run here, so each is held to the validator of its trade, to what the
//! program itself says of its configuration, and to the others: names, ports and paths that must
//! agree. Every validator is shown faults as well, or it might be asleep.

mod compose;
mod image;
mod kubernetes;
mod systemd;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::temp::TempFile;

const BROWNOUT: &str = env!("CARGO_BIN_EXE_brownout");

/// A path of the repository.
fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// A file of the repository as text.
fn read(relative: &str) -> String {
    std::fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

fn parse(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// A YAML file of the repository.
fn yaml(relative: &str) -> Value {
    parse(&read(relative))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}

/// Names of the files in a folder of the repository, in order.
fn files(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(path(folder)).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether a command was content, and what it said.
fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; see tests/run"));
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    (status.success(), said)
}

/// Runs a command that must be content.
fn content(command: &mut Command) -> String {
    let (good, said) = run(command);
    assert!(good, "{command:?}: {said}");
    said
}

/// The Python of the tests.
fn python() -> Command {
    Command::new(crate::sdk::python())
}

/// What `--config.check` says of a configuration that must be good.
fn checked(config: &str, environment: &[(&str, &str)]) -> String {
    let file = TempFile::new("brownout.yaml", config);
    let mut command = Command::new(BROWNOUT);
    command.args(["--config.file", file.path(), "--config.check"]);
    content(command.envs(environment.iter().copied()))
}

/// The job that alerts look for.
fn job() -> String {
    let alerts = read("alerts/brownout.alerts.yml");
    let (_, rest) = alerts.split_once("{job=\"").expect("an alert that names its job");
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn every_file_that_the_page_names_exists() {
    let page = read("docs/deployment.md");
    let ends_word = |c: char| c.is_whitespace() || "`()".contains(c);
    let ours = |word: &&str| {
        ["examples/", "alerts/", "dashboards/", "tests/"].iter().any(|top| word.starts_with(top))
    };
    let named: Vec<_> = page.split(ends_word).filter(ours).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(path(name).exists(), "{name}");
    }
}
