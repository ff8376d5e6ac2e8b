//! The section `probes`, and `--probe`.
//!
//! The section's existence is what asks for probes: without it, or `--probe`, nothing is probed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::target::{Provider, Target};

use super::super::aws_region;
use super::super::catalog::{self, Auth, Dialect};
use super::super::secret::SecretSource;
use super::cron::CronExpression;
use super::problem::{Problems, quoted};
use super::reader::{Field, Section};
use super::{Config, ProbesConfig, ProviderConfig, Schedule, WhenClientsReport, budget, chains};

/// How often to probe unless said otherwise: the shortest that most can afford.
pub(super) const EVERY_DEFAULT: Duration = Duration::from_secs(60);
/// Shortest interval.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// Longest interval: evidence older than this says nothing.
const EVERY_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest time-out: DeepSeek, the most patient provider, hangs up after 10 minutes.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Largest jitter: with more, a probe could overtake its neighbour.
const JITTER_MAX: f64 = 0.5;

/// The variable of a Bedrock API key, which AWS's own tools prefer to signing.
const BEDROCK_KEY: &str = "AWS_BEARER_TOKEN_BEDROCK";

/// Longest interval of faster probes: a longer one would not be faster.
const ADAPTIVE_EVERY_MAX: Duration = Duration::from_secs(600);
/// Most faster probes an hour: one a second.
const PER_HOUR_MAX: usize = 3_600;

const KEYS: [&str; 8] = [
    "every",
    "cron",
    "jitter",
    "timeout",
    "ttft_timeout",
    "budget",
    "when_clients_report",
    "adaptive",
];

/// Faster probes of a target while it is not healthy: clients that fail over stop reporting it,
/// and without evidence its recovery is noticed late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adaptive {
    /// How far apart they are.
    pub every: Duration,
    /// Most of them per target in any hour; beyond that they are six times as far apart.
    pub per_hour: usize,
}

impl Default for Adaptive {
    /// In simulated events this noticed the end of an overload after 61 s in the median, against
    /// 491 s by a probe a minute; twice as fast gains little more. 120 are ten minutes of it.
    fn default() -> Self {
        Self { every: Duration::from_secs(5), per_hour: 120 }
    }
}

/// Reads the section; needs the providers to be read.
pub(super) fn probes(
    field: &Field<'_>,
    providers: &BTreeMap<Provider, ProviderConfig>,
    problems: &mut Problems,
) -> ProbesConfig {
    let mut probes = ProbesConfig::default();
    let Some(section) = field.section(&KEYS, problems) else { return probes };
    probes.schedule = Some(schedule(&section, problems));
    if let Some(field) = section.get("jitter")
        && let Some(jitter) = field.ratio(problems)
    {
        if jitter > JITTER_MAX {
            field.wrong(problems, "is more than 50%, write 0%..50%");
        }
        probes.jitter = jitter;
    }
    timeouts(&section, &mut probes, problems);
    if let Some(field) = section.get("budget") {
        probes.budget = budget::budget(&field, providers, problems);
    }
    if let Some(field) = section.get("when_clients_report") {
        let choices = [
            ("skip", WhenClientsReport::Skip),
            ("reduce", WhenClientsReport::Reduce),
            ("always", WhenClientsReport::Always),
        ];
        if let Some(choice) = field.choice("choice", &choices, problems) {
            probes.when_clients_report = choice;
        }
    }
    if let Some(field) = section.get("adaptive") {
        probes.adaptive = adaptive(&field, problems);
    }
    probes
}

fn adaptive(field: &Field<'_>, problems: &mut Problems) -> Option<Adaptive> {
    let mut adaptive = Adaptive::default();
    if field.is_scalar() {
        let choices = [("true", true), ("on", true), ("false", false), ("off", false)];
        let on = field.choice("switch", &choices, problems)?;
        return on.then_some(adaptive);
    }
    let section = field.section(&["every", "per_hour"], problems)?;
    if let Some(field) = section.get("every")
        && let Some(every) = field.duration(problems)
    {
        if !(EVERY_MIN..=ADAPTIVE_EVERY_MAX).contains(&every) {
            field.wrong(problems, "is not in 1s..10m");
        }
        adaptive.every = every;
    }
    if let Some(field) = section.get("per_hour")
        && let Some(per_hour) = field.count(problems)
    {
        if per_hour > PER_HOUR_MAX {
            field.wrong(problems, "is more than 3600, one a second");
        }
        adaptive.per_hour = per_hour;
    }
    Some(adaptive)
}

fn schedule(section: &Section<'_>, problems: &mut Problems) -> Schedule {
    let default = Schedule::Every(EVERY_DEFAULT);
    match (section.get("every"), section.get("cron")) {
        (Some(_), Some(cron)) => {
            cron.wrong(problems, "excludes every, keep one of the two");
            default
        }
        (Some(every), None) => match every.duration(problems) {
            None => default,
            Some(duration) => {
                if !(EVERY_MIN..=EVERY_MAX).contains(&duration) {
                    every.wrong(problems, "is not in 1s..24h");
                }
                Schedule::Every(duration)
            }
        },
        (None, Some(field)) => cron(&field, problems).map_or(default, Schedule::Cron),
        (None, None) => default,
    }
}

fn cron(field: &Field<'_>, problems: &mut Problems) -> Option<CronExpression> {
    let text = field.text("a cron expression", problems)?;
    match CronExpression::parse(text) {
        Ok(cron) => Some(cron),
        Err(problem) => {
            field.wrong(problems, format!("{} {problem}", quoted(text)));
            None
        }
    }
}

fn timeouts(section: &Section<'_>, probes: &mut ProbesConfig, problems: &mut Problems) {
    let read = |key: &str, problems: &mut Problems| {
        let field = section.get(key)?;
        let timeout = field.duration(problems)?;
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            field.wrong(problems, "is not more than 0 and at most 10m");
        }
        Some((field, timeout))
    };
    if let Some((_, timeout)) = read("timeout", problems) {
        probes.timeout = timeout;
    }
    match read("ttft_timeout", problems) {
        None => probes.ttft_timeout = probes.ttft_timeout.min(probes.timeout),
        Some((field, timeout)) => {
            if timeout > probes.timeout {
                let whole = humantime::format_duration(probes.timeout);
                field.wrong(problems, format!("is longer than timeout, which is {whole}"));
            }
            probes.ttft_timeout = timeout;
        }
    }
}

/// Adds one target of `--probe`.
pub(super) fn add(config: &mut Config, raw: Target) -> Result<(), Problems> {
    let wrong = |message: String| {
        let mut problems = Problems::default();
        problems.push("--probe", None, message);
        problems
    };
    let target = chains::target(&raw.to_string(), &config.providers).map_err(wrong)?;
    let known = catalog::provider(target.provider.as_str());
    // Only a provider of the catalogue is not configured here: `target` refuses any other.
    let provider = config.providers.get(&target.provider).cloned();
    let mut provider = provider.or_else(|| known.map(ProviderConfig::known));
    if let Some(provider) = provider.as_mut().filter(|it| it.dialect == Dialect::Bedrock) {
        bedrock_of_the_environment(provider);
    }
    let Some(mut provider) = provider.filter(|provider| !provider.base_url.is_empty()) else {
        let name = &target.provider;
        let remedy = match known.map(|known| known.dialect) {
            Some(Dialect::Bedrock) => {
                format!("set AWS_REGION or configure providers.{name}.region")
            }
            _ => {
                let example = catalog::base_url_example(name.as_str());
                format!("configure providers.{name}.base_url, such as {example}")
            }
        };
        return Err(wrong(format!("where \"{name}\" lives is not known, {remedy}")));
    };
    if !provider.may_be_probed() {
        let key_env = known.and_then(|known| known.key_env);
        provider.api_key = key_env.map(|name| SecretSource::Env(name.to_owned()));
    }
    if !provider.models.contains(&target.model) {
        provider.models.push(target.model.clone());
        provider.wire_names.insert(target.model.clone(), raw.model.as_str().to_owned());
    }
    config.providers.insert(target.provider.clone(), provider);
    if !config.probes.only.contains(&target) {
        config.probes.only.push(target);
    }
    config.probes.schedule.get_or_insert(Schedule::Every(EVERY_DEFAULT));
    Ok(())
}

/// What the file leaves open and AWS's own tools read from the environment: the region, and
/// whether to show a key or to sign.
fn bedrock_of_the_environment(provider: &mut ProviderConfig) {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if provider.base_url.is_empty()
        && let Some(region) = aws_region::of_the_environment(variable)
    {
        provider.base_url = catalog::bedrock_url(&region);
    }
    if !provider.may_be_probed() && variable(BEDROCK_KEY).is_none() {
        provider.request.auth = Some(Auth::SigV4);
    }
}
