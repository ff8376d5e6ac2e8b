//! `brownout simulate`: the simulated providers alone, for trying clients and SDKs.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::EXIT_USAGE;
use crate::simulator::{Fleet, SCENARIO_BYTES_MAX, Scenario, ScenarioError, demo, serve};

/// Arguments of `brownout simulate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10530")]
    listen: SocketAddr,
    /// Scenario file (default: the fleet of `brownout demo`)
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Seed of the random draws, for a run that can be repeated
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it, worded for the terminal.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let scenario = match &args.scenario {
        None => demo(),
        Some(path) => match read(path)? {
            Ok(scenario) => scenario,
            Err(error) => {
                complain(path, &error);
                return Ok(ExitCode::from(EXIT_USAGE));
            }
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(simulate(Fleet::new(scenario, args.seed), args.listen))?;
    Ok(ExitCode::SUCCESS)
}

/// The scenario in a file, read no further than the largest one allowed.
fn read(path: &Path) -> anyhow::Result<Result<Scenario, ScenarioError>> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("cannot read the scenario {}", path.display()))?;
    let mut text = String::new();
    file.take(SCENARIO_BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read the scenario {}", path.display()))?;
    Ok(Scenario::from_yaml(&text))
}

#[expect(clippy::print_stderr, reason = "the file's problems are for the terminal")]
fn complain(path: &Path, error: &ScenarioError) {
    for problem in &error.problems {
        eprintln!("brownout: {}: {problem}", path.display());
    }
}

async fn simulate(fleet: Fleet, listen: SocketAddr) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr().context("cannot tell the address listened on")?;
    let shutdown = CancellationToken::new();
    let stop = stop_signal()?;
    // A closed stdout does not stop the simulation.
    let _ = std::io::stdout().write_all(welcome(&fleet, address).as_bytes());
    let server = serve(fleet, listener, shutdown.clone());
    tokio::pin!(server);
    tokio::select! {
        served = &mut server => return served.context("the simulator stopped"),
        () = stop => shutdown.cancel(),
    }
    server.await.context("the simulator stopped")
}

/// Ready at the first SIGINT or SIGTERM.
///
/// # Errors
/// When the signals cannot be listened to.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// What to point at it, and how to look at it.
fn welcome(fleet: &Fleet, address: SocketAddr) -> String {
    use std::fmt::Write as _;

    let mut text = format!("simulated providers on http://{address} (any key is accepted)\n\n");
    let traffic = fleet.traffic();
    let width = traffic.iter().map(|(target, _)| target.to_string().len()).max().unwrap_or(0);
    for (target, _) in &traffic {
        let ratios = fleet.weather(target).map(|weather| weather.summary()).unwrap_or_default();
        let _ = writeln!(text, "  {:width$}  {ratios}", target.to_string());
    }
    let example = traffic.first().map(|(target, _)| target.clone());
    let (provider, model) = example.map_or((String::new(), String::new()), |target| {
        (target.provider.to_string(), target.model.to_string())
    });
    let _ = write!(
        text,
        "
base URLs for the SDKs
  anthropic.Anthropic(base_url=\"http://{address}/anthropic\", api_key=\"any\")
  openai.OpenAI(base_url=\"http://{address}/openai/v1\", api_key=\"any\")   or another provider
  openai.AzureOpenAI(azure_endpoint=\"http://{address}/azure\", api_version=\"2024-10-21\",
    api_key=\"any\")
  google.genai.Client(http_options={{\"base_url\": \"http://{address}/gemini\"}}, api_key=\"any\")
  anthropic.AnthropicVertex(base_url=\"http://{address}/vertex/v1\", access_token=\"any\",
    region=\"global\", project_id=\"any\")
  boto3.client(\"bedrock-runtime\", endpoint_url=\"http://{address}/bedrock\",
    region_name=\"us-east-1\")
A provider answers once the scenario has it.

what was answered, and other weather
  curl http://{address}/admin/ledger
  curl http://{address}/admin/weather
  curl -d '{{\"provider\": \"{provider}\", \"model\": \"{model}\", \"overloaded\": 0.3}}' \\
    http://{address}/admin/weather

one request
  curl -i -H 'x-api-key: any' \\
    -d '{{\"model\": \"{model}\", \"max_tokens\": 8, \"messages\": []}}' \\
    http://{address}/{provider}/v1/messages

Ctrl-C stops it.
"
    );
    text
}
