//! `brownout plan`: what the configured probes will cost, before they are made.
//!
//! It reads the configuration and nothing else: no key, no command, no connection. So it works on
//! a laptop without the secrets, and in the review of a change.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{EXIT_USAGE, complain, say};
use crate::domain::target::Target;
use crate::ground::clock::Clock;
use crate::ground::config::Config;
use crate::intake::schedule::Bill;

mod document;
mod table;
mod warnings;

/// Arguments of `brownout plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file (YAML)
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// Reckon with this model, as `serve --probe` would probe it (repeatable)
    #[arg(long = "probe", value_name = "PROVIDER/MODEL", value_parser = super::parse_target)]
    probes: Vec<Target>,

    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Prints the bill. Exit code 0, or 64 for a configuration that is wrong.
///
/// # Errors
/// None; the signature is that of every subcommand.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match &args.config_file {
        None => Ok(Config::default()),
        Some(file) => Config::load(file),
    };
    let config = config.and_then(|mut config| {
        for target in args.probes {
            config.add_probe(target)?;
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
    let bill = Bill::new(&config, Clock::System.now());
    let text = if args.json {
        document::document(&config, &bill).to_string()
    } else {
        table::text(&config, &bill)
    };
    say(text.trim_end());
    Ok(ExitCode::SUCCESS)
}
