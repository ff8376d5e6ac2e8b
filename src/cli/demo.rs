//! `brownout demo`: everything lit up on one machine, without a key.
//!
//! A simulated fleet on loopback, a day of its past imported, simulated clients that report over
//! HTTP as real ones do, real probes against the fleet, and the daemon.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{Daemon, Settings, Signals};
use crate::domain::target::Target;
use crate::domain::time::DAY_MS;
use crate::ground::clock::Clock;
use crate::ground::config::Config;
use crate::ground::self_stats::SelfStats;
use crate::ground::telemetry::{self, LogFormat};
use crate::simulator::{self, Call, Fleet};
use crate::store::{Arrival, Store};

mod backfill;
mod exposition;
mod past;
mod record;

use record::Record;

use super::client::{Client, DaemonArgs};
use super::listen_address::ListenAddress;
use super::{complain, say, status};

/// How often the simulated clients report what they saw since the last time.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// How often the simulated fleet is probed: often, so that there is something to see.
const PROBE_EVERY: &str = "10s";
/// By then the detectors have seen enough to tell all states (measured: 20 s).
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// Arguments of `brownout demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address the daemon listens on
    #[arg(long = "web.listen-address", value_name = "ADDR", default_value = super::LISTEN_ADDRESS)]
    listen_address: ListenAddress,

    /// Address of the simulated providers; port 0 takes a free one
    #[arg(long = "simulator.listen-address", value_name = "ADDR", default_value = "127.0.0.1:0")]
    simulator_address: ListenAddress,

    /// Seed of the weather: the same seed, the same day
    #[arg(long, default_value_t = 7)]
    seed: u64,

    /// Least severe level to log
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "warn",
          value_parser = telemetry::parse_level)]
    log_level: String,

    #[command(flatten)]
    backfill: backfill::Args,
}

/// Runs the demo until Ctrl-C, or writes its past and ends.
///
/// # Errors
/// When an address cannot be bound, the file cannot be written or a part fails.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stats = SelfStats::new();
    telemetry::init(&args.log_level, LogFormat::Logfmt, stats.clone())?;
    if args.backfill.is_wanted() {
        super::block_on(backfill::write(args.backfill, args.seed, stats))?;
    } else {
        super::block_on(demo(args, stats))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn demo(args: Args, stats: SelfStats) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let providers = bind(&args.simulator_address, "--simulator.listen-address").await?;
    let listener = bind(&args.listen_address, "--web.listen-address").await?;
    let simulator = format!("http://{}", providers.local_addr()?);
    let scenario = simulator::demo();
    let fleet = Fleet::new(scenario.clone(), Some(args.seed));
    let config = config(&fleet.traffic(), &simulator, &probes())?;
    let settings =
        Settings { config, config_file: None, probes: Vec::new(), clock: Clock::System, stats };
    let daemon = Daemon::start(settings, listener)?;
    let url = format!("http://{}", daemon.address());

    import_a_day(daemon.store(), &scenario, args.seed);
    say(&banner(&url, &simulator, &fleet));

    let shutdown = daemon.shutdown_token();
    let client = Client::new(&DaemonArgs { url }, None)?;
    let mut tasks = JoinSet::new();
    let fleet_stop = CancellationToken::new();
    let serving = simulator::serve(fleet.clone(), providers, fleet_stop.clone());
    tasks.spawn(async move { serving.await.context("the simulated providers stopped") });
    tasks.spawn(report(fleet, client.clone(), shutdown.clone()));
    tasks.spawn(show_when_settled(client, shutdown.clone()));
    let supervised = shutdown.clone();
    let watch = async move {
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended.map_err(anyhow::Error::from).flatten() {
                complain(&format!("brownout: {error:#}"));
                supervised.cancel();
            }
        }
    };
    let stop_fleet = async {
        shutdown.cancelled().await;
        fleet_stop.cancel();
    };
    let (result, (), ()) = tokio::join!(daemon.run_until_signal(signals), watch, stop_fleet);
    say("demo ended");
    result
}

async fn bind(address: &ListenAddress, flag: &str) -> anyhow::Result<TcpListener> {
    address.bind().await.with_context(|| {
        format!("cannot listen on {address}; is it in use? choose another with {flag}")
    })
}

/// How the demo probes. The money is play money, and a demo that is left running should go on.
fn probes() -> String {
    format!("every: {PROBE_EVERY}, when_clients_report: always, budget: {{usd_per_day: 10000}}")
}

/// The configuration a user would write, with the simulator in the place of the providers. The
/// provider without traffic has no key either, so that nothing at all is known of it.
fn config(targets: &[(Target, f64)], simulator: &str, probes: &str) -> anyhow::Result<Config> {
    let mut providers: BTreeMap<&str, (Vec<&str>, bool)> = BTreeMap::new();
    for (target, requests_per_second) in targets {
        let (models, busy) = providers.entry(target.provider.as_str()).or_default();
        models.push(target.model.as_str());
        *busy |= *requests_per_second > 0.0;
    }
    let mut yaml = format!("probes: {{{probes}}}\nproviders:\n");
    for (provider, (models, busy)) in providers {
        let path = if provider == "anthropic" { "" } else { "/v1" };
        let models = models.join(", ");
        yaml.push_str(&format!("  {provider}:\n    base_url: {simulator}/{provider}{path}\n"));
        yaml.push_str(&format!("    models: [{models}]\n"));
        if busy {
            yaml.push_str("    api_key: {command: [echo, simulated]}\n");
        }
    }
    Ok(Config::parse(&yaml, "the demo's configuration")?)
}

fn import_a_day(store: &Store, scenario: &simulator::Scenario, seed: u64) {
    let now = Clock::System.now();
    // A minute short of the limit on late outcomes, so that nothing falls off while it is read.
    let from = now.minus(Duration::from_millis(DAY_MS - 60_000));
    let day: Vec<_> =
        simulator::history(scenario, seed, from, now).map(|bygone| bygone.outcome()).collect();
    store.record(&day, Arrival::History, now);
}

/// Simulated clients: each request draws its fate from the fleet and is reported over HTTP.
async fn report(fleet: Fleet, client: Client, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut interval = tokio::time::interval(REPORT_EVERY);
    let mut owed: BTreeMap<Target, f64> = BTreeMap::new();
    while shutdown.run_until_cancelled(interval.tick()).await.is_some() {
        let mut batch = Vec::new();
        for (target, requests_per_second) in fleet.traffic() {
            let owed = owed.entry(target.clone()).or_default();
            *owed += requests_per_second * REPORT_EVERY.as_secs_f64();
            while *owed >= 1.0 {
                *owed -= 1.0;
                let call = Call { stream: true, ..Call::default() };
                let fate = fleet.fate(&target, call, Clock::System.now())?;
                serde_json::to_writer(&mut batch, &Record::new(&target, &fate))?;
                batch.push(b'\n');
            }
        }
        match shutdown.run_until_cancelled(client.post("/v1/outcomes", batch)).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => complain(&format!("brownout: a report was lost: {error:#}")),
            None => break,
        }
    }
    Ok(())
}

/// Shows the table once there is something to see.
async fn show_when_settled(client: Client, shutdown: CancellationToken) -> anyhow::Result<()> {
    if shutdown.run_until_cancelled(tokio::time::sleep(SETTLED_AFTER)).await.is_some() {
        match status::render(&client).await {
            Ok(table) => say(&table),
            Err(error) => complain(&format!("brownout: no table this time: {error:#}")),
        }
    }
    Ok(())
}

fn banner(url: &str, simulator: &str, fleet: &Fleet) -> String {
    // As it was started: a newcomer has it in `target/release` and not on the path.
    let program = std::env::args().next().unwrap_or_else(|| "brownout".to_owned());
    let mut text = format!(
        "brownout demo: a simulated fleet of providers, no keys, nothing leaves this machine.\n\
         \n\
         Simulated at {simulator}, a day of its past imported, and live from now on:\n"
    );
    for (target, requests_per_second) in fleet.traffic() {
        let weather = fleet.weather(&target).map_or_else(String::new, |weather| weather.summary());
        text.push_str(&format!(
            "  {:30} {requests_per_second:>4} requests/s  {}\n",
            target.to_string(),
            if requests_per_second > 0.0 { weather.as_str() } else { "" },
        ));
    }
    text.push_str(&format!(
        "\n\
         Look at (states settle within half a minute):\n  \
           {url}/            the landing page\n  \
           {url}/v1/health   what routers act on\n  \
           {url}/v1/hours    overload, rate limits and outages by hour\n  \
           {url}/metrics     what Prometheus scrapes\n  \
           {program} status --watch --url {url}   the table\n\
         \n\
         Change the weather:\n  \
           curl {simulator}/admin/weather -H 'content-type: application/json' \\\n    \
             -d '{{\"provider\":\"anthropic\",\"model\":\"claude-haiku-4-5\",\
         \"overloaded\":0.3}}'\n\
         \n\
         Ctrl-C ends it.\n"
    ));
    text
}
