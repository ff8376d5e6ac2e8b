//! The real scheduler for ten thousand fires, on a clock that runs four thousand times as fast.
//!
//! `tokio-cron-scheduler` reads the system's clock and sleeps on the runtime's, so Debian's
//! `faketime` speeds up both for the whole program. A fire is then 2.5 ms away from the next, and a
//! busy machine is late for many: late rings, silence and overlap come by themselves.

use std::process::{Child, Command, Stdio};

use crate::daemon::eventually;
use crate::temp::TempFile;

const FIRES: f64 = 10_000.0;
const PERIOD_S: f64 = 10.0;

/// Probes are refused by the loopback: quick, free of charge.
const YAML: &str = "
providers:
  local: {dialect: openai, base_url: 'http://127.0.0.1:1/v1', api_key: none, models: [m]}
probes: {cron: '*/10 * * * * *', jitter: 0%, adaptive: off}
";

/// The program on a fast clock. Killed when dropped.
struct Fast(Child);

impl Drop for Fast {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Fast {
    fn start(config: &TempFile, address: &str) -> Self {
        // The wrapper only knows where its library is: it would stand between us and the program.
        let library =
            Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
        let library = library.unwrap_or_else(|error| {
            panic!("faketime: {error}; install Debian's faketime package, as tests/run does")
        });
        let library = String::from_utf8(library.stdout).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_brownout"))
            .args(["--config.file", config.path(), "--web.listen-address", address])
            .args(["--log.level", "error"])
            .env("LD_PRELOAD", library.trim())
            .env("FAKETIME", "+0 x4000")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

/// What has become of the fires, at one scrape.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    probes: f64,
    left_out: f64,
    next_run: f64,
}

impl Account {
    fn read(metrics: &str) -> Self {
        let sum = |name: &str, label: &str| -> f64 {
            let lines = metrics.lines().filter(|l| l.starts_with(name) && l.contains(label));
            lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
        };
        Self {
            probes: sum("brownout_requests_total{", "source=\"probe\""),
            left_out: sum("brownout_probe_skipped_total{", "provider=\"local\""),
            next_run: sum("brownout_probe_next_run_timestamp_seconds{", ""),
        }
    }

    fn fires(&self) -> f64 {
        self.probes + self.left_out
    }
}

#[tokio::test]
async fn the_real_scheduler_keeps_firing_and_every_fire_is_accounted_for() {
    let config = TempFile::new("fast.yaml", YAML);
    // The port is free when we look; nobody else is likely to take it in the meantime.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = free.to_string();
    let _fast = Fast::start(&config, &address);
    let client = brownout::intake::probe::client().unwrap();
    let url = format!("http://{address}/metrics");
    let look = async || match client.get(&url).send().await {
        Ok(answer) => Account::read(&answer.text().await.unwrap_or_default()),
        Err(_) => Account::default(),
    };
    let first = eventually("a probe has run", look, |account| account.probes >= 1.0).await;
    let last = eventually("ten thousand have fired", look, |account| {
        account.fires() >= first.fires() + FIRES
    });
    let last = last.await;
    eventually("they go on", look, |account| account.probes > last.probes).await;
    // A scrape may come between an event and the word about the next.
    let accounted = last.fires() - first.fires();
    let fired = (last.next_run - first.next_run) / PERIOD_S;
    assert!((accounted - fired).abs() <= 3.0, "{accounted} of {fired}: {first:?}, {last:?}");
    assert!(last.probes > first.probes + FIRES / 100.0, "{first:?}, {last:?}");
}
