//! `brownout probe`: one probe, the outcome explained for people or as JSON for programs.
//!
//! Needs no configuration for a provider of the catalogue: the key then comes from the variable
//! that the provider's own tools use. The answer goes to stdout, what stopped it to stderr.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::EXIT_USAGE;
use crate::domain::outcome::Class;
use crate::domain::target::Target;
use crate::domain::time::{decimal_millis_of, millis_of};
use crate::ground::causes::with_causes;
use crate::ground::clock::Clock;
use crate::ground::config::Config;
use crate::intake::probe::{ProbeReport, ProbeSpec, client, explain, probe_traced};
use crate::intake::schedule;

/// Arguments of `brownout probe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to probe, for example anthropic/claude-haiku-4-5
    #[arg(value_name = "PROVIDER/MODEL")]
    target: String,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Configuration to take provider, key, timeouts and prices from
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
}

/// Runs the subcommand. Exit code 0 if the probe ended `ok`, 1 if not, 64 if there was none.
///
/// # Errors
/// When the runtime cannot be started or stdout cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let spec = match spec(&args) {
        Ok(spec) => spec,
        Err(message) => {
            #[expect(clippy::print_stderr, reason = "what is wrong with the command line")]
            {
                eprintln!("brownout probe: {message}");
            }
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let client = client()?;
    let (report, trace) = runtime.block_on(probe_traced(&client, &spec, &Clock::System));
    let text = if args.json {
        format!("{}\n", as_json(&report))
    } else {
        explain(&spec, &report, Some(&trace))
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
    Ok(if report.class == Class::Ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The probe that was asked for, or what is wrong with the question.
fn spec(args: &Args) -> Result<ProbeSpec, String> {
    let target = Target::parse(&args.target).map_err(|error| {
        format!("\"{}\" {error}, expected PROVIDER/MODEL", args.target.escape_debug())
    })?;
    let mut config = match &args.config_file {
        Some(file) => Config::load(file).map_err(|problems| problems.to_string())?,
        None => Config::default(),
    };
    config.probes.only.clear();
    config.add_probe(target).map_err(|problems| {
        let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        messages.join("; ")
    })?;
    // By its canonical name now, which is the one that outcomes are counted under.
    let target = config.probes.only.first().ok_or("there is nothing to probe")?;
    schedule::spec(&config, target)
        .map_err(|refusal| format!("{target}: {}", with_causes(&refusal)))
}

/// The contract's eleven fields.
fn as_json(report: &ProbeReport) -> Value {
    let millis = |duration: Option<Duration>| duration.map(decimal_millis_of);
    json!({
        "class": report.class.as_str(),
        "matched_by": report.matched_by.as_str(),
        "http_status": report.http_status,
        "connect_ms": millis(report.connect),
        "ttfb_ms": millis(report.ttfb),
        "ttft_ms": millis(report.ttft),
        "total_ms": millis(report.total),
        "cost_usd": report.cost_usd,
        "request_id": report.request_id,
        "retry_after_ms": report.retry_after.map(millis_of),
        "misconfigured": report.misconfigured,
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::ground::catalog::Dialect;
    use crate::ground::config::{ProbesConfig, ProviderConfig};
    use crate::ground::secret::SecretSource;
    use crate::intake::probe::Credential;

    const KEY: &str = "sk-ant-api03-T0P5ECRET";

    #[tokio::test]
    async fn a_key_that_the_server_sends_back_is_never_printed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let provider = ProviderConfig::new(Dialect::Anthropic, base_url);
        let source = SecretSource::Command(vec!["echo".to_owned(), KEY.to_owned()]);
        let credential = Credential::read(&source).unwrap();
        let target = Target::parse("anthropic/m").unwrap();
        let probes = ProbesConfig::default();
        let spec = ProbeSpec::new(target, &provider, &probes, Some(credential)).unwrap();
        let serving = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            assert_ne!(socket.read(&mut [0; 8192]).await.unwrap(), 0);
            let body = format!("{{\"error\":{{\"message\":\"bad key {KEY}\"}}}}");
            let head = format!("HTTP/1.1 401 X\r\nrequest-id: {KEY}\r\nretry-after: {KEY}\r\n");
            let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket
        };
        let client = client().unwrap();
        let probing = probe_traced(&client, &spec, &Clock::System);
        let ((report, trace), _) = tokio::join!(probing, serving);
        assert_eq!(report.request_id, None);
        for text in [as_json(&report).to_string(), explain(&spec, &report, Some(&trace))] {
            assert!(text.contains("bad key [redacted]"), "{text}");
            assert!(!text.contains("T0P5ECRET"), "{text}");
        }
    }
}
