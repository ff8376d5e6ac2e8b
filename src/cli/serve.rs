//! `brownout serve`, the default: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::app::{Daemon, Settings, Signals};
use crate::domain::target::Target;
use crate::ground::clock::Clock;
use crate::ground::config::Config;
use crate::ground::self_stats::SelfStats;
use crate::ground::telemetry::{self, LogFormat};
use crate::http::access::Access;

use super::listen_address::ListenAddress;
use super::{EXIT_USAGE, complain, say};

/// Where the secrets stand without which the daemon does not start.
const TOKENS: &str = "ingest.tokens";

/// Arguments of `brownout serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file (YAML); without one the defaults are in force
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// Check the configuration, list every problem, and exit (0 or 64)
    #[arg(long = "config.check")]
    config_check: bool,

    /// Address to listen on; :PORT is all interfaces
    #[arg(long = "web.listen-address", value_name = "ADDR", default_value = super::LISTEN_ADDRESS)]
    listen_address: ListenAddress,

    /// Accept a listen address beyond loopback without ingest.tokens
    #[arg(long = "web.allow-anonymous")]
    allow_anonymous: bool,

    /// Directory of the embedded database; not used yet, hours are kept in memory
    #[arg(long = "storage.path", value_name = "DIR", default_value = "./data")]
    storage_path: PathBuf,

    /// Probe this model every minute, with the key from the provider's usual variable (repeatable)
    #[arg(long = "probe", value_name = "PROVIDER/MODEL", value_parser = super::parse_target)]
    probes: Vec<Target>,

    /// Least severe level to log: error, warn, info, debug or trace
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info",
          value_parser = telemetry::parse_level)]
    log_level: String,

    /// Log format: logfmt or json
    #[arg(long = "log.format", value_name = "FORMAT", default_value_t = LogFormat::Logfmt)]
    log_format: LogFormat,
}

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// When the address cannot be bound, a secret cannot be read, or a part of the daemon fails.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match &args.config_file {
        None => Ok(Config::default()),
        Some(file) => Config::load(file),
    };
    // Nothing is bound before the configuration is known to be good.
    let config = config.and_then(|mut config| {
        for target in &args.probes {
            config.add_probe(target.clone())?;
        }
        Ok(config)
    });
    let config = match config {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems.to_string());
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    if args.config_check {
        return Ok(check(&args, &config));
    }
    // Without its tokens the daemon would let in everyone or no one.
    if let Err(error) = Access::new(&config.ingest) {
        complain(&format!("{TOKENS}: {error}"));
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let open = !args.listen_address.is_loopback() && config.ingest.tokens.is_empty();
    if open && !args.allow_anonymous {
        complain(&format!(
            "--web.listen-address {}: anyone who reaches this address could report outcomes; \
             set ingest.tokens in the configuration, listen on 127.0.0.1, or accept it with \
             --web.allow-anonymous",
            args.listen_address
        ));
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let stats = SelfStats::new();
    telemetry::init(&args.log_level, args.log_format, stats.clone())?;
    super::block_on(serve(args, config, stats))?;
    Ok(ExitCode::SUCCESS)
}

/// What `--config.check` says about a configuration that is well-formed.
fn check(args: &Args, config: &Config) -> ExitCode {
    for notice in &config.notices {
        complain(&format!("note: {notice}"));
    }
    let mut missing_token = false;
    for problem in config.check_secrets().iter() {
        let fatal = problem.path.starts_with(TOKENS);
        missing_token |= fatal;
        let kind = if fatal { "" } else { "note: not readable in this environment: " };
        complain(&format!("{kind}{}: {}", problem.path, problem.message));
    }
    if missing_token {
        return ExitCode::from(EXIT_USAGE);
    }
    let file = args
        .config_file
        .as_deref()
        .map_or("the default configuration".into(), |file| file.display().to_string());
    let (targets, probes) = (config.targets().count(), config.probe_targets().len());
    say(&format!("{file}: ok ({targets} models configured, {probes} of them probed)"));
    ExitCode::SUCCESS
}

async fn serve(args: Args, config: Config, stats: SelfStats) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let address = args.listen_address;
    let listener = address.bind().await.with_context(|| {
        format!("cannot listen on {address}; is another brownout running? (--web.listen-address)")
    })?;
    let settings = Settings {
        config,
        config_file: args.config_file,
        probes: args.probes,
        clock: Clock::System,
        stats,
    };
    Daemon::start(settings, listener)?.run_until_signal(signals).await
}
