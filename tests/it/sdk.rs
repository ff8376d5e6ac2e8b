//! The official Python SDKs, pointed at the simulator through a small reporter: what the daemon
//! then says must be what the simulator's own ledger says.

use std::collections::BTreeMap;

use brownout::domain::outcome::Class;
use brownout::domain::target::Target;
use brownout::simulator::{Fleet, Plan, Scenario, Weather, serve};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::daemon;

/// Calls of each of the four kinds.
const CALLS: u64 = 50;

/// Exits with 0 where all are installed; importing them takes seconds.
const FIND_SDKS: &str = "import importlib.util as importlib
names = ['anthropic', 'openai', 'boto3', 'google.genai', 'opentelemetry.exporter.otlp.proto.grpc']
exit(not all(map(importlib.find_spec, names)))";

/// The Python that has the SDKs.
pub(crate) fn python() -> String {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.venv/bin/python");
    let python = std::env::var("BROWNOUT_TEST_PYTHON").unwrap_or_else(|_| own.to_owned());
    let mut import = std::process::Command::new(&python);
    let works = import
        .args(["-c", FIND_SDKS])
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(
        works,
        "{python} lacks an SDK of tests/requirements.txt: run tests/run, which installs them"
    );
    python
}

/// A fleet with some of every trouble, none of it slow.
fn troubled() -> Fleet {
    let settings = [
        ("latency_ms", 1.0),
        ("ttft_ms", 1.0),
        ("retry_after_ms", 1.0),
        ("overloaded", 0.10),
        ("stream_overloaded", 0.06),
        ("rate_limited", 0.08),
        ("unavailable", 0.05),
        ("server_error", 0.05),
        ("reset", 0.04),
    ];
    let weather = Weather::default().changed(&settings).unwrap();
    let plans = ["anthropic/m", "openai/m"]
        .map(|name| (Target::parse(name).unwrap(), Plan::constant(weather.clone(), 0.0)))
        .into();
    Fleet::new(Scenario { exact: true, plans }, Some(7))
}

#[tokio::test]
async fn what_the_sdks_saw_is_what_the_simulator_sent() {
    let fleet = troubled();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = format!("http://{}", listener.local_addr().unwrap());
    let daemon = daemon::start("").await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/reporter.py");
    let run = Command::new(python())
        .args([script, &simulator, &daemon.url(), &CALLS.to_string()])
        .output();
    let output = tokio::select! {
        served = serve(fleet.clone(), listener, CancellationToken::new()) => {
            panic!("the simulator ended: {served:?}")
        }
        output = run => output.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let receipt: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(receipt["rejected"], serde_json::json!([]));

    let mut sent: BTreeMap<String, BTreeMap<Class, u64>> = BTreeMap::new();
    for row in fleet.ledger() {
        let target = format!("{}/{}", row.provider, row.model);
        *sent.entry(target).or_default().entry(row.class).or_default() += row.count;
    }
    assert_eq!(sent.len(), 2);
    for (target, by_class) in sent {
        let total: u64 = by_class.values().sum();
        assert!(total > 2 * CALLS, "{target}: the SDKs retried, {by_class:?}");
        let health = daemon
            .target_when(&target, "every attempt", |health| {
                health["windows"]["24h"]["attempts"] == total
            })
            .await;
        // A day, for the SDKs may take longer than five minutes on a slow machine.
        let window = &health["windows"]["24h"];
        for class in [Class::Ok, Class::Overloaded, Class::RateLimited, Class::Unavailable] {
            let sent = by_class.get(&class).copied().unwrap_or(0);
            assert!(sent > 0, "{target}: the weather has {class}");
            assert_eq!(window[class.as_str()], sent, "{target}: {class}");
        }
    }
}
