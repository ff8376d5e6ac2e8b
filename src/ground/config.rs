//! The configuration: strict YAML, checked as a whole, every problem listed with line and path.
//!
//! Two steps: text to a tree in which everything knows its place (`tree`), then the tree to a
//! [`Config`] that nobody has to check again (`providers`, `sections`). An unknown key is a
//! problem and not ignored, because a misspelt `budget` must not cost money. The empty file is a
//! good configuration: the program then ingests, exports and answers, and probes nothing.
//!
//! It reads the one file it is given. It opens no connection and reads no secret: a configuration
//! names where secrets are, and [`Config::check_secrets`] is asked separately, so that a key that
//! is missing stops the check of a configuration but never the daemon.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::domain::bounds::Thresholds;
use crate::domain::target::{Model, Provider, Target};

use super::catalog::{Auth, Dialect, Known, Price};
use super::secret::SecretSource;

mod problem;
mod tree;
mod reader;
mod secrets;
mod providers;
mod requests;
mod cron;
mod budget;
mod probes;
mod chains;
mod status_pages;
mod mappings;
mod sections;

pub use budget::BudgetConfig;
pub use cron::{CronExpression, CronProblem};
pub use mappings::{MappingConfig, Pick, Proxy, Unit, presets};
pub use probes::Adaptive;
pub use problem::{Problem, Problems};
pub use reader::parse_ratio;
pub use requests::BODY_RESERVED;
pub use status_pages::StatusPagesConfig;

/// Largest configuration file in bytes: 500 targets need some 100 KiB.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// A checked configuration. `Default` is that of the empty file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// When a target is healthy or overloaded, for each signal.
    pub thresholds: Thresholds,
    /// The configured providers. What the catalogue knows is already merged in.
    pub providers: BTreeMap<Provider, ProviderConfig>,
    /// What to probe and when.
    pub probes: ProbesConfig,
    /// Orders of targets to fall back along, by name.
    pub chains: BTreeMap<String, Vec<Target>>,
    /// Who may report, and how much.
    pub ingest: IngestConfig,
    /// What is exported.
    pub metrics: MetricsConfig,
    /// How status pages are read, where a provider names one.
    pub status_pages: StatusPagesConfig,
    /// What was accepted and is not acted on in this version, to be logged as warnings.
    pub notices: Vec<String>,
}

/// One configured provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderConfig {
    /// How it speaks.
    pub dialect: Dialect,
    /// Where it lives, an `http` or `https` URL without a slash at the end. Empty when neither
    /// the file nor the catalogue says; then the provider has no key either and is not probed.
    pub base_url: String,
    /// Host names that mean this provider, besides those of the catalogue and of the base URL;
    /// patterns as for [`super::catalog::host_matches`].
    pub hosts: Vec<String>,
    /// Where its key is.
    pub api_key: Option<SecretSource>,
    /// Whether it was said (`api_key: none`) that it needs no key, so that it may be probed.
    pub keyless: bool,
    /// Its models by their canonical names, in the order of the file.
    pub models: Vec<Model>,
    /// Other names of models, as reported, and the canonical name each stands for.
    pub aliases: BTreeMap<String, Model>,
    /// The regions that are told apart.
    pub regions: Vec<String>,
    /// The accounts that are told apart.
    pub accounts: Vec<String>,
    /// What tokens cost, by canonical name.
    pub prices: BTreeMap<Model, Price>,
    /// What they cost for models without a price of their own; `None` if that is not known.
    pub price_of_others: Option<Price>,
    /// The name to send on the wire for each model: as written in the file.
    pub wire_names: BTreeMap<Model, String>,
    /// What is particular about the requests of its probes.
    pub request: RequestConfig,
    /// Its public status page, without a slash at the end; `None` reads none.
    pub status_page: Option<String>,
}

/// What is particular about the requests of a provider's probes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestConfig {
    /// How the key is sent; `None` is the dialect's own way.
    pub auth: Option<Auth>,
    /// Version of the API, for dialects that want one in the URL.
    pub api_version: Option<String>,
    /// The cloud's region that probes are sent to, and signed for.
    pub region: Option<String>,
    /// More headers, names in lower case. None of them holds a secret.
    pub headers: BTreeMap<String, String>,
    /// A JSON merge patch of the body, for all models.
    pub body: JsonMap,
    /// The same for single models, applied last.
    pub model_body: BTreeMap<Model, JsonMap>,
}

/// A JSON object.
pub type JsonMap = serde_json::Map<String, serde_json::Value>;

/// What to probe and when.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbesConfig {
    /// When; `None` means that nothing is probed.
    pub schedule: Option<Schedule>,
    /// By which share of the interval a probe may be early or late, 0 to 0.5.
    pub jitter: f64,
    /// From sending to the terminal event.
    pub timeout: Duration,
    /// From sending to the first content; at most `timeout`.
    pub ttft_timeout: Duration,
    /// What they may cost.
    pub budget: BudgetConfig,
    /// What to do while clients supply the evidence.
    pub when_clients_report: WhenClientsReport,
    /// Whether, and how, a target that is not healthy is probed more often.
    pub adaptive: Option<Adaptive>,
    /// Probe these targets; empty means every configured model of a provider with a key.
    pub only: Vec<Target>,
}

/// When probes run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At an interval.
    Every(Duration),
    /// By a cron expression, in UTC.
    Cron(CronExpression),
}

/// What to do with a due probe while clients report the same target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenClientsReport {
    /// Leave it out.
    #[default]
    Skip,
    /// Probe less often.
    Reduce,
    /// Probe all the same.
    Always,
}

/// Who may report, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestConfig {
    /// Tokens of which a reporter must show one; empty means that none is asked for.
    pub tokens: Vec<IngestToken>,
    /// Largest body on the wire, in bytes.
    pub max_body: usize,
    /// Largest body once decompressed, in bytes.
    pub max_decoded: usize,
    /// Most targets with series of their own.
    pub max_targets: usize,
    /// How lines of access logs are read, by the name of the mapping; without the presets.
    pub mappings: BTreeMap<String, MappingConfig>,
}

/// A reporter's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestToken {
    /// Who reports with it.
    pub name: String,
    /// Where it is.
    pub secret: SecretSource,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Whether `/metrics` has the hour-of-day counters, 96 series for each target.
    pub hour_of_day: bool,
}

impl Config {
    /// Reads a configuration from text; `file_name` is only for messages.
    ///
    /// # Errors
    /// Every problem found.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Problems> {
        if text.len() > FILE_BYTES_MAX {
            return Err(Problems::whole(file_name, "is larger than 1 MiB, which nothing needs"));
        }
        let mut problems = Problems::new(file_name);
        let config = tree::read(text, &mut problems)
            .map(|root| sections::config(&root, &mut problems))
            .unwrap_or_default();
        if problems.is_empty() { Ok(config) } else { Err(problems.sorted()) }
    }

    /// Reads a configuration file. Relative paths of secrets are relative to the file.
    ///
    /// # Errors
    /// Every problem found, or the one that the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let file_name = path.display().to_string();
        let read = || {
            let mut bytes = Vec::new();
            let limit = FILE_BYTES_MAX as u64 + 1;
            std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error: std::io::Error| {
            Problems::whole(&file_name, format!("cannot be read ({error}), check the path"))
        })?;
        // Before decoding, for the cut of the limit may go through a character.
        if bytes.len() > FILE_BYTES_MAX {
            return Err(Problems::whole(&file_name, "is larger than 1 MiB, which nothing needs"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Problems::whole(&file_name, "is not text in UTF-8, save it as such"))?;
        let mut config = Self::parse(&text, &file_name)?;
        if let Some(directory) = path.parent() {
            config.sources_mut().for_each(|source| secrets::resolve(source, directory));
        }
        Ok(config)
    }

    /// Every configured model as a target, by provider and then in the order of the file.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.providers.iter().flat_map(|(name, provider)| {
            provider.models.iter().map(|model| Target::new(name.clone(), model.clone()))
        })
    }

    /// Every target to be probed on the schedule.
    pub fn probe_targets(&self) -> Vec<Target> {
        if self.probes.schedule.is_none() {
            return Vec::new();
        }
        if !self.probes.only.is_empty() {
            return self.probes.only.clone();
        }
        let may_be_probed = |target: &Target| {
            self.providers.get(&target.provider).is_some_and(ProviderConfig::may_be_probed)
        };
        self.targets().filter(may_be_probed).collect()
    }

    /// Asks for a target to be probed, and only for such targets: `--probe PROVIDER/MODEL`.
    ///
    /// A provider of the catalogue needs no configuration: its key is then expected in the
    /// variable that its own tools use. Without a `probes` section it is probed each minute.
    ///
    /// # Errors
    /// One problem, when the provider is not known or it is not known where it lives.
    pub fn add_probe(&mut self, target: Target) -> Result<(), Problems> {
        probes::add(self, target)
    }

    /// Reads every secret and lists those that cannot be read. Touches environment and files, and
    /// runs commands, so it blocks.
    pub fn check_secrets(&self) -> Problems {
        let mut problems = Problems::default();
        let mut check = |path: String, source: &SecretSource| {
            if let Err(error) = source.read() {
                let cause = std::error::Error::source(&error);
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                problems.push(&path, None, format!("{error}{cause}"));
            }
        };
        for (name, provider) in &self.providers {
            if let Some(source) = &provider.api_key {
                check(format!("providers.{name}.api_key"), source);
            }
        }
        for token in &self.ingest.tokens {
            check(format!("ingest.tokens.{}", token.name), &token.secret);
        }
        problems
    }

    fn sources_mut(&mut self) -> impl Iterator<Item = &mut SecretSource> {
        let keys = self.providers.values_mut().filter_map(|provider| provider.api_key.as_mut());
        keys.chain(self.ingest.tokens.iter_mut().map(|token| &mut token.secret))
    }
}

impl ProviderConfig {
    /// A provider with nothing configured but how it speaks and where it lives.
    pub fn new(dialect: Dialect, base_url: impl Into<String>) -> Self {
        Self {
            dialect,
            base_url: base_url.into(),
            hosts: Vec::new(),
            api_key: None,
            keyless: false,
            models: Vec::new(),
            aliases: BTreeMap::new(),
            regions: Vec::new(),
            accounts: Vec::new(),
            prices: BTreeMap::new(),
            price_of_others: None,
            wire_names: BTreeMap::new(),
            request: RequestConfig::default(),
            status_page: None,
        }
    }

    /// How the key is sent.
    pub fn auth(&self) -> Auth {
        self.request.auth.unwrap_or(self.dialect.auth())
    }

    /// Whether it is known what to show at the door: a key, a signature, or that nothing is asked.
    pub fn may_be_probed(&self) -> bool {
        self.api_key.is_some() || self.keyless || self.auth() == Auth::SigV4
    }

    /// What tokens of this model cost, if that is known.
    pub fn price(&self, model: &Model) -> Option<Price> {
        // Where no key is asked for, there is no account that could be billed.
        let free = self.keyless.then_some(Price::FREE);
        self.prices.get(model).copied().or(self.price_of_others).or(free)
    }

    /// A provider as the catalogue knows it, without a key.
    pub fn known(known: &Known) -> Self {
        let mut provider = Self::new(known.dialect, known.base_url.unwrap_or_default());
        let price = |(name, price): &(&str, Price)| {
            Some((crate::domain::model_name::model(name).ok()?, *price))
        };
        provider.prices = known.prices.iter().copied().flatten().filter_map(price).collect();
        provider.price_of_others = known.is_free.then_some(Price::FREE);
        provider
    }
}

impl ProbesConfig {
    /// How long probes are apart. A cron expression has no interval of its own, so the usual one
    /// is assumed.
    pub fn interval(&self) -> Duration {
        match &self.schedule {
            Some(Schedule::Every(every)) => *every,
            Some(Schedule::Cron(_)) | None => probes::EVERY_DEFAULT,
        }
    }
}

impl Default for ProbesConfig {
    fn default() -> Self {
        Self {
            schedule: None,
            // Enough that probes of many replicas do not fall into step.
            jitter: 0.2,
            // A saturated provider may take long and still answer; after these, nobody waits.
            timeout: Duration::from_secs(45),
            ttft_timeout: Duration::from_secs(20),
            budget: BudgetConfig::default(),
            when_clients_report: WhenClientsReport::Skip,
            adaptive: Some(Adaptive::default()),
            only: Vec::new(),
        }
    }
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            tokens: Vec::new(),
            max_body: 8 << 20,
            max_decoded: 64 << 20,
            max_targets: 500,
            mappings: BTreeMap::new(),
        }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { hour_of_day: true }
    }
}
