//! `brownout status`: the health table in the terminal.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use super::client::{Client, DaemonArgs};

/// Between two looks of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Hours in a sparkline.
const SPARK_HOURS: usize = 24;
/// Heights of a sparkline, and the hourly overload ratios from which each is drawn: the two
/// thresholds, and what lies around them.
const SPARKS: [(f64, char); 7] =
    [(0.2, '█'), (0.1, '▇'), (0.05, '▆'), (0.02, '▅'), (0.01, '▃'), (0.005, '▂'), (0.0, '▁')];

/// Arguments of `brownout status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,

    /// Keep looking, every two seconds
    #[arg(long)]
    watch: bool,
}

#[derive(Deserialize)]
struct Health {
    generated_at: String,
    providers: Vec<Provider>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Provider {
    provider: String,
    status_page: Option<StatusPage>,
}

#[derive(Deserialize)]
struct StatusPage {
    indicator: String,
    description: String,
    note: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    provider: String,
    model: String,
    state: String,
    reason: String,
    signals: Signals,
    windows: Windows,
    latency: Latency,
}

#[derive(Deserialize)]
struct Signals {
    overload: Signal,
}

#[derive(Deserialize)]
struct Signal {
    low: f64,
    high: f64,
    confidence: String,
}

#[derive(Deserialize)]
struct Windows {
    #[serde(rename = "5m")]
    five_minutes: Tally,
}

#[derive(Deserialize)]
struct Tally {
    attempts: u64,
    overloaded: u64,
    rate_limited: u64,
    unavailable: u64,
    overload_ratio: Option<f64>,
}

#[derive(Deserialize)]
struct Latency {
    ttft_p50_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Hours {
    hours: Vec<HourRow>,
}

#[derive(Deserialize)]
struct HourRow {
    hour: String,
    provider: String,
    model: String,
    overload_ratio: Option<f64>,
}

/// Prints the table, once or until interrupted.
///
/// # Errors
/// When the daemon cannot be reached.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let client = Client::new(&args.daemon, None)?;
    super::block_on(async {
        loop {
            let table = render(&client).await?;
            let mut stdout = std::io::stdout().lock();
            let home = if args.watch && colours() { "\x1b[H\x1b[J" } else { "" };
            if write!(stdout, "{home}{table}").and_then(|()| stdout.flush()).is_err() || !args.watch
            {
                return Ok(ExitCode::SUCCESS);
            }
            drop(stdout);
            tokio::time::sleep(WATCH_EVERY).await;
        }
    })
}

/// The table as it stands, in colours if the terminal shows them.
pub(super) async fn render(client: &Client) -> anyhow::Result<String> {
    let health: Health = client.get("/v1/health").await?;
    let hours: Hours = client.get("/v1/hours").await?;
    Ok(table(&health, &hours, colours()))
}

fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn table(health: &Health, hours: &Hours, colours: bool) -> String {
    let mut text = format!("as of {}\n", health.generated_at);
    if health.targets.is_empty() {
        text.push_str("nothing was reported yet and no model is configured\n");
        return text;
    }
    let name = |target: &Target| format!("{}/{}", target.provider, target.model);
    let width = health.targets.iter().map(|t| name(t).chars().count()).max().unwrap_or(0).max(6);
    let _ = writeln!(
        text,
        "{:width$}  {:11}  {:11}  {:>8}  {:>7}  {:>14}  {:>5}  {:>5}  {:>5}  {:>8}  24 h",
        "TARGET",
        "STATE",
        "REASON",
        "5M TRIES",
        "529 %",
        "90 % INTERVAL",
        "529",
        "429",
        "503",
        "TTFT P50",
    );
    let sparks = sparklines(hours);
    for target in &health.targets {
        let tally = &target.windows.five_minutes;
        let ratio = tally
            .overload_ratio
            .map_or_else(|| "-".to_owned(), |ratio| format!("{:.2}", ratio * 100.0));
        let signal = &target.signals.overload;
        let interval = if signal.confidence == "none" && tally.attempts == 0 {
            "-".to_owned()
        } else {
            format!("{:.2}…{:.2}", signal.low * 100.0, signal.high * 100.0)
        };
        let ttft =
            target.latency.ttft_p50_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
        let (on, off) = if colours { colour(&target.state) } else { ("", "") };
        let spark = sparks.get(&(target.provider.as_str(), target.model.as_str()));
        let _ = writeln!(
            text,
            "{:width$}  {on}{:11}{off}  {:11}  {:>8}  {ratio:>7}  {interval:>14}  {:>5}  {:>5}  \
             {:>5}  {ttft:>8}  {}",
            name(target),
            target.state,
            target.reason,
            tally.attempts,
            tally.overloaded,
            tally.rate_limited,
            tally.unavailable,
            spark.map_or("", String::as_str),
        );
    }
    status_pages(&mut text, health);
    text
}

/// What the providers' own pages say; nothing where none is configured.
fn status_pages(text: &mut String, health: &Health) {
    for Provider { provider, status_page } in &health.providers {
        let Some(StatusPage { indicator, description, note }) = status_page else { continue };
        let _ = write!(text, "status page of {provider}: {indicator}");
        if !description.is_empty() {
            let _ = write!(text, " ({description})");
        }
        if let Some(note) = note {
            let _ = write!(text, ", {note}");
        }
        text.push('\n');
    }
}

/// One character an hour, oldest first; a dot where nothing was seen.
fn sparklines(hours: &Hours) -> HashMap<(&str, &str), String> {
    let mut stamps: Vec<&str> = hours.hours.iter().map(|row| row.hour.as_str()).collect();
    stamps.sort_unstable();
    stamps.dedup();
    let stamps = &stamps[stamps.len().saturating_sub(SPARK_HOURS)..];
    let mut by_target: HashMap<(&str, &str), HashMap<&str, f64>> = HashMap::new();
    for row in &hours.hours {
        if let Some(ratio) = row.overload_ratio {
            let target = (row.provider.as_str(), row.model.as_str());
            by_target.entry(target).or_default().insert(&row.hour, ratio);
        }
    }
    let line = |ratios: HashMap<&str, f64>| {
        let height = |ratio: f64| {
            SPARKS.iter().find(|(from, _)| ratio >= *from).map_or('·', |(_, spark)| *spark)
        };
        stamps.iter().map(|stamp| ratios.get(stamp).map_or('·', |r| height(*r))).collect()
    };
    by_target.into_iter().map(|(target, ratios)| (target, line(ratios))).collect()
}

/// Start and end of a state's colour, chosen to differ in brightness as well as in hue.
fn colour(state: &str) -> (&'static str, &'static str) {
    let on = match state {
        "healthy" => "\x1b[32m",
        "degraded" => "\x1b[33m",
        "overloaded" | "unavailable" => "\x1b[1;31m",
        _ => "\x1b[2m",
    };
    (on, "\x1b[0m")
}
