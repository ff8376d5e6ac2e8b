//! `brownout replay`.

use std::process::ExitCode;

/// Arguments of `brownout replay`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it, worded for the terminal.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
