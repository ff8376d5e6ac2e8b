//! The clients that people run, installed as they install them, pointed at the simulator: what the
//! daemon's health document then says must be what happened, or short of it by exactly
//! what the client does not tell.
//!
//! What happened is known from two sides: attempts from the simulator's ledger, operations from
//! the program that made the calls (`tests/clients`). The table below is also the one in
//! `docs/clients.md`.

mod table;

use std::path::Path;
use std::process::Output;

use brownout::domain::outcome::{Attempt, Class};
use brownout::domain::target::Target;
use brownout::simulator::{Fleet, LedgerRow, Plan, Scenario, Weather, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::daemon::{self, Running, eventually};
use crate::sdk;
use table::{Attempts, CLIENTS, Client, Operations, Retries};

/// Calls that each program makes.
const CALLS: u64 = 400;

/// The classes that a window of the health document counts.
const CLASSES: [Class; 4] = [Class::Ok, Class::Overloaded, Class::RateLimited, Class::Unavailable];

/// What really happened.
struct Truth {
    /// Attempts, by the simulator.
    attempts: [u64; CLASSES.len()],
    /// Operations, by the caller.
    operations: [u64; CLASSES.len()],
    /// Overload after an HTTP 200, which no caller sees repeated.
    stream_failures: u64,
}

impl Truth {
    fn new(client: &Client, rows: &[LedgerRow], printed: &Value) -> Self {
        let sum = |good: &dyn Fn(&LedgerRow) -> bool| {
            rows.iter().filter(|row| good(row)).map(|row| row.count).sum::<u64>()
        };
        let truth = Self {
            attempts: CLASSES.map(|class| sum(&|row| row.class == class)),
            operations: CLASSES.map(|class| printed[class.as_str()].as_u64().unwrap_or(0)),
            stream_failures: sum(&|row| row.class == Class::Overloaded && row.code == Some(200)),
        };
        // Nothing else happened, and nothing is equal for want of trouble.
        assert_eq!(total(&truth.attempts), sum(&|_| true), "{rows:?}");
        assert_eq!(total(&truth.operations), CALLS, "{printed}");
        assert!(truth.attempts.iter().all(|count| *count > 0), "{rows:?}");
        assert!(truth.operations.iter().all(|count| *count > 0), "{printed}");
        assert!(truth.stream_failures > 0, "{rows:?}");
        assert!(truth.retries() > 0, "{rows:?}");
        if client.weather.is_bad {
            // Half of the calls have no retries, so not all that failed are of that half.
            let failed = CALLS - truth.operations[0] - truth.stream_failures;
            assert!(failed > CALLS / 2, "{printed}");
        }
        if client.numbers_retries {
            assert_eq!(sum(&|row| row.attempt == Attempt::First), CALLS, "{rows:?}");
        }
        truth
    }

    fn retries(&self) -> u64 {
        total(&self.attempts) - CALLS
    }

    /// What the health document must say of attempts.
    fn windows(&self, client: &Client) -> Value {
        let counts = match client.attempts {
            Attempts::Equal => self.attempts,
            Attempts::StreamFailuresAreOk => self.without_stream_failures(self.attempts, 1),
            Attempts::RetriedOverloadIsUnavailable => self.with_retried_overload_by_status(),
            Attempts::Nothing => [0; CLASSES.len()],
        };
        counted("attempts", counts)
    }

    /// What the health document must say of operations.
    fn operations(&self, client: &Client) -> Value {
        let counts = match client.operations {
            Operations::Equal => self.operations,
            Operations::StreamFailuresAreOk => self.without_stream_failures(self.operations, 1),
            Operations::StreamFailuresAreMissing => {
                self.without_stream_failures(self.operations, 0)
            }
            Operations::Nothing => return Value::Null,
        };
        let mut counted = counted("operations", counts);
        counted["attempts_unclassified"] = match client.retries {
            Retries::Told | Retries::Hidden => json!(0),
            Retries::Counted | Retries::ToldAndCounted => json!(self.retries()),
        };
        counted
    }

    /// Failures inside streams taken out, and counted as `ok` so many times.
    fn without_stream_failures(&self, mut counts: [u64; 4], as_ok: u64) -> [u64; 4] {
        counts[0] += as_ok * self.stream_failures;
        counts[1] -= self.stream_failures;
        counts
    }

    /// Attempts, with overload that no caller saw counted as unavailable.
    fn with_retried_overload_by_status(&self) -> [u64; 4] {
        let [ok, overloaded, rate_limited, unavailable] = self.attempts;
        let seen = self.operations[1];
        [ok, seen, rate_limited, unavailable + overloaded - seen]
    }
}

fn total(counts: &[u64]) -> u64 {
    counts.iter().sum()
}

/// Counts as a window of the health document has them.
fn counted(name: &str, counts: [u64; CLASSES.len()]) -> Value {
    let mut window = json!({name: total(&counts)});
    for (class, count) in CLASSES.into_iter().zip(counts) {
        window[class.as_str()] = json!(count);
    }
    window
}

/// What the health document says of the last 24 hours, as far as it is compared: a day, for a
/// program may take longer than five minutes on a slow machine.
fn said(health: &Value, target: &str) -> [Value; 3] {
    let targets = health["targets"].as_array().unwrap();
    let name = |it: &Value| format!("{}/{}", text(&it["provider"]), text(&it["model"]));
    let found = targets.iter().find(|it| name(it) == target);
    let found = found.unwrap_or_else(|| panic!("{target} is configured"));
    let [windows, operations] =
        ["windows", "operations"].map(|key| without(&found[key]["24h"], "overload_ratio"));
    let coverage = found["coverage"].as_array().unwrap();
    [windows, operations, coverage.iter().map(|it| without(it, "last_seen_at")).collect()]
}

fn without(value: &Value, key: &str) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove(key);
    }
    value
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn fleet(client: &Client) -> Fleet {
    let shares = client.weather;
    let weather = Weather::default()
        .changed(&[
            ("overloaded", shares.overloaded),
            ("unavailable", shares.unavailable),
            ("rate_limited", shares.rate_limited),
            ("stream_overloaded", shares.stream_overloaded),
            // No time is lost.
            ("latency_ms", 1.0),
            ("ttft_ms", 1.0),
            ("retry_after_ms", 1.0),
        ])
        .unwrap();
    let plan = Plan::constant(weather, 0.0);
    let plans = [(Target::parse(client.target).unwrap(), plan)].into();
    Fleet::new(Scenario { exact: true, plans }, Some(7))
}

/// Runs a program of `tests/clients` to its end.
async fn run(client: &Client, simulator: &str, daemon: &Running) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let interpreter = if client.program.ends_with(".py") {
        sdk::python()
    } else {
        let installed = folder.join("node_modules").is_dir();
        assert!(installed, "tests/clients has no node_modules: run tests/run, which installs them");
        "node".to_owned()
    };
    let mut command = Command::new(interpreter);
    command.arg(folder.join(client.program)).args([simulator, &daemon.url()]);
    // A test that is given up takes its program with it.
    command.kill_on_drop(true).output().await.unwrap()
}

async fn check(client: &Client) {
    let fleet = fleet(client);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = format!("http://{}", listener.local_addr().unwrap());
    let (provider, model) = client.target.split_once('/').unwrap();
    let known = format!("{{models: [{model}], hosts: [\"127.0.0.1\"]}}");
    let daemon = daemon::start(&format!("providers: {{{provider}: {known}}}\n")).await;
    let output = tokio::select! {
        served = serve(fleet.clone(), listener, CancellationToken::new()) => {
            panic!("the simulator ended: {served:?}")
        }
        output = run(client, &simulator, &daemon) => output,
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", client.program);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();

    let truth = Truth::new(client, &fleet.ledger(), &printed);
    let expected = [truth.windows(client), truth.operations(client), client.coverage()];
    // The program has ended, so everything was answered and the next document has it all.
    let before = daemon.json("/v1/health").await["generated_at"].clone();
    let what = format!("health is {expected:#?}");
    let look = async || daemon.json("/v1/health").await;
    eventually(&what, look, |health| {
        health["generated_at"] != before && said(health, client.target) == expected
    })
    .await;
}

#[test]
fn the_documentation_has_the_table() {
    let docs = include_str!("../../docs/clients.md");
    let table = table::markdown(CLIENTS);
    assert!(docs.contains(&table), "docs/clients.md lacks this table:\n\n{table}");
}
