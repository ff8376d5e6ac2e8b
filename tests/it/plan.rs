//! `brownout plan` as users start it.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::golden;
use crate::temp::TempFile;

/// Everything a plan can say. The command would fail, and no variable is set.
const CONFIG: &str = "
providers:
  anthropic: {api_key: {env: BROWNOUT_TEST_NEVER_SET}, models: [claude-opus-4-7, claude-haiku-4-5]}
  openai: {api_key: {command: [/no/such/program]}, models: [gpt-5.5, gpt-5-nano]}
  groq: {models: [gpt-oss-20b]}
  corp: {dialect: openai, base_url: \"https://llm.example/v1\", api_key: {file: no}, models: [m]}
  vllm: {base_url: \"http://127.0.0.1:8000/v1\", api_key: none, models: [qwen3-8b]}
probes: {budget: {usd_per_day: 0.50, per_provider: {openai: 0.10}}}
";

fn plan(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_brownout");
    Command::new(program).arg("plan").args(args).env_remove("OPENAI_API_KEY").output().unwrap()
}

fn text(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&text(&plan(&[args, &["--json"]].concat()))).unwrap()
}

#[test]
fn the_plan_is_as_committed_and_its_table_fits_a_terminal() {
    let file = TempFile::new("plan.yaml", CONFIG);
    let text = text(&plan(&["--config.file", file.path()]));
    golden::check("tests/it/plan/plan.txt", &text);
    let table = text.lines().skip(2).take_while(|line| !line.is_empty());
    for line in table {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn the_json_has_the_documented_fields() {
    let file = TempFile::new("plan.yaml", CONFIG);
    let plan = json(&["--config.file", file.path()]);
    golden::check("tests/it/plan/plan.json", &format!("{plan:#}\n"));
    let documentation = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/probes.md"),
    );
    let documentation = documentation.unwrap();
    let objects = [&plan, &plan["targets"][0], &plan["providers"][0], &plan["total"]];
    for key in objects.iter().flat_map(|object| object.as_object().unwrap().keys()) {
        assert!(documentation.contains(&format!("`{key}`")), "{key} is not documented");
    }
}

#[test]
fn a_single_probe_is_reckoned_without_a_file_and_without_its_key() {
    for (target, usd_per_month) in
        [("anthropic/claude-opus-4-7", 3.24), ("openai/gpt-5.5", 22.896), ("mistral/x", 20.736)]
    {
        let plan = json(&["--probe", target]);
        assert_eq!(plan["total"]["usd_per_month"], json!(usd_per_month), "{target}");
        let is_warned = plan["warnings"].to_string().contains("a month: probe a cheaper model");
        assert_eq!(is_warned, usd_per_month > 10.0, "{plan}");
    }
}

#[test]
fn schedules_and_lifted_budgets_are_understood() {
    let model = "providers: {openai: {api_key: {env: NO}, models: [gpt-5.5]}}";
    for (probes, expected) in [
        ("", "nothing is probed"),
        ("probes: {cron: \"*/5 8-20 * * Mon-Fri\"}", "by cron \"0 */5 8-20 * * Mon-Fri\" (UTC)"),
        ("probes: {every: 1s}", "the budget stops all probes after about 31 min each day"),
        ("probes: {cron: \"* * * * * *\"}", "the budget stops all probes after 2 % of a day's"),
        ("probes: {every: 1h, budget: none}", "budget: none; a day of trouble everywhere"),
        ("probes: {budget: {usd_per_day: 0.0001}}", "openai/gpt-5.5 is never probed"),
        ("probes: {when_clients_report: always}", "when_clients_report: skip would save them"),
    ] {
        let file = TempFile::new("plan.yaml", &format!("{model}\n{probes}\n"));
        let text = text(&plan(&["--config.file", file.path()]));
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}

#[test]
fn a_wrong_file_is_64_with_every_problem() {
    let file = TempFile::new("plan.yaml", "probes: {evry: 5m, budget: 1}\n");
    for path in [file.path(), "/no/such/file.yaml"] {
        let output = plan(&["--config.file", path]);
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{output:?}");
    }
}
