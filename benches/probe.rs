//! What a probe costs in CPU on this side of the wire, as ratios to measures of the same run.
//!
//! The floor is a bare streaming request of the same HTTP library: the same body to the same
//! simulator, read to its end and thrown away. Beside it stands Debian's blackbox exporter, asked
//! for the same request in its own manner; it opens a connection for every probe, so ours is
//! measured with warm and with cold connections. The simulator is a process of its own, and only
//! the CPU of the probing process counts (its threads' run time as the kernel keeps it). Contests
//! alternate in both orders, and a ratio is the median over the rounds' own ratios.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a failed benchmark may panic")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use brownout::domain::outcome::Class;
use brownout::domain::target::Target;
use brownout::ground::clock::Clock;
use brownout::ground::config::Config;
use brownout::intake::probe::{Client, ProbeSpec, client, probe};
use brownout::intake::schedule;
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};

/// The program under test, built with the benchmark.
const BROWNOUT: &str = env!("CARGO_BIN_EXE_brownout");
/// The key that every simulated provider takes.
const KEY: &str = "any-key";
const BEARER: &str = "Bearer any-key";
/// The two wire formats, by a provider that speaks each.
const TARGETS: [&str; 2] = ["anthropic/model-0", "openai/model-0"];
/// Of so many rounds the median counts.
const ROUNDS: usize = 9;
/// Probes of each contestant in one round.
const PROBES: u32 = 1_000;
/// Models of each provider that the daemon probes once a second each.
const SCHEDULED: usize = 100;
/// How long the daemon is watched.
const WATCHED: Duration = Duration::from_secs(15);
/// What is compared with, as its lines say.
const BLACKBOX: &str = "blackbox_exporter, new connection each";
/// Between two looks at a condition, and how many of them.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS_MAX: usize = 600;

fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("no other is installed");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-probe");
    std::fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(contests(&folder));
}

async fn contests(folder: &Path) {
    let simulator = Simulator::start(folder);
    let blackbox = Blackbox::start(folder, &simulator).await;
    println!("CPU per probe, median of {ROUNDS} rounds of {PROBES}, streamed from the simulator:");
    for target in TARGETS {
        for warm in [true, false] {
            let contest = Contest::new(&simulator, target, warm);
            let how = if warm { "kept connection" } else { "new connection each" };
            let ours = contest.ours();
            let ratio = duel(&ours, &contest.bare()).await;
            line(&format!("{target}, {how}"), ratio, "a bare reqwest request, the same");
            if let Some(blackbox) = &blackbox {
                let ratio = duel(&ours, &blackbox.probes(target)).await;
                line(&format!("{target}, {how}"), ratio, BLACKBOX);
            }
        }
    }
    let (daemon, probes) = scheduled(folder, &simulator).await;
    let targets = SCHEDULED * TARGETS.len();
    println!("the daemon, {probes} scheduled probes of {targets} targets, all its other work in:");
    let bare = Contest::new(&simulator, TARGETS[0], true).bare().run().await;
    line("both dialects, kept connections", daemon / bare, "a bare reqwest request, the same");
    if let Some(blackbox) = &blackbox {
        let theirs = blackbox.probes(TARGETS[0]).run().await;
        line("both dialects, kept connections", daemon / theirs, BLACKBOX);
    }
}

fn line(what: &str, ratio: f64, floor: &str) {
    println!("  {what:<40} {ratio:>6.2} x {floor}");
}

/// One that can be measured: makes some probes, and gives the CPU seconds of one.
trait Contestant {
    async fn run(&self) -> f64;
}

/// The median over the rounds of what the first costs in units of the second.
async fn duel(first: &impl Contestant, second: &impl Contestant) -> f64 {
    // Both warm up once: connections, caches, allocator.
    first.run().await;
    second.run().await;
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let (ours, theirs) = if round % 2 == 0 {
            let ours = first.run().await;
            (ours, second.run().await)
        } else {
            let theirs = second.run().await;
            (first.run().await, theirs)
        };
        ratios.push(ours / theirs);
    }
    ratios.sort_by(f64::total_cmp);
    ratios[ROUNDS / 2]
}

/// What is sent, for all contestants alike.
struct Contest {
    spec: ProbeSpec,
}

impl Contest {
    fn new(simulator: &Simulator, target: &str, warm: bool) -> Self {
        let config = Config::parse(&config(simulator, 1), "bench.yaml").unwrap();
        let mut spec = schedule::spec(&config, &Target::parse(target).unwrap()).unwrap();
        if !warm {
            spec.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Self { spec }
    }

    /// The key as the dialect sends it.
    fn key(&self) -> (&'static str, &'static str) {
        if self.spec.target.provider.as_str() == "anthropic" {
            ("x-api-key", KEY)
        } else {
            ("authorization", BEARER)
        }
    }

    fn ours(&self) -> Ours {
        Ours { client: client().unwrap(), spec: self.spec.clone() }
    }

    fn bare(&self) -> Bare {
        let client = Client::builder().no_proxy().build().unwrap();
        let mut headers = self.spec.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (name, key) = self.key();
        headers.insert(name, HeaderValue::from_static(key));
        Bare { client, headers, spec: self.spec.clone() }
    }
}

/// A probe as the daemon makes it.
struct Ours {
    client: Client,
    spec: ProbeSpec,
}

impl Contestant for Ours {
    async fn run(&self) -> f64 {
        let before = cpu_s(std::process::id());
        for _ in 0..PROBES {
            let report = probe(&self.client, &self.spec, &Clock::System).await;
            assert_eq!(report.class, Class::Ok, "{report:?}");
        }
        (cpu_s(std::process::id()) - before) / f64::from(PROBES)
    }
}

/// The floor: what any streaming request must do.
struct Bare {
    client: Client,
    headers: HeaderMap,
    spec: ProbeSpec,
}

impl Contestant for Bare {
    async fn run(&self) -> f64 {
        let before = cpu_s(std::process::id());
        for _ in 0..PROBES {
            let post = self.client.post(&self.spec.url).headers(self.headers.clone());
            let mut response = post.body(self.spec.body.clone()).send().await.unwrap();
            assert!(response.status().is_success(), "{response:?}");
            while response.chunk().await.unwrap().is_some() {}
        }
        (cpu_s(std::process::id()) - before) / f64::from(PROBES)
    }
}

/// The daemon probes on its own schedule: CPU seconds of it per probe, and how many there were.
async fn scheduled(folder: &Path, simulator: &Simulator) -> (f64, u64) {
    let file = folder.join("brownout.yaml");
    std::fs::write(&file, config(simulator, SCHEDULED)).unwrap();
    let daemon = Command::new(BROWNOUT)
        .args(["serve", "--web.listen-address", "127.0.0.1:0", "--config.file"])
        .arg(&file)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let daemon = Process(daemon);
    let client = client().unwrap();
    // The first probes open the connections and are not counted; they start spread over time.
    let first = simulator.served(&client).await;
    let warm = first + (10 * SCHEDULED * TARGETS.len()) as u64;
    eventually(async || simulator.served(&client).await > warm).await;
    let (probes, spent) = (simulator.served(&client).await, cpu_s(daemon.0.id()));
    tokio::time::sleep(WATCHED).await;
    let (probes, spent) = (simulator.served(&client).await - probes, cpu_s(daemon.0.id()) - spent);
    (spent / probes as f64, probes)
}

/// The configuration of the probes of some models at the simulator.
fn config(simulator: &Simulator, models: usize) -> String {
    let models: Vec<_> = (0..models).map(|number| format!("model-{number}")).collect();
    let models = models.join(", ");
    let url = &simulator.url;
    let mut text = "probes: {every: 1s, jitter: 0%, budget: {usd_per_day: 10000}}\n".to_owned();
    text.push_str("providers:\n");
    for (provider, path) in [("anthropic", "anthropic"), ("openai", "openai/v1")] {
        let _ = write!(
            text,
            "  {provider}:\n    base_url: {url}/{path}\n    \
             api_key: {{command: [echo, {KEY}]}}\n    models: [{models}]\n",
        );
    }
    text
}

/// `brownout simulate` in fair weather that answers at once.
struct Simulator {
    url: String,
    _process: Process,
    // Kept open for what it still says.
    _stdout: BufReader<ChildStdout>,
}

impl Simulator {
    fn start(folder: &Path) -> Self {
        let file = folder.join("scenario.yaml");
        let mut scenario = "providers:\n".to_owned();
        for provider in ["anthropic", "openai"] {
            let _ = writeln!(scenario, "  {provider}:");
            for number in 0..SCHEDULED {
                let _ = writeln!(scenario, "    model-{number}: {{latency_ms: 0, ttft_ms: 0}}");
            }
        }
        std::fs::write(&file, scenario).unwrap();
        let mut child = Command::new(BROWNOUT)
            .args(["simulate", "--listen", "127.0.0.1:0", "--scenario"])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let process = Process(child);
        let mut welcome = String::new();
        stdout.read_line(&mut welcome).unwrap();
        let url = welcome.split_whitespace().find(|word| word.starts_with("http://"));
        Self { url: url.expect("it says where").to_owned(), _process: process, _stdout: stdout }
    }

    /// How many requests it has answered.
    async fn served(&self, client: &Client) -> u64 {
        let answer = client.get(format!("{}/admin/ledger", self.url)).send().await.unwrap();
        let ledger: serde_json::Value = answer.json().await.unwrap();
        ledger["total"].as_u64().unwrap()
    }
}

/// Debian's prometheus-blackbox-exporter.
struct Blackbox {
    url: String,
    simulator: String,
    client: Client,
    process: Process,
}

impl Blackbox {
    /// Starts it; `None`, with a word about it, where it is not installed.
    async fn start(folder: &Path, simulator: &Simulator) -> Option<Self> {
        let file = folder.join("blackbox.yml");
        std::fs::write(&file, Self::config(simulator)).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus-blackbox-exporter")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address={free}"))
            .arg("--log.level=error")
            .spawn();
        let process = match child {
            Ok(child) => Process(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("prometheus-blackbox-exporter is not installed: no comparison with it");
                return None;
            }
            Err(error) => panic!("prometheus-blackbox-exporter: {error}"),
        };
        let client = Client::builder().no_proxy().build().unwrap();
        let (url, simulator) = (format!("http://{free}"), simulator.url.clone());
        let ready = format!("{url}/-/healthy");
        eventually(async || client.get(&ready).send().await.is_ok()).await;
        Some(Self { url, simulator, client, process })
    }

    /// A module for each wire format, with the headers and the body that ours sends.
    fn config(simulator: &Simulator) -> String {
        let mut modules = serde_json::Map::new();
        for target in TARGETS {
            let contest = Contest::new(simulator, target, true);
            let (name, key) = contest.key();
            let spec = contest.spec;
            let mut headers = serde_json::Map::new();
            for (name, value) in &spec.headers {
                headers.insert(name.to_string(), value.to_str().unwrap().into());
            }
            headers.insert("content-type".to_owned(), "application/json".into());
            headers.insert(name.to_owned(), key.into());
            let (name, _) = target.split_once('/').unwrap();
            let http = serde_json::json!({
                "method": "POST",
                "headers": headers,
                "body": std::str::from_utf8(&spec.body).unwrap(),
                "follow_redirects": false,
                "preferred_ip_protocol": "ip4",
            });
            modules.insert(
                name.to_owned(),
                serde_json::json!({"prober": "http", "timeout": "20s", "http": http}),
            );
        }
        // JSON is YAML too.
        serde_json::json!({ "modules": modules }).to_string()
    }

    fn probes(&self, target: &str) -> BlackboxProbes<'_> {
        let spec_path = if target.starts_with("anthropic") {
            "anthropic/v1/messages"
        } else {
            "openai/v1/chat/completions"
        };
        let (module, _) = target.split_once('/').unwrap();
        let (url, simulator) = (&self.url, &self.simulator);
        let url = format!("{url}/probe?module={module}&target={simulator}/{spec_path}");
        BlackboxProbes { blackbox: self, url }
    }
}

/// Its probes of one target, asked for as Prometheus does.
struct BlackboxProbes<'a> {
    blackbox: &'a Blackbox,
    url: String,
}

impl Contestant for BlackboxProbes<'_> {
    async fn run(&self) -> f64 {
        let pid = self.blackbox.process.0.id();
        let before = cpu_s(pid);
        for _ in 0..PROBES {
            let answer = self.blackbox.client.get(&self.url).send().await.unwrap();
            let metrics = answer.text().await.unwrap();
            assert!(metrics.contains("\nprobe_success 1\n"), "{metrics}");
        }
        (cpu_s(pid) - before) / f64::from(PROBES)
    }
}

/// A child process, ended with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU seconds that the threads of a process have used. None of those measured ends a thread.
fn cpu_s(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds: u64 = threads
        .map(|thread| std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap())
        .map(|stat| stat.split_whitespace().next().unwrap().parse::<u64>().unwrap())
        .sum();
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

/// Waits until a condition is true.
async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..LOOKS_MAX {
        if condition().await {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("a condition never came true");
}
