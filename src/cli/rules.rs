//! `brownout rules`: the recording and alerting rules, for whoever does not want the defaults.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;

use super::{EXIT_USAGE, complain, print, ratio};
use crate::mixin::RUNBOOKS;
use crate::mixin::promql::Window;
use crate::mixin::rules::{self, Manifest, Options, OptionsError, Thresholds, Windows};
use crate::mixin::selector::Selector;

/// Longest name of an object or a namespace in Kubernetes.
const NAME_MAX: usize = 63;

/// Arguments of `brownout rules`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print only one of the two kinds
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// What is to read them
    #[arg(long, value_enum, default_value_t = Format::Prometheus)]
    format: Format,

    /// Job under which Prometheus scrapes brownout
    #[arg(long, value_name = "JOB", default_value = "brownout", value_parser = Options::parse_job)]
    job: String,
    /// What else all series must match, as in 'cluster="eu",env=~"prod.*"'
    #[arg(long, value_name = "MATCHERS", value_parser = Selector::parse)]
    selector: Option<Selector>,

    /// Overload below this ratio is healthy; above it warns
    #[arg(long, value_name = "RATIO", default_value = "0.5%", value_parser = ratio)]
    healthy: f64,
    /// Overload above this ratio pages
    #[arg(long, value_name = "RATIO", default_value = "2%", value_parser = ratio)]
    overloaded: f64,
    /// Overload above this ratio pages at once
    #[arg(long, value_name = "RATIO", default_value = "10%", value_parser = ratio)]
    surge: f64,
    /// Window of the surge
    #[arg(long, value_name = "WINDOW", default_value = "5m", value_parser = window)]
    surge_window: Window,
    /// Windows of overload that pages: both must be above the ratio
    #[arg(long, value_name = "LONG/SHORT", default_value = "1h/5m", value_parser = windows)]
    critical_windows: Windows,
    /// Windows of overload that warns
    #[arg(long, value_name = "LONG/SHORT", default_value = "6h/30m", value_parser = windows)]
    warning_windows: Windows,

    /// Folder of the runbooks that alerts link to
    #[arg(long, value_name = "URL", default_value = RUNBOOKS)]
    #[arg(value_parser = Options::parse_address)]
    runbooks: String,
    /// Grafana that alerts link to; without it links are paths, for brownout.tmpl to complete
    #[arg(long, value_name = "URL", value_parser = Options::parse_address)]
    dashboards: Option<String>,

    /// Name of the manifest's object, with --format kubernetes [default: brownout]
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// Namespace of the object
    #[arg(long, value_name = "NAMESPACE", value_parser = name)]
    namespace: Option<String>,
    /// Label of the object, by which the operator finds it (repeatable)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// What dashboards and alerts read
    Recording,
    /// The alerts, which read it
    Alerts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A file of rules
    Prometheus,
    /// A manifest for the operator
    Kubernetes,
}

/// Prints the rules. Exit code 0, or 64 for options that do not go together.
///
/// # Errors
/// If the rules cannot be written as YAML.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let for_kubernetes = args.name.is_some() || args.namespace.is_some() || !args.labels.is_empty();
    if for_kubernetes && args.format == Format::Prometheus {
        complain("brownout: --name, --namespace and --label go with --format kubernetes");
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let thresholds = match Thresholds::new(args.healthy, args.overloaded, args.surge) {
        Ok(thresholds) => thresholds,
        Err(error) => {
            let remedy = "set --healthy, --overloaded and --surge in this order";
            complain(&format!("brownout: {error}; {remedy}"));
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let options = Options {
        job: args.job,
        selector: args.selector.unwrap_or_default(),
        thresholds,
        surge_window: args.surge_window,
        critical: args.critical_windows,
        warning: args.warning_windows,
        runbooks: args.runbooks,
        dashboards: args.dashboards.unwrap_or_default(),
    };
    let mut groups = Vec::new();
    if args.only != Some(Only::Alerts) {
        groups.push(rules::recording(&options));
    }
    if args.only != Some(Only::Recording) {
        groups.extend(rules::alerting(&options));
    }
    let text = match args.format {
        Format::Prometheus => rules::rules_file(&options, &groups),
        Format::Kubernetes => {
            let name = args.name.unwrap_or_else(|| "brownout".to_owned());
            let manifest = Manifest { name, namespace: args.namespace, labels: args.labels };
            rules::manifest(&options, &groups, &manifest)
        }
    };
    print(&text.context("cannot write the rules as YAML")?)?;
    Ok(ExitCode::SUCCESS)
}

fn window(text: &str) -> Result<Window, String> {
    let window = text.parse().map_err(|error| format!("expected a window like 5m or 1h: {error}"));
    window.and_then(|window| Options::check_window(window).map_err(|error| error.to_string()))
}

fn windows(text: &str) -> Result<Windows, String> {
    let (long, short) = text.split_once('/').ok_or("expected LONG/SHORT, as in 1h/5m")?;
    let order = |error: OptionsError| error.to_string();
    Windows::new(window(long)?, window(short)?).map_err(order)
}

/// A name that Kubernetes takes, of an object or a namespace.
fn name(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c: Option<char>| c.is_some_and(|c| inner(c) && c != '-');
    let good = text.chars().all(inner) && ends(text.chars().next()) && ends(text.chars().last());
    if good && text.len() <= NAME_MAX {
        Ok(text.to_owned())
    } else {
        Err(format!("expected at most {NAME_MAX} of a-z, 0-9 and -, as in brownout-eu"))
    }
}

/// A label of an object in Kubernetes.
fn label(text: &str) -> Result<(String, String), String> {
    let plain = |text: &str, more: &str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c) || more.contains(c))
    };
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && plain(key, "/") && plain(value, "") => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("expected KEY=VALUE, as in release=prometheus".to_owned()),
    }
}
