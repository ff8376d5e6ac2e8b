//! Reloads on paused time: real parts and loops, a provider that nobody listens for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::*;
use crate::domain::outcome::{Class, Outcome, Source};
use crate::domain::target::Provider;
use crate::domain::time::Timestamp;
use crate::store::Arrival;
use crate::store::snapshot::ProbeView;

/// A configuration whose probes are refused by the loopback: quick, free of charge.
const YAML: &str = "
providers:
  local:
    dialect: openai
    base_url: http://127.0.0.1:1/v1
    api_key: none
    models: [m]
    prices: {m: {input_usd_per_mtok: 1, output_usd_per_mtok: 1}}
probes: {every: 1h, jitter: 0%, when_clients_report: always, budget: {usd_per_day: 0.01}}
";
const HOUR: Duration = Duration::from_secs(3_600);
/// Longer than first probes are spread over.
const SOON: Duration = Duration::from_secs(20);

/// What is kept configured, with its file.
struct Stage {
    parts: Parts,
    file: PathBuf,
    shutdown: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Stage {
    /// `name` tells the files of tests apart.
    fn new(name: &str, yaml: &str) -> Self {
        let file = format!("brownout-reload-{name}-{}.yaml", std::process::id());
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, yaml).unwrap();
        let settings = Settings {
            config: Config::load(&file).unwrap(),
            config_file: Some(file.clone()),
            probes: Vec::new(),
            clock: Clock::manual(Timestamp::from_secs(1_777_000_000)),
            stats: SelfStats::new(),
        };
        let (reload, reloads) = mpsc::channel(RELOADS_MAX);
        let parts = Parts::build(settings, reload).unwrap();
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_configured(parts.clone(), reloads, shutdown.clone()));
        Self { parts, file, shutdown, tasks }
    }

    async fn reload(&self, yaml: &str) -> Result<(), String> {
        std::fs::write(&self.file, yaml).unwrap();
        let (request, answer) = oneshot::channel();
        self.parts.reload.send(request).await.unwrap();
        answer.await.unwrap()
    }

    /// Lets virtual time pass on both clocks.
    async fn pass(&self, span: Duration) {
        for _ in 0..span.as_secs() {
            sleep(Duration::from_secs(1)).await;
            self.parts.clock.advance(Duration::from_secs(1));
        }
    }

    fn probe(&self) -> Option<ProbeView> {
        let snapshot = self.parts.store.snapshot(self.parts.clock.now());
        snapshot.target(&Target::parse("local/m").unwrap()).and_then(|view| view.probe.clone())
    }

    /// The same with the app's tick each second, and `count` reports of a class in it.
    async fn pass_with(&self, span: Duration, class: Class, count: u64) {
        let target = Target::parse("local/m").unwrap();
        for _ in 0..span.as_secs() {
            let now = self.parts.clock.now();
            for _ in 0..count {
                let outcome = Outcome::new(target.clone(), Source::Client, now, class);
                self.parts.store.record(&[outcome], Arrival::Live, now);
            }
            self.pass(Duration::from_secs(1)).await;
            self.parts.tick();
        }
    }

    /// How many probes there were.
    fn probes(&self) -> u64 {
        let snapshot = self.parts.store.snapshot(self.parts.clock.now());
        let view = snapshot.target(&Target::parse("local/m").unwrap()).unwrap();
        let counters = &view.counters.by_source[Source::Probe.index()];
        counters.by_class.as_flattened().iter().sum()
    }

    fn last_run(&self) -> Option<Timestamp> {
        self.probe().unwrap().last_run
    }

    async fn end(mut self) {
        self.shutdown.cancel();
        self.tasks.join_next().await.unwrap().unwrap().unwrap();
        std::fs::remove_file(&self.file).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_does_not_hurry_a_probe_that_stays_the_same() {
    let stage = Stage::new("same", YAML);
    stage.pass(SOON).await;
    let first = stage.last_run().unwrap();
    for _ in 0..3 {
        stage.reload(&format!("{YAML}thresholds: {{healthy: 0.4%}}\n")).await.unwrap();
        stage.pass(SOON).await;
        assert_eq!(stage.last_run(), Some(first));
    }
    stage.pass(HOUR).await;
    let second = stage.last_run().unwrap();
    let apart = second.since(first).as_secs();
    assert!(apart.abs_diff(HOUR.as_secs()) <= 3, "{apart}");
    // What is changed is tried soon: its timetable, or the probe itself.
    let mut before = second;
    for (from, to) in [("every: 1h", "every: 2h"), ("/v1", "/v2")] {
        stage.reload(&YAML.replace(from, to)).await.unwrap();
        stage.pass(SOON).await;
        let after = stage.last_run().unwrap();
        assert!(after > before, "{to}");
        before = after;
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_does_not_give_the_days_money_back() {
    let yaml = YAML.replace("every: 1h", "every: 2s");
    let stage = Stage::new("budget", &yaml);
    let (now, provider) = (stage.parts.clock.now(), Provider::new("local").unwrap());
    let spent = stage.parts.budget.reserve(now, &provider, 0.01);
    assert!(spent.is_ok());
    let mut refused = 0;
    for _ in 0..3 {
        stage.pass(SOON).await;
        let view = stage.probe().unwrap();
        assert_eq!(view.last_run, None);
        assert!(view.skipped["budget"] > refused, "{view:?}");
        refused = view.skipped["budget"];
        stage.reload(&yaml).await.unwrap();
    }
    // A new limit counts at once, against what was spent.
    stage.reload(&yaml.replace("0.01", "0.02")).await.unwrap();
    stage.pass(SOON).await;
    assert!(stage.last_run().is_some());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_repaired_probe_is_not_misconfigured_and_a_removed_one_is_gone() {
    let broken = YAML.replace("api_key: none", "api_key: {env: BROWNOUT_TEST_NO_SUCH_VARIABLE}");
    let stage = Stage::new("repair", &broken);
    stage.pass(SOON).await;
    assert!(stage.probe().unwrap().misconfigured.is_some());
    assert_eq!(stage.last_run(), None);

    stage.reload(YAML).await.unwrap();
    assert_eq!(stage.probe().unwrap().misconfigured, None);
    stage.pass(SOON).await;
    let first = stage.last_run();
    assert!(first.is_some());

    let refused = stage.reload("probes: {evry: 1s}\n").await.unwrap_err();
    assert!(refused.contains("evry"), "{refused}");
    stage.pass(HOUR).await;
    assert!(stage.last_run() > first, "a refused reload leaves the probes running");

    let without = YAML.split("probes:").next().unwrap();
    stage.reload(without).await.unwrap();
    stage.pass(HOUR).await;
    assert_eq!(stage.probe(), None);
    stage.end().await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_key() {
    let lock = std::env::temp_dir().join(format!("brownout-reload-lock-{}", std::process::id()));
    std::fs::write(&lock, "").unwrap();
    let wait = format!("while [ -e {} ]; do sleep 0.01; done; echo k", lock.display());
    let source = format!("api_key: {{command: [sh, -c, \"{wait}\"]}}");
    let stage = Stage::new("key", &YAML.replace("api_key: none", &source));
    let parts = stage.parts.clone();
    stage.end().await;
    // Had it waited, the command would have been given up and the probe been refused.
    let snapshot = parts.store.snapshot(parts.clock.now());
    let view = snapshot.target(&Target::parse("local/m").unwrap()).unwrap();
    assert_eq!(view.probe, Some(ProbeView::default()));
    // Lets the command end, and the runtime with it.
    std::fs::remove_file(&lock).unwrap();
}

#[tokio::test(start_paused = true)]
async fn clients_that_fail_over_leave_a_target_to_faster_probes() {
    let minute = Duration::from_secs(60);
    let yaml = YAML.replace("always", "skip").replace("0.01", "1");
    let stage = Stage::new("trouble", &yaml);
    stage.pass_with(Duration::from_secs(1), Class::Ok, 30).await;
    stage.pass_with(10 * minute, Class::Ok, 1).await;
    assert_eq!(stage.probes(), 0, "clients report enough");
    let skipped = |stage: &Stage| stage.probe().unwrap().skipped.get("clients_report").copied();
    let before = skipped(&stage).unwrap();
    stage.pass_with(minute / 2, Class::Overloaded, 1).await;
    assert_eq!(stage.probes(), 0, "they still do");
    assert!(skipped(&stage) > Some(before + 2), "the loop is awake: {:?}", stage.probe());
    // They fail over. Their reports of the last five minutes would do, those of a minute do not.
    stage.pass_with(minute, Class::Ok, 0).await;
    let first = stage.probes();
    assert!(first > 0, "{:?}", stage.probe());
    stage.pass_with(minute, Class::Ok, 0).await;
    let second = stage.probes();
    assert!((9..=15).contains(&(second - first)), "{first}, {second}");
    // A reload does not put it to sleep.
    stage.reload(&format!("{yaml}thresholds: {{rate_limit: {{healthy: 0.9%}}}}\n")).await.unwrap();
    stage.pass_with(minute, Class::Ok, 0).await;
    assert!((9..=15).contains(&(stage.probes() - second)), "{second}, {}", stage.probes());
    // Switched off, the hour counts again.
    stage.reload(&yaml.replace("1h", "1h, adaptive: off")).await.unwrap();
    let before = stage.probes();
    stage.pass_with(5 * minute, Class::Ok, 0).await;
    assert!(stage.probes() <= before + 1, "{before}, {}", stage.probes());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn reloads_neither_lose_nor_repeat_a_cron_fire() {
    let yaml = YAML.replace("every: 1h", "cron: \"*/5 * * * *\"");
    let stage = Stage::new("cron", &yaml);
    // The clock begins 100 s after a fire.
    stage.pass(Duration::from_secs(190)).await;
    assert_eq!(stage.probes(), 0);
    for fire in 1..=2 {
        // A reload every second, before the fire and until its last moment is past.
        for _ in 0..40 {
            stage.reload(&yaml).await.unwrap();
            stage.pass(Duration::from_secs(1)).await;
        }
        assert_eq!(stage.probes(), fire);
        stage.pass(Duration::from_secs(260)).await;
        assert_eq!(stage.probes(), fire, "{:?}", stage.probe());
    }
    assert_eq!(stage.probe().unwrap().skipped.get("missed"), None);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_does_not_send_again_what_is_in_flight() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicU64::default());
    let mut hanging = JoinSet::new();
    let count = Arc::clone(&asked);
    hanging.spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap().0);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    // The clock begins 100 s after a fire of the cron expression.
    for (name, schedule, due) in [
        ("hang-every", "every: 1h", SOON),
        ("hang-cron", "cron: \"*/5 * * * *\"", Duration::from_secs(235)),
    ] {
        let patient = format!("{schedule}, timeout: 10m, ttft_timeout: 10m");
        let yaml =
            YAML.replace("every: 1h", &patient).replace("127.0.0.1:1/", &format!("{address}/"));
        asked.store(0, Ordering::SeqCst);
        let stage = Stage::new(name, &yaml);
        stage.pass(due).await;
        for _ in 0..10 {
            stage.reload(&yaml).await.unwrap();
            stage.pass(Duration::from_secs(2)).await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{schedule}");
        stage.end().await;
    }
}
