//! `brownout dashboards`: the Grafana dashboards, for other thresholds or selectors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;

use super::{EXIT_USAGE, complain, print, ratio};
use crate::domain::bounds::{Bounds, Thresholds};
use crate::domain::outcome::Signal;
use crate::mixin::RUNBOOKS;
use crate::mixin::dashboards::{self, Options};
use crate::mixin::grafana::Dashboard;
use crate::mixin::rules::{Options as RulesOptions, OptionsError};
use crate::mixin::selector::Selector;

/// Arguments of `brownout dashboards`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    brownout dashboards overview > overview.json    one, to import in Grafana's UI\n  \
    brownout dashboards --output /etc/grafana/dashboards    all, for its file provisioning\n\n\
    Jobs and instances are chosen in the dashboard itself, whatever they are called.")]
pub struct Args {
    /// Print this dashboard; without one, all are listed
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(names()))]
    name: Option<String>,

    /// Write into this folder instead, each as `brownout-NAME.json`; without NAME, all of them
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Ratio of overload below which a target is healthy, for lines, colours and words
    #[arg(long, value_name = "RATIO", default_value = "0.5%", value_parser = ratio)]
    healthy: f64,

    /// Ratio of overload above which it is overloaded
    #[arg(long, value_name = "RATIO", default_value = "2%", value_parser = ratio)]
    overloaded: f64,

    /// What else all series must match, as in 'cluster="eu",env=~"prod.*"'
    #[arg(long, value_name = "MATCHERS", value_parser = Selector::parse)]
    selector: Option<Selector>,

    /// Folder of the runbooks that the dashboards link to
    #[arg(long, value_name = "URL", default_value = RUNBOOKS, value_parser = parse_address)]
    runbooks: String,
}

impl Args {
    fn options(&self) -> Result<Options, String> {
        let overload = Bounds::new(self.healthy, self.overloaded).map_err(|error| {
            format!("--healthy and --overloaded: {error}; 2 per cent are written 2% or 0.02")
        })?;
        let default = Thresholds::default();
        let [outage, rate_limit] = [Signal::Outage, Signal::RateLimit].map(|one| default.of(one));
        Ok(Options {
            thresholds: Thresholds::new(overload, outage, rate_limit),
            selector: self.selector.clone().unwrap_or_default(),
            runbooks: self.runbooks.clone(),
        })
    }
}

/// Prints one dashboard, writes files, or lists what there is. Exit code 64 for options that
/// cannot be.
///
/// # Errors
/// When a file cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let options = match args.options() {
        Ok(options) => options,
        Err(problem) => {
            complain(&format!("brownout: {problem}"));
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let named = |one: &Dashboard| args.name.as_ref().is_none_or(|name| one.name() == name);
    let chosen = dashboards::all(&options).into_iter().filter(named);
    match args.output {
        Some(folder) => write(&folder, chosen)?,
        None if args.name.is_some() => {
            let json: Vec<_> = chosen.map(|dashboard| dashboard.to_json()).collect();
            print(&json.concat())?;
        }
        None => {
            let line = |one: Dashboard| format!("{:<12} {}\n", one.name(), one.description());
            print(&chosen.map(line).collect::<String>())?;
            complain("One as JSON: brownout dashboards NAME; all of them: --output DIR");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes each into its file, and says so.
fn write(folder: &Path, chosen: impl Iterator<Item = Dashboard>) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("--output: cannot make the folder {}", folder.display()))?;
    for dashboard in chosen {
        let file = folder.join(format!("{}.json", dashboard.uid()));
        fs::write(&file, dashboard.to_json())
            .with_context(|| format!("--output: cannot write {}", file.display()))?;
        complain(&format!("wrote {}", file.display()));
    }
    Ok(())
}

fn names() -> Vec<&'static str> {
    dashboards::all(&Options::default()).iter().map(Dashboard::name).collect()
}

fn parse_address(text: &str) -> Result<String, OptionsError> {
    RulesOptions::parse_address(text)
}
