//! The official SDKs and the command line.

use std::process::Command;

use super::{beside, fleet};
use crate::sdk::python;
use crate::temp::TempFile;

/// Runs a script with the SDKs against a fresh fleet; it compares its ledger itself.
async fn agrees(script: &str) {
    let path = format!("{}/tests/sdk/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = beside(&fleet(&[]), async |base| {
        tokio::process::Command::new(python())
            .args([path, base])
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

#[tokio::test]
async fn the_official_sdks_work_against_it_and_count_what_the_ledger_counts() {
    agrees("simulator_sdk.py").await;
}

#[tokio::test]
async fn so_do_the_sdks_of_the_other_formats() {
    agrees("simulator_dialects.py").await;
}

#[test]
fn a_bad_scenario_lists_every_problem_and_exits_64() {
    let bad = "exact: 1\nproviders:\n  openai:\n    m: {slow: 2, sunny: 1}\n";
    let file = TempFile::new("bad-scenario.yaml", bad);
    let output = Command::new(env!("CARGO_BIN_EXE_brownout"))
        .args(["simulate", "--listen", "127.0.0.1:0", "--scenario"])
        .arg(file.path())
        .output()
        .unwrap();
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
