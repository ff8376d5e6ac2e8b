//! Everybody who takes part: providers, clients, replicas, Prometheus, Alertmanager, receivers.

use brownout::domain::target::Target;
use brownout::ground::clock::Clock;
use brownout::simulator::{Call, Fleet, Plan, Scenario, Weather, serve};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::alertmanager::Alertmanager;
use super::super::dashboard::{items, text};
use super::super::receiver::Receiver;
use super::super::server::Prometheus;
use super::super::traffic;
use super::{DEEPSEEK, GPT, KIMI, MINI, OPUS};
use crate::daemon::{self, Running, eventually};

/// Records that a client sends at once.
const BATCH: usize = 1_000;

pub(super) struct Stage {
    pub(super) fleet: Fleet,
    pub(super) replicas: Vec<Running>,
    pub(super) prometheus: Prometheus,
    pub(super) alertmanager: Alertmanager,
    pub(super) receiver: Receiver,
}

/// The labels of a target, or of a provider, as a selector has them.
pub(super) fn who(target: &str) -> String {
    match target.split_once('/') {
        Some((provider, model)) => format!("provider=\"{provider}\",model=\"{model}\""),
        None => format!("provider=\"{target}\""),
    }
}

/// Whether a webhook's message has this alert.
pub(super) fn is(post: &Value, alert: &str) -> bool {
    items(&post["alerts"]).iter().any(|one| one["labels"]["alertname"] == alert)
}

/// Whether an alert is about this target or this whole provider.
fn about(alert: &Value, target: &str) -> bool {
    let [provider, model] = ["provider", "model"].map(|label| text(&alert["labels"][label]));
    target == if model.is_empty() { provider } else { format!("{provider}/{model}") }
}

fn fleet() -> Fleet {
    let fair = Weather::default().changed(&[("latency_ms", 20.0), ("ttft_ms", 10.0)]).unwrap();
    let throttled = fair.changed(&[("rate_limited", 1.0)]).unwrap();
    let plan = |target: &str| {
        let weather = if target == KIMI { &throttled } else { &fair };
        (Target::parse(target).unwrap(), Plan::constant(weather.clone(), 0.0))
    };
    let plans = [OPUS, GPT, MINI, DEEPSEEK, KIMI].map(plan);
    Fleet::new(Scenario { exact: true, plans: plans.into_iter().collect() }, Some(1))
}

/// Every replica's: one model is probed, the others are what clients report.
fn config(simulator: &str) -> String {
    let mut yaml = "probes: {every: 1s, jitter: 0%, when_clients_report: always}\n\
                    providers:\n"
        .to_owned();
    for targets in [&[OPUS][..], &[DEEPSEEK], &[GPT, MINI], &[KIMI]] {
        let provider = targets[0].split('/').next().unwrap();
        let models: Vec<_> = targets.iter().map(|one| one.split_once('/').unwrap().1).collect();
        let models = models.join(", ");
        yaml.push_str(&format!("  {provider}:\n    base_url: {simulator}/{provider}/v1\n"));
        yaml.push_str(&format!("    models: [{models}]\n"));
        // Without a key it is not probed.
        if targets == [KIMI] {
            yaml.push_str("    api_key: {command: [echo, simulated]}\n");
        }
    }
    yaml
}

impl Stage {
    /// Sets everything up, the alerts in `hurried` without their waits, and lets `story` happen.
    pub(super) async fn play(hurried: &[&str], story: impl AsyncFnOnce(Self)) {
        let fleet = fleet();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let serving = serve(fleet.clone(), listener, stop.clone());
        let playing = async {
            let _stop = stop.clone().drop_guard();
            let yaml = config(&simulator);
            let replicas = vec![daemon::start(&yaml).await, daemon::start(&yaml).await];
            let receiver = Receiver::start().await;
            let alertmanager = Alertmanager::start(&receiver).await;
            let addresses: Vec<_> = replicas.iter().map(address).collect();
            let targets: Vec<_> = addresses.iter().map(String::as_str).collect();
            let to = &alertmanager.address;
            let prometheus = Prometheus::start_alerting(&targets, hurried, to).await;
            story(Self { fleet, replicas, prometheus, alertmanager, receiver }).await;
        };
        let (served, ()) = tokio::join!(serving, playing);
        served.unwrap();
    }

    /// Changes the weather of a target.
    pub(super) fn weather(&self, target: &str, settings: &[(&str, f64)]) {
        let target = Target::parse(target).unwrap();
        let weather = self.fleet.weather(&target).unwrap().changed(settings).unwrap();
        self.fleet.set_weather(&target, weather).unwrap();
    }

    /// Clients send so many requests and report how they ended, to the replicas in turn.
    pub(super) async fn ask(&self, target: &str, count: usize) {
        let target = Target::parse(target).unwrap();
        let records: Vec<_> = (0..count)
            .map(|_| {
                let fate = self.fleet.fate(&target, Call::default(), Clock::System.now()).unwrap();
                traffic::record(&target, &fate)
            })
            .collect();
        // Each gets a share of every block, so that what it alone has seen has the same ratio.
        let share = count.div_ceil(self.replicas.len()).min(BATCH);
        for (batch, replica) in records.chunks(share).zip(self.replicas.iter().cycle()) {
            let answer = replica.report(Value::Array(batch.to_vec()).to_string()).await;
            assert_eq!(answer.json()["accepted"], batch.len(), "{}", answer.body);
        }
    }

    /// Ends a replica, the last one. Gives its host and port.
    pub(super) fn stop_replica(&mut self) -> String {
        address(&self.replicas.pop().unwrap())
    }

    /// Waits until Alertmanager has exactly one such alert, and that in this state.
    pub(super) async fn alert_when(&self, alert: &str, target: &str, state: &str) -> Value {
        let provider = target.split('/').next().unwrap();
        let look = async || {
            let mut alerts = self.alertmanager.alerts(alert, "provider", provider).await;
            alerts.retain(|one| about(one, target));
            alerts
        };
        let what = format!("{alert} of {target} is {state}");
        let mut alerts = eventually(&what, look, |alerts| {
            alerts.len() == 1 && alerts[0]["status"]["state"] == state
        })
        .await;
        alerts.remove(0)
    }

    /// The alerts that a webhook was told of, in this state.
    pub(super) fn told(&self, path: &str, alert: &str, target: &str, status: &str) -> Vec<Value> {
        let wanted = |one: &Value| {
            one["labels"]["alertname"] == alert && one["status"] == status && about(one, target)
        };
        let posts = self.receiver.posts(path);
        let alerts = posts.iter().flat_map(|post| items(&post["alerts"]));
        alerts.filter(|one| wanted(one)).cloned().collect()
    }

    /// Waits until a webhook is told.
    pub(super) async fn told_when(
        &self,
        path: &str,
        alert: &str,
        target: &str,
        status: &str,
    ) -> Value {
        let what = format!("{path} is told that {alert} of {target} is {status}");
        let look = async || self.told(path, alert, target, status);
        let mut told = eventually(&what, look, |told| !told.is_empty()).await;
        told.remove(0)
    }

    /// What was written to the chat of warnings, title and text.
    pub(super) fn chat(&self) -> Vec<String> {
        let message = |post: Value| {
            let attachment = &post["attachments"][0];
            let parts = ["title", "text"].map(|key| text(&attachment[key])).join("\n");
            (post["channel"] == "#llm").then_some(parts)
        };
        self.receiver.posts("/slack").into_iter().filter_map(message).collect()
    }

    /// Waits for a message in the chat that names an alert and holds all of these.
    pub(super) async fn chat_says(&self, alert: &str, parts: &[&str]) {
        says(&format!("the chat is told of {alert}"), async || self.chat(), alert, parts).await;
    }

    /// Waits for a mail that names an alert and holds all of these.
    pub(super) async fn mail_says(&self, alert: &str, parts: &[&str]) {
        let what = format!("a mail tells of {alert}");
        says(&what, async || self.receiver.mails(), alert, parts).await;
    }
}

async fn says(what: &str, look: impl AsyncFnMut() -> Vec<String>, alert: &str, parts: &[&str]) {
    let holds = |message: &String| {
        message.contains(alert) && parts.iter().all(|part| message.contains(part))
    };
    eventually(what, look, |messages| messages.iter().any(holds)).await;
}

/// Host and port.
fn address(replica: &Running) -> String {
    replica.url().trim_start_matches("http://").to_owned()
}
