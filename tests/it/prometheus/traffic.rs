//! Simulated clients: what the simulated providers answer them is reported to the daemon.

use std::collections::BTreeMap;
use std::time::Duration;

use brownout::domain::outcome::Class;
use brownout::domain::target::Target;
use brownout::domain::time::millis_of;
use brownout::ground::clock::Clock;
use brownout::simulator::{Call, Fate, Fleet, Kind, Plan, Scenario, Weather};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::daemon::Running;

/// Who is asked, and what share of the requests goes wrong and how.
const WEATHER: [(&str, Option<(Kind, f64)>); 4] = [
    ("anthropic/claude-opus-4-7", Some((Kind::Overloaded, 0.2))),
    ("anthropic/claude-haiku-4-5", None),
    ("openai/gpt-5.5", Some((Kind::RateLimited, 0.15))),
    ("deepseek/deepseek-v4-pro", Some((Kind::Unavailable, 0.6))),
];

/// The target that only the daemon's probes ask.
const PROBED: &str = "moonshot/kimi-k2-6";

/// Requests to each target in a round.
const ROUND: usize = 20;

/// Between two rounds: several within each scrape interval, so that rates are smooth.
const PAUSE: Duration = Duration::from_millis(200);

/// The simulated providers.
pub(super) fn fleet() -> Fleet {
    let quick = [("latency_ms", 40.0), ("ttft_ms", 15.0)];
    let weather = Weather::default().changed(&quick).unwrap();
    let mut plans: Vec<_> = WEATHER
        .iter()
        .map(|(target, trouble)| {
            let weather = match trouble {
                Some((kind, ratio)) => weather.clone().with(*kind, *ratio).unwrap(),
                None => weather.clone(),
            };
            (Target::parse(target).unwrap(), Plan::constant(weather, 0.0))
        })
        .collect();
    plans.push((Target::parse(PROBED).unwrap(), Plan::constant(weather, 0.0)));
    Fleet::new(Scenario { exact: true, plans: plans.into_iter().collect() }, Some(1))
}

/// The daemon's configuration: every provider is the simulator, and one is probed.
pub(super) fn config(simulator: &str) -> String {
    // With a budget of its own for the one that is probed, so that nothing is left unexported.
    let (probed, _) = PROBED.split_once('/').unwrap();
    let budget = format!("budget: {{usd_per_day: 2, per_provider: {{{probed}: 1}}}}");
    let mut yaml = format!(
        "probes: {{every: 1s, jitter: 0%, when_clients_report: always, {budget}}}\nproviders:\n"
    );
    let mut models: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for target in WEATHER.iter().map(|(target, _)| *target).chain([PROBED]) {
        let (provider, model) = target.split_once('/').unwrap();
        models.entry(provider).or_default().push(model);
    }
    for (provider, models) in models {
        let path = if provider == "anthropic" { "" } else { "/v1" };
        let models = models.join(", ");
        yaml.push_str(&format!("  {provider}:\n    base_url: {simulator}/{provider}{path}\n"));
        yaml.push_str(&format!("    models: [{models}]\n"));
        if PROBED.starts_with(provider) {
            yaml.push_str("    api_key: {command: [echo, simulated]}\n");
        }
    }
    yaml
}

/// What a client reports of an attempt.
pub(super) fn record(target: &Target, fate: &Fate) -> Value {
    json!({
        "provider": target.provider.as_str(),
        "model": target.model.as_str(),
        "status": fate.code,
        "body": fate.error_body(target),
        "ms": millis_of(fate.duration),
        "ttft_ms": fate.time_to_first_token.map(millis_of),
    })
}

/// What the simulator sent, by target and class.
pub(super) type Sent = BTreeMap<(Target, Class), u64>;

/// Asks and reports until told to stop. Gives what the simulator sent; all of it was accepted.
pub(super) async fn run(fleet: &Fleet, daemon: &Running, stop: &CancellationToken) -> Sent {
    let mut sent = Sent::new();
    while !stop.is_cancelled() {
        let mut records = Vec::new();
        for (target, _) in WEATHER {
            let target = Target::parse(target).unwrap();
            for _ in 0..ROUND {
                let fate = fleet.fate(&target, Call::default(), Clock::System.now()).unwrap();
                *sent.entry((target.clone(), fate.class)).or_default() += 1;
                records.push(record(&target, &fate));
            }
        }
        let count = records.len();
        let answer = daemon.report(Value::Array(records).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["accepted"], count, "{}", answer.body);
        // Not a wait for something: the pace of the clients.
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    sent
}
