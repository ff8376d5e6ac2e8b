//! Real proxies between a client and the simulator, with the configurations that the repository
//! ships: what their logs come to must be what the simulator's ledger says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use brownout::domain::outcome::Class;
use brownout::domain::target::Target;
use brownout::intake::probe;
use brownout::simulator::{Fleet, Plan, Scenario, Weather, serve};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::daemon::{self, Running, eventually};
use crate::temp::TempFolder;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Calls through each proxy.
const CALLS: usize = 120;

/// What is asked, and by which name the daemon knows it.
const MODEL: &str = "claude-opus-4-7";
const TARGET: &str = "anthropic/claude-opus-4-7";

/// A simulated provider with some of every trouble that a proxy sees.
struct Provider {
    fleet: Fleet,
    address: String,
    _tasks: JoinSet<()>,
}

impl Provider {
    async fn start() -> Self {
        let settings = [
            ("latency_ms", 1.0),
            ("ttft_ms", 1.0),
            ("retry_after_ms", 1.0),
            ("overloaded", 0.10),
            ("unavailable", 0.08),
            ("rate_limited", 0.08),
            ("server_error", 0.05),
            ("reset", 0.05),
        ];
        let weather = Weather::default().changed(&settings).unwrap();
        let plans = [(Target::parse(TARGET).unwrap(), Plan::constant(weather, 0.0))].into();
        let fleet = Fleet::new(Scenario { exact: true, plans }, Some(11));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut tasks = JoinSet::new();
        let served = serve(fleet.clone(), listener, CancellationToken::new());
        tasks.spawn(async { served.await.unwrap() });
        Self { fleet, address, _tasks: tasks }
    }

    /// What it sent, by class.
    fn sent(&self) -> BTreeMap<Class, u64> {
        let mut sent = BTreeMap::new();
        for row in self.fleet.ledger() {
            *sent.entry(row.class).or_default() += row.count;
        }
        sent
    }
}

/// A proxy with an example's configuration, changed where it must be to run here.
struct Proxy {
    url: String,
    log: PathBuf,
    /// Whether each call gets a connection of its own.
    one_by_one: bool,
    folder: TempFolder,
    _child: Child,
}

impl Proxy {
    /// Starts `command`, in which `CONFIG` stands for the path of the changed example.
    async fn start(example: &str, changes: &[(&str, &str)], command: &[&str]) -> Self {
        let folder = TempFolder::new("proxy");
        let inside = folder.path().to_str().unwrap().to_owned();
        let listen = free_address().await;
        let path = Path::new(ROOT).join("examples/access-logs").join(example);
        let mut config = std::fs::read_to_string(&path).unwrap();
        let (_, port) = listen.split_once(':').unwrap();
        for (from, to) in changes.iter().chain(&[("8080", port)]) {
            assert!(config.contains(from), "{example} has no {from}");
            config = config.replace(from, &to.replace("FOLDER", &inside));
        }
        let config_file = folder.path().join(example);
        std::fs::write(&config_file, config).unwrap();
        let log = folder.path().join("llm.json");
        let arguments = command[1..].iter().map(|argument| {
            argument.replace("CONFIG", config_file.to_str().unwrap()).replace("FOLDER", &inside)
        });
        // HAProxy logs to its standard output.
        let output = std::fs::File::create(folder.path().join("stdout")).unwrap();
        let errors = std::fs::File::create(folder.path().join("stderr")).unwrap();
        let child = Command::new(command[0])
            .args(arguments)
            .env("HOME", &inside)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: see tests/run", command[0]));
        let proxy =
            Self { url: format!("http://{listen}"), log, one_by_one: false, folder, _child: child };
        let look = async || (TcpStream::connect(&listen).await.is_ok(), proxy.said("stderr"));
        eventually(&format!("{example} listens"), look, |(listens, _)| *listens).await;
        proxy
    }

    fn said(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    /// Makes calls to a path through it, some with streams, one after the other.
    async fn call(&self, path: &str) {
        let client = probe::client().unwrap();
        for number in 0..CALLS {
            let body = json!({"model": MODEL, "max_tokens": 8, "stream": number % 2 == 0,
                "messages": [{"role": "user", "content": "no \"model\": \"evil\""}]});
            let request = client.post(format!("{}{path}", self.url)).json(&body);
            let request = request.header("x-api-key", "hunter2");
            let mut request = request.header("anthropic-version", "2023-06-01");
            if self.one_by_one {
                request = request.header("connection", "close");
            }
            // How it ends is for the log to say.
            if let Ok(response) = request.send().await {
                let _ = response.bytes().await;
            }
        }
    }

    /// The log once it has this many lines about models.
    async fn lines(&self, count: u64) -> String {
        let look = async || std::fs::read_to_string(&self.log).unwrap_or_default();
        let told = |log: &String| {
            log.lines().filter(|line| line.contains(MODEL) && line.ends_with('}')).count() as u64
        };
        eventually("every line is written", look, |log| told(log) >= count).await
    }
}

/// An address that nothing listens on.
async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Ships a log with the shipped script; it ends when dropped.
fn ship(log: &Path, mapping: &str, daemon: &Running) -> Child {
    Command::new("bash")
        .arg(Path::new(ROOT).join("examples/access-logs/ship.sh"))
        .args([log.to_str().unwrap(), mapping, &daemon.url()])
        .env("SHIP_FROM", "+1")
        .stdout(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Calls through a proxy, ships its log, and compares what the daemon says with the ledger.
async fn the_log_is_the_ledger(proxy: &Proxy, provider: &Provider, mapping: &str, path: &str) {
    let daemon = daemon::start("").await;
    proxy.call(path).await;
    let sent = provider.sent();
    let total: u64 = sent.values().sum();
    assert!(total >= CALLS as u64, "{sent:?}");
    let log = proxy.lines(if mapping == "nginx" { CALLS as u64 } else { total }).await;
    assert!(!log.contains("evil") && !log.contains("hunter2"), "the log holds content or a key");
    let shipper = ship(&proxy.log, mapping, &daemon);
    let health = daemon
        .target_when(TARGET, "every attempt", |health| {
            health["windows"]["24h"]["attempts"] == total
        })
        .await;
    end(shipper).await;
    let window = &health["windows"]["24h"];
    for class in [Class::Ok, Class::Overloaded, Class::RateLimited, Class::Unavailable] {
        let count = sent.get(&class).copied().unwrap_or(0);
        assert!(count > 0, "the weather has {class}");
        assert_eq!(window[class.as_str()], count, "{mapping}: {class}: {window} {sent:?}");
    }
    let network = sent[&Class::Network];
    assert!(network > 0, "the weather has resets");
    // The first scrape that shows a new target shows it at 0.
    let look = async || told(&daemon.get("/metrics").await.1);
    eventually(&format!("{mapping} tells {network} resets"), look, |told| *told == network).await;
}

/// Resets as the metrics have them.
fn told(metrics: &str) -> u64 {
    let lines = metrics.lines().filter(|line| {
        line.starts_with("brownout_request_errors_total{") && line.contains(r#"reason="network""#)
    });
    let count = |line: &str| line.rsplit_once(' ').and_then(|(_, count)| count.parse::<u64>().ok());
    lines.filter(|line| line.contains(MODEL)).filter_map(count).sum()
}

/// Ends a shipper with all that it started.
async fn end(mut shipper: Child) {
    let group = format!("-{}", shipper.id().unwrap());
    Command::new("kill").args(["-TERM", "--", &group]).status().await.unwrap();
    shipper.wait().await.unwrap();
}

#[tokio::test]
async fn nginx_with_its_retries_tells_the_ledger() {
    let provider = Provider::start().await;
    // A group of servers under the provider's name, so that nginx tries again.
    let server = format!("server {} max_fails=0;", provider.address);
    let group = format!("upstream api.anthropic.com {{ {server} {server} }} server {{");
    let changes = [
        ("/var/log/nginx/llm.json", "FOLDER/llm.json"),
        ("server {", group.as_str()),
        (
            "proxy_pass https://api.anthropic.com/;",
            "proxy_pass http://api.anthropic.com/;
             proxy_next_upstream error timeout http_503 http_429 non_idempotent;",
        ),
        (
            "http {",
            "pid FOLDER/pid; daemon off; error_log stderr; http { client_body_temp_path FOLDER/b;
             proxy_temp_path FOLDER/p; fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u;
             scgi_temp_path FOLDER/s;",
        ),
    ];
    let proxy =
        Proxy::start("nginx.conf", &changes, &["nginx", "-e", "stderr", "-c", "CONFIG"]).await;
    the_log_is_the_ledger(&proxy, &provider, "nginx", "/anthropic/v1/messages").await;
    let total: u64 = provider.sent().values().sum();
    assert!(total > CALLS as u64, "nginx tried again: {total}");
}

#[tokio::test]
async fn haproxy_tells_the_ledger() {
    let provider = Provider::start().await;
    let server = format!("server api.anthropic.com {}", provider.address);
    let changes = [(
        "server api.anthropic.com api.anthropic.com:443 ssl verify required ca-file @system-ca \
         sni str(api.anthropic.com) resolvers system init-addr none",
        server.as_str(),
    )];
    let mut proxy =
        Proxy::start("haproxy.cfg", &changes, &["haproxy", "-db", "-f", "CONFIG"]).await;
    proxy.log = proxy.folder.path().join("stdout");
    // Where the server cuts the answer to a later request of a connection, HAProxy closes that of
    // the client and logs nothing.
    proxy.one_by_one = true;
    the_log_is_the_ledger(&proxy, &provider, "haproxy", "/v1/messages").await;
}

#[tokio::test]
async fn caddy_tells_the_ledger() {
    let provider = Provider::start().await;
    let upstream = format!("http://{}", provider.address);
    let changes = [
        ("/var/log/caddy/llm.json", "FOLDER/llm.json"),
        ("https://api.anthropic.com", upstream.as_str()),
    ];
    let command = ["caddy", "run", "--adapter", "caddyfile", "--config", "CONFIG"];
    let proxy = Proxy::start("Caddyfile", &changes, &command).await;
    the_log_is_the_ledger(&proxy, &provider, "caddy", "/v1/messages").await;
}

#[tokio::test]
async fn envoy_with_its_retries_tells_the_ledger() {
    let provider = Provider::start().await;
    let (host, port) = provider.address.split_once(':').unwrap();
    let address = format!("address: {host}, port_value: {port}");
    let config =
        std::fs::read_to_string(Path::new(ROOT).join("examples/access-logs/envoy.yaml")).unwrap();
    let (_, tls) = config.split_once("      transport_socket:").unwrap();
    let tls = format!("      transport_socket:{tls}");
    let changes = [
        ("/var/log/envoy/llm.json", "FOLDER/llm.json"),
        ("address: api.anthropic.com, port_value: 443", address.as_str()),
        (tls.as_str(), ""),
    ];
    let python = crate::sdk::python();
    let envoy = Path::new(&python).with_file_name("envoy");
    let command =
        [envoy.to_str().unwrap(), "-c", "CONFIG", "--concurrency", "1", "--use-dynamic-base-id"];
    // Lines are written when ten seconds have passed, or with this in time for a test.
    let command = [&command[..], &["--file-flush-interval-msec", "100"]].concat();
    let proxy = Proxy::start("envoy.yaml", &changes, &command).await;
    the_log_is_the_ledger(&proxy, &provider, "envoy", "/v1/messages").await;
    let total: u64 = provider.sent().values().sum();
    assert!(total > CALLS as u64, "Envoy tried again: {total}");
}

#[tokio::test]
async fn lines_are_counted_left_out_or_refused_by_name() {
    let yaml = "ingest: {mappings: {edge: {from: nginx, provider: {value: openai}}}}";
    let daemon = daemon::start(yaml).await;
    let post = async |mapping: &str, body: &str| {
        let path = format!("/v1/outcomes?{mapping}");
        let request = daemon.request(reqwest::Method::POST, &path);
        let request = request.header("content-type", "application/x-ndjson");
        let answer = daemon.send(request.body(body.to_owned())).await;
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    let lines = [
        r#"{"id":"a","model":"m","upstream_addr":"[::1]:1, [::1]:1","upstream_status":"529, 200"}"#,
        r#"{"model":"m","status":"429","upstream_addr":"","upstream_status":""}"#,
        r#"{"status":"529"}"#,
        r#"{"model":"m","status":"never"}"#,
        "nonsense",
    ];
    let body = lines.join("\n");
    let (status, receipt) = post("mapping=edge", &body).await;
    assert_eq!((status, &receipt["accepted"], &receipt["ignored"]), (200, &2.into(), &2.into()));
    let refused: Vec<_> = (0..2).map(|at| &receipt["rejected"][at]["index"]).collect();
    assert_eq!(refused, [3, 4], "{receipt}");
    assert_eq!(post("mapping=edge", &body).await.1["duplicate"], 2, "by the id of the line");
    let health = daemon.target_when("openai/m", "both attempts", |_| true).await;
    assert_eq!(health["windows"]["24h"]["overloaded"], 1, "{health}");

    // Nothing to count is no reason to send it again; nothing readable is one to look.
    assert_eq!(post("mapping=nginx", lines[2]).await.0, 200);
    let (status, refused) = post("mapping=nginx", r#"{"model":"m","status":"200"}"#).await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(status == 400 && message.contains("give the mapping a provider"), "{refused}");
    let late = r#"{"model":"m","proxy_host":"a","status":"200","msec":"1000000000"}"#;
    let (_, refused) = post("mapping=nginx", late).await;
    assert!(refused.to_string().contains("(read from msec or"), "{refused}");
    let (status, refused) = post("mapping=ngnix", lines[0]).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &"unknown_mapping".into()));
    assert!(refused.to_string().contains("caddy, edge, envoy"), "{refused}");
    assert_eq!(post("maping=edge", lines[0]).await.0, 400, "parameters have no typos");
}
