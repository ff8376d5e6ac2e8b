//! The one integration binary: the real library and the real program, on loopback.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod access_logs;
mod backfill;
mod captures;
mod classify;
mod clients;
mod config;
mod cron;
mod daemon;
mod deployment;
mod detect;
mod exposition;
mod golden;
mod grpc;
mod health;
mod intake;
mod litellm;
mod mock;
mod once;
mod plan;
mod probe;
mod program;
mod prometheus;
mod scrape;
mod sdk;
mod simulator;
mod status_page;
mod telemetry;
mod telemetry_examples;
mod temp;
mod tidy;
mod tls;
