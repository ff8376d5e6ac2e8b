//! Good and bad configurations.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use brownout::domain::bounds::Thresholds;
use brownout::domain::outcome::Signal;
use brownout::domain::target::{Model, Provider, Target};
use brownout::ground::catalog::{Auth, Dialect, PROVIDERS, Price};
use brownout::ground::config::{
    Adaptive, BudgetConfig, Config, CronExpression, Schedule, WhenClientsReport,
};
use brownout::ground::names::Names;
use brownout::ground::secret::SecretSource;
use brownout::intake::probe::ProbeSpec;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Paths in `tests/it/config/KIND` with this extension, in order.
fn files(kind: &str, extension: &str) -> BTreeSet<PathBuf> {
    let directory = root().join("tests/it/config").join(kind);
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn good(name: &str) -> Config {
    let path = root().join("tests/it/config/good").join(name);
    Config::load(&path).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn each_rule_has_a_bad_file_and_its_exact_message() {
    let bad = files("bad", "yaml");
    assert!(bad.len() > 60, "{}", bad.len());
    for path in &bad {
        let text = fs::read_to_string(path).unwrap();
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
        let problems = Config::parse(&text, "brownout.yaml").unwrap_err().to_string();
        assert_eq!(problems.trim_end(), expected.trim_end(), "{}", path.display());
        assert!(!problems.contains("hunter2"), "{} tells a secret", path.display());
    }
    let expected: BTreeSet<PathBuf> = bad.iter().map(|path| path.with_extension("txt")).collect();
    assert_eq!(files("bad", "txt"), expected);
}

#[test]
fn each_good_file_is_good() {
    for path in files("good", "yaml") {
        if let Err(problems) = Config::load(&path) {
            panic!("{problems}");
        }
    }
    assert_eq!(good("empty.yaml"), Config::default());
    assert_eq!(good("comments_only.yaml"), Config::default());
}

#[test]
fn faster_probes_are_on_unless_switched_off() {
    for (yaml, expected) in [
        ("probes: {}", Some(Adaptive::default())),
        ("probes: {adaptive: }", Some(Adaptive::default())),
        ("probes: {adaptive: on}", Some(Adaptive::default())),
        ("probes: {adaptive: true}", Some(Adaptive::default())),
        ("probes: {adaptive: off}", None),
        ("probes: {adaptive: false}", None),
        (
            "probes: {adaptive: {per_hour: 0}}",
            Some(Adaptive { per_hour: 0, ..Adaptive::default() }),
        ),
    ] {
        let config = Config::parse(yaml, "brownout.yaml").unwrap();
        assert_eq!(config.probes.adaptive, expected, "{yaml}");
    }
}

#[test]
fn the_example_file_is_good_and_probes_nothing_without_being_asked() {
    let config = Config::load(&root().join("brownout.example.yaml")).unwrap();
    assert!(config.targets().next().is_some());
    assert!(config.probes.budget.usd_per_day.is_some(), "an example must not cost without bound");
    assert_eq!(Config::default().probe_targets(), Vec::<Target>::new());
    assert!(good("empty_sections.yaml").probes.schedule.is_some());
}

#[test]
fn the_example_of_the_design_means_what_it_says() {
    let config = good("design.yaml");
    assert_eq!(config.thresholds, Thresholds::default());
    let anthropic = &config.providers[&Provider::new("anthropic").unwrap()];
    assert_eq!(anthropic.base_url, "https://api.anthropic.com");
    assert_eq!(anthropic.dialect, Dialect::Anthropic);
    assert_eq!(anthropic.api_key, Some(SecretSource::Env("ANTHROPIC_API_KEY".to_owned())));
    let opus = Model::new("claude-opus-4-7").unwrap();
    let price = Price { input_usd_per_mtok: 5.0, output_usd_per_mtok: 25.0 };
    assert_eq!(anthropic.prices[&opus], price);
    assert_eq!(anthropic.aliases["my-deployment"], opus);
    assert_eq!(config.probes.schedule, Some(Schedule::Every(Duration::from_secs(60))));
    assert_eq!(config.probes.budget, BudgetConfig::of(Some(0.5)));
    assert_eq!(config.probe_targets().len(), 3);
    assert_eq!(config.chains["opus"].len(), 7);
    assert_eq!(config.chains["opus"][6].to_string(), "tokenmix/claude-opus-4-7");
    assert_eq!(config.ingest.max_body, 8 << 20);
    assert_eq!(config.ingest.tokens[0].name, "team-a");
    let notices = config.notices.join("\n");
    assert!(notices.contains("fleet is not acted on"), "{notices}");
    assert!(notices.contains("chains are checked, and not acted on"), "{notices}");
}

#[test]
fn every_key_reaches_the_configuration() {
    let config = good("everything.yaml");
    for (signal, healthy, overloaded) in [
        (Signal::Overload, 0.003, 0.015),
        (Signal::Outage, 0.02, 0.2),
        (Signal::RateLimit, 0.01, 0.04),
    ] {
        let bounds = config.thresholds.of(signal);
        assert!((bounds.healthy() - healthy).abs() < 1e-12, "{signal:?}");
        assert!((bounds.overloaded() - overloaded).abs() < 1e-12, "{signal:?}");
    }
    let provider = |name| &config.providers[&Provider::new(name).unwrap()];
    let opus = Model::new("claude-opus-4-7").unwrap();
    let anthropic = provider("anthropic");
    assert_eq!(anthropic.wire_names[&opus], "Claude-Opus-4-7", "the wire gets what was written");
    assert!((anthropic.prices[&opus].output_usd_per_mtok - 20.5).abs() < 1e-12);
    let body = serde_json::json!(
        {"service_tier": "auto", "metadata": {"user_id": "1"}, "thinking": null}
    );
    assert_eq!(serde_json::Value::Object(anthropic.request.body.clone()), body);
    assert_eq!(provider("bedrock").regions, ["us-east-1", "eu-west-1"]);
    assert_eq!(provider("bedrock").base_url, "");
    let corp = provider("corp");
    assert_eq!((corp.base_url.as_str(), corp.keyless), ("http://gpu-7.corp.example:8000/v1", true));
    assert_eq!(anthropic.status_page.as_deref(), Some("https://status.claude.com"));
    assert_eq!(corp.status_page.as_deref(), Some("https://status.corp.example"));
    assert_eq!(provider("bedrock").status_page, None, "none is read unasked");
    assert_eq!(config.status_pages.every, Duration::from_secs(120));
    let azure = provider("azure");
    assert_eq!(azure.request.api_version.as_deref(), Some("2025-04-01-preview"));
    assert_eq!((azure.auth(), anthropic.auth()), (Auth::Bearer, Auth::XApiKey));
    assert_eq!(azure.wire_names[&Model::new("gpt-5.5").unwrap()], "prod-chat");
    assert_eq!(azure.request.headers["x-team"], "search", "names of headers have no case");
    assert_eq!(azure.request.body["user"], "probe");
    assert_eq!(azure.request.model_body[&Model::new("gpt-4o").unwrap()]["max_tokens"], 4);
    let haiku_99 = anthropic.price(&Model::new("claude-haiku-99").unwrap()).unwrap();
    assert!((haiku_99.output_usd_per_mtok - 150.0).abs() < 1e-12, "the price of all others");
    let cron = CronExpression::parse("*/5 8-20 * * Mon-Fri").unwrap();
    assert_eq!(config.probes.schedule, Some(Schedule::Cron(cron)));
    assert_eq!(config.probes.when_clients_report, WhenClientsReport::Always);
    let adaptive = Adaptive { every: Duration::from_secs(10), per_hour: 60 };
    assert_eq!(config.probes.adaptive, Some(adaptive));
    let budgets = &config.probes.budget.per_provider;
    let budgets: Vec<_> = budgets.iter().map(|(name, usd)| (name.as_str(), *usd)).collect();
    assert_eq!(budgets, [("anthropic", 0.25), ("bedrock", 0.1)]);
    assert_eq!(config.probes.ttft_timeout, Duration::from_secs(15), "never longer than timeout");
    let probed: Vec<String> = config.probe_targets().iter().map(Target::to_string).collect();
    let expected = ["anthropic/claude-opus-4-7", "anthropic/claude-haiku-4-5", "corp/gpt-oss-20b"];
    assert_eq!(probed, expected, "bedrock has no key");
    let chain: Vec<String> = config.chains["opus"].iter().map(Target::to_string).collect();
    let expected = ["anthropic/claude-opus-4-7", "bedrock/claude-opus-4-7", "corp/gpt-oss-20b"];
    assert_eq!(chain, expected);
    assert_eq!((config.ingest.max_decoded, config.ingest.max_targets), (16 << 20, 50));
    assert!(Config::default().metrics.hour_of_day && !config.metrics.hour_of_day);
    assert_eq!(config.notices, ["chains are checked, and not acted on in this version"]);
}

#[test]
fn a_new_compatible_provider_takes_four_lines_and_no_code() {
    let config = good("four_lines.yaml");
    let target = Target::parse("acme/acme-large").unwrap();
    let acme = &config.providers[&target.provider];
    assert_eq!(acme.dialect, Dialect::OpenAiChat);
    let spec = ProbeSpec::new(target, acme, &config.probes, None).unwrap();
    assert_eq!(spec.url, "https://llm.acme.example/v1/chat/completions");
    assert_eq!((spec.wire_model.as_str(), spec.auth), ("acme-large", Auth::Bearer));
}

#[test]
fn secrets_are_found_beside_the_file_and_missing_ones_are_told_when_asked() {
    let config = good("everything.yaml");
    let key = config.providers[&Provider::new("anthropic").unwrap()].api_key.as_ref().unwrap();
    assert_eq!(key.read().unwrap().expose(), "not-a-real-key");

    let text = "providers:\n  anthropic: {api_key: {env: BROWNOUT_TEST_NEVER_SET}}\n\
                ingest: {tokens: [{name: team-a, file: no/such/file}]}\n";
    let problems = Config::parse(text, "").unwrap().check_secrets();
    assert_eq!(
        problems.to_string(),
        "providers.anthropic.api_key: environment variable BROWNOUT_TEST_NEVER_SET is not set, \
         export it or name another source\n\
         ingest.tokens.team-a: secret file no/such/file cannot be read, check path and \
         permissions: No such file or directory (os error 2)"
    );
    assert!(Config::default().check_secrets().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_like_any_other() {
    let problems = Config::load(Path::new("no/such/brownout.yaml")).unwrap_err();
    let expected = "no/such/brownout.yaml: cannot be read (No such file or directory (os error \
                    2)), check the path";
    assert_eq!(problems.to_string(), expected);
    let huge = format!("# {}", "x".repeat(2 << 20));
    let problems = Config::parse(&huge, "brownout.yaml").unwrap_err();
    assert_eq!(problems.to_string(), "brownout.yaml: is larger than 1 MiB, which nothing needs");
}

#[test]
fn a_probe_can_be_asked_for_without_a_file() {
    let mut config = Config::default();
    config.add_probe(Target::parse("claude/claude-opus-4-7").unwrap()).unwrap();
    assert_eq!(config.probe_targets()[0].to_string(), "anthropic/claude-opus-4-7");
    assert_eq!(config.probes.schedule, Some(Schedule::Every(Duration::from_secs(60))));
    let anthropic = &config.providers[&Provider::new("anthropic").unwrap()];
    assert_eq!(anthropic.api_key, Some(SecretSource::Env("ANTHROPIC_API_KEY".to_owned())));

    for (target, expected) in [
        ("antropic/x", "--probe: unknown provider \"antropic\", did you mean \"anthropic\"?"),
        ("mycorp/x", "--probe: unknown provider \"mycorp\", configure it under providers"),
        (
            "azure/x",
            "--probe: where \"azure\" lives is not known, configure providers.azure.base_url, \
             such as https://RESOURCE.openai.azure.com/openai/v1",
        ),
    ] {
        let before = config.clone();
        let problems = config.add_probe(Target::parse(target).unwrap()).unwrap_err();
        assert_eq!(problems.to_string(), expected);
        assert_eq!(config, before, "a refused probe leaves no trace");
    }
}

#[test]
fn a_probe_that_is_asked_for_is_the_only_one() {
    let mut config = good("everything.yaml");
    config.add_probe(Target::parse("anthropic/fast").unwrap()).unwrap();
    let probed: Vec<String> = config.probe_targets().iter().map(Target::to_string).collect();
    assert_eq!(probed, ["anthropic/claude-haiku-4-5"]);
    assert!(matches!(config.probes.schedule, Some(Schedule::Cron(_))), "the file's schedule stays");
}

#[test]
fn names_follow_the_configuration() {
    let names = Names::new(&good("everything.yaml"));
    for (provider, host, model, expected) in [
        (Some("anthropic"), None, "My-Deployment", "anthropic/claude-opus-4-7"),
        (Some("openai"), Some("gpu-7.corp.example:8000"), "gpt-oss-20b", "corp/gpt-oss-20b"),
        (None, Some("a.gpu.corp.example"), "gpt-oss-20b", "corp/gpt-oss-20b"),
        (Some("CORP"), None, "gpt-oss-20b", "corp/gpt-oss-20b"),
        (
            Some("openai"),
            Some("bedrock-runtime.eu-west-1.amazonaws.com"),
            "eu.anthropic.claude-opus-4-7-v1:0",
            "bedrock/claude-opus-4-7",
        ),
    ] {
        let target = names.resolve(provider, host, model).unwrap();
        assert_eq!(target.to_string(), expected);
    }
    let bedrock = Provider::new("bedrock").unwrap();
    assert_eq!(names.region(&bedrock, "US-East-1"), Some("us-east-1"));
    assert_eq!(names.region(&bedrock, "mars-1"), None);
    let anthropic = Provider::new("anthropic").unwrap();
    assert_eq!(names.account(&anthropic, "team-a"), Some("team-a"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]{}&*a-c:, \n\"'|>~%0-9é!-]{0,200}") {
        let _ = Config::parse(&text, "");
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_reader_panic(
        at in 0..2_000_usize,
        length in 0..40_usize,
        text in "[\\[\\]{}&*:, \n\"'~%0-9é-]{0,4}",
    ) {
        let path = root().join("tests/it/config/good/everything.yaml");
        let mut chars: Vec<char> = fs::read_to_string(path).unwrap().chars().collect();
        let start = at.min(chars.len());
        let end = (start + length).min(chars.len());
        chars.splice(start..end, text.chars());
        let _ = Config::parse(&chars.into_iter().collect::<String>(), "");
    }
}

#[test]
fn the_documents_name_every_built_in_provider() {
    let text = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let names: Vec<&str> = PROVIDERS.iter().map(|known| known.name).collect();
    assert!(text.contains(&format!("{}.", names.join(", "))), "{names:?}");
}

#[test]
fn every_configuration_shown_in_the_documents_is_good() {
    let mut documents = vec![root().join("README.md")];
    documents.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let is_document = |path: &PathBuf| {
        path.is_file() && path.extension().is_some_and(|extension| extension == "md")
    };
    let mut shown = 0;
    for path in documents.into_iter().filter(is_document) {
        let text = fs::read_to_string(&path).unwrap();
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            if !block.starts_with("# brownout.yaml") {
                continue;
            }
            shown += 1;
            if let Err(problems) = Config::parse(block, &path.display().to_string()) {
                panic!("{problems}\nin\n{block}");
            }
        }
    }
    assert!(shown > 0, "no document shows a configuration");
}

#[test]
fn there_is_a_budget_unless_it_is_lifted_by_name() {
    for (probes, usd_per_day, is_noted) in [
        ("", Some(1.0), false),
        ("probes: {}", Some(1.0), false),
        ("probes: {every: 5m}", Some(1.0), false),
        ("probes: {budget: {usd_per_day: 0.25}}", Some(0.25), false),
        ("probes: {budget: none}", None, true),
    ] {
        let config = Config::parse(probes, "brownout.yaml").unwrap();
        assert_eq!(config.probes.budget, BudgetConfig::of(usd_per_day), "{probes}");
        let notices = config.notices.join("\n");
        assert_eq!(notices.contains("nothing bounds what probes cost"), is_noted, "{notices}");
    }
    let mut config = Config::default();
    config.add_probe(Target::parse("anthropic/claude-haiku-4-5").unwrap()).unwrap();
    assert_eq!(config.probes.budget.usd_per_day, Some(1.0), "--probe has the same");
}
