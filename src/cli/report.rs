//! `brownout report`: one outcome from a shell script.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgGroup;
use serde::Serialize;

use super::client::{Client, DaemonArgs};
use super::say;

/// Arguments of `brownout report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: brownout report --provider anthropic --model claude-opus-4-7 \
                        --status 529 --ms 85")]
pub struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,

    /// Environment variable that holds the bearer token, if the daemon wants one
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,

    #[command(flatten)]
    outcome: Outcome,
}

/// The record as it is sent: fields not given are left out.
#[derive(Debug, clap::Args, Serialize)]
#[command(group = ArgGroup::new("who").args(["provider", "host"]).required(true).multiple(true))]
#[command(group = ArgGroup::new("ending").args(["status", "error", "class"]).required(true)
                                         .multiple(true))]
struct Outcome {
    /// Who serves, for example anthropic
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,

    /// Host the request went to, instead of the provider's name
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,

    /// Model asked for
    #[arg(long)]
    model: String,

    /// HTTP status of the answer
    #[arg(long, value_parser = clap::value_parser!(u16).range(100..=599))]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,

    /// Transport error where there was no answer: timeout, connect, reset, tls, canceled
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,

    /// Class, where neither status nor error is known
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,

    /// Error type from the provider's answer, for example `overloaded_error`
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<String>,

    /// Error code from the provider's answer
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,

    /// Body of an error answer, from which the class is read
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,

    /// Where it failed: headers or stream
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<String>,

    /// Which try this was, from 1
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,

    /// Milliseconds to the end of the answer
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,

    /// Milliseconds to the first token
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<u64>,

    /// How many alike attempts this stands for
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,

    /// Idempotency id: sent again within 15 minutes it is not counted again
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,

    /// Who reports
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
}

/// Sends the outcome and prints the daemon's receipt.
///
/// # Errors
/// When the daemon cannot be reached or refuses the record, with its reason.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let token = args
        .token_env
        .as_deref()
        .map(|name| std::env::var(name).with_context(|| format!("--token-env {name}: not set")));
    let client = Client::new(&args.daemon, token.transpose()?)?;
    let body = serde_json::to_vec(&args.outcome).context("cannot write the record")?;
    let receipt = super::block_on(client.post("/v1/outcomes", body))?;
    say(String::from_utf8_lossy(&receipt).trim_end());
    Ok(ExitCode::SUCCESS)
}
