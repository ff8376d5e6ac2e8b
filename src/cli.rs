//! The command line: one file per subcommand.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::domain::target::Target;
use crate::ground::config::parse_ratio;

pub mod classify;
mod client;
pub mod dashboards;
mod listen_address;
pub mod demo;
pub mod plan;
pub mod probe;
pub mod replay;
pub mod report;
pub mod rules;
pub mod serve;
pub mod simulate;
pub mod status;

/// Where the daemon listens unless told otherwise.
const LISTEN_ADDRESS: &str = "127.0.0.1:10529";

/// Exit code for a wrong command line or configuration (`EX_USAGE` of sysexits.h).
pub const EXIT_USAGE: u8 = 64;

/// Overload health monitor for LLM APIs: ingests outcomes, probes, exports, answers.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon (the default)
    Serve(Box<serve::Args>),
    /// Simulated providers with a day of weather, clients, probes and the daemon: no keys needed
    Demo(demo::Args),
    /// The simulated providers alone
    ///
    /// Plays Anthropic Messages, OpenAI Chat Completions and Responses, Azure OpenAI, Gemini,
    /// Claude on Vertex AI and Bedrock Converse on loopback, streams included, and prints base
    /// URLs for their SDKs. The weather comes from the scenario and can be changed at any time.
    Simulate(simulate::Args),
    /// The health table of a running daemon
    Status(status::Args),
    /// One probe, the outcome explained
    Probe(probe::Args),
    /// What the configured probes will cost, per day and month
    Plan(plan::Args),
    /// Classify provider replies: NDJSON on stdin to NDJSON on stdout
    Classify(classify::Args),
    /// Replay outcome or trace files on their own clock: state changes as NDJSON
    Replay(replay::Args),
    /// Report one outcome to a running daemon
    Report(Box<report::Args>),
    /// Print the rules of Prometheus for other thresholds, job names, selectors and windows
    ///
    /// Without options these are alerts/brownout.recording.yml and alerts/brownout.alerts.yml in
    /// one. Check what you print: promtool check rules --lint=all FILE.
    Rules(Box<rules::Args>),
    /// The Grafana dashboards: listed, printed, or written for other thresholds
    Dashboards(dashboards::Args),
}

/// Parses the arguments, runs, and gives the exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            // A closed stdout or stderr leaves nobody to tell.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let result = match cli.command {
        None => serve::run(cli.serve),
        Some(Command::Serve(args)) => serve::run(*args),
        Some(Command::Demo(args)) => demo::run(args),
        Some(Command::Simulate(args)) => simulate::run(args),
        Some(Command::Status(args)) => status::run(args),
        Some(Command::Probe(args)) => probe::run(args),
        Some(Command::Plan(args)) => plan::run(args),
        Some(Command::Classify(args)) => classify::run(args),
        Some(Command::Replay(args)) => replay::run(args),
        Some(Command::Report(args)) => report::run(*args),
        Some(Command::Rules(args)) => rules::run(*args),
        Some(Command::Dashboards(args)) => dashboards::run(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("brownout: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that needs the async runtime. What still runs on a blocking thread when the
/// command is done (a secret's command, say) is not waited for.
fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().build().context("cannot start the async runtime")?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

/// A `PROVIDER/MODEL` argument.
fn parse_target(text: &str) -> Result<Target, String> {
    Target::parse(text).map_err(|error| {
        format!("expected PROVIDER/MODEL, for example anthropic/claude-opus-4-7 ({error})")
    })
}

/// A ratio argument.
fn ratio(text: &str) -> Result<f64, String> {
    parse_ratio(text).ok_or_else(|| "expected a ratio like 2% or 0.02".to_owned())
}

/// A line of a command's output. A closed pipe means that nobody reads on, which is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// The whole of what a command was asked for, which may end in a file: a part of it must not pass
/// for all. A closed pipe means that nobody reads on, which is no error.
///
/// # Errors
/// Where it cannot be written, such as a full disk.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A line for the person at the terminal.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
