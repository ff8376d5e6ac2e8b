//! The official SDKs and the command line.

use std::process::{Command, Stdio};

use super::{beside, fleet};

/// The Python that `tests/run` prepares.
fn python() -> String {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.venv/bin/python");
    let python = std::env::var("BROWNOUT_TEST_PYTHON").unwrap_or_else(|_| own.to_owned());
    let works = Command::new(&python)
        .args(["-c", "import anthropic, openai"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(works, "{python} has no anthropic and openai: run tests/run, which installs them");
    python
}

#[tokio::test]
async fn the_official_sdks_work_against_it_and_count_what_the_ledger_counts() {
    let python = python();
    let fleet = fleet(&[]);
    let output = beside(&fleet, async |base| {
        tokio::process::Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/simulator_sdk.py"))
            .arg(base)
            .env("no_proxy", "127.0.0.1")
            .kill_on_drop(true)
            .output()
            .await
            .unwrap()
    })
    .await;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.starts_with("ok "), "{out}\n{err}");
}

#[test]
fn a_bad_scenario_lists_every_problem_and_exits_64() {
    let path = std::env::temp_dir().join(format!("brownout-bad-{}.yaml", std::process::id()));
    std::fs::write(&path, "exact: 1\nproviders:\n  openai:\n    m: {slow: 2, sunny: 1}\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_brownout"))
        .args(["simulate", "--listen", "127.0.0.1:0", "--scenario"])
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{err}");
    let lines: Vec<_> = err.lines().collect();
    assert_eq!(lines.len(), 3, "{err}");
    for (line, text) in lines.iter().zip([
        "line 1: exact: expected true or false",
        "line 4: providers.openai.m.slow: slow is 2, expected a ratio from 0 to 1",
        "line 4: providers.openai.m.sunny: unknown key, expected one of ",
    ]) {
        assert!(line.contains(text), "{line}");
    }
}
