//! The document as a whole, and its small sections: `thresholds`, `ingest`, `metrics`, `fleet`.

use crate::domain::bounds::{Bounds, OVERLOADED_MAX, Thresholds};

use super::problem::Problems;
use super::reader::{Field, Section};
use super::tree::Node;
use super::{
    Config, IngestConfig, IngestToken, MetricsConfig, chains, mappings, probes, providers, secrets,
    status_pages,
};

/// Most tokens: one for each team or service that reports.
const TOKENS_MAX: usize = 1_000;
/// Longest name of a token, in bytes.
const TOKEN_NAME_BYTES_MAX: usize = 64;
/// Smallest body that a report of one outcome fits into.
const BODY_MIN: usize = 1024;
/// Largest body, on the wire or decoded: it is held in memory.
const BODY_MAX: usize = 1 << 30;
/// Most targets: at some 200 series each, two million series are more than a scrape can carry.
const TARGETS_MAX: usize = 10_000;

const KEYS: [&str; 8] =
    ["thresholds", "providers", "probes", "chains", "ingest", "metrics", "status_pages", "fleet"];

/// Reads the document. What it gives is good only if no problem was noted.
pub(super) fn config(root: &Node, problems: &mut Problems) -> Config {
    let mut config = Config::default();
    let Some(section) = Field::root(root).section(&KEYS, problems) else { return config };
    if let Some(field) = section.get("thresholds") {
        config.thresholds = thresholds(&field, problems);
    }
    if let Some(field) = section.get("providers") {
        config.providers = providers::providers(&field, problems);
    }
    if let Some(field) = section.get("probes") {
        config.probes = probes::probes(&field, &config.providers, problems);
    }
    // After the providers, whose names and aliases it uses.
    if let Some(field) = section.get("chains") {
        config.chains = chains::chains(&field, &config, problems);
        let notice = "chains are checked, and not acted on in this version";
        config.notices.push(notice.to_owned());
    }
    if let Some(field) = section.get("ingest") {
        config.ingest = ingest(&field, problems);
    }
    if let Some(field) = section.get("metrics") {
        config.metrics = metrics(&field, problems);
    }
    if let Some(field) = section.get("status_pages") {
        config.status_pages = status_pages::status_pages(&field, problems);
        if config.providers.values().all(|provider| provider.status_page.is_none()) {
            let notice = "status_pages finds nothing to read: no provider has a status_page";
            config.notices.push(notice.to_owned());
        }
    }
    if let Some(field) = section.get("fleet") {
        fleet(&field, problems);
        let notice = "fleet is not acted on in this version: this daemon counts for itself alone";
        config.notices.push(notice.to_owned());
    }
    if config.probes.schedule.is_some() && config.probes.budget.usd_per_day.is_none() {
        let notice = "probes.budget is none: nothing bounds what probes cost; see brownout plan";
        config.notices.push(notice.to_owned());
    }
    if config.probes.schedule.is_some() && config.probe_targets().is_empty() {
        let notice = "probes finds nothing to probe: no provider with an api_key lists models";
        config.notices.push(notice.to_owned());
    }
    config
}

fn thresholds(field: &Field<'_>, problems: &mut Problems) -> Thresholds {
    let keys = ["healthy", "overloaded", "outage", "rate_limit"];
    let Some(section) = field.section(&keys, problems) else { return Thresholds::default() };
    let overload = bounds(&section, Bounds::OVERLOAD, problems);
    let mut nested = |key: &str, default: Bounds| {
        section
            .get(key)
            .and_then(|field| field.section(&["healthy", "overloaded"], problems))
            .map_or(default, |section| bounds(&section, default, problems))
    };
    let outage = nested("outage", Bounds::OUTAGE);
    let rate_limit = nested("rate_limit", Bounds::RATE_LIMIT);
    Thresholds::new(overload, outage, rate_limit)
}

/// Two thresholds of a section; one that is not given keeps its default.
fn bounds(section: &Section<'_>, default: Bounds, problems: &mut Problems) -> Bounds {
    let mut read = |key: &str, default: f64| match section.get(key) {
        Some(field) => field.ratio(problems),
        None => Some(default),
    };
    let healthy = read("healthy", default.healthy());
    let overloaded = read("overloaded", default.overloaded());
    let (Some(healthy), Some(overloaded)) = (healthy, overloaded) else {
        // One is wrong by itself and noted; the other may be, too.
        alone(section, "healthy", healthy, problems);
        alone(section, "overloaded", overloaded, problems);
        return default;
    };
    Bounds::new(healthy, overloaded).unwrap_or_else(|error| {
        let remedy = format!(
            "{error}, for example healthy: {}%, overloaded: {}%",
            default.healthy() * 100.0,
            default.overloaded() * 100.0
        );
        section.field().wrong(problems, remedy);
        default
    })
}

/// Checks a threshold that has no partner to be compared with.
fn alone(section: &Section<'_>, key: &str, ratio: Option<f64>, problems: &mut Problems) {
    let is_good = |ratio| 0.0 < ratio && ratio < OVERLOADED_MAX;
    if let Some(field) = section.get(key)
        && ratio.is_some_and(|ratio| !is_good(ratio))
    {
        field.wrong(problems, "is not between 0% and 50%, for example 2%");
    }
}

fn ingest(field: &Field<'_>, problems: &mut Problems) -> IngestConfig {
    let mut ingest = IngestConfig::default();
    let keys = ["tokens", "max_body", "max_decoded", "max_targets", "mappings"];
    let Some(section) = field.section(&keys, problems) else { return ingest };
    if let Some(field) = section.get("tokens") {
        ingest.tokens = tokens(&field, problems);
    }
    if let Some(field) = section.get("max_body")
        && let Some(size) = field.size(problems)
    {
        if !(BODY_MIN..=BODY_MAX).contains(&size) {
            field.wrong(problems, "is not in 1KiB..1GiB");
        }
        ingest.max_body = size;
        // A body that may come in plain must be allowed when decoded, too.
        ingest.max_decoded = ingest.max_decoded.max(size);
    }
    if let Some(field) = section.get("max_decoded")
        && let Some(size) = field.size(problems)
    {
        if size < ingest.max_body || size > BODY_MAX {
            field.wrong(problems, "is not in max_body..1GiB");
        }
        ingest.max_decoded = size;
    }
    if let Some(field) = section.get("max_targets")
        && let Some(count) = field.count(problems)
    {
        if !(1..=TARGETS_MAX).contains(&count) {
            field.wrong(problems, "is not in 1..10000");
        }
        ingest.max_targets = count;
    }
    if let Some(field) = section.get("mappings") {
        ingest.mappings = mappings::mappings(&field, problems);
    }
    ingest
}

fn tokens(field: &Field<'_>, problems: &mut Problems) -> Vec<IngestToken> {
    let mut tokens: Vec<IngestToken> = Vec::new();
    for item in field.list(TOKENS_MAX, problems).unwrap_or_default() {
        let Some(section) = item.secret_section(problems) else { continue };
        let secret = secrets::source_among(&section, &["name"], problems);
        let Some(field) = section.get("name") else {
            item.wrong(problems, "has no name, say who reports with it");
            continue;
        };
        let Some(name) = field.text("a name", problems) else { continue };
        let good = name.len() <= TOKEN_NAME_BYTES_MAX
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        // Not repeated: it might be the token itself.
        if !good {
            let message = "is not 1 to 64 letters, digits, dashes, dots or underscores";
            field.wrong(problems, message);
        }
        if tokens.iter().any(|token| token.name == name) {
            field.wrong(problems, "is the name of another token, too: choose another");
        }
        if let Some(secret) = secret {
            tokens.push(IngestToken { name: name.to_owned(), secret });
        }
    }
    tokens
}

fn metrics(field: &Field<'_>, problems: &mut Problems) -> MetricsConfig {
    let mut metrics = MetricsConfig::default();
    let Some(section) = field.section(&["hour_of_day"], problems) else { return metrics };
    if let Some(field) = section.get("hour_of_day")
        && let Some(on) = field.choice("value", &[("true", true), ("false", false)], problems)
    {
        metrics.hour_of_day = on;
    }
    metrics
}

/// Checks what later versions will act on, so that a file that is good now stays good.
fn fleet(field: &Field<'_>, problems: &mut Problems) {
    let keys = ["redis", "password", "instance"];
    let Some(section) = field.section(&keys, problems) else { return };
    match section.get("redis") {
        None => section.field().wrong(problems, "has no redis, give the URL of the server"),
        Some(field) => {
            let text = field.text("a URL like redis://host:6379", problems);
            let rest = text.map(|text| {
                text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://"))
            });
            match rest {
                None => {}
                Some(None) => field.wrong(problems, "is not a URL like redis://host:6379"),
                Some(Some(rest)) if rest.contains('@') => {
                    field.wrong(problems, "holds a user or password, remove it and use password");
                }
                Some(Some(_)) => {}
            }
        }
    }
    if let Some(field) = section.get("password") {
        secrets::source(&field, problems);
    }
    if let Some(field) = section.get("instance") {
        field.text("the name of this replica", problems);
    }
}
