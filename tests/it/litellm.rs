//! The real LiteLLM, in a program and as a proxy, told of by its own callback and by our reporter
//! at once, against the simulator's ledger: what each of the two knows, and what neither can.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use brownout::domain::outcome::Class;
use brownout::domain::target::Target;
use brownout::simulator::{Fleet, Plan, Scenario, Weather, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use crate::daemon::{self, Running, eventually};

/// How long the script may be silent: the proxy takes half a minute to start.
const PATIENCE: Duration = Duration::from_secs(300);

/// Calls of each kind.
const CALLS: u64 = 100;

/// Classes that the health document counts by name.
const CLASSES: [Class; 4] = [Class::Ok, Class::Overloaded, Class::RateLimited, Class::Unavailable];

/// The label of first attempts.
const FIRST: &str = "attempt=\"first\"";

/// The weather that clients are held to.
const WEATHER: [(&str, f64); 7] = [
    ("latency_ms", 1.0),
    ("ttft_ms", 1.0),
    ("retry_after_ms", 1.0),
    ("overloaded", 0.03),
    ("unavailable", 0.02),
    ("rate_limited", 0.02),
    ("stream_overloaded", 0.01),
];

/// A simulator, two daemons, and LiteLLM that talks to all three.
struct Scene {
    fleet: Fleet,
    simulator: String,
    callback: Running,
    reporter: Running,
    lines: Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
    _child: Child,
    _serving: tokio::task::JoinSet<()>,
}

impl Scene {
    async fn new(script: &str, models: &[&str]) -> Self {
        let weather = Weather::default().changed(&WEATHER).unwrap();
        let plans = models
            .iter()
            .map(|name| (Target::parse(name).unwrap(), Plan::constant(weather.clone(), 0.0)))
            .collect();
        let fleet = Fleet::new(Scenario { exact: true, plans }, Some(7));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut serving = tokio::task::JoinSet::new();
        let served = fleet.clone();
        serving.spawn(async move {
            serve(served, listener, CancellationToken::new()).await.unwrap();
        });
        // One simulator plays both providers, so two names of this machine tell them apart.
        let yaml = format!(
            "providers:\n  anthropic: {{hosts: [\"127.0.0.1:{port}\"]}}\n  openai: {{hosts: \
             [\"localhost:{port}\"]}}\n"
        );
        let (callback, reporter) = (daemon::start(&yaml).await, daemon::start(&yaml).await);
        let simulator = format!("http://127.0.0.1:{port}");
        let root = env!("CARGO_MANIFEST_DIR");
        let mut child = Command::new(python())
            .arg(format!("{root}/tests/clients/{script}"))
            .args([&simulator, &callback.url(), &reporter.url(), &CALLS.to_string()])
            .env("PYTHONPATH", format!("{root}/clients/python/src"))
            // The price list comes with the package; it is not to be fetched.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let input = child.stdin.take().unwrap();
        Self {
            fleet,
            simulator,
            callback,
            reporter,
            lines,
            input,
            _child: child,
            _serving: serving,
        }
    }

    /// The next line of JSON that the script prints.
    async fn line(&mut self) -> Value {
        let line = async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.expect("the script ended: run it by hand to see why");
                if let Ok(value @ Value::Object(_)) = serde_json::from_str(&line) {
                    return value;
                }
            }
        };
        tokio::time::timeout(PATIENCE, line).await.expect("the script goes on")
    }

    /// What the provider's side sent to a target, by class.
    fn sent(&self, target: &str) -> BTreeMap<Class, u64> {
        let mut sent = BTreeMap::new();
        for row in self.fleet.ledger() {
            if format!("{}/{}", row.provider, row.model) == target {
                *sent.entry(row.class).or_default() += row.count;
            }
        }
        sent
    }
}

/// The Python that has LiteLLM.
fn python() -> String {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.venv-litellm/bin/python");
    let python = std::env::var("BROWNOUT_TEST_LITELLM").unwrap_or_else(|_| own.to_owned());
    assert!(
        std::path::Path::new(&python).exists(),
        "{python} is missing: run tests/run, which installs tests/clients/requirements-litellm.txt"
    );
    python
}

/// Waits until a daemon has these attempts of a target, and gives their window of a day.
async fn window(daemon: &Running, target: &str, attempts: u64) -> Value {
    let what = format!("{attempts} attempts");
    let is_there = |health: &Value| health["windows"]["24h"]["attempts"] == attempts;
    daemon.target_when(target, &what, is_there).await["windows"]["24h"].clone()
}

/// That a window holds exactly what was sent.
fn assert_exact(window: &Value, sent: &BTreeMap<Class, u64>, who: &str) {
    for class in CLASSES {
        let sent = sent.get(&class).copied().unwrap_or(0);
        assert!(sent > 0, "{who}: the weather has {class}");
        assert_eq!(window[class.as_str()], sent, "{who}: {class}");
    }
}

/// Waits until the sum of a daemon's series of a target with this label is this: what is new serves
/// 0 to the first scrape.
async fn counted(daemon: &Running, name: &str, target: &str, label: &str, count: u64) {
    let (provider, model) = target.split_once('/').unwrap();
    let labels = format!("{{provider=\"{provider}\",model=\"{model}\"");
    let look = async || {
        let text = daemon.get("/metrics").await.1;
        let values = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{labels}")) && line.contains(label))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64);
        values.sum::<u64>()
    };
    eventually(&format!("{name} of {target} is {count}"), look, |sum| *sum == count).await;
}

#[tokio::test]
async fn a_program_with_litellm_is_known_by_every_attempt_but_those_its_client_hides() {
    let targets = ["anthropic/bare", "anthropic/routed", "openai/bare", "openai/routed"];
    let mut scene = Scene::new("litellm_sdk.py", &targets).await;
    let calls = scene.line().await;
    for target in ["anthropic/bare", "anthropic/routed", "openai/routed"] {
        let sent = scene.sent(target);
        let total: u64 = sent.values().sum();
        assert_eq!(calls[target], 2 * CALLS);
        assert_eq!(total > 2 * CALLS, target.ends_with("routed"), "{target}: {sent:?}");
        for (who, daemon) in [("callback", &scene.callback), ("reporter", &scene.reporter)] {
            let window = window(daemon, target, total).await;
            assert_exact(&window, &sent, &format!("{who}, {target}"));
            // Each call has one first attempt.
            counted(daemon, "brownout_requests_total", target, FIRST, 2 * CALLS).await;
        }
    }
    // Where the client below retries unseen, its calls are all that the callback can know.
    let (target, sent) = ("openai/bare", scene.sent("openai/bare"));
    assert!(sent.values().sum::<u64>() > 2 * CALLS, "{target}: {sent:?}");
    let is_there = |health: &Value| health["operations"]["24h"]["operations"] == 2 * CALLS;
    let health = scene.callback.target_when(target, "every call", is_there).await;
    assert_eq!(health["operations"]["24h"]["ok"], sent[&Class::Ok], "{health}");
    assert_eq!(health["windows"]["24h"]["attempts"], 0, "{health}");
    window(&scene.reporter, target, 2 * CALLS).await;
    let coverage = &health["coverage"][0];
    assert_eq!(
        (&coverage["layer"], &coverage["basis"]),
        (&json!("litellm_callback"), &json!("operation")),
        "{health}"
    );
}

#[tokio::test]
async fn the_proxy_is_known_by_first_attempts_to_its_callback_and_by_all_to_the_reporter() {
    let targets = ["anthropic/m", "openai/m"];
    let mut scene = Scene::new("litellm_proxy.py", &targets).await;
    for target in targets {
        let seen = scene.line().await;
        let count = |name: &str| seen[name].as_u64().unwrap_or(0);
        let sent = scene.sent(target);
        assert_eq!((&seen["target"], count("calls")), (&json!(target), 2 * CALLS));
        assert_eq!(count("attempts"), sent.values().sum::<u64>(), "{target}: {seen}");
        assert!(count("attempts") > count("calls"), "{target}: the proxy retried, {seen}");
        let all = window(&scene.reporter, target, count("attempts")).await;
        assert_exact(&all, &sent, &format!("reporter, {target}"));

        let told = window(&scene.callback, target, count("told")).await;
        assert_eq!(told["ok"], sent[&Class::Ok], "{target}: each success is told");
        for class in CLASSES {
            let sent = sent.get(&class).copied().unwrap_or(0);
            assert!(told[class.as_str()].as_u64().unwrap() <= sent, "{target}: {class}");
        }
        let unclassified = "brownout_attempts_unclassified_total";
        counted(&scene.callback, unclassified, target, "", count("unclassified")).await;
        for daemon in [&scene.callback, &scene.reporter] {
            counted(daemon, "brownout_requests_total", target, FIRST, count("calls")).await;
        }
    }
    what_the_proxy_itself_says(&mut scene).await;
}

/// With one answer in ten a 529, `LiteLLM`'s metrics say 500 and that the deployment is in order.
async fn what_the_proxy_itself_says(scene: &mut Scene) {
    let weather = json!({"provider": "anthropic", "model": "m", "overloaded": 0.1,
        "unavailable": 0.0, "rate_limited": 0.0, "stream_overloaded": 0.0});
    let client = brownout::intake::probe::client().unwrap();
    let url = format!("{}/admin/weather", scene.simulator);
    let answer = client.post(url).json(&weather).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let until = format!("{}/v1/health/anthropic/m", scene.callback.url());
    let search = json!({"until": until, "state": "overloaded"});
    scene.input.write_all(format!("{search}\n").as_bytes()).await.unwrap();
    let found = scene.line().await;
    assert_eq!(found["health"]["state"], "overloaded", "{found}");
    let metrics: Vec<&str> =
        found["metrics"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let statuses = metrics.iter().filter(|line| line.contains("exception_status="));
    let [mut as_500, mut as_529] = [0, 0];
    for line in statuses {
        let count: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        as_500 += u32::from(line.contains("exception_status=\"500\"") && count > 0.0);
        as_529 += u32::from(line.contains("exception_status=\"529\""));
    }
    assert!(as_500 > 0 && as_529 == 0, "the overload is called 500: {metrics:#?}");
    let states: Vec<&str> = metrics
        .iter()
        .filter(|line| line.starts_with("litellm_deployment_state{"))
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    // 0 is healthy and 1 a partial outage, which one failed call sets and one success takes back.
    assert!(
        !states.is_empty() && states.iter().all(|state| ["0.0", "1.0"].contains(state)),
        "{states:?}"
    );
}
