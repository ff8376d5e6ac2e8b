//! Questions on paused time, of a provider that nobody listens for: quick and free of charge.

use super::super::Budget;
use super::*;
use crate::domain::outcome::Class;
use crate::ground::clock::Clock;
use crate::ground::config::BudgetConfig;
use crate::intake::probe::client;

const YAML: &str = "
providers:
  local:
    dialect: openai
    base_url: http://127.0.0.1:1/v1
    api_key: {env: PATH}
    models: [a, b]
  keyless:
    dialect: openai
    base_url: http://127.0.0.1:1/v1
    models: [a]
  broken:
    dialect: openai
    base_url: http://127.0.0.1:1/v1
    api_key: {env: BROWNOUT_TEST_NO_SUCH_VARIABLE}
    models: [a]
";

fn target(name: &str) -> Target {
    Target::parse(name).unwrap()
}

/// A counter that answers until its token is cancelled.
fn open(usd_per_day: Option<f64>) -> (OnDemand, CancellationToken, impl Future<Output = ()>) {
    open_with(YAML, usd_per_day, Vec::new())
}

/// The same of any configuration, with the probes of its schedule.
fn open_with(
    yaml: &str,
    usd_per_day: Option<f64>,
    specs: Vec<ProbeSpec>,
) -> (OnDemand, CancellationToken, impl Future<Output = ()>) {
    let config = Arc::new(Config::parse(yaml, "brownout.yaml").unwrap());
    let clock = Clock::manual(Timestamp::from_secs(1_777_000_000));
    let budget = Arc::new(Budget::new(BudgetConfig::of(usd_per_day)));
    let deps = Deps::new(client().unwrap(), clock, budget, Arc::new(|_| {}));
    let (on_demand, token) = (OnDemand::default(), CancellationToken::new());
    let running = on_demand.clone().run(config, specs, deps, token.clone());
    (on_demand, token, running)
}

async fn class(on_demand: &OnDemand, name: &str) -> Result<Class, Unanswered> {
    on_demand.ask(&target(name), None).await.map(|found| match found {
        Found::Answered(answered) => answered.report.class,
        Found::Unfinished(after) => panic!("unfinished after {after:?}"),
    })
}

#[tokio::test(start_paused = true)]
async fn a_target_is_left_alone_for_a_while_and_the_others_are_not() {
    let (on_demand, token, running) = open(None);
    let asking = async {
        tokio::task::yield_now().await;
        assert_eq!(class(&on_demand, "local/a").await, Ok(Class::Network));
        let again = class(&on_demand, "local/a").await;
        assert!(
            matches!(again, Err(Unanswered::TooSoon(left)) if left <= ASKED_APART),
            "{again:?}"
        );
        assert_eq!(class(&on_demand, "local/b").await, Ok(Class::Network));
        tokio::time::advance(ASKED_APART).await;
        assert_eq!(class(&on_demand, "local/a").await, Ok(Class::Network));
        assert_eq!(on_demand.lock().asked.len(), 1, "what is over is forgotten");
        token.cancel();
    };
    tokio::join!(running, asking);
}

#[test]
fn who_lacks_money_hears_when_to_ask_again() {
    let now = Timestamp::parse("2026-04-24T03:06:40Z").unwrap();
    for (shortage, seconds) in [
        (Shortage::SetAside, Some(5)),
        (Shortage::Spent, Some(75_200)),
        (Shortage::NeverFits, None),
    ] {
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(wait_for_money(shortage, now), expected, "{shortage:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn why_there_is_no_answer_is_told() {
    let closed = OnDemand::default();
    assert_eq!(class(&closed, "local/a").await, Err(Unanswered::GivenUp));
    let (on_demand, token, running) = open(Some(0.0));
    let asking = async {
        tokio::task::yield_now().await;
        for (name, expected) in [
            ("nobody/a", Unanswered::Unknown),
            ("local/c", Unanswered::Unknown),
            ("keyless/a", Unanswered::NoKey),
            ("local/a", Unanswered::Budget(Shortage::NeverFits, None)),
        ] {
            assert_eq!(class(&on_demand, name).await, Err(expected), "{name}");
        }
        let refused = class(&on_demand, "broken/a").await.unwrap_err().to_string();
        assert!(refused.contains("BROWNOUT_TEST_NO_SUCH_VARIABLE"), "{refused}");
        token.cancel();
    };
    tokio::join!(running, asking);
    assert_eq!(class(&on_demand, "local/b").await, Err(Unanswered::GivenUp));
}

#[tokio::test]
async fn a_provider_reads_its_key_once_whoever_asks() {
    let runs = std::env::temp_dir().join(format!("brownout-asked-{}", std::process::id()));
    let yaml = format!(
        "
providers:
  local:
    dialect: openai
    base_url: http://127.0.0.1:1/v1
    api_key: {{command: [sh, -c, 'echo run >> {}; echo key']}}
    models: [a, b, c]
",
        runs.display()
    );
    let count = || std::fs::read_to_string(&runs).unwrap_or_default().lines().count();
    let config = Config::parse(&yaml, "brownout.yaml").unwrap();
    let planned = vec![super::super::spec(&config, &target("local/a")).unwrap()];
    assert_eq!(count(), 1);
    // Who has no probe of the schedule to take it from reads it once more, for all.
    for (specs, expected) in [(planned, 1), (Vec::new(), 2)] {
        let (on_demand, token, running) = open_with(&yaml, None, specs);
        let asking = async {
            tokio::task::yield_now().await;
            let (b, c) = tokio::join!(class(&on_demand, "local/b"), class(&on_demand, "local/c"));
            assert_eq!((b, c), (Ok(Class::Network), Ok(Class::Network)));
            token.cancel();
        };
        tokio::join!(running, asking);
        assert_eq!(count(), expected);
    }
    std::fs::remove_file(&runs).unwrap();
}
